//! What the reconciles of an object learned. It saves calls, never decides alone: an operator that forgot it reads again and
//! comes to the same end. No I/O.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fleetmesh_core::iam::{RoleLimits, Thing};
use fleetmesh_core::{Deprecation, Finding, Object, ObjectKey, RemoteIdentity};
use fleetmesh_crds::{IamStatus, KindStatus};
use fleetmesh_model::Kind;
use fleetmesh_model::tag::Tags;
use tokio::time::Instant;

use super::rollouts::Unwritten;
use super::{Cache, CacheEntry, Triggers};
use crate::queue::Trigger;

/// The memory of one object.
#[derive(Clone, Debug)]
pub struct Memory {
    /// Which generation of the spec the endpoint has, and as which state of the object. It is forgotten when the spec in
    /// force becomes another: a rollout changes that without a new generation.
    pub in_step: Option<(i64, RemoteIdentity)>,
    /// The state of the App Mesh object that was written or read last, in step or not.
    pub identity: Option<RemoteIdentity>,
    /// Whether the App Mesh object exists; the last report knows when this does not.
    pub exists: Option<bool>,
    /// The tags that the resource asked for when the tags were last in step.
    pub tags: Option<Tags>,
    /// What the App Mesh object in force rests on, as the last reconcile left it; `None` before the first, or when there is none.
    /// What the status says of that others may have written.
    pub permitted_by: Option<Vec<String>>,
    /// Reconciles that failed in a row.
    pub failures: u32,
    /// Reconciles in a row in which the identity or the fleet failed.
    pub part_failures: u32,
    /// How many reconciles in a row panicked.
    pub panics: u32,
    /// What is remembered of this kind only.
    pub of_kind: KindMemory,
    /// When the object was last written or reported; a status that would only say "not yet" is held back for a moment.
    pub since: Instant,
    /// When the whole App Mesh object, tags included, was last compared, or the object was first seen.
    pub compared: Instant,
}

/// What is remembered of the objects of one kind.
#[derive(Clone, Debug)]
pub enum KindMemory {
    /// Of a virtual node.
    Node(Box<NodeMemory>),
    /// Of a route.
    Route(RouteMemory),
    /// Of the other kinds: nothing.
    None,
}

/// What is remembered of a virtual node.
#[derive(Clone, Debug, Default)]
pub struct NodeMemory {
    /// The IAM identity as the last reconcile left it.
    pub identity: IdentityMemory,
    /// What a rollout said of the node.
    pub deprecation: Option<Deprecation>,
}

/// What is remembered of a route.
#[derive(Clone, Debug, Default)]
pub struct RouteMemory {
    /// The virtual nodes that its rollout keeps from being deleted; `None` before its first reconcile.
    pub keep: Option<BTreeSet<String>>,
    /// The state of its rollout where that is not in the status yet.
    pub unwritten: Option<Arc<Unwritten>>,
}

impl KindMemory {
    fn new(kind: Kind) -> Self {
        match KindStatus::empty(kind) {
            KindStatus::Node(_) => Self::Node(Box::default()),
            KindStatus::Route(_) => Self::Route(RouteMemory::default()),
            KindStatus::None(_) => Self::None,
        }
    }
}

impl Memory {
    /// What is remembered of a virtual node, if it is one's.
    pub fn node(&self) -> Option<&NodeMemory> {
        if let KindMemory::Node(node) = &self.of_kind { Some(node) } else { None }
    }

    /// As [`Self::node`], to be changed.
    pub(super) fn node_mut(&mut self) -> Option<&mut NodeMemory> {
        if let KindMemory::Node(node) = &mut self.of_kind { Some(node) } else { None }
    }

    /// What is remembered of a route, if it is one's.
    pub fn route(&self) -> Option<&RouteMemory> {
        if let KindMemory::Route(route) = &self.of_kind { Some(route) } else { None }
    }

    /// As [`Self::route`], to be changed.
    pub(super) fn route_mut(&mut self) -> Option<&mut RouteMemory> {
        if let KindMemory::Route(route) = &mut self.of_kind { Some(route) } else { None }
    }

    /// The memory of an object of the kind that was seen for the first time just now.
    pub(super) fn new(kind: Kind) -> Self {
        let now = Instant::now();
        Self {
            in_step: None,
            identity: None,
            exists: None,
            tags: None,
            permitted_by: None,
            failures: 0,
            part_failures: 0,
            panics: 0,
            of_kind: KindMemory::new(kind),
            since: now,
            compared: now,
        }
    }
}

/// The memory of an object's IAM identity.
#[derive(Clone, Debug, Default)]
pub struct IdentityMemory {
    /// The hash of the wish that IAM was left in step with, and what the reconcile told then.
    pub in_step: Option<(String, Finding)>,
    /// What IAM showed to this process, the resource's tags of ownership on it: a status could have been written by anybody
    /// who may.
    pub seen: Option<IamStatus>,
    /// The managed policies that IAM showed on the role and that the operator attached, once something was `seen`.
    pub attached: BTreeSet<String>,
    /// Whether there was room for its role when one was to be made.
    pub has_room: bool,
    /// What was made and not seen since, and when: IAM may not show it yet.
    pub made: BTreeMap<Thing, Instant>,
}

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
    /// Whether the endpoint refused to delete the object, because others use it that no resource tells of.
    pub blocked: bool,
}

impl Cache {
    /// The memory of an object.
    pub fn memory(&self, key: &ObjectKey) -> Memory {
        self.lock().entries.get(key).map_or_else(|| Memory::new(key.kind), |entry| entry.memory.clone())
    }

    /// The objects of a mesh whose last reconcile failed, to be triggered.
    pub fn failing(&self, mesh: &str) -> Triggers {
        let inner = self.lock();
        let failing = inner.entries.values().filter(|entry| entry.memory.failures > 0);
        let failing = failing.filter(|entry| entry.object.id.mesh_name() == mesh);
        failing.map(|entry| (entry.object.key.clone(), Trigger::Look)).collect()
    }

    /// Notes whether the identity or the fleet failed in the last reconcile; gives how often in a row they did.
    pub fn parts_concluded(&self, key: &ObjectKey, failed: bool) -> u32 {
        let mut inner = self.lock();
        let Some(entry) = inner.entries.get_mut(key) else { return 0 };
        entry.memory.part_failures = if failed { entry.memory.part_failures.saturating_add(1) } else { 0 };
        entry.memory.part_failures
    }

    /// Notes whether the last reconcile panicked; gives how many in a row did.
    pub fn panicked(&self, key: &ObjectKey, panicked: bool) -> u32 {
        let mut inner = self.lock();
        let Some(entry) = inner.entries.get_mut(key) else { return 0 };
        entry.memory.panics = if panicked { entry.memory.panics.saturating_add(1) } else { 0 };
        entry.memory.panics
    }

    /// Notes how a reconcile left the IAM identity of the object `uid`.
    pub fn identity_concluded(&self, key: &ObjectKey, uid: &str, memory: IdentityMemory) {
        if let Some(node) = self.lock().entry(key, uid).and_then(|entry| entry.memory.node_mut()) {
            node.identity = memory;
        }
    }

    /// How the last reconcile left the IAM identity of an object.
    pub fn identity_memory(&self, key: &ObjectKey) -> IdentityMemory {
        let inner = self.lock();
        let node = inner.entries.get(key).and_then(|entry| entry.memory.node());
        node.map(|node| node.identity.clone()).unwrap_or_default()
    }

    /// Takes room for a role of the virtual node `key`, unless there is none: then says why. Nodes that have a role, by their
    /// status or because room was taken for one, count; what several take at once is counted, too.
    pub fn room_for_role(&self, key: &ObjectKey, uid: &str, limits: &RoleLimits) -> Option<Finding> {
        let mut inner = self.lock();
        let has_role = |iam: &IamStatus| iam.role_arn.is_some();
        let has = |entry: &&CacheEntry| {
            let identity = entry.memory.node().map(|node| &node.identity);
            let took = identity
                .is_some_and(|identity| identity.has_room || identity.seen.as_ref().is_some_and(has_role));
            let told = entry.object.status.iam().is_some_and(has_role);
            entry.object.uid != uid && (took || told)
        };
        let others: Vec<&CacheEntry> = inner.entries.values().filter(has).collect();
        let inside = others.iter().filter(|entry| entry.object.key.namespace == key.namespace).count();
        let namespace = key.namespace.as_deref().unwrap_or_default();
        let refusal = limits.refuse(namespace, others.len(), inside);
        if let Some(node) = inner.entry(key, uid).and_then(|entry| entry.memory.node_mut()) {
            node.identity.has_room = refusal.is_none();
        }
        refusal
    }

    /// Whether a resource of this uid is in the cluster.
    pub fn lives(&self, uid: &str) -> bool {
        self.lock().entries.values().any(|entry| entry.object.uid == uid)
    }

    /// Notes that the object was reported now, so that what only says "not yet" may be held back for a while.
    pub fn reported(&self, key: &ObjectKey) {
        if let Some(entry) = self.lock().entries.get_mut(key) {
            entry.memory.since = Instant::now();
        }
    }

    /// Notes what a reconcile concluded about `object`. Triggers those who waited: for the object to exist, or for it to let go of something.
    pub fn conclude(&self, object: &Object, conclusion: Conclusion) -> Triggers {
        let key = &object.key;
        let mut inner = self.lock();
        let existed = inner.exists(key);
        let Some(entry) = inner.entry(key, &object.uid) else { return Triggers::new() };
        let Conclusion { in_step, identity, exists, tags, permitted_by, failed, wrote, compared, blocked } =
            conclusion;
        entry.memory.in_step = in_step.filter(|_| entry.object.effective_spec == object.effective_spec);
        entry.memory.exists = exists.or(entry.memory.exists);
        entry.memory.identity = identity.or(entry.memory.identity.take());
        entry.memory.tags = tags.or(entry.memory.tags.take());
        entry.memory.permitted_by = permitted_by;
        entry.memory.failures = if failed { entry.memory.failures.saturating_add(1) } else { 0 };
        if wrote {
            entry.memory.since = Instant::now();
        }
        if compared {
            entry.memory.compared = Instant::now();
        }
        let object = Arc::clone(&entry.object);
        let mesh = object.id.mesh_name().to_owned();
        let mut triggers = inner.settle(vec![object.id.clone()]);
        let lost = exists == Some(false) || inner.holder(&object.id).is_some_and(|holder| holder != key);
        if let Some(entry) = inner.entry(key, &object.uid).filter(|_| lost) {
            // It is not there, or another resource has it: what was known of it must not speak for us any more.
            entry.memory.identity = None;
        }
        let exists = inner.exists(key);
        if wrote && exists {
            inner.tellings.forget_removal(&object.id);
        }
        if exists && !existed {
            let waiting = inner
                .index
                .referrers(&object.id)
                .filter(|key| inner.entries.get(*key).is_some_and(|entry| entry.memory.in_step.is_none()));
            triggers.extend(waiting.map(|key| (key.clone(), Trigger::Look)));
        }
        if existed && !exists {
            triggers.extend(inner.released(&object));
        }
        if wrote {
            let waiting = inner.blocked.get(&mesh).into_iter().flatten();
            triggers.extend(waiting.filter(|other| *other != key).map(|key| (key.clone(), Trigger::Look)));
        }
        let waiting = inner.blocked.entry(mesh).or_default();
        if blocked {
            waiting.insert(key.clone());
        } else {
            waiting.remove(key);
        }
        triggers
    }
}
