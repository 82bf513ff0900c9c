//! What a round can know without asking the endpoint. No I/O.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use fleetmesh_core::canary::Owners;
use fleetmesh_core::{Distribution, Object, ObjectKey, Observed, Reach, Referent, Remote};
use fleetmesh_model::Reference;

use super::{Inner, Memory, World};

/// How many dependents a deletion waits for at a time.
const TOLD_DEPENDENTS: usize = 5;

/// For how long a new object's referents may be on their way.
pub const PATIENCE: Duration = Duration::from_secs(1);

/// The local part of an observation.
#[derive(Debug)]
pub struct Local {
    /// Everything but the App Mesh object, which is `NotRead`.
    pub observed: Observed,
    /// What earlier rounds learned.
    pub memory: Memory,
}

impl World {
    /// What is known about an object; `None` when the resource is gone.
    pub fn observe(&self, key: &ObjectKey) -> Option<Local> {
        let inner = self.lock();
        let entry = inner.entries.get(key)?;
        let object = Arc::clone(&entry.object);
        let memory = entry.memory.clone();
        let references = object.spec.references(&object.id);
        let distribution = inner.tellings.of(&object.id);
        let observed = Observed {
            claim: inner.claim(&object),
            allowance: inner.allowance(&object),
            permission: inner.permission(&object, &object.references()),
            referents: references.into_iter().map(|reference| inner.referent(reference)).collect(),
            dependents: if object.deleting { inner.dependents(&object) } else { Vec::new() },
            patience: memory.identity.is_none()
                && object.status.uid.is_none()
                && memory.since.elapsed() < PATIENCE,
            uid: memory.identity.as_ref().map(|identity| identity.uid.clone()).or(object.status.uid.clone()),
            former_tags: memory.tags.clone(),
            remote: Remote::NotRead,
            waited: None,
            owners: inner.owners_of(&object, &distribution),
            distribution,
            deprecation: memory.node().and_then(|node| node.deprecation.clone()),
            parts_gone: !object.has_parts(),
            object,
        };
        Some(Local { observed, memory })
    }
}

impl Inner {
    /// Whose the virtual nodes are whose proxies are told to run the object.
    fn owners_of(&self, object: &Object, distribution: &Distribution) -> Owners {
        let names = match distribution {
            Distribution::Told { callers, .. } => callers.keys().map(String::as_str).collect(),
            Distribution::Untold | Distribution::Awaited => BTreeSet::new(),
        };
        let own = object.key.namespace.clone().unwrap_or_default();
        Owners { own, namespaces: self.owners(object.id.mesh_name(), names) }
    }

    fn referent(&self, reference: Reference) -> Referent {
        let reach = match self.holder(&reference.target) {
            None if self.tellings.knows(&reference.target) => Reach::Exists,
            None => Reach::Unmanaged,
            Some(key) if self.exists(key) => Reach::Exists,
            Some(key) => Reach::Pending(key.clone()),
        };
        Referent { reference, reach }
    }

    /// The first few resources whose App Mesh objects need this one's: they exist, they hold their names, and name it
    /// as required and by permission: what names it without is in nobody's way. A few are enough to wait for and to tell; all 1,500 of a mesh would be a new status with each.
    fn dependents(&self, object: &Object) -> Vec<ObjectKey> {
        let needs = |key: &ObjectKey| {
            let Some(entry) = self.entries.get(key) else { return false };
            let references = entry.object.spec.references(&entry.object.id);
            references.iter().any(|reference| reference.required && reference.target == object.id)
                && self.holder(&entry.object.id) == Some(key)
                && self.may_name(&entry.object, &object.id)
        };
        let others = self.index.referrers(&object.id).filter(|key| **key != object.key);
        let others = others.filter(|key| self.exists(key) && needs(key));
        let dependents: BTreeSet<&ObjectKey> = others.chain(self.keepers(object)).collect();
        dependents.into_iter().take(TOLD_DEPENDENTS).cloned().collect()
    }
}
