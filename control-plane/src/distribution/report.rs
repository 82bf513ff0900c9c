//! What the distribution says about each object, worked out from the views and the proxies' reports. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use fleetmesh_model::{Kind, ResourceId};
use serde::Serialize;

use super::Node;
use crate::cloud_map::Discovered;
use crate::snapshot::{Snapshot, unserved};
use crate::view::MeshView;

/// Where a reader was: what it gives back to be told what changed since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Token(pub String);

/// What there is to say about a mesh.
#[derive(Clone, Debug, Serialize)]
pub struct Answer {
    /// The mesh.
    pub mesh: String,
    /// Where the reader is now.
    pub token: Token,
    /// Whether every object is listed; otherwise only those that changed.
    pub complete: bool,
    /// The objects, by resource.
    pub objects: Vec<ObjectStatus>,
    /// The resources that are gone, when the answer is not complete.
    pub removed: Vec<String>,
}

impl Answer {
    /// Whether it lists nothing.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty() && self.removed.is_empty()
    }
}

/// How far one object has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ObjectStatus {
    /// Its full ARN.
    pub arn: String,
    /// The resource part of the ARN.
    pub resource: String,
    /// Its kind.
    pub kind: Kind,
    /// Its version.
    pub version: i64,
    /// How many connected proxies have it in their snapshot; one that reports its load counts as connected.
    pub proxies: usize,
    /// How many of these acknowledged a snapshot with exactly this version of it.
    pub acknowledged: usize,
    /// The proxies that refuse it.
    pub rejected: Vec<Rejected>,
    /// Of a virtual node: its own proxies by the instance they run on (an id or an address), and whether each has
    /// acknowledged everything that it is to run. A proxy that cannot be told apart is not listed.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub connected: BTreeMap<String, bool>,
    /// Of a route: the proxies that are to run it, by the names of their virtual nodes, so that somebody can tell whose
    /// they are.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub callers: BTreeMap<String, Caller>,
    /// What of it is not served: paths of members without a mapping yet, or `path: reason`.
    pub unserved: Vec<String>,
}

/// The proxies of one virtual node that are to run an object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Caller {
    /// Those that are connected.
    pub proxies: usize,
    /// Those of them that acknowledged the version.
    pub acknowledged: usize,
}

/// A proxy that refuses an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rejected {
    /// The proxy.
    pub proxy: String,
    /// Its own words.
    pub message: String,
}

/// Proxies that run the same.
struct Group<'a> {
    target: &'a Arc<Snapshot>,
    acknowledged: Option<&'a Arc<Snapshot>>,
    proxies: usize,
}

/// The status of every object of `view`, given the proxies of the mesh.
pub(super) fn statuses<'a>(
    view: &MeshView,
    discovered: &Discovered,
    nodes: impl Iterator<Item = (&'a ResourceId, &'a Node)>,
) -> BTreeMap<ResourceId, ObjectStatus> {
    let mut statuses: BTreeMap<ResourceId, ObjectStatus> = view
        .resources
        .values()
        .map(|record| {
            let status = ObjectStatus {
                arn: record.arn.clone(),
                resource: record.id.to_string(),
                kind: record.id.kind(),
                version: record.version,
                proxies: 0,
                acknowledged: 0,
                rejected: Vec::new(),
                connected: BTreeMap::new(),
                callers: BTreeMap::new(),
                unserved: unserved(view, discovered, record),
            };
            (record.id.clone(), status)
        })
        .collect();
    for (id, node) in nodes {
        // What only reports its load may outlive its node.
        let Some(status) = statuses.get_mut(id) else { continue };
        status.connected = connected(node);
        let Some(target) = &node.target else { continue };
        for group in groups(target, node) {
            count(view, id.name(), &group, &mut statuses);
        }
        reject(node, &mut statuses);
    }
    statuses
}

/// Where two proxies of one instance overlap, as in a restart of Envoy, the instance is as far as the farther one.
fn connected(node: &Node) -> BTreeMap<String, bool> {
    let mut connected = BTreeMap::new();
    for proxy in node.proxies.values() {
        let Some(instance) = &proxy.instance else { continue };
        let acknowledged = proxy.progress.acknowledged.as_ref();
        let current = node.target.is_some() && super::same_snapshot(node.target.as_ref(), acknowledged);
        *connected.entry(instance.clone()).or_default() |= current;
    }
    connected
}

fn groups<'a>(target: &'a Arc<Snapshot>, node: &'a Node) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    for proxy in node.proxies.values() {
        let acknowledged = proxy.progress.acknowledged.as_ref();
        let same = |group: &&mut Group<'a>| super::same_snapshot(group.acknowledged, acknowledged);
        match groups.iter_mut().find(same) {
            Some(group) => group.proxies += 1,
            None => groups.push(Group { target, acknowledged, proxies: 1 }),
        }
    }
    // Who reports its load and is not connected runs what it got before, and sends requests by it.
    let elsewhere = node.reporting.saturating_sub(node.proxies.len());
    if elsewhere > 0 {
        groups.push(Group { target, acknowledged: None, proxies: elsewhere });
    }
    groups
}

fn count(
    view: &MeshView,
    caller: &str,
    group: &Group<'_>,
    statuses: &mut BTreeMap<ResourceId, ObjectStatus>,
) {
    for id in group.target.objects.keys() {
        let (Some(status), Some(record)) = (statuses.get_mut(id), view.get(id)) else { continue };
        let acknowledged = group.acknowledged.is_some_and(|snapshot| snapshot.contains(record));
        let acknowledged = if acknowledged { group.proxies } else { 0 };
        status.proxies += group.proxies;
        status.acknowledged += acknowledged;
        if id.kind() == Kind::Route {
            let caller = status.callers.entry(caller.to_owned()).or_default();
            caller.proxies += group.proxies;
            caller.acknowledged += acknowledged;
        }
    }
}

fn reject(node: &Node, statuses: &mut BTreeMap<ResourceId, ObjectStatus>) {
    for proxy in node.proxies.values() {
        for rejection in &proxy.progress.rejections {
            for id in &rejection.objects {
                let Some(status) = statuses.get_mut(id) else { continue };
                let (proxy, message) = (proxy.name.to_string(), rejection.message.clone());
                status.rejected.push(Rejected { proxy, message });
            }
        }
    }
}
