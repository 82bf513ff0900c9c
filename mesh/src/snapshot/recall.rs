//! Recognises, after a restart, the clusters that a proxy still has from before. Pure.
//!
//! The version of an answer of clusters ends in a mark per cluster. A proxy repeats that version when it connects again,
//! which shows what it has, though nothing was remembered here: clusters that its routes may still need (because it
//! refused newer routes, say) can be kept until it has acknowledged others. Nobody else can make such marks, so a proxy
//! gets no cluster by a version that its node was not given.

use std::collections::BTreeSet;
use std::sync::Arc;

use fleetmesh_model::{ResourceId, Spec};

use super::cluster;
use super::endpoint::endpoint;
use super::inputs::Reader;
use super::resource::{Resource, ResourceSet};
use super::version::VersionKeys;
use crate::cloud_map::Discovered;
use crate::view::MeshView;

/// The clusters of other nodes that `version`, of an answer of clusters to a proxy of `node`, was made of, as `view` would
/// make them now. Those whose node is gone are not among them, nor is any that `keys` do not vouch for.
pub fn recall(view: &MeshView, keys: &VersionKeys, node: &ResourceId, version: &str) -> ResourceSet {
    let claimed = keys.claimed(node, version);
    let mesh = node.mesh_name();
    // Endpoints are not recalled, so what is discovered does not matter.
    let discovered = Discovered::default();
    let reader = Reader::new(view, &discovered, mesh);
    let Some(found) = reader.mesh_spec().filter(|_| !claimed.is_empty()) else { return ResourceSet::new() };
    let mut clusters = ResourceSet::new();
    for record in view.resources.values() {
        let Spec::VirtualNode(node) = &record.spec else { continue };
        for listener in node.listeners() {
            let target = endpoint(&reader, record.id.name(), Some(listener.port_mapping.port));
            let Some(target) = target.ok().filter(|target| claimed.holds(&target.cluster())) else {
                continue;
            };
            let name = target.cluster();
            let objects = BTreeSet::from([ResourceId::mesh(mesh), record.id.clone()]);
            let cluster =
                Resource::new(name.clone(), &cluster::egress(found.spec, &target), BTreeSet::new(), objects);
            clusters.insert(name, Arc::new(cluster));
        }
    }
    clusters
}
