//! The one map of the custom resources and of what is remembered of each. An entry begins with the first sight of a resource and
//! ends with its deletion, or when another uid has its name: with it goes all that its reconciles, its identity, its fleet and its
//! rollout remember. Nothing else in the process remembers anything of a single resource. No I/O.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use fleetmesh_core::{Object, ObjectKey};
use fleetmesh_model::ResourceId;
use tokio::time::Instant;

use super::memory::{Memory, MemoryKey};

/// The resources by key. Memories are changed by the key of the memory alone, which names the uid.
#[derive(Debug, Default)]
pub(super) struct Entries {
    entries: HashMap<ObjectKey, CacheEntry>,
    /// The meshes that resources are in, or are.
    meshes: BTreeMap<String, MeshMembers>,
}

/// A resource and its memory.
#[derive(Debug)]
pub(super) struct CacheEntry {
    /// The resource as last seen.
    pub(super) object: Arc<Object>,
    /// Whether the spec breaks no rule.
    pub(super) valid: bool,
    /// What is remembered of it.
    pub(super) memory: Memory,
}

#[derive(Debug, Default)]
struct MeshMembers {
    count: usize,
    /// Those that the endpoint refused to delete because they are in use.
    blocked: BTreeSet<ObjectKey>,
}

impl Entries {
    /// The entry of whoever has this key now.
    pub(super) fn get(&self, key: &ObjectKey) -> Option<&CacheEntry> {
        self.entries.get(key)
    }

    /// The entry of this resource; none once it is gone, whoever has its key by then.
    pub(super) fn of(&self, key: &MemoryKey) -> Option<&CacheEntry> {
        self.entries.get(&key.object).filter(|entry| entry.object.uid == key.uid)
    }

    /// The memory of this resource, to be changed; none once it is gone, whoever has its key by then.
    pub(super) fn memory(&mut self, key: &MemoryKey) -> Option<&mut Memory> {
        let entry = self.entries.get_mut(&key.object).filter(|entry| entry.object.uid == key.uid);
        entry.map(|entry| &mut entry.memory)
    }

    /// All keys.
    pub(super) fn keys(&self) -> impl Iterator<Item = &ObjectKey> {
        self.entries.keys()
    }

    /// All entries.
    pub(super) fn values(&self) -> impl Iterator<Item = &CacheEntry> {
        self.entries.values()
    }

    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The names of the meshes that resources are in, or are.
    pub(super) fn meshes(&self) -> impl Iterator<Item = &String> {
        self.meshes.keys()
    }

    /// Begins the entry of a resource, with an empty memory. Whoever had its key must have ended.
    pub(super) fn begin(&mut self, object: Arc<Object>) {
        let memory = Memory::new(&object);
        let valid = object.effective_spec.violations().is_empty();
        self.meshes.entry(object.id.mesh_name().name().to_owned()).or_default().count += 1;
        self.entries.insert(object.key.clone(), CacheEntry { object, valid, memory });
    }

    /// Ends the entry of whoever has this key, and all that is remembered of it.
    pub(super) fn end(&mut self, key: &ObjectKey) -> Option<Arc<Object>> {
        let CacheEntry { object, .. } = self.entries.remove(key)?;
        self.leave(object.id.mesh_name(), key);
        Some(object)
    }

    /// The same resource was seen in another version.
    pub(super) fn update(&mut self, object: &Arc<Object>) {
        let Some(entry) = self.entries.get_mut(&object.key).filter(|entry| entry.object.uid == object.uid)
        else {
            return;
        };
        let before = std::mem::replace(&mut entry.object, Arc::clone(object));
        if before.effective_spec != object.effective_spec {
            entry.memory.in_step = None;
            entry.memory.changed = Instant::now();
            entry.valid = object.effective_spec.violations().is_empty();
        }
        if object.deleting && !before.deleting {
            entry.memory.since = Instant::now();
        }
        if before.id.mesh_name() != object.id.mesh_name() {
            self.leave(before.id.mesh_name(), &object.key);
            self.meshes.entry(object.id.mesh_name().name().to_owned()).or_default().count += 1;
        }
    }

    /// Notes that this resource has another spec than `before`, whose references its App Mesh object keeps until it is written.
    pub(super) fn names_no_more(&mut self, before: &Object) {
        if let Some(memory) = self.memory(&before.into()) {
            let named = before.references().into_iter().map(|reference| reference.target);
            let new: Vec<ResourceId> = named.filter(|id| !memory.named.contains(id)).collect();
            memory.named.extend(new);
        }
    }

    /// Notes whether the endpoint refused to delete this resource's object because it is in use.
    pub(super) fn block(&mut self, key: &MemoryKey, blocked: bool) {
        let Some(mesh) = self.of(key).map(|entry| entry.object.id.mesh_name().name().to_owned()) else {
            return;
        };
        let members = self.meshes.entry(mesh).or_default();
        if blocked {
            members.blocked.insert(key.object.clone());
        } else {
            members.blocked.remove(&key.object);
        }
    }

    /// The resources of a mesh whose objects the endpoint refused to delete because they are in use.
    pub(super) fn blocked(&self, mesh: &str) -> impl Iterator<Item = &ObjectKey> {
        self.meshes.get(mesh).into_iter().flat_map(|members| &members.blocked)
    }

    fn leave(&mut self, mesh: &str, key: &ObjectKey) {
        let Some(members) = self.meshes.get_mut(mesh) else { return };
        members.blocked.remove(key);
        members.count = members.count.saturating_sub(1);
        if members.count == 0 {
            self.meshes.remove(mesh);
        }
    }
}
