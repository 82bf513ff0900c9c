//! The state of one type of resources on a stream. Pure.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use super::Nack;
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
    /// What was sent and then refused or overtaken: the proxy may run parts of it.
    pub(super) maybe_applied: Vec<Arc<Resource>>,
    pub(super) nack: Option<Arc<Nack>>,
    /// Of endpoints: those that the proxy needs again, because their clusters were sent anew.
    pub(super) renew: BTreeSet<String>,
    pub(super) in_flight: Option<InFlight>,
    pub(super) last_nonce: String,
}

#[derive(Debug)]
pub(super) struct InFlight {
    pub(super) content: Arc<Content>,
    /// The snapshot that it was made from.
    pub(super) of: Arc<Snapshot>,
    pub(super) overdue: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Subscription {
    Everything,
    Names(BTreeSet<String>),
}

impl TypeState {
    /// Takes in the acknowledgement or the nack of the answer in flight; gives what the proxy thinks of it if there was one.
    pub(super) fn settle(&mut self, kind: ResourceType, error: Option<String>) -> Option<Verdict> {
        let InFlight { content, of, .. } = self.in_flight.take()?;
        let before = self
            .acked_of
            .as_ref()
            .map(|of| Acknowledged { content: Arc::clone(&self.acked), of: Arc::clone(of) });
        let verdict = Verdict {
            kind,
            content: Arc::clone(&content),
            of: Arc::clone(&of),
            error: error.clone(),
            before,
            unknown_prior_state: self.unknown_prior_state,
        };
        match error {
            Some(message) => {
                let before = Arc::clone(&self.acked);
                self.doubt(kind, &content);
                self.nack = Some(Arc::new(Nack { kind, content, before, message }));
            }
            None => {
                let settled = |name: &String| kind.is_complete() || content.resources.contains_key(name);
                self.maybe_applied.retain(|resource| !settled(&resource.name));
                self.acked = if kind.is_complete() { content } else { self.merged(&content) };
                self.acked_of = Some(of);
                self.nack = None;
                self.unknown_prior_state &= !self.is_known();
                self.acknowledged = true;
            }
        }
        Some(verdict)
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
        if let Some(InFlight { content, .. }) = self.in_flight.take() {
            self.doubt(kind, &content);
        }
    }

    /// The proxy may have taken any part of `content`: what it would add may be there, what it would remove may be gone.
    fn doubt(&mut self, kind: ResourceType, content: &Content) {
        // Each once: a proxy that refuses the same again and again must not make this grow.
        let known: HashSet<(&str, &str)> =
            self.maybe_applied.iter().map(|old| (old.name.as_str(), old.version.as_str())).collect();
        let new = content.resources.values();
        let new = new.filter(|new| !known.contains(&(new.name.as_str(), new.version.as_str())));
        let new: Vec<Arc<Resource>> = new.cloned().collect();
        self.maybe_applied.extend(new);
        if kind == ResourceType::Cluster {
            let certain =
                self.acked.resources.iter().filter(|(name, _)| content.resources.contains_key(*name));
            let certain = certain.map(|(name, resource)| (name.clone(), Arc::clone(resource))).collect();
            self.acked = Arc::new(Content::new(certain));
        }
    }

    /// Everything that the proxy may run: acknowledged, in flight, or refused and perhaps taken in part.
    pub(super) fn runs(&self) -> impl Iterator<Item = &Arc<Resource>> {
        let sent = self.in_flight.iter().flat_map(|sent| sent.content.resources.values());
        self.acked.resources.values().chain(sent).chain(&self.maybe_applied)
    }

    /// Whether the proxy subscribes to just these names already.
    pub(super) fn subscribes(&self, kind: ResourceType, names: &[String]) -> bool {
        match &self.subscription {
            Some(Subscription::Everything) => is_everything(kind, names),
            Some(Subscription::Names(old)) if !is_everything(kind, names) => {
                names.iter().all(|name| old.contains(name))
                    && names.iter().collect::<BTreeSet<_>>().len() == old.len()
            }
            _ => false,
        }
    }

    /// Takes in the names that the proxy subscribes to; says whether they changed and an answer could hold any. Fewer
    /// names need an answer too: the proxy's version is to be the one of what it has, also when it connects again.
    pub(super) fn subscribe(
        &mut self,
        kind: ResourceType,
        names: Vec<String>,
        available: &ResourceSet,
    ) -> bool {
        let new = match is_everything(kind, &names) {
            true => Subscription::Everything,
            false => Subscription::Names(names.into_iter().collect()),
        };
        let changed = match (&self.subscription, &new) {
            (Some(Subscription::Names(old)), Subscription::Names(new)) => {
                new != old && new.iter().any(|name| available.contains_key(name))
            }
            (Some(Subscription::Names(_)), Subscription::Everything) => true,
            _ => false,
        };
        if let Subscription::Names(names) = &new {
            self.forget_all_but(names);
        }
        self.subscription = Some(new);
        self.unknown_prior_state &= !(self.names_nothing() || self.acknowledged && self.is_known());
        changed
    }

    /// Whether what was acknowledged covers everything that the proxy subscribed to.
    fn is_known(&self) -> bool {
        match &self.subscription {
            Some(Subscription::Names(names)) => {
                names.iter().all(|name| self.acked.resources.contains_key(name))
            }
            _ => true,
        }
    }

    /// Whether the proxy has subscribed to no resource at all.
    pub(super) fn names_nothing(&self) -> bool {
        matches!(&self.subscription, Some(Subscription::Names(names)) if names.is_empty())
    }

    /// Drops what the proxy unsubscribed from: it no longer runs it.
    fn forget_all_but(&mut self, names: &BTreeSet<String>) {
        if !self.acked.resources.keys().all(|name| names.contains(name)) {
            let kept = self.acked.resources.iter().filter(|(name, _)| names.contains(*name));
            let kept = kept.map(|(name, resource)| (name.clone(), Arc::clone(resource))).collect();
            self.acked = Arc::new(Content::new(kept));
        }
        self.maybe_applied.retain(|resource| names.contains(&resource.name));
    }
}

/// Whether a request with these names asks for all that there is.
fn is_everything(kind: ResourceType, names: &[String]) -> bool {
    kind.is_complete() && (names.is_empty() || names.iter().any(|name| name == "*"))
}
