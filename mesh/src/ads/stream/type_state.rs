//! The state of one type of resources on a stream. Pure.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use super::subscription::Subscription;
use super::{Changes, Nack};
use crate::ads::isolation::{Acknowledged, Verdict};
use crate::snapshot::{Content, Resource, ResourceSet, ResourceType, Snapshot};

#[derive(Debug, Default)]
pub(super) struct TypeState {
    pub(super) subscription: Option<Subscription>,
    /// The proxy waits for an answer, even one that says nothing new.
    pub(super) answer_due: bool,
    /// What the proxy has acknowledged.
    pub(super) acked: Arc<Content>,
    /// The snapshot that the last of that was made from.
    pub(super) acked_of: Option<Arc<Snapshot>>,
    /// Whether it has acknowledged an answer of this stream.
    pub(super) acknowledged: bool,
    /// Whether the proxy runs something of an earlier stream that is not known here.
    pub(super) unknown_prior_state: bool,
    /// In delta: the names of what the proxy has, or may have, from an earlier stream in a form that is not known here.
    pub(super) unknown: BTreeSet<String>,
    /// The names of what was not settled on an earlier stream, or of what was to be removed and the answer refused, until an answer
    /// settles it.
    pub(super) unsettled: BTreeSet<String>,
    /// What was sent and then refused or overtaken, and in delta what was to be removed by that: the proxy may run parts of it.
    pub(super) maybe_applied: Vec<Arc<Resource>>,
    pub(super) nack: Option<Arc<Nack>>,
    /// What the proxy needs again although it has it: endpoints whose clusters were sent anew, and in delta what it asked for again.
    pub(super) renew: BTreeSet<String>,
    pub(super) in_flight: Option<InFlight>,
    pub(super) last_nonce: String,
}

/// An answer that the proxy has not judged.
#[derive(Debug)]
pub(super) struct InFlight {
    /// All that the proxy is to have of the type.
    pub(super) wanted: Arc<Content>,
    /// What of that it has when it acknowledges this.
    pub(super) content: Arc<Content>,
    /// In delta: what the answer holds.
    pub(super) changes: Option<Changes>,
    /// The snapshot that it was made from.
    pub(super) of: Arc<Snapshot>,
    pub(super) overdue: bool,
    /// Whether it is what the proxy rejected before.
    pub(super) again: bool,
}

impl InFlight {
    /// What the answer holds.
    fn said(&self) -> Arc<Content> {
        self.changes.as_ref().map_or_else(|| Arc::clone(&self.content), |said| said.content(&self.content))
    }
}

impl TypeState {
    /// Takes in the acknowledgement or the nack of the answer in flight; gives what the proxy thinks of it if there was one.
    pub(super) fn settle(&mut self, kind: ResourceType, error: Option<String>) -> Option<Verdict> {
        let sent = self.in_flight.take()?;
        let before = self
            .acked_of
            .as_ref()
            .map(|of| Acknowledged { content: Arc::clone(&self.acked), of: Arc::clone(of) });
        let content = if error.is_some() { sent.said() } else { Arc::clone(&sent.content) };
        let verdict = Verdict {
            kind,
            content: Arc::clone(&content),
            of: Arc::clone(&sent.of),
            error: error.clone(),
            before,
            unknown_prior_state: self.unknown_prior_state,
            again: sent.again,
        };
        match error {
            // What it rejected before it still does.
            Some(_) if sent.again => {}
            Some(message) => {
                let (before, wanted) = (Arc::clone(&self.acked), sent.wanted.version.clone());
                self.doubt(kind, &sent);
                self.nack = Some(Arc::new(Nack { kind, content, wanted, before, message }));
            }
            None => self.acknowledge(kind, sent),
        }
        self.forget_uncovered();
        Some(verdict)
    }

    fn acknowledge(&mut self, kind: ResourceType, InFlight { content, changes, of, .. }: InFlight) {
        let named: Option<HashSet<&str>> = changes.as_ref().map(|changes| changes.names().collect());
        let settled = |name: &str| match &named {
            Some(named) => named.contains(name),
            None => kind.is_complete() || content.resources.contains_key(name),
        };
        self.maybe_applied.retain(|resource| !settled(&resource.name));
        self.unknown.retain(|name| !settled(name));
        self.unsettled.retain(|name| !settled(name));
        self.acked = if kind.is_complete() { content } else { self.merged(&content) };
        self.acked_of = Some(of);
        self.nack = None;
        self.unknown_prior_state &= !self.is_known();
        self.acknowledged = true;
    }

    /// What the proxy has after an answer that removes nothing: of a type that is not complete.
    fn merged(&self, content: &Arc<Content>) -> Arc<Content> {
        let kept = self.acked.resources.iter().filter(|(name, _)| !content.resources.contains_key(*name));
        let kept: ResourceSet = kept.map(|(name, resource)| (name.clone(), Arc::clone(resource))).collect();
        if kept.is_empty() {
            return Arc::clone(content);
        }
        let mut resources = content.resources.clone();
        resources.extend(kept);
        Arc::new(Content::new(resources))
    }

    /// Prepares for an answer that overtakes one the proxy has not acknowledged.
    pub(super) fn overtake(&mut self, kind: ResourceType) {
        if let Some(sent) = self.in_flight.take() {
            self.doubt(kind, &sent);
        }
    }

    /// The proxy may have taken any part of `sent`: what it would add may be there, what it would remove may be gone.
    fn doubt(&mut self, kind: ResourceType, sent: &InFlight) {
        // Each once: a proxy that refuses the same again and again must not make this grow.
        let known: HashSet<(&str, &str)> =
            self.maybe_applied.iter().map(|old| (old.name.as_str(), old.version.as_str())).collect();
        let certain = |name: &str| match &sent.changes {
            Some(changes) => !changes.removed.iter().any(|removed| removed == name),
            None => kind != ResourceType::Cluster || sent.content.resources.contains_key(name),
        };
        let acked = self.acked.resources.iter();
        let (certain, gone): (ResourceSet, ResourceSet) = acked
            .map(|(name, resource)| (name.clone(), Arc::clone(resource)))
            .partition(|(name, _)| certain(name));
        let said = sent.said();
        // In the state of the world, what the next answer leaves out is removed by that.
        let may_stay = gone.values().filter(|_| sent.changes.is_some());
        let new = said.resources.values().chain(may_stay);
        let new = new.filter(|new| !known.contains(&(new.name.as_str(), new.version.as_str())));
        let new: Vec<Arc<Resource>> = new.cloned().collect();
        self.maybe_applied.extend(new);
        // Nor is it known whether it still has what it was to remove and nobody here knows, though it lists it: it forgets what
        // it lists with an answer that it accepts, and may remove it with another one.
        let removed = sent.changes.iter().flat_map(|changes| &changes.removed);
        self.unsettled.extend(removed.filter(|name| self.unknown.contains(*name)).cloned());
        if !gone.is_empty() {
            self.acked = Arc::new(Content::new(certain));
        }
    }

    /// Everything that the proxy may run: acknowledged, in flight, or refused and perhaps taken in part.
    pub(super) fn runs(&self) -> impl Iterator<Item = &Arc<Resource>> {
        let sent = self.in_flight.iter().flat_map(|sent| sent.content.resources.values());
        self.acked.resources.values().chain(sent).chain(&self.maybe_applied)
    }

    /// The names of what the proxy may have in another form than it acknowledged, or not at all, or all the same.
    pub(super) fn maybe_applied_names(&self) -> BTreeSet<&str> {
        let sent = self.in_flight.iter().flat_map(|sent| &sent.changes).flat_map(Changes::names);
        let refused = self.maybe_applied.iter().map(|resource| resource.name.as_str());
        self.unknown.iter().map(String::as_str).chain(refused).chain(sent).collect()
    }

    /// The same as of now, for the next stream.
    pub(super) fn unsettled_names(&self) -> BTreeSet<String> {
        let sent = self.in_flight.iter().flat_map(|sent| {
            let changed = sent.content.resources.values().filter(|resource| {
                let acked = self.acked.resources.get(&resource.name);
                sent.changes.is_none() && acked.is_none_or(|acked| acked.version != resource.version)
            });
            let said = sent.changes.iter().flat_map(Changes::names);
            changed.map(|resource| resource.name.as_str()).chain(said)
        });
        let refused = self.maybe_applied.iter().map(|resource| resource.name.as_str());
        let names = refused.chain(sent).chain(self.unsettled.iter().map(String::as_str));
        names.map(str::to_owned).collect()
    }

    /// Takes in the names that the proxy subscribes to, all of them; says whether they changed and an answer could hold any. Fewer
    /// names need an answer too: the proxy's version is to be the one of what it has, also when it connects again.
    pub(super) fn subscribe(
        &mut self,
        kind: ResourceType,
        names: Vec<String>,
        available: &ResourceSet,
    ) -> bool {
        let new = Subscription::of(kind, names);
        let changed = self.subscription.as_ref().is_some_and(|old| match new.everything {
            true => !old.everything,
            false => {
                !old.everything && new != *old && new.names.iter().any(|name| available.contains_key(name))
            }
        });
        self.subscription = Some(new);
        self.resubscribed();
        changed
    }

    /// Takes in how a delta request changes what the proxy subscribes to; says whether it does.
    pub(super) fn change(
        &mut self,
        kind: ResourceType,
        subscribe: Vec<String>,
        unsubscribe: Vec<String>,
    ) -> bool {
        let opening = self.subscription.is_none();
        let nothing = subscribe.is_empty() && unsubscribe.is_empty();
        let subscription = self.subscription.get_or_insert_default();
        let again = subscription.add(kind, opening, subscribe);
        let kept = subscription.remove(unsubscribe);
        if !opening {
            self.renew.extend(again.into_iter().chain(kept));
        }
        self.resubscribed();
        opening || !nothing
    }

    fn resubscribed(&mut self) {
        self.forget_uncovered();
        self.unknown_prior_state &= !(self.names_nothing() || self.acknowledged && self.is_known());
    }

    /// Whether what was acknowledged covers everything that the proxy subscribed to.
    fn is_known(&self) -> bool {
        let acked = &self.acked.resources;
        let named = self.subscription.iter().filter(|subscription| !subscription.everything);
        self.unknown.is_empty()
            && named.flat_map(|subscription| &subscription.names).all(|name| acked.contains_key(name))
    }

    /// Whether the proxy has subscribed to no resource at all.
    pub(super) fn names_nothing(&self) -> bool {
        self.subscription.as_ref().is_some_and(Subscription::is_empty)
    }

    /// Drops what the proxy unsubscribed from: it no longer runs it.
    fn forget_uncovered(&mut self) {
        let Some(subscription) = self.subscription.as_ref().filter(|one| !one.everything) else { return };
        let covers = |name: &str| subscription.covers(name);
        if !self.acked.resources.keys().all(|name| covers(name)) {
            let kept = self.acked.resources.iter().filter(|(name, _)| covers(name));
            let kept = kept.map(|(name, resource)| (name.clone(), Arc::clone(resource))).collect();
            self.acked = Arc::new(Content::new(kept));
        }
        self.maybe_applied.retain(|resource| covers(&resource.name));
        for names in [&mut self.unknown, &mut self.unsettled, &mut self.renew] {
            names.retain(|name| covers(name));
        }
    }
}
