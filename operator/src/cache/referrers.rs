//! Who is triggered when something that others name, or are in, comes to exist, is changed, leaves, or is not there any more. No I/O.

use std::collections::BTreeSet;

use fleetmesh_core::{Object, ObjectKey};
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

    /// `id` was written, and before that did, or does, name these. What the endpoint refused because of it is tried again: what
    /// names it or is named by it, and what depends on it through one more, as a gateway route does through a service.
    pub(super) fn retried(&self, id: &ResourceId, named: &[ResourceId]) -> Triggers {
        let direct = self.index.referrers(id);
        let through =
            direct.clone().filter(|_| id.parent().is_some()).filter_map(|key| self.entries.get(key));
        let through = through.flat_map(|entry| self.index.referrers(&entry.object.id));
        let named = named.iter().filter_map(|id| self.holder(id));
        let fails = |key: &&ObjectKey| self.entries.get(key).is_some_and(|entry| entry.memory.failures > 0);
        let failing: BTreeSet<&ObjectKey> =
            direct.clone().chain(through).chain(named).filter(fails).collect();
        failing.into_iter().map(|key| (key.clone(), Trigger::Look)).collect()
    }

    /// Whether the Mesh that `object` is in is being deleted.
    pub(super) fn mesh_leaves(&self, object: &Object) -> bool {
        let mesh = ResourceId::mesh(object.id.mesh_name());
        let mesh = self.holder(&mesh).filter(|key| **key != object.key);
        mesh.and_then(|key| self.entries.get(key)).is_some_and(|entry| entry.object.deleting)
    }

    /// All that is in `mesh`, which is being deleted from now on.
    pub(super) fn members(&self, mesh: &Object) -> Triggers {
        let others = self.entries.values().map(|entry| &entry.object);
        let members = others.filter(|other| other.key != mesh.key && !other.deleting);
        let members = members.filter(|other| other.id.mesh_name() == mesh.id.mesh_name());
        members.map(|other| (other.key.clone(), Trigger::Distribution)).collect()
    }

    fn named_by(&self, id: &ResourceId, trigger: impl Fn(&CacheEntry) -> Trigger) -> Triggers {
        let entries = self.index.referrers(id).filter_map(|key| self.entries.get(key));
        let stay = entries.filter(|entry| !entry.object.deleting);
        stay.map(|entry| (entry.object.key.clone(), trigger(entry))).collect()
    }
}
