//! What a stream sends next. Pure.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::type_state::{InFlight, TypeState};
use super::{Changes, ENVELOPE, MAX_ANSWER, Nack, Send, Stream, Variant, index};
use crate::snapshot::{Content, Resource, ResourceSet, ResourceType};

/// What a proxy should have next of a type.
struct Due {
    /// All that it is to have.
    wanted: Arc<Content>,
    /// In delta: what of that it is to be sent.
    changes: Option<Changes>,
}

impl Stream {
    /// The next answer, marked as sent.
    pub(super) fn send(&mut self) -> Option<Send> {
        loop {
            let (kind, Due { wanted, changes }) = self.next()?;
            let changes = match fitting(&wanted, changes) {
                Ok(changes) => changes,
                Err(size) => {
                    self.refuse(kind, &wanted, size);
                    continue;
                }
            };
            let nonce = self.nonce(kind);
            let state = &mut self.types[index(kind)];
            state.answer_due = false;
            state.overtake(kind);
            let content = state.content_with(kind, &wanted, changes.as_ref());
            let said = changes.as_ref().map_or_else(|| Arc::clone(&content), |said| said.content(&content));
            state.renew.retain(|name| !said.resources.contains_key(name));
            let wording = self.wording_of(kind, &said);
            if kind == ResourceType::Cluster {
                self.renew_endpoints(&said);
            }
            let (of, sent) = (Arc::clone(&self.target), Arc::clone(&content));
            let changes_sent = changes.clone();
            let in_flight =
                InFlight { wanted, content: sent, changes: changes_sent, of, overdue: false, again: false };
            self.types[index(kind)].in_flight = Some(in_flight);
            return Some(Send { kind, nonce, content, changes, wording });
        }
    }

    /// An answer of `size` bytes is not sent, and says so as a proxy would.
    fn refuse(&mut self, kind: ResourceType, wanted: &Arc<Content>, size: usize) {
        let message = format!(
            "the answer would have {size} bytes, more than the {MAX_ANSWER} that gRPC clients accept: fewer backends or routes make it shorter"
        );
        let state = &mut self.types[index(kind)];
        state.answer_due = false;
        let (content, before) = (Arc::clone(wanted), Arc::clone(&state.acked));
        state.nack = Some(Arc::new(Nack { kind, content, wanted: wanted.version.clone(), before, message }));
    }

    /// Notes the endpoints of every cluster that an answer with `clusters` makes anew, now that it is sent.
    fn renew_endpoints(&mut self, clusters: &Content) {
        let state = self.state(ResourceType::Cluster);
        let is_new = |cluster: &Resource| {
            let held = state.acked.resources.get(&cluster.name);
            // What it took of a refused answer it gives up again.
            held.is_none_or(|held| held.version != cluster.version)
                || state.maybe_applied.iter().any(|maybe_applied| maybe_applied.name == cluster.name)
        };
        let known = &self.target.content(ResourceType::Endpoint).resources;
        let held = &self.state(ResourceType::Endpoint).acked.resources;
        let renewed = clusters.resources.values().filter(|cluster| {
            (known.contains_key(&cluster.name) || held.contains_key(&cluster.name)) && is_new(cluster)
        });
        let renewed: Vec<String> = renewed.map(|cluster| cluster.name.clone()).collect();
        self.types[index(ResourceType::Endpoint)].renew.extend(renewed);
    }

    fn next(&self) -> Option<(ResourceType, Due)> {
        let due = |kind: ResourceType| self.due(kind).map(|due| (kind, due));
        if self.awaits() {
            let kinds = ResourceType::ALL.into_iter();
            let mut under_way = kinds.filter(|kind| self.state(*kind).in_flight.is_some());
            let only_clusters = under_way.all(|kind| kind == ResourceType::Cluster);
            let warming = [ResourceType::Endpoint, ResourceType::Secret];
            return warming.into_iter().filter(|_| only_clusters).find_map(due);
        }
        let mut clusters = due(ResourceType::Cluster);
        if clusters.as_ref().is_some_and(|(_, due)| self.only_removes(due)) {
            let rest = ResourceType::ALL.into_iter().filter(|kind| *kind != ResourceType::Cluster);
            return rest.into_iter().find_map(due).or(clusters);
        }
        clusters.take().or_else(|| ResourceType::ALL.into_iter().find_map(due))
    }

    /// Whether an answer of clusters does nothing but remove some.
    fn only_removes(&self, clusters: &Due) -> bool {
        let state = self.state(ResourceType::Cluster);
        let adds_nothing = match &clusters.changes {
            Some(changes) => changes.resources.is_empty(),
            None => clusters.wanted.is_within(&state.acked),
        };
        !state.answer_due && state.in_flight.is_none() && adds_nothing
    }

    /// The answer that the proxy should have next for `kind`; `None` when it has it, refused it, or cannot have it yet.
    fn due(&self, kind: ResourceType) -> Option<Due> {
        let state = self.state(kind);
        state.subscription.as_ref()?;
        let wanted = self.wanted(kind);
        if state.in_flight.as_ref().is_some_and(|sent| sent.wanted.version == wanted.version) {
            return None;
        }
        let refused = state.nack.as_ref().is_some_and(|nack| nack.wanted == wanted.version);
        let discovered = matches!(kind, ResourceType::Endpoint | ResourceType::Secret);
        if discovered && wanted.resources.is_empty() {
            return None;
        }
        if !state.answer_due && (refused || state.has(kind, &wanted)) {
            return None;
        }
        if self.would_lose(kind) {
            return None;
        }
        if !self.is_supported(&wanted) {
            return None;
        }
        let changes = match self.variant {
            Variant::StateOfTheWorld => None,
            Variant::Delta => {
                let spared = self.spared(kind);
                let changes = Changes::towards(&wanted, kind, state, |name| spared.contains(name));
                // An empty answer is for those alone who wait for their first.
                Some(changes)
                    .filter(|changes| !changes.is_empty() || (kind.is_complete() && state.answer_due))
            }
        };
        (self.variant == Variant::StateOfTheWorld || changes.is_some()).then_some(Due { wanted, changes })
    }

    /// Whether the target leaves out something that the proxy may have from an earlier stream and nobody here knows.
    pub(super) fn would_lose(&self, kind: ResourceType) -> bool {
        let state = self.state(kind);
        state.subscription.is_some() && state.unknown_prior_state && self.target.leaves_out(kind)
    }

    /// What the target says for `kind`, of what the proxy subscribed to; clusters that the proxy still uses, and endpoints
    /// that it has and that are not known now, are added.
    pub(super) fn wanted(&self, kind: ResourceType) -> Arc<Content> {
        let all = self.target.content(kind);
        let mut chosen = match &self.state(kind).subscription {
            Some(subscription) if !all.resources.keys().all(|name| subscription.covers(name)) => {
                let resources = all.resources.iter().filter(|(name, _)| subscription.covers(name));
                Some(resources.map(|(name, resource)| (name.clone(), Arc::clone(resource))).collect())
            }
            _ => None,
        };
        if matches!(kind, ResourceType::Cluster | ResourceType::Endpoint) {
            let kept = if kind == ResourceType::Cluster { self.kept(all) } else { self.kept_endpoints(all) };
            if !kept.is_empty() {
                let resources: &mut ResourceSet = chosen.get_or_insert_with(|| all.resources.clone());
                resources.extend(kept.into_iter().map(|resource| (resource.name.clone(), resource)));
            }
        }
        chosen.map_or_else(|| Arc::clone(all), |resources| Arc::new(Content::new(resources)))
    }

    /// The types that refer to clusters.
    fn users(&self) -> [&TypeState; 2] {
        [ResourceType::Listener, ResourceType::Route].map(|kind| self.state(kind))
    }

    /// The clusters that listeners or routes of the proxy may refer to, as far as these are known.
    fn used(&self) -> impl Iterator<Item = &String> {
        self.users().into_iter().flat_map(TypeState::runs).flat_map(|resource| &resource.clusters)
    }

    /// Whether the proxy may run listeners or routes that are not known here: then any cluster may be in use.
    fn uses_unknown(&self) -> bool {
        let [listeners, routes] = self.users();
        let routes_to_come = !self.target.content(ResourceType::Route).resources.is_empty()
            || (self.reconnected && !listeners.acknowledged);
        let silent = listeners.subscription.is_none() || (routes.subscription.is_none() && routes_to_come);
        silent || listeners.unknown_prior_state || routes.unknown_prior_state
    }

    /// Clusters that are not in the target but that listeners or routes of the proxy may still refer to.
    fn kept(&self, target: &Content) -> Vec<Arc<Resource>> {
        let unknown = self.uses_unknown();
        let clusters = self.state(ResourceType::Cluster);
        let any = self.recalled.keys().chain(clusters.acked.resources.keys()).filter(|_| unknown);
        let names: BTreeSet<&String> =
            self.used().chain(any).filter(|name| !target.resources.contains_key(*name)).collect();
        let sent = clusters.in_flight.as_ref().map(|sent| &sent.content);
        let find = |name: &String| {
            let held = clusters.acked.resources.get(name).or_else(|| self.recalled.get(name));
            held.or_else(|| sent?.resources.get(name)).cloned()
        };
        names.into_iter().filter_map(find).collect()
    }

    /// In delta: the names of what the proxy has in a form that is not known here, and may still use.
    fn spared(&self, kind: ResourceType) -> BTreeSet<&str> {
        if kind != ResourceType::Cluster {
            return BTreeSet::new();
        }
        let (any, unknown) = (self.uses_unknown(), &self.state(kind).unknown);
        if any {
            return unknown.iter().map(String::as_str).collect();
        }
        self.used().filter(|name| unknown.contains(*name)).map(String::as_str).collect()
    }

    /// Endpoints that the proxy subscribes to and has, and that the target does not know.
    fn kept_endpoints(&self, target: &Content) -> Vec<Arc<Resource>> {
        let held = self.state(ResourceType::Endpoint).acked.resources.values();
        held.filter(|resource| !target.resources.contains_key(&resource.name)).cloned().collect()
    }

    /// Whether the proxy has, for certain, every cluster that `content` refers to.
    fn is_supported(&self, content: &Content) -> bool {
        let clusters = self.state(ResourceType::Cluster);
        let sent = clusters.in_flight.as_ref().map(|sent| &sent.content.resources);
        let has = |name: &String| {
            clusters.acked.resources.contains_key(name) && sent.is_none_or(|sent| sent.contains_key(name))
        };
        content.resources.values().flat_map(|resource| &resource.clusters).all(has)
    }
}

impl TypeState {
    /// Whether the proxy has all of `wanted`, and nothing that it is not to have.
    fn has(&self, kind: ResourceType, wanted: &Content) -> bool {
        // Where an answer removes nothing, the proxy may hold more than is wanted.
        let holds = match kind.is_complete() {
            true => self.acked.version == wanted.version,
            false => wanted.is_within(&self.acked),
        };
        // A proxy may have taken parts of what it refused; those are taken back.
        let concerns = |name: &String| kind.is_complete() || wanted.resources.contains_key(name);
        let renews = self.renew.iter().any(|name| wanted.resources.contains_key(name));
        let doubted = self.maybe_applied.iter().any(|resource| concerns(&resource.name));
        self.in_flight.is_none() && holds && !renews && !doubted && !self.unknown.iter().any(concerns)
    }

    /// What the proxy has when it acknowledges an answer with `changes` on the way to `wanted`.
    fn content_with(
        &self,
        kind: ResourceType,
        wanted: &Arc<Content>,
        changes: Option<&Changes>,
    ) -> Arc<Content> {
        match changes.filter(|changes| changes.partial) {
            None => Arc::clone(wanted),
            Some(part) if kind.is_complete() => part.applied(&self.acked),
            Some(part) => part.content(wanted),
        }
    }
}

/// As much of `changes` as one answer takes; none in the state of the world, where it takes all of `wanted`.
///
/// # Errors
/// How many bytes the answer would have of which nothing fits.
fn fitting(wanted: &Content, changes: Option<Changes>) -> Result<Option<Changes>, usize> {
    let most = MAX_ANSWER - ENVELOPE;
    let size = changes.as_ref().map_or_else(|| wanted.size(), Changes::size);
    if size <= most {
        return Ok(changes);
    }
    let part = changes.map(|changes| changes.within(most)).filter(|part| !part.is_empty());
    part.map(Some).ok_or(size + ENVELOPE)
}
