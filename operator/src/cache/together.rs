//! What may be in the way of a write, and what is triggered after writes that went in one commit. No I/O.

use std::collections::BTreeSet;
use std::sync::Arc;

use fleetmesh_core::{Object, ObjectKey};
use fleetmesh_model::{ResourceId, Spec};

use super::index::once;
use super::{Cache, CacheInner, Triggers};
use crate::queue::Trigger;

impl Cache {
    /// The resources that `object` names, or that name it, and whose specs are not known to be in force: they have their App Mesh
    /// names, and are not being deleted.
    pub fn pending_around(&self, object: &Object) -> BTreeSet<ObjectKey> {
        let inner = self.lock();
        let named = object.references().into_iter().filter_map(|reference| inner.holder(&reference.target));
        let around = named.chain(inner.index.referrers(&object.id));
        around.filter(|key| **key != object.key && inner.is_pending(key)).cloned().collect()
    }

    /// `written` were written by one commit, in the reconcile of the first of them. The others look at it and report; what the
    /// endpoint refused because of them is tried again.
    pub fn written_together(&self, written: &[Arc<Object>]) -> Triggers {
        let inner = self.lock();
        let mut triggers = Triggers::new();
        for object in written.iter().skip(1) {
            let named: Vec<ResourceId> =
                object.references().into_iter().map(|reference| reference.target).collect();
            triggers.push((object.key.clone(), Trigger::Look));
            triggers.extend(inner.retried(&object.id, &named));
        }
        once(triggers)
    }

    /// Notes that `spec` of `object` was sent in a commit that nothing came back of: it may come into force late.
    pub fn sent_unanswered(&self, object: &Object, spec: &Spec) {
        if let Some(memory) = self.lock().entries.memory(&object.into()) {
            memory.wrote_unanswered(spec.clone());
        }
    }
}

impl CacheInner {
    fn is_pending(&self, key: &ObjectKey) -> bool {
        let Some(entry) = self.entries.get(key) else { return false };
        let object = &entry.object;
        let in_step = entry.memory.in_step.as_ref();
        let known = in_step.is_some_and(|(generation, _)| *generation == object.generation);
        !known && !object.deleting && self.holder(&object.id) == Some(key)
    }
}
