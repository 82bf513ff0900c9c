//! What rollouts need to know of the cluster, and what they say of virtual nodes: pending RouteActions, the nodes that
//! routes shift requests between, who must not be deleted yet. No I/O.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fleetmesh_core::canary::{Action, Health, Node, is_target};
use fleetmesh_core::{Deprecation, Object, ObjectKey};
use fleetmesh_crds::{CanaryStatus, ConditionType, RouteAction};
use fleetmesh_model::{Kind, Reference, ResourceId};
use jiff::Timestamp;
use kube::ResourceExt;

use super::entries::CacheEntry;
use super::memory::{Memory, RouteMemory};
use super::{Cache, CacheInner, Triggers};
use crate::queue::Trigger;

/// RouteActions that have no status yet, by namespace and name.
#[derive(Debug, Default)]
pub(super) struct Pending(BTreeMap<(String, String), PendingAction>);

#[derive(Debug)]
struct PendingAction {
    route: ObjectKey,
    created: Timestamp,
    action: Action,
}

/// The state of a rollout that was decided about since the status was written, and from which nothing followed.
#[derive(Debug)]
pub struct Unwritten {
    /// What stood in the status. When something else stands there by now, that counts.
    written: CanaryStatus,
    state: CanaryStatus,
}

impl Cache {
    /// The state of a route's rollout: what was decided last, else what its status keeps.
    pub fn rollout(&self, route: &Object) -> CanaryStatus {
        let inner = self.lock();
        let entry = inner.entries.of(&route.into());
        let unwritten = entry.and_then(|entry| entry.memory.route()?.unwritten.as_ref());
        let written = route.status.canary();
        let newer = unwritten.filter(|unwritten| unwritten.written == *written);
        newer.map_or_else(|| written.clone(), |newer| newer.state.clone())
    }

    /// Remembers the state of a route's rollout that is not written yet.
    pub fn decided(&self, route: &Object, state: &CanaryStatus) {
        let written = route.status.canary();
        let unwritten =
            (state != written).then(|| Unwritten { written: written.clone(), state: state.clone() });
        let mut inner = self.lock();
        if let Some(memory) = inner.route_memory(route) {
            memory.unwritten = unwritten;
        }
    }

    /// A RouteAction was seen. Triggers its Route when it is still to be carried out.
    pub fn action(&self, resource: &RouteAction) -> Triggers {
        let key = (resource.namespace().unwrap_or_default(), resource.name_any());
        let mut inner = self.lock();
        if resource.status.is_some() {
            inner.actions.0.remove(&key);
            return Triggers::new();
        }
        let spec = &resource.spec;
        let route = route_key(&key.0, &spec.route_name);
        let action = Action {
            name: key.1.clone(),
            uid: resource.uid().unwrap_or_default(),
            verb: spec.verb,
            rollout_id: spec.rollout_id.clone(),
            step_index: spec.step_index,
        };
        let created =
            resource.metadata.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0);
        inner.actions.0.insert(key, PendingAction { route: route.clone(), created, action });
        vec![(route, Trigger::Distribution)]
    }

    /// A RouteAction is gone. One of the same name that was seen since has another uid than `uid`, and stays.
    pub fn action_gone(&self, namespace: &str, name: &str, uid: Option<&str>) {
        let key = (namespace.to_owned(), name.to_owned());
        let actions = &mut self.lock().actions.0;
        let is_it = actions.get(&key).is_some_and(|known| uid.is_none_or(|uid| known.action.uid == uid));
        if is_it {
            actions.remove(&key);
        }
    }

    /// The RouteActions for `route` that have no status yet, the oldest first.
    pub fn actions(&self, route: &ObjectKey) -> Vec<Action> {
        let inner = self.lock();
        let mut actions: Vec<&PendingAction> =
            inner.actions.0.values().filter(|pending| pending.route == *route).collect();
        actions.sort_by(|a, b| (a.created, &a.action.name).cmp(&(b.created, &b.action.name)));
        actions.into_iter().map(|pending| pending.action.clone()).collect()
    }

    /// RouteActions whose Route does not exist.
    pub fn stray_actions(&self) -> Vec<(ObjectKey, Action)> {
        let inner = self.lock();
        let strays = inner.actions.0.values().filter(|pending| inner.entries.get(&pending.route).is_none());
        strays.map(|pending| (pending.route.clone(), pending.action.clone())).collect()
    }

    /// What `route` needs to know of the virtual nodes `names` of its mesh; one without a resource is left out.
    pub fn nodes(&self, route: &Object, names: &BTreeSet<String>) -> BTreeMap<String, Node> {
        let inner = self.lock();
        let node = |name: &String| Some((name.clone(), inner.node(route, name)?));
        names.iter().filter_map(node).collect()
    }

    /// Whose the virtual nodes `names` of a mesh are, as far as resources stand for them.
    pub fn owners(&self, mesh: &str, names: BTreeSet<&str>) -> BTreeMap<String, String> {
        self.lock().owners(mesh, names)
    }

    /// The routes with `canary`.
    pub fn canaries(&self) -> Vec<Arc<Object>> {
        let inner = self.lock();
        let routes = inner.entries.values().filter(|entry| entry.object.canary().is_some());
        routes.map(|entry| Arc::clone(&entry.object)).collect()
    }

    /// The resource of a virtual node.
    pub fn virtual_node(&self, mesh: &str, name: &str) -> Option<Arc<Object>> {
        let inner = self.lock();
        let key = inner.holder(&ResourceId::virtual_node(mesh, name))?;
        inner.entries.get(key).map(|entry| Arc::clone(&entry.object))
    }

    /// A rollout says whether a virtual node is deprecated. Triggers the node when that is news.
    pub fn deprecate(&self, node: &Object, deprecation: Deprecation) -> Triggers {
        let mut inner = self.lock();
        let memory = inner.entries.memory(&node.into());
        let Some(memory) = memory.and_then(Memory::node_mut) else { return Triggers::new() };
        if memory.deprecation.as_ref() == Some(&deprecation) {
            return Triggers::new();
        }
        memory.deprecation = Some(deprecation);
        vec![(node.key.clone(), Trigger::Distribution)]
    }

    /// The virtual nodes that `route` keeps from being deleted. Triggers those that it let go of and that wait for it.
    pub fn keep(&self, route: &Object, keep: BTreeSet<String>) -> Triggers {
        let mut inner = self.lock();
        let Some(memory) = inner.route_memory(route) else { return Triggers::new() };
        if memory.keep.as_ref() == Some(&keep) {
            return Triggers::new();
        }
        memory.keep = Some(keep);
        inner.deleting_nodes(route.id.mesh_name())
    }
}

fn route_key(namespace: &str, name: &str) -> ObjectKey {
    ObjectKey { kind: Kind::Route, namespace: Some(namespace.to_owned()), name: name.to_owned() }
}

impl CacheInner {
    fn route_memory(&mut self, route: &Object) -> Option<&mut RouteMemory> {
        self.entries.memory(&route.into())?.route_mut()
    }

    /// The namespaces of the resources that stand for the virtual nodes `names` of a mesh.
    pub(super) fn owners(&self, mesh: &str, names: BTreeSet<&str>) -> BTreeMap<String, String> {
        let owner = |name: &str| {
            let namespace = self.holder(&ResourceId::virtual_node(mesh, name))?.namespace.clone()?;
            Some((name.to_owned(), namespace))
        };
        names.into_iter().filter_map(owner).collect()
    }

    fn node(&self, route: &Object, name: &str) -> Option<Node> {
        let id = ResourceId::virtual_node(route.id.mesh_name(), name);
        let object = &self.entries.get(self.holder(&id)?)?.object;
        let expects_proxies = object.fleet().is_some() || object.status.fleet().is_some();
        let deprecated = object.status.condition(ConditionType::Deprecated);
        Some(Node {
            health: Health::of(&self.distributions.of(&id), expects_proxies),
            used_elsewhere: self.uses(&id).any(|key| *key != route.key),
            deprecated: deprecated.is_some_and(|condition| condition.status == "True"),
            replicas: object.fleet().and_then(|fleet| fleet.replicas),
            deleting: object.deleting,
            off_limits: !self.may_retire(&route.key, object),
        })
    }

    /// The resources that name `id` and may.
    fn uses(&self, id: &ResourceId) -> impl Iterator<Item = &ObjectKey> {
        let may =
            |key: &&ObjectKey| self.entries.get(key).is_some_and(|entry| self.may_name(&entry.object, id));
        self.index.referrers(id).filter(may)
    }

    /// The routes that keep a virtual node which their specs in force need not name any more; only those that have their
    /// names and may name the node.
    pub(super) fn keepers<'a>(&'a self, node: &'a Object) -> impl Iterator<Item = &'a ObjectKey> {
        let name = node.id.name();
        let keeps = move |entry: &&CacheEntry| {
            let (object, memory) = (&entry.object, &entry.memory);
            object.canary().is_some()
                && object.id.mesh_name() == node.id.mesh_name()
                && memory
                    .route()
                    .and_then(|route| route.keep.as_ref())
                    .map_or_else(|| remembers(object.status.canary(), name), |keep| keep.contains(name))
                && self.holder(&object.id) == Some(&object.key)
                && self.may_keep(object, node)
        };
        // Nothing else is kept, and whole meshes are deleted at once: their other objects need no look at every entry.
        let entries = is_target(node.key.kind).then(|| self.entries.values());
        entries.into_iter().flatten().filter(keeps).map(|entry| &entry.object.key)
    }

    /// Whether a route may hold a node up that its spec need not name any more.
    fn may_keep(&self, route: &Object, node: &Object) -> bool {
        let target = node.id.clone();
        let former = Reference { path: None, target, required: true };
        self.permission(route, &[former]).missing.is_empty()
    }

    /// Virtual nodes of a mesh that are being deleted, to be triggered.
    pub(super) fn deleting_nodes(&self, mesh: &str) -> Triggers {
        let waits = |object: &Object| {
            object.deleting && is_target(object.key.kind) && object.id.mesh_name().name() == mesh
        };
        let nodes = self.entries.values().filter(|entry| waits(&entry.object));
        nodes.map(|entry| (entry.object.key.clone(), Trigger::Look)).collect()
    }
}

/// Whether a status mentions a virtual node: until the route's first reconcile knows better, all of these are kept.
fn remembers(status: &CanaryStatus, name: &str) -> bool {
    let targets = status.stable_targets.iter().chain(&status.effective_targets);
    let former = status.history.iter().flat_map(|entry| entry.from.iter().chain(&entry.targets));
    targets.chain(former).any(|target| target.virtual_node == name)
        || status.draining.iter().any(|target| target.virtual_node == name)
}
