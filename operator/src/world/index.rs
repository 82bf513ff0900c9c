//! The index of resources by the App Mesh names that they claim and that they name. No I/O.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fleetmesh_core::{Object, ObjectKey};
use fleetmesh_model::{Kind, ResourceId};
use jiff::Timestamp;
use tokio::time::Instant;

use super::{Entry, Inner, Memory, Wakes, World};
use crate::queue::Wake;

/// Where news of a resource comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// From a list: what the API server has, even where that is older than what was known, as after a restored backup.
    List,
    /// From a watch.
    Watch,
    /// From the answer to our own write, which must not wake the object that we just looked at.
    OwnWrite,
}

/// Claims and references.
#[derive(Debug, Default)]
pub(super) struct Index {
    claims: BTreeMap<ResourceId, BTreeSet<(Timestamp, String, ObjectKey)>>,
    referrers: BTreeMap<ResourceId, BTreeSet<ObjectKey>>,
}

impl Index {
    /// The resource that keeps a name: the oldest, and among equals the one with the smallest uid.
    pub(super) fn holder(&self, id: &ResourceId) -> Option<&ObjectKey> {
        self.claims.get(id)?.first().map(|(_, _, key)| key)
    }

    /// All resources that claim a name, the holder first.
    pub(super) fn claimants(&self, id: &ResourceId) -> impl Iterator<Item = &ObjectKey> {
        self.claims.get(id).into_iter().flatten().map(|(_, _, key)| key)
    }

    /// The resources whose specs name `id`.
    pub(super) fn referrers(&self, id: &ResourceId) -> impl Iterator<Item = &ObjectKey> {
        self.referrers.get(id).into_iter().flatten()
    }

    fn add(&mut self, object: &Object) {
        let claim = (object.created, object.uid.clone(), object.key.clone());
        self.claims.entry(object.id.clone()).or_default().insert(claim);
        for reference in object.spec.references(&object.id) {
            self.referrers.entry(reference.target).or_default().insert(object.key.clone());
        }
    }

    fn remove(&mut self, object: &Object) {
        let claim = (object.created, object.uid.clone(), object.key.clone());
        take(&mut self.claims, &object.id, &claim);
        for reference in object.spec.references(&object.id) {
            take(&mut self.referrers, &reference.target, &object.key);
        }
    }
}

/// Removes a member of a set in a map, and the set when it was the last.
fn take<K: Ord, V: Ord>(map: &mut BTreeMap<K, BTreeSet<V>>, key: &K, value: &V) {
    if let Some(set) = map.get_mut(key) {
        set.remove(value);
        if set.is_empty() {
            map.remove(key);
        }
    }
}

impl World {
    /// A resource was seen. News that is older than what is known is passed over.
    pub fn seen(&self, object: Object, source: Source) -> Wakes {
        self.lock().seen(object, source)
    }

    /// A resource is gone. `uid` guards against news of an earlier one of the same name.
    pub fn gone(&self, key: &ObjectKey, uid: Option<&str>) -> Wakes {
        self.lock().gone(key, uid)
    }
}

impl Inner {
    fn seen(&mut self, object: Object, source: Source) -> Wakes {
        let key = object.key.clone();
        let mut wakes = Wakes::new();
        let before = self.entries.get(&key).map(|entry| Arc::clone(&entry.object));
        if let Some(before) = &before {
            let newer = match source {
                Source::List => object.resource_version != before.resource_version,
                Source::Watch | Source::OwnWrite => is_newer(&object, before),
            };
            if before.uid == object.uid && !newer {
                return wakes;
            }
            if before.uid != object.uid {
                wakes.extend(self.gone(&key, None));
            }
        }
        let before = before.filter(|before| before.uid == object.uid);
        let changed = match (&before, source) {
            (None, _) => true,
            (Some(before), Source::List | Source::Watch) => before.asks_for_a_look(&object),
            (Some(before), Source::OwnWrite) => {
                before.generation != object.generation || before.deleting != object.deleting
            }
        };
        if changed {
            wakes.push((key.clone(), Wake::Look));
        }
        let allowance = before.as_ref().and_then(|before| before.allowed_namespaces.clone());
        if object.key.kind == Kind::Mesh && allowance != object.allowed_namespaces {
            wakes.extend(self.index.referrers(&object.id).map(|key| (key.clone(), Wake::Look)));
        }
        let object = Arc::new(object);
        match before {
            Some(before) => {
                if before.id != object.id || before.spec != object.spec {
                    // What the spec does not name any more may be waiting for that.
                    wakes.extend(self.released(&before));
                    self.index.remove(&before);
                    self.index.add(&object);
                }
                if let Some(entry) = self.entries.get_mut(&key) {
                    if before.spec != object.spec {
                        entry.memory.in_step = None;
                    }
                    if object.deleting && !before.deleting {
                        entry.memory.since = Instant::now();
                    }
                    entry.object = object;
                }
            }
            None => {
                self.index.add(&object);
                self.entries.insert(key, Entry { object, memory: Memory::new() });
            }
        }
        wakes
    }

    fn gone(&mut self, key: &ObjectKey, uid: Option<&str>) -> Wakes {
        let known = self.entries.get(key).map(|entry| entry.object.uid.as_str());
        if known.is_none() || uid.is_some_and(|uid| Some(uid) != known) {
            return Wakes::new();
        }
        let Some(entry) = self.entries.remove(key) else { return Wakes::new() };
        let object = entry.object;
        self.index.remove(&object);
        self.tellings.forget_removal(&object.id);
        if let Some(blocked) = self.blocked.get_mut(object.id.mesh_name()) {
            blocked.remove(key);
        }
        let mut wakes = self.released(&object);
        if object.canary.is_some() {
            wakes.extend(self.deleting_nodes(object.id.mesh_name()));
        }
        // Who waited for the name gets it.
        wakes.extend(self.index.claimants(&object.id).map(|key| (key.clone(), Wake::Look)));
        wakes.push((key.clone(), Wake::Look));
        wakes
    }

    /// The resources that are being deleted and that `object` kept from it.
    pub(super) fn released(&self, object: &Object) -> Wakes {
        let references = object.spec.references(&object.id);
        let targets = references.iter().filter_map(|reference| self.holder(&reference.target));
        targets
            .filter(|key| self.entries.get(*key).is_some_and(|entry| entry.object.deleting))
            .map(|key| (key.clone(), Wake::Look))
            .collect()
    }
}

/// Whether `object` is newer than `known`. Resource versions of one API server are numbers that grow.
fn is_newer(object: &Object, known: &Object) -> bool {
    let number = |version: &str| version.parse::<u64>().ok();
    match (number(&object.resource_version), number(&known.resource_version)) {
        (Some(new), Some(old)) => new > old,
        _ => object.resource_version != known.resource_version,
    }
}
