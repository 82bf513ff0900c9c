//! Secrets that a proxy rejected, sent again: the file that one names may have come to its place, of which the proxy says nothing by
//! itself. Pure.

use std::sync::Arc;

use super::type_state::InFlight;
use super::{Changes, Send, Stream, Variant, index};
use crate::snapshot::{Content, ResourceSet, ResourceType, Snapshot, reworded};

const KIND: ResourceType = ResourceType::Secret;

impl Stream {
    /// The secrets of `of` that the proxy asks for, rejected and has not acknowledged since, of those that name files.
    pub fn rejected_secrets(&self, of: &Snapshot) -> ResourceSet {
        let (state, known) = (self.state(KIND), &of.content(KIND).resources);
        let Some(subscription) = &state.subscription else { return ResourceSet::new() };
        let rejected = state.maybe_applied.iter().filter_map(|rejected| {
            let same = known.get(&rejected.name).filter(|known| known.version == rejected.version)?;
            let asked = subscription.covers(&same.name) && reworded(same, 0).is_some();
            asked.then(|| (same.name.clone(), Arc::clone(same)))
        });
        rejected.collect()
    }

    /// Sends what of the secrets of `of` the proxy rejected, unless it owes an acknowledgement.
    pub(super) fn again(&mut self, of: &Arc<Snapshot>) -> Option<Send> {
        if self.awaits() || self.state(KIND).in_flight.is_some() {
            return None;
        }
        let rejected = self.rejected_secrets(of);
        if rejected.is_empty() {
            return None;
        }
        let changes = (self.variant == Variant::Delta).then(|| Changes::of(rejected.values().cloned()));
        let content = Arc::new(Content::new(rejected));
        let (nonce, wording) = (self.nonce(KIND), Some(self.wording()));
        let (wanted, sent, of, said) =
            (Arc::clone(&content), Arc::clone(&content), Arc::clone(of), changes.clone());
        let in_flight = InFlight { wanted, content: sent, changes: said, of, overdue: false, again: true };
        self.types[index(KIND)].in_flight = Some(in_flight);
        Some(Send { kind: KIND, nonce, content, changes, wording })
    }

    /// The wording of an answer that holds `said`: another one than before where the proxy may have got the same before, and reads a
    /// file only when it gets something else.
    pub(super) fn wording_of(&self, kind: ResourceType, said: &Content) -> Option<u32> {
        if kind != KIND {
            return None;
        }
        let state = self.state(kind);
        let before = state.maybe_applied.iter().any(|before| said.resources.contains_key(&before.name));
        (self.reconnected || before).then(|| self.wording())
    }

    /// A wording that no answer had before.
    fn wording(&self) -> u32 {
        self.wordings.wrapping_add(u32::try_from(self.nonces % u64::from(u32::MAX)).unwrap_or_default())
    }

    /// Counts an answer of a type; gives its nonce.
    pub(super) fn nonce(&mut self, kind: ResourceType) -> String {
        self.nonces += 1;
        let nonce = self.nonces.to_string();
        self.types[index(kind)].last_nonce.clone_from(&nonce);
        nonce
    }
}
