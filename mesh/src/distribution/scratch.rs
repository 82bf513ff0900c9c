//! The distribution of each object, computed anew from a view and all proxies: what is kept has to equal it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fleetmesh_api::distribution::{ObjectStatus, Rejection};
use fleetmesh_model::ResourceId;

use super::node::{ConnectedProxy, HolderVoice, NodeProxies};
use super::sum::has_callers;
use super::{Progress, same_snapshot};
use crate::cloud_map::Discovered;
use crate::snapshot::{Snapshot, Standing, standing};
use crate::view::MeshView;

/// Proxies that run the same.
struct ScratchGroup<'a> {
    target: &'a Arc<Snapshot>,
    acknowledged: Option<&'a Arc<Snapshot>>,
    proxies: i32,
}

/// The status of every object of `view`, given the proxies of the mesh.
pub(super) fn statuses<'a>(
    view: &MeshView,
    discovered: &Discovered,
    nodes: impl Iterator<Item = (&'a ResourceId, &'a NodeProxies)>,
) -> BTreeMap<ResourceId, ObjectStatus> {
    let mut statuses: BTreeMap<ResourceId, ObjectStatus> = view
        .resources
        .values()
        .map(|record| {
            let Standing { unserved, ineffective, notes } = standing(view, discovered, record);
            let status = ObjectStatus {
                arn: record.arn.clone(),
                resource: record.id.path(),
                kind: record.id.kind().to_string(),
                version: record.version,
                unserved,
                ineffective,
                notes,
                ..ObjectStatus::default()
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
        lag(view, target, node, &mut statuses);
        reject(node, &mut statuses);
    }
    statuses
}

/// Where two proxies of one instance overlap, as in a restart of Envoy, the instance is as far as the farther one.
fn connected(node: &NodeProxies) -> BTreeMap<String, bool> {
    let mut connected = BTreeMap::new();
    for proxy in node.proxies.values() {
        let Some(instance) = &proxy.instance else { continue };
        let acknowledged = proxy.progress.acknowledged.as_ref();
        let current = node.target.is_some() && same_snapshot(node.target.as_ref(), acknowledged);
        *connected.entry(instance.clone()).or_default() |= current;
    }
    connected
}

/// Of all streams of one holder, the one that is farthest: it is current, or acknowledged last, or says why it does not, or came
/// first. Those without a certificate speak each for itself.
fn speakers(node: &NodeProxies) -> Vec<&ConnectedProxy> {
    let mut voices: BTreeMap<HolderVoice, Vec<(u64, &ConnectedProxy)>> = BTreeMap::new();
    for (stream, proxy) in &node.proxies {
        voices.entry(proxy.voice).or_default().push((*stream, proxy));
    }
    let farthest = voices.into_values().filter_map(|streams| {
        streams.into_iter().max_by_key(|(stream, proxy)| {
            let Progress { acknowledged, rejections } = &proxy.progress;
            let current = node.target.is_some() && same_snapshot(node.target.as_ref(), acknowledged.as_ref());
            (current, proxy.acknowledged_at, !rejections.is_empty(), u64::MAX - stream)
        })
    });
    let mut farthest: Vec<(u64, &ConnectedProxy)> = farthest.collect();
    farthest.sort_by_key(|(stream, _)| *stream);
    farthest.into_iter().map(|(_, proxy)| proxy).collect()
}

fn groups<'a>(target: &'a Arc<Snapshot>, node: &'a NodeProxies) -> Vec<ScratchGroup<'a>> {
    let mut groups: Vec<ScratchGroup<'a>> = Vec::new();
    let speakers = speakers(node);
    for proxy in &speakers {
        let acknowledged = proxy.progress.acknowledged.as_ref();
        let same = |group: &&mut ScratchGroup<'a>| same_snapshot(group.acknowledged, acknowledged);
        match groups.iter_mut().find(same) {
            Some(group) => group.proxies += 1,
            None => groups.push(ScratchGroup { target, acknowledged, proxies: 1 }),
        }
    }
    // Who reports its load and is not connected runs what it got before, and sends requests by it.
    let elsewhere = i32::try_from(node.reporting.len().saturating_sub(speakers.len())).expect("few");
    if elsewhere > 0 {
        groups.push(ScratchGroup { target, acknowledged: None, proxies: elsewhere });
    }
    groups
}

fn count(
    view: &MeshView,
    caller: &str,
    group: &ScratchGroup<'_>,
    statuses: &mut BTreeMap<ResourceId, ObjectStatus>,
) {
    for id in group.target.objects.keys() {
        let (Some(status), Some(record)) = (statuses.get_mut(id), view.get(id)) else { continue };
        let acknowledged = group.acknowledged.is_some_and(|snapshot| snapshot.contains(record));
        let acknowledged = if acknowledged { group.proxies } else { 0 };
        status.proxies += group.proxies;
        status.acknowledged += acknowledged;
        if has_callers(id.kind()) {
            let caller = status.callers.entry(caller.to_owned()).or_default();
            caller.proxies += group.proxies;
            caller.acknowledged += acknowledged;
        }
    }
}

fn lag(
    view: &MeshView,
    target: &Snapshot,
    node: &NodeProxies,
    statuses: &mut BTreeMap<ResourceId, ObjectStatus>,
) {
    let names: BTreeSet<&str> = speakers(node).into_iter().map(|proxy| proxy.name.as_ref()).collect();
    for other in node.proxies.values().filter(|proxy| !names.contains(proxy.name.as_ref())) {
        for id in target.objects.keys() {
            let (Some(status), Some(record)) = (statuses.get_mut(id), view.get(id)) else { continue };
            let runs = other.progress.acknowledged.as_ref().is_some_and(|snapshot| snapshot.contains(record));
            status.lagging += i32::from(!runs);
        }
    }
}

fn reject(node: &NodeProxies, statuses: &mut BTreeMap<ResourceId, ObjectStatus>) {
    for proxy in speakers(node) {
        for rejection in &proxy.progress.rejections {
            for id in &rejection.objects {
                let Some(status) = statuses.get_mut(id) else { continue };
                let (proxy, message) = (proxy.name.to_string(), rejection.message.clone());
                status.rejected.push(Rejection { proxy, message });
            }
        }
    }
}
