//! Recognises, after a restart, the clusters that a proxy still has from before. Pure.
//!
//! The version of an answer of clusters ends in a mark per cluster. A proxy repeats that version when it connects again,
//! which shows what it has, though nothing was remembered here: clusters that its routes may still need (because it
//! refused newer routes, say) can be kept until it has acknowledged others. Nobody else can make such marks, so a proxy
//! gets no cluster by a version that its node was not given.

use std::collections::BTreeSet;
use std::sync::Arc;

use fleetmesh_model::tls::ClientPolicyTls;
use fleetmesh_model::{MeshSpec, ResourceId, Spec, VirtualNodeSpec};

use super::cluster;
use super::egress::default_policy;
use super::endpoint::{Endpoint, Target, endpoint};
use super::http_options::HttpWays;
use super::inputs::Reader;
use super::resource::{Resource, ResourceSet};
use super::tls;
use super::version::VersionKeys;
use crate::cloud_map::Discovered;
use crate::view::MeshView;

/// The clusters of other nodes that `version`, of an answer of clusters to a proxy of `node`, was made of, as `view` would
/// make them now with the authorities that are `discovered`. Those whose node is gone are not among them, nor is any that `keys` do not
/// vouch for.
pub fn recall(
    view: &MeshView,
    discovered: &Discovered,
    keys: &VersionKeys,
    node: &ResourceId,
    version: &str,
) -> ResourceSet {
    let claimed = keys.claimed(node, version);
    let mesh = node.mesh_name();
    let reader = Reader::new(view, discovered, mesh);
    let Some(found) = reader.mesh_spec().filter(|_| !claimed.is_empty()) else { return ResourceSet::new() };
    // A gateway has no client policies by which it could be said how it reached a node.
    let Some(caller) = reader.virtual_node(node.name()) else { return ResourceSet::new() };
    let (policies, http) = (policies(caller.spec), HttpWays::of(&reader, caller.record));
    let mut clusters = ResourceSet::new();
    for record in view.resources.values() {
        let Spec::VirtualNode(node) = &record.spec else { continue };
        for listener in node.listeners() {
            let reached = endpoint(&reader, record.id.name(), Some(listener.port_mapping.port));
            let targets = reached.into_iter().flat_map(|reached| ways(&reader, reached, &policies));
            for target in targets.filter(|target| claimed.holds(&target.cluster())) {
                let objects = BTreeSet::from([ResourceId::mesh(mesh), record.id.clone()]);
                let resource = resource(found.spec, http, &target, objects);
                clusters.insert(resource.name.clone(), Arc::new(resource));
            }
        }
    }
    clusters
}

/// The client policies by which the proxies of a node may reach others: of each backend, and of those without one.
fn policies(caller: &VirtualNodeSpec) -> Vec<Option<&ClientPolicyTls>> {
    let defaults = default_policy(caller);
    let own = caller.backends().map(|backend| backend.client_policy.as_ref());
    own.chain([None]).map(|own| tls::effective(own, defaults)).collect()
}

/// The ways in which an endpoint may be reached by these policies. The plain name does not say which way it was, so it is none of
/// them when there are several: what was encrypted must not go on in plaintext.
fn ways<'a>(
    reader: &Reader<'a>,
    endpoint: Endpoint<'a>,
    policies: &[Option<&'a ClientPolicyTls>],
) -> Vec<Target<'a>> {
    let mut ways: Vec<Option<Target<'a>>> = Vec::new();
    for way in policies.iter().map(|policy| Target::new(reader, endpoint, *policy)) {
        let same = |known: &Option<Target<'a>>| known.map(|known| known.tls) == way.map(|way| way.tls);
        if !ways.iter().any(same) {
            ways.push(way);
        }
    }
    let apart = ways.len() > 1;
    ways.into_iter().flatten().map(|way| Target { apart, ..way }).collect()
}

fn resource(mesh: &MeshSpec, http: HttpWays, target: &Target<'_>, objects: BTreeSet<ResourceId>) -> Resource {
    let (cluster, _) = cluster::egress(mesh, http, target);
    Resource::of_cluster(&cluster, objects)
}
