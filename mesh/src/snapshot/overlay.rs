//! A snapshot in which some resources are not those of the newest specs. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::cluster::v3::cluster::{ClusterDiscoveryType, DiscoveryType};
use envoy_types::pb::envoy::config::endpoint::v3::ClusterLoadAssignment;
use fleetmesh_model::ResourceId;

use super::resource::{Content, Resource, ResourceSet, ResourceType};
use super::{Snapshot, Targets, names, proto};

/// How long connecting to a cluster without endpoints may take, in milliseconds: nothing ever does.
const CONNECT: u64 = 1000;

/// What a snapshot has instead of what it was built with.
#[derive(Debug, Default)]
pub(crate) struct Overlay {
    /// All resources of the types that differ.
    pub(crate) contents: BTreeMap<ResourceType, ResourceSet>,
    /// The objects whose newest version is not in force by it.
    pub(crate) without: BTreeSet<ResourceId>,
    /// The types of which something is left out that a proxy may run in a form that is not known.
    pub(crate) left_out: BTreeSet<ResourceType>,
    /// Where clusters lead that are not in the snapshot itself.
    pub(crate) nodes: BTreeMap<String, ResourceId>,
}

impl Snapshot {
    /// The same snapshot with what `overlay` has.
    pub(crate) fn overlaid(&self, overlay: Overlay) -> Self {
        let Overlay { mut contents, without, left_out, nodes } = overlay;
        let mut content = |kind| {
            let replaced = contents.remove(&kind).map(|resources| Arc::new(Content::new(resources)));
            replaced.unwrap_or_else(|| Arc::clone(self.content(kind)))
        };
        let mut objects = self.objects.clone();
        objects.retain(|id, _| !without.contains(id));
        let targets = if nodes.is_empty() {
            Arc::clone(&self.targets)
        } else {
            let mut all = nodes;
            all.extend(self.targets.nodes.clone());
            Arc::new(Targets { nodes: all, own: self.targets.own.clone() })
        };
        let listeners = content(ResourceType::Listener);
        // Whether an earlier form of it takes TLS is not known.
        let same = listeners.agrees(&self.listeners, names::INGRESS_LISTENER);
        Self {
            node: self.node.clone(),
            objects,
            inputs: Arc::clone(&self.inputs),
            targets,
            ports: Arc::clone(&self.ports),
            tls: if same { Arc::clone(&self.tls) } else { Arc::default() },
            left_out,
            clusters: content(ResourceType::Cluster),
            endpoints: content(ResourceType::Endpoint),
            secrets: content(ResourceType::Secret),
            listeners,
            routes: content(ResourceType::Route),
        }
    }
}

/// A cluster of this name that leads nowhere: what refers to it stays valid, and answers 503.
pub(crate) fn stand_in(of: &Resource) -> Resource {
    let cluster = Cluster {
        name: of.name.clone(),
        connect_timeout: proto::millis(CONNECT),
        cluster_discovery_type: Some(ClusterDiscoveryType::Type(DiscoveryType::Static.into())),
        load_assignment: Some(ClusterLoadAssignment {
            cluster_name: of.name.clone(),
            ..ClusterLoadAssignment::default()
        }),
        ..Cluster::default()
    };
    Resource::new(of.name.clone(), &cluster, BTreeSet::new(), of.objects.clone())
}
