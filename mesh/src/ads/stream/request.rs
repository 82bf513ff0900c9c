//! What a request of a proxy makes of the stream's state. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Interest, Request, Stream, index};
use crate::ads::isolation::Verdict;
use crate::snapshot::{Content, ResourceSet, ResourceType};

impl Stream {
    /// Takes a request in; says whether it changed anything.
    pub(super) fn request(&mut self, request: Request) -> bool {
        let Request { kind, nonce, error, interest } = request;
        match interest {
            Interest::Whole { version, names, recalled } => {
                self.whole(kind, &nonce, error, &version, names, recalled)
            }
            Interest::Change { subscribe, unsubscribe, versions } => {
                let settled = self.settle(kind, &nonce, error);
                let opening = self.state(kind).subscription.is_none();
                let changed = self.types[index(kind)].change(kind, subscribe, unsubscribe);
                if opening {
                    self.open_listed(kind, &versions);
                }
                settled || changed
            }
        }
    }

    /// Takes in what the proxy thinks of the last answer, if it is that one that it has not judged; says whether it is.
    fn settle(&mut self, kind: ResourceType, nonce: &str, error: Option<String>) -> bool {
        let state = &mut self.types[index(kind)];
        if nonce.is_empty() || nonce != state.last_nonce {
            return false;
        }
        let verdict = state.settle(kind, error);
        let settled = verdict.is_some();
        self.verdicts.extend(verdict);
        settled
    }

    fn whole(
        &mut self,
        kind: ResourceType,
        nonce: &str,
        error: Option<String>,
        version: &str,
        names: Vec<String>,
        recalled: ResourceSet,
    ) -> bool {
        let state = self.state(kind);
        let opening = state.subscription.is_none();
        if !opening && !nonce.is_empty() && nonce != state.last_nonce {
            // About an answer that a newer one has replaced; the proxy will answer that one too.
            return false;
        }
        let settled = self.settle(kind, nonce, error);
        let state = &mut self.types[index(kind)];
        let same = state.subscription.as_ref().is_some_and(|old| old.is_of(kind, &names));
        if same && !settled {
            return false;
        }
        let available = &self.target.content(kind).resources;
        let changed = state.subscribe(kind, names, available);
        if opening {
            if kind == ResourceType::Cluster {
                self.reconnected = !version.is_empty();
                self.estranged = self.is_estranged(recalled.keys());
                self.recalled = recalled;
            }
            self.open(kind, version);
        } else if changed {
            self.types[index(kind)].answer_due = true;
        }
        true
    }

    /// Whether the proxy has clusters that its target does not have.
    fn is_estranged<'a>(&self, mut has: impl Iterator<Item = &'a String>) -> bool {
        let target = &self.target.content(ResourceType::Cluster).resources;
        !has.all(|name| target.contains_key(name))
    }

    /// Takes in what the proxy kept from an earlier stream. Its version is believed only when its clusters are the
    /// present ones: it may have applied parts of what it refused, and the version does not show that.
    fn open(&mut self, kind: ResourceType, version: &str) {
        let wanted = self.wanted(kind);
        let state = &mut self.types[index(kind)];
        let believed = (kind == ResourceType::Cluster || !self.estranged) && state.unsettled.is_empty();
        if believed && version == wanted.version {
            self.believe(kind, wanted);
        } else if kind.is_complete() || !state.names_nothing() {
            // No version of its own says little: it may have taken parts of the first answer that it got and refused.
            state.unknown_prior_state = !version.is_empty() || self.reconnected;
            state.answer_due = true;
        }
    }

    /// The same in delta, where the proxy says what it has by name. What it lists in another version than the present one, and what
    /// it does not list although it may have it, is sent or removed.
    fn open_listed(&mut self, kind: ResourceType, listed: &BTreeMap<String, String>) {
        if kind == ResourceType::Cluster {
            self.reconnected = !listed.is_empty();
            self.estranged = self.is_estranged(listed.keys());
        }
        let target = Arc::clone(self.target.content(kind));
        let believed = kind == ResourceType::Cluster || !self.estranged;
        let (reconnected, state) = (self.reconnected, &mut self.types[index(kind)]);
        let Some(subscription) = &state.subscription else { return };
        let is_present = |name: &String, version: &String| {
            let present = target.resources.get(name).is_some_and(|resource| resource.version == *version);
            believed && present && !state.unsettled.contains(name)
        };
        let mut known = ResourceSet::new();
        let mut unknown: BTreeSet<String> = state.unsettled.clone();
        for (name, version) in listed.iter().filter(|(name, _)| subscription.covers(name)) {
            match target.resources.get(name).filter(|_| is_present(name, version)) {
                Some(resource) => _ = known.insert(name.clone(), Arc::clone(resource)),
                None => _ = unknown.insert(name.clone()),
            }
        }
        if reconnected {
            // It may have taken them from an answer that it refused.
            unknown.extend(subscription.names.iter().filter(|name| !known.contains_key(*name)).cloned());
        }
        // Whoever has nothing waits for a first answer.
        state.answer_due = subscription.everything && listed.is_empty();
        state.unknown_prior_state =
            (reconnected || !listed.is_empty()) && (known.is_empty() || !unknown.is_empty());
        state.unknown = unknown;
        if state.names_nothing() {
            state.unknown_prior_state = false;
        }
        if !known.is_empty() {
            let all = known.len() == target.resources.len();
            self.believe(kind, if all { target } else { Arc::new(Content::new(known)) });
        }
    }

    /// The proxy has `content` of the target.
    fn believe(&mut self, kind: ResourceType, content: Arc<Content>) {
        let of = Arc::clone(&self.target);
        let state = &mut self.types[index(kind)];
        state.acked = Arc::clone(&content);
        state.acked_of = Some(Arc::clone(&of));
        let (error, before) = (None, None);
        let (unknown_prior_state, again) = (false, false);
        self.verdicts.push(Verdict { kind, content, of, error, before, unknown_prior_state, again });
    }
}
