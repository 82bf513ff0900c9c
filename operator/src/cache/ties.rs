//! Which routes match the same requests with the same priority, and who is triggered when that changes. No I/O.

use fleetmesh_core::Object;
use fleetmesh_core::observed::MAX_TIES;
use fleetmesh_core::tie::{self, Tie};

use super::{CacheInner, Triggers};
use crate::queue::Trigger;

impl CacheInner {
    /// The first few routes of the same router or gateway that have their names and tie with `object`, which need not be in the
    /// cache any more.
    pub(super) fn ties(&self, object: &Object) -> Vec<Tie> {
        // What lies in the mesh itself is no route.
        let Some(parent) = object.id.parent().filter(|parent| parent.parent().is_some()) else {
            return Vec::new();
        };
        let others = self.index.referrers(&parent).filter(|key| **key != object.key);
        let others = others.filter_map(|key| self.entries.get(key)).map(|entry| &entry.object);
        others
            .filter(|other| other.id.parent().as_ref() == Some(&parent))
            .filter(|other| self.holder(&other.id) == Some(&other.key))
            .filter(|other| tie::ties(&object.effective_spec, &other.effective_spec))
            .map(|other| Tie { key: other.key.clone(), name: other.id.name().to_owned() })
            .take(MAX_TIES)
            .collect()
    }

    /// Triggers who ties with `object`, whose conditions say so.
    pub(super) fn tied(&self, object: &Object) -> Triggers {
        self.ties(object).into_iter().map(|tie| (tie.key, Trigger::Distribution)).collect()
    }
}
