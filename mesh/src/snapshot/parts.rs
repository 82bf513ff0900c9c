//! The resources of one snapshot while they are collected, and what those of nodes and of gateways have in common. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::listener::v3::FilterChain;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::Secret;
use fleetmesh_model::common::PortProtocol;
use fleetmesh_model::service_discovery::ServiceDiscovery;
use fleetmesh_model::{MeshSpec, ResourceId};
use prost::{Message, Name};

use super::endpoint::Target;
use super::http_options::HttpWays;
use super::inputs::{FoundInput, Reader};
use super::resource::{Resource, ResourceSet};
use super::tls::{self, ServerTls, TlsSocket};
use super::{Targets, assignment, cluster, listener};

/// The resources of one snapshot.
#[derive(Default)]
pub(super) struct Parts {
    pub(super) targets: Targets,
    /// The ports on which connections of other proxies are taken.
    pub(super) ports: BTreeSet<i32>,
    /// Those on which TLS is taken, with the secrets of the stream that this needs.
    pub(super) tls: BTreeMap<i32, BTreeSet<String>>,
    pub(super) clusters: ResourceSet,
    pub(super) endpoints: ResourceSet,
    pub(super) secrets: ResourceSet,
    pub(super) listeners: ResourceSet,
    pub(super) routes: ResourceSet,
}

impl Parts {
    /// Adds a cluster that was made from these objects.
    pub(super) fn cluster(&mut self, cluster: &Cluster, objects: BTreeSet<ResourceId>) {
        if !self.clusters.contains_key(&cluster.name) {
            let resource = Resource::of_cluster(cluster, objects);
            self.clusters.insert(cluster.name.clone(), Arc::new(resource));
        }
    }

    /// The cluster of `target`, which is not added yet; its instances are, and the secrets that it names, made from `own`. `http` is how
    /// the caller speaks HTTP. `None` when the cluster is there: several routes lead to most targets.
    pub(super) fn way(
        &mut self,
        reader: &Reader<'_>,
        mesh: FoundInput<'_, MeshSpec>,
        http: HttpWays,
        target: &Target<'_>,
        own: &BTreeSet<ResourceId>,
    ) -> Option<Cluster> {
        if self.clusters.contains_key(&target.cluster()) {
            return None;
        }
        let (cluster, secrets) = cluster::egress(mesh.spec, http, target);
        self.secrets(&secrets, own);
        self.targets.nodes.insert(cluster.name.clone(), target.endpoint.node.record.id.clone());
        self.instances(reader, mesh, target);
        Some(cluster)
    }

    /// Adds the instances of a target that Cloud Map discovers; nothing, which is not an empty list, for what it never did.
    fn instances(&mut self, reader: &Reader<'_>, mesh: FoundInput<'_, MeshSpec>, target: &Target<'_>) {
        let ServiceDiscovery::AwsCloudMap(cloud_map) = target.endpoint.discovery else { return };
        let preference = cluster::mesh_preference(mesh.spec);
        if let Some(found) = assignment::of(reader, preference, target, cloud_map) {
            let made_from = BTreeSet::from([mesh.record.id.clone(), target.endpoint.node.record.id.clone()]);
            add(&mut self.endpoints, found.cluster_name.clone(), &found, BTreeSet::new(), made_from);
        }
    }

    /// What takes connections as `server` says, of the chain that takes plaintext; none where nothing is let in. The secrets that
    /// they name are added, made from `own`. The listener is in `mesh`.
    pub(super) fn chains(
        &mut self,
        plain: FilterChain,
        server: ServerTls<'_>,
        protocol: PortProtocol,
        mesh: FoundInput<'_, MeshSpec>,
        own: &BTreeSet<ResourceId>,
    ) -> Vec<FilterChain> {
        let (tls, beside) = match server {
            ServerTls::Plaintext => return vec![plain],
            ServerTls::Closed => return Vec::new(),
            ServerTls::Strict(tls) => (tls, None),
            ServerTls::Permissive(tls) => (tls, Some(listener::beside_tls(plain.clone()))),
        };
        let TlsSocket { socket, secrets } = tls::server_socket(tls, protocol, &mesh.record.arn);
        self.secrets(&secrets, own);
        let over_tls = listener::over_tls(plain, socket, beside.is_some());
        [over_tls].into_iter().chain(beside).collect()
    }

    /// Secrets say what they are by their names, so one that is there already is the same.
    fn secrets(&mut self, secrets: &[Secret], own: &BTreeSet<ResourceId>) {
        for secret in secrets {
            add(&mut self.secrets, secret.name.clone(), secret, BTreeSet::new(), own.clone());
        }
    }
}

/// Adds a resource to a set, unless one of its name is there.
pub(super) fn add<T: Message + Name>(
    set: &mut ResourceSet,
    name: String,
    message: &T,
    referred: BTreeSet<String>,
    objects: BTreeSet<ResourceId>,
) {
    if !set.contains_key(&name) {
        set.insert(name.clone(), Arc::new(Resource::new(name, message, referred, objects)));
    }
}
