//! What the operator knows of the cluster and of the proxies: the custom resources as watched with the memory of each, an index
//! from App Mesh names to the resources that claim or name them, the namespaces' labels, the classes of fleets, what the control
//! plane reported. Behind one lock, synchronous, no I/O; everything in it can be learned anew.

mod classes;
mod conclude;
mod distribution;
mod entries;
mod index;
mod memory;
mod observe;
mod parts;
mod permission;
mod providers;
mod referrers;
mod rollouts;
#[cfg(test)]
mod tests;
mod ties;
mod tls;
mod together;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fleetmesh_core::fleet::architecture::KnownTypes;
use fleetmesh_core::fleet::{Exhausted, Ledger};
use fleetmesh_core::{Grants, Object, ObjectKey};
use fleetmesh_model::{Kind, ResourceId};

pub use classes::ClassOf;
pub use conclude::Conclusion;
pub use distribution::{Answer, Triggered};
pub use index::{NewsSource, TagReading};
pub use memory::{FleetMemory, Gave, IdentityMemory, Memory, MemoryKey};
pub use observe::{Local, PATIENCE};

use crate::queue::Trigger;
use distribution::Distributions;
use entries::Entries;
use index::Index;

/// Objects to trigger, and why.
pub type Triggers = Vec<(ObjectKey, Trigger)>;

/// The knowledge, shared.
#[derive(Debug, Default)]
pub struct Cache {
    inner: Mutex<CacheInner>,
}

#[derive(Debug, Default)]
struct CacheInner {
    entries: Entries,
    index: Index,
    classes: classes::Classes,
    namespaces: BTreeMap<String, BTreeMap<String, String>>,
    grants: Grants,
    distributions: Distributions,
    providers: providers::Providers,
    actions: rollouts::Pending,
    /// What all fleets launched of their classes. What a node launched a moment ago counts on when the node is gone.
    ledger: Ledger,
    /// What EC2 was out of a moment ago, for all fleets.
    exhausted: Exhausted,
    /// The architectures of the instance types that EC2 was asked about. They never change.
    types: KnownTypes,
}

impl Cache {
    fn lock(&self) -> MutexGuard<'_, CacheInner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The resource as last seen.
    pub fn object(&self, key: &ObjectKey) -> Option<Arc<Object>> {
        self.lock().entries.get(key).map(|entry| Arc::clone(&entry.object))
    }

    /// How many resources there are.
    pub fn len(&self) -> usize {
        self.lock().entries.len()
    }

    /// Whether there is no resource.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The names of all meshes that resources are in, or are.
    pub fn meshes(&self) -> BTreeSet<String> {
        self.lock().entries.meshes().cloned().collect()
    }

    /// The resources of `kind`.
    pub fn keys(&self, kind: Kind) -> BTreeSet<ObjectKey> {
        self.lock().entries.keys().filter(|key| key.kind == kind).cloned().collect()
    }

    /// The resources that rest ([`Object::rests`]).
    pub fn resting(&self) -> BTreeSet<ObjectKey> {
        let inner = self.lock();
        let resting = inner.entries.values().filter(|entry| entry.object.rests());
        resting.map(|entry| entry.object.key.clone()).collect()
    }

    /// A namespace and its labels; `None` when it is gone. Triggers the resources in it: meshes, routers and nodes may allow it
    /// or not.
    pub fn namespace(&self, name: &str, labels: Option<BTreeMap<String, String>>) -> Triggers {
        let mut inner = self.lock();
        let before = match labels.clone() {
            Some(labels) => inner.namespaces.insert(name.to_owned(), labels),
            None => inner.namespaces.remove(name),
        };
        if before == labels {
            return Vec::new();
        }
        let inside = inner.entries.keys().filter(|key| key.namespace.as_deref() == Some(name));
        let inside: Vec<ObjectKey> = inside.cloned().collect();
        inner.reconsider(&inside)
    }
}

impl CacheInner {
    /// Whether the App Mesh object of a resource is known to exist: by the last reconcile, else by the last report.
    fn exists(&self, key: &ObjectKey) -> bool {
        self.entries
            .get(key)
            .is_some_and(|entry| entry.memory.exists.unwrap_or_else(|| entry.object.status.uid.is_some()))
    }

    /// The resource that has an App Mesh name ([`fleetmesh_core::claim`]).
    fn holder(&self, id: &ResourceId) -> Option<&ObjectKey> {
        self.index.holder(id)
    }
}
