//! What one proxy's stream is sent, and when. Pure: events in, sends out; no clock, no I/O.
//!
//! The protocol is the state of the world: an answer contains every resource of its type that the proxy subscribed to.
//! Guarantees, at every point of every exchange, whatever the proxy rejects:
//! - **Order.** Clusters, endpoints, secrets, listeners, routes, one type at a time, each after the last was acknowledged, but
//!   endpoints and secrets without waiting for the clusters: Envoy acknowledges clusters when they are warm, and those that are
//!   discovered by EDS are warm with their endpoints only, those with TLS with their secrets only. Removals come last: a cluster
//!   stays in the answers for as long as a listener or route that the proxy may still run refers to it.
//! - **Nothing dangles.** A listener or a route is sent only when the proxy has acknowledged every cluster it refers to.
//! - **Endpoints.** The endpoints of a new or changed cluster are sent again, because Envoy starts it without any. Endpoints that are
//!   unknown now stay as the proxy has them; an answer without any is never sent, nor one without secrets.
//! - **NACKs.** A rejected answer is not sent again; the proxy keeps what it had. The other types continue where the rule
//!   above allows it. What of an answer is at fault is [`isolation`](super::isolation)'s to find. A later target whose answer differs is sent.
//! - **Nothing twice.** An answer whose version the proxy has already, also from an earlier stream, is not sent.
//! - **A proxy that owes an acknowledgement for long** ([`StreamEvent::Overdue`]) no longer holds up what does not depend on it.

#[cfg(test)]
mod endpoint_tests;
#[cfg(test)]
mod secret_tests;
#[cfg(test)]
mod tests;
mod type_state;

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::ads::isolation::Verdict;
use crate::snapshot::{Content, Resource, ResourceSet, ResourceType, Snapshot};
use type_state::{InFlight, Subscription, TypeState};

/// The longest answer, in bytes: gRPC clients refuse longer messages, close the stream and try again for ever.
const MAX_ANSWER: usize = 4 * 1024 * 1024;
/// What an answer's other members take at most, in bytes.
const ENVELOPE: usize = 256;

/// Something that happened.
#[derive(Debug)]
pub enum StreamEvent {
    /// The proxy sent a request.
    Request(Request),
    /// The node's snapshot is another one now.
    Target(Arc<Snapshot>),
    /// The proxy has owed an acknowledgement for long.
    Overdue,
}

/// A request of a type that is served.
#[derive(Clone, Debug)]
pub struct Request {
    /// The type.
    pub kind: ResourceType,
    /// The version the proxy runs, without marks ([`content_version`](crate::snapshot::content_version)); empty for none.
    pub version: String,
    /// The names it subscribes to; empty for all, where the type allows it.
    pub names: Vec<String>,
    /// The nonce of the answer it is about; empty for none.
    pub nonce: String,
    /// Why it refuses that answer.
    pub error: Option<String>,
    /// Of a request for clusters: those that the proxy kept from an earlier stream, as far as its version shows.
    pub recalled: ResourceSet,
}

/// An answer to send.
#[derive(Clone, Debug)]
pub struct Send {
    /// The type of its resources.
    pub kind: ResourceType,
    /// Its nonce, unique in the stream.
    pub nonce: String,
    /// Its resources and their version.
    pub content: Arc<Content>,
}

/// An answer that the proxy refused, or that is too long to be sent.
#[derive(Clone, Debug)]
pub struct Nack {
    /// The type of its resources.
    pub kind: ResourceType,
    /// What was refused.
    pub content: Arc<Content>,
    /// What the proxy had acknowledged before.
    pub before: Arc<Content>,
    /// Why.
    pub message: String,
}

/// The state of one stream.
#[derive(Debug)]
pub struct Stream {
    target: Arc<Snapshot>,
    types: [TypeState; ResourceType::ALL.len()],
    /// Clusters that the proxy has from an earlier stream and may use until it says what else it runs.
    recalled: ResourceSet,
    /// Whether it had clusters already when it connected.
    reconnected: bool,
    /// Whether some of these are not in the snapshot that was its target when it connected.
    estranged: bool,
    nonces: u64,
    /// What the proxy thinks of answers, until it is taken.
    verdicts: Vec<Verdict>,
    /// How many events changed something.
    changes: u64,
}

impl Stream {
    /// A stream that has just been opened by a proxy of `target`'s node.
    pub fn new(target: Arc<Snapshot>) -> Self {
        Self {
            target,
            types: Default::default(),
            recalled: ResourceSet::new(),
            reconnected: false,
            estranged: false,
            nonces: 0,
            verdicts: Vec::new(),
            changes: 0,
        }
    }

    /// Takes an event in; returns the answers to send, in order. One that changes nothing, such as an acknowledgement that is
    /// repeated, costs nothing more than to find that out: proxies may send as many as they like.
    pub fn handle(&mut self, event: StreamEvent) -> Vec<Send> {
        match event {
            StreamEvent::Request(request) => {
                if !self.request(request) {
                    return Vec::new();
                }
            }
            StreamEvent::Target(target) => self.target = target,
            StreamEvent::Overdue => {
                self.types
                    .iter_mut()
                    .flat_map(|state| &mut state.in_flight)
                    .for_each(|sent| sent.overdue = true);
            }
        }
        self.changes += 1;
        std::iter::from_fn(|| self.send()).collect()
    }

    /// Grows with each event that changed something: what the other methods answer stays the same while this does.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// Whether the proxy owes an acknowledgement that holds up other answers.
    pub fn awaits(&self) -> bool {
        self.types.iter().flat_map(|state| &state.in_flight).any(|sent| !sent.overdue)
    }

    /// Whether the proxy has asked for `kind` before.
    pub fn has_asked(&self, kind: ResourceType) -> bool {
        self.state(kind).subscription.is_some()
    }

    /// What the proxy thinks of the answers that it has judged since this was last called: of those that it was sent, and of
    /// those that it has from an earlier stream. For [`Isolation`](super::isolation::Isolation).
    pub fn take_verdicts(&mut self) -> Vec<Verdict> {
        std::mem::take(&mut self.verdicts)
    }

    /// The snapshot that the proxy is to run.
    pub fn target(&self) -> &Arc<Snapshot> {
        &self.target
    }

    /// Whether the proxy has acknowledged all of its target. Clusters that are yet to be removed do not count: nothing
    /// uses them.
    pub fn is_current(&self) -> bool {
        ResourceType::ALL.into_iter().all(|kind| {
            let (target, held) = (self.target.content(kind), &self.state(kind).acked);
            let exact = kind != ResourceType::Listener || held.version == target.version;
            exact && target.is_within(held)
        })
    }

    /// The nacks that still stand in the way of the target.
    pub fn nacks(&self) -> impl Iterator<Item = &Arc<Nack>> {
        ResourceType::ALL.into_iter().filter_map(|kind| {
            let nack = self.state(kind).nack.as_ref()?;
            (nack.content.version == self.wanted(kind).version).then_some(nack)
        })
    }

    fn state(&self, kind: ResourceType) -> &TypeState {
        &self.types[index(kind)]
    }

    /// Takes a request in; says whether it changed anything.
    fn request(&mut self, request: Request) -> bool {
        let Request { kind, version, names, nonce, error, recalled } = request;
        let opening = self.state(kind).subscription.is_none();
        let state = &mut self.types[index(kind)];
        if !opening && !nonce.is_empty() && nonce != state.last_nonce {
            // About an answer that a newer one has replaced; the proxy will answer that one too.
            return false;
        }
        let about_the_last = nonce == state.last_nonce && !nonce.is_empty();
        let verdict = if about_the_last { state.settle(kind, error) } else { None };
        let settled = verdict.is_some();
        self.verdicts.extend(verdict);
        let state = &mut self.types[index(kind)];
        let same = state.subscribes(kind, &names);
        if same && !settled {
            return false;
        }
        let available = &self.target.content(kind).resources;
        let changed = state.subscribe(kind, names, available);
        if opening {
            if kind == ResourceType::Cluster {
                let target = &self.target.content(kind).resources;
                self.reconnected = !version.is_empty();
                self.estranged = !recalled.keys().all(|name| target.contains_key(name));
                self.recalled = recalled;
            }
            self.open(kind, &version);
        } else if changed {
            self.types[index(kind)].answer_due = true;
        }
        true
    }

    /// Takes in what the proxy kept from an earlier stream. Its version is believed only when its clusters are the
    /// present ones: it may have applied parts of what it refused, and the version does not show that.
    fn open(&mut self, kind: ResourceType, version: &str) {
        let wanted = self.wanted(kind);
        let believed = kind == ResourceType::Cluster || !self.estranged;
        let state = &mut self.types[index(kind)];
        if believed && version == wanted.version {
            state.acked = Arc::clone(&wanted);
            let of = Arc::clone(&self.target);
            state.acked_of = Some(Arc::clone(&of));
            let (error, before) = (None, None);
            self.verdicts.push(Verdict {
                kind,
                content: wanted,
                of,
                error,
                before,
                unknown_prior_state: false,
            });
        } else if kind.is_complete() || !state.names_nothing() {
            // No version of its own says little: it may have taken parts of the first answer that it got and refused.
            state.unknown_prior_state = !version.is_empty() || self.reconnected;
            state.answer_due = true;
        }
    }

    /// The next answer, marked as sent.
    fn send(&mut self) -> Option<Send> {
        loop {
            let (kind, content) = self.next()?;
            let size = content.size() + ENVELOPE;
            let state = &mut self.types[index(kind)];
            state.answer_due = false;
            if size > MAX_ANSWER {
                let message = format!(
                    "the answer would have {size} bytes, more than the {MAX_ANSWER} that gRPC clients accept: fewer backends or routes make it shorter"
                );
                let before = Arc::clone(&state.acked);
                state.nack = Some(Arc::new(Nack { kind, content, before, message }));
                continue;
            }
            self.nonces += 1;
            let nonce = self.nonces.to_string();
            state.overtake(kind);
            state.last_nonce.clone_from(&nonce);
            state.renew.retain(|name| !content.resources.contains_key(name));
            if kind == ResourceType::Cluster {
                self.renew_endpoints(&content);
            }
            let state = &mut self.types[index(kind)];
            let of = Arc::clone(&self.target);
            state.in_flight = Some(InFlight { content: Arc::clone(&content), of, overdue: false });
            return Some(Send { kind, nonce, content });
        }
    }

    /// Notes the endpoints of every cluster that `content` makes anew, now that it is sent.
    fn renew_endpoints(&mut self, content: &Content) {
        let clusters = self.state(ResourceType::Cluster);
        let is_new = |cluster: &Resource| {
            let held = clusters.acked.resources.get(&cluster.name);
            // What it took of a refused answer it gives up again.
            held.is_none_or(|held| held.version != cluster.version)
                || clusters.maybe_applied.iter().any(|maybe_applied| maybe_applied.name == cluster.name)
        };
        let known = &self.target.content(ResourceType::Endpoint).resources;
        let held = &self.state(ResourceType::Endpoint).acked.resources;
        let renewed = content.resources.values().filter(|cluster| {
            (known.contains_key(&cluster.name) || held.contains_key(&cluster.name)) && is_new(cluster)
        });
        let renewed: Vec<String> = renewed.map(|cluster| cluster.name.clone()).collect();
        self.types[index(ResourceType::Endpoint)].renew.extend(renewed);
    }

    fn next(&self) -> Option<(ResourceType, Arc<Content>)> {
        let due = |kind: ResourceType| self.due(kind).map(|content| (kind, content));
        if self.awaits() {
            let kinds = ResourceType::ALL.into_iter();
            let mut under_way = kinds.filter(|kind| self.state(*kind).in_flight.is_some());
            let only_clusters = under_way.all(|kind| kind == ResourceType::Cluster);
            let warming = [ResourceType::Endpoint, ResourceType::Secret];
            return warming.into_iter().filter(|_| only_clusters).find_map(due);
        }
        let mut clusters = due(ResourceType::Cluster);
        if clusters.as_ref().is_some_and(|(_, content)| self.only_removes(content)) {
            let rest = ResourceType::ALL.into_iter().filter(|kind| *kind != ResourceType::Cluster);
            return rest.into_iter().find_map(due).or(clusters);
        }
        clusters.take().or_else(|| ResourceType::ALL.into_iter().find_map(due))
    }

    /// Whether an answer of clusters does nothing but remove some.
    fn only_removes(&self, clusters: &Content) -> bool {
        let state = self.state(ResourceType::Cluster);
        !state.answer_due && state.in_flight.is_none() && clusters.is_within(&state.acked)
    }

    /// The answer that the proxy should have next for `kind`; `None` when it has it, refused it, or cannot have it yet.
    fn due(&self, kind: ResourceType) -> Option<Arc<Content>> {
        let state = self.state(kind);
        state.subscription.as_ref()?;
        let wanted = self.wanted(kind);
        let same = |content: &Arc<Content>| content.version == wanted.version;
        if state.in_flight.as_ref().is_some_and(|sent| same(&sent.content)) {
            return None;
        }
        let refused = state.nack.as_ref().is_some_and(|nack| same(&nack.content));
        // Where an answer removes nothing, the proxy may hold more than is wanted.
        let holds = if kind.is_complete() { same(&state.acked) } else { wanted.is_within(&state.acked) };
        // A proxy may have taken parts of what it refused; those are taken back.
        let concerns =
            |doubted: &Arc<Resource>| kind.is_complete() || wanted.resources.contains_key(&doubted.name);
        let renews = state.renew.iter().any(|name| wanted.resources.contains_key(name));
        let has_it =
            state.in_flight.is_none() && holds && !renews && !state.maybe_applied.iter().any(concerns);
        let discovered = matches!(kind, ResourceType::Endpoint | ResourceType::Secret);
        if discovered && wanted.resources.is_empty() {
            return None;
        }
        if !state.answer_due && (has_it || refused) {
            return None;
        }
        if state.unknown_prior_state && self.target.leaves_out(kind) {
            // It would lose what it has from an earlier stream and nobody here knows.
            return None;
        }
        self.is_supported(&wanted).then_some(wanted)
    }

    /// What the target says for `kind`, of what the proxy subscribed to; clusters that the proxy still uses, and endpoints
    /// that it has and that are not known now, are added.
    fn wanted(&self, kind: ResourceType) -> Arc<Content> {
        let all = self.target.content(kind);
        let mut chosen = match &self.state(kind).subscription {
            Some(Subscription::Names(names)) if !all.resources.keys().all(|name| names.contains(name)) => {
                let resources = all.resources.iter().filter(|(name, _)| names.contains(*name));
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

    /// Clusters that are not in the target but that listeners or routes of the proxy may still refer to.
    fn kept(&self, target: &Content) -> Vec<Arc<Resource>> {
        let users = [ResourceType::Listener, ResourceType::Route].map(|kind| self.state(kind));
        let used = users.iter().flat_map(|state| state.runs()).flat_map(|resource| &resource.clusters);
        // While it is not known what the proxy runs, any cluster may be in use.
        let [listeners, routes] = users;
        let routes_to_come = !self.target.content(ResourceType::Route).resources.is_empty()
            || (self.reconnected && !listeners.acknowledged);
        let silent = listeners.subscription.is_none() || (routes.subscription.is_none() && routes_to_come);
        let unknown = silent || users.iter().any(|state| state.unknown_prior_state);
        let clusters = self.state(ResourceType::Cluster);
        let any = self.recalled.keys().chain(clusters.acked.resources.keys()).filter(|_| unknown);
        let names: BTreeSet<&String> =
            used.chain(any).filter(|name| !target.resources.contains_key(*name)).collect();
        let sent = clusters.in_flight.as_ref().map(|sent| &sent.content);
        let find = |name: &String| {
            let held = clusters.acked.resources.get(name).or_else(|| self.recalled.get(name));
            held.or_else(|| sent?.resources.get(name)).cloned()
        };
        names.into_iter().filter_map(find).collect()
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

fn index(kind: ResourceType) -> usize {
    match kind {
        ResourceType::Cluster => 0,
        ResourceType::Endpoint => 1,
        ResourceType::Secret => 2,
        ResourceType::Listener => 3,
        ResourceType::Route => 4,
    }
}
