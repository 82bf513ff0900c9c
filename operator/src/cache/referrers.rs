//! Who is triggered when something that others name comes to exist, or is not there any more. No I/O.

use fleetmesh_model::ResourceId;

use super::entries::CacheEntry;
use super::{CacheInner, Triggers};
use crate::queue::Trigger;

impl CacheInner {
    /// `id` exists now. Who waits with a write goes on; who merely names it, as a backend, says so.
    pub(super) fn come(&self, id: &ResourceId) -> Triggers {
        self.named_by(id, |entry| match entry.memory.in_step {
            None => Trigger::Look,
            Some(_) => Trigger::Distribution,
        })
    }

    /// `id` does not exist any more. Who names it says so.
    pub(super) fn left(&self, id: &ResourceId) -> Triggers {
        self.named_by(id, |_| Trigger::Distribution)
    }

    fn named_by(&self, id: &ResourceId, trigger: impl Fn(&CacheEntry) -> Trigger) -> Triggers {
        let entries = self.index.referrers(id).filter_map(|key| self.entries.get(key));
        let stay = entries.filter(|entry| !entry.object.deleting);
        stay.map(|entry| (entry.object.key.clone(), trigger(entry))).collect()
    }
}
