//! What a reconcile leaves behind in the memory of its object, and who is triggered by that. No I/O.

use std::sync::Arc;

use fleetmesh_core::{Object, RemoteIdentity};
use fleetmesh_model::tag::Tags;
use fleetmesh_model::{ResourceId, Spec};
use tokio::time::Instant;

use super::memory::{Memory, MemoryKey};
use super::{Cache, Triggers};
use crate::queue::Trigger;

/// What a reconcile concluded.
#[derive(Clone, Debug, Default)]
pub struct Conclusion {
    /// The generation that is in step, and the state of the App Mesh object.
    pub in_step: Option<(i64, RemoteIdentity)>,
    /// The state of the App Mesh object, if the reconcile learned it.
    pub identity: Option<RemoteIdentity>,
    /// Whether the App Mesh object exists, if the reconcile learned it.
    pub exists: Option<bool>,
    /// The tags that the resource asked for, if the tags are in step.
    pub tags: Option<Tags>,
    /// What the App Mesh object rests on, if there is one.
    pub permitted_by: Option<Vec<String>>,
    /// Whether the reconcile failed.
    pub failed: bool,
    /// Whether the App Mesh object was created, changed or deleted.
    pub wrote: bool,
    /// Whether the reconcile was one of comparing everything, tags included.
    pub compared: bool,
    /// Whether the endpoint refused to delete the object, because others use it that no resource stands for.
    pub blocked: bool,
    /// What was written without an answer: it may come into force late.
    pub unanswered: Option<Spec>,
}

impl Cache {
    /// What `read` finds in the memory of an object; `None` once the object is gone.
    pub fn remembered<T>(&self, object: &Object, read: impl FnOnce(&Memory) -> T) -> Option<T> {
        self.lock().entries.of(&object.into()).map(|entry| read(&entry.memory))
    }

    /// The objects of a mesh whose last reconcile failed, to be triggered.
    pub fn failing(&self, mesh: &str) -> Triggers {
        let inner = self.lock();
        let failing = inner.entries.values().filter(|entry| entry.memory.failures > 0);
        let failing = failing.filter(|entry| entry.object.id.mesh_name().name() == mesh);
        failing.map(|entry| (entry.object.key.clone(), Trigger::Look)).collect()
    }

    /// Notes whether the identity or the fleet failed in the last reconcile; gives how often in a row they did.
    pub fn parts_concluded(&self, object: &Object, failed: bool) -> u32 {
        let mut inner = self.lock();
        let Some(memory) = inner.entries.memory(&object.into()) else { return 0 };
        memory.part_failures = if failed { memory.part_failures.saturating_add(1) } else { 0 };
        memory.part_failures
    }

    /// Notes whether the last reconcile panicked; gives how many in a row did.
    pub fn panicked(&self, object: &Object, panicked: bool) -> u32 {
        let mut inner = self.lock();
        let Some(memory) = inner.entries.memory(&object.into()) else { return 0 };
        memory.panics = if panicked { memory.panics.saturating_add(1) } else { 0 };
        memory.panics
    }

    /// Notes that the object was reported now, so that what only says "not yet" may be held back for a while.
    pub fn reported(&self, object: &Object) {
        if let Some(memory) = self.lock().entries.memory(&object.into()) {
            memory.since = Instant::now();
        }
    }

    /// Notes what a reconcile concluded about `object`. Triggers those who waited: for the object to exist, or for it to let go of something.
    pub fn conclude(&self, object: &Object, conclusion: Conclusion) -> Triggers {
        let (key, of) = (&object.key, MemoryKey::from(object));
        let mut inner = self.lock();
        let existed = inner.exists(key);
        let Some(current) = inner.entries.of(&of).map(|entry| Arc::clone(&entry.object)) else {
            return Triggers::new();
        };
        let Conclusion {
            in_step,
            identity,
            exists,
            tags,
            permitted_by,
            failed,
            wrote,
            compared,
            blocked,
            unanswered,
        } = conclusion;
        if let Some(memory) = inner.entries.memory(&of) {
            let in_force = in_step.as_ref().map(|(generation, _)| (*generation, object.mesh_tls));
            memory.in_force = in_force.or(memory.in_force);
            if let Some(spec) = unanswered {
                memory.wrote_unanswered(spec);
            }
            memory.in_step = in_step.filter(|_| current.effective_spec == object.effective_spec);
            memory.exists = exists.or(memory.exists);
            memory.identity = identity.or(memory.identity.take());
            memory.tags = tags.or(memory.tags.take());
            memory.permitted_by = permitted_by;
            memory.failures = if failed { memory.failures.saturating_add(1) } else { 0 };
            if wrote {
                memory.since = Instant::now();
            }
            if compared {
                memory.compared = Instant::now();
            }
        }
        let object = current;
        let mut triggers = inner.settle(vec![object.id.clone()]);
        let lost = exists == Some(false) || inner.holder(&object.id).is_some_and(|holder| holder != key);
        if let Some(memory) = inner.entries.memory(&of).filter(|_| lost) {
            // It is not there, or another resource has it: what was known of it must not speak for us any more.
            memory.identity = None;
        }
        let exists = inner.exists(key);
        if wrote && exists {
            inner.distributions.forget_removal(&object.id);
        }
        if exists && !existed {
            triggers.extend(inner.come(&object.id));
        }
        if existed && !exists {
            triggers.extend(inner.released(&object));
            triggers.extend(inner.left(&object.id));
        }
        if wrote {
            let now = object.references().into_iter().map(|reference| reference.target);
            let former = inner.entries.memory(&of).map(|memory| std::mem::take(&mut memory.named));
            let named: Vec<ResourceId> = now.chain(former.into_iter().flatten()).collect();
            triggers.extend(inner.retried(&object.id, &named));
            let waiting = inner.entries.blocked(object.id.mesh_name());
            triggers.extend(waiting.filter(|other| *other != key).map(|key| (key.clone(), Trigger::Look)));
        }
        inner.entries.block(&of, blocked);
        triggers
    }
}
