//! Envoy resources as they go over the wire: encoded once, named, versioned by content. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use fleetmesh_model::ResourceId;
use prost::{Message, Name};
use sha2::{Digest, Sha256};

use super::dns;

/// The types of resources that proxies discover, in the order in which additions are safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResourceType {
    /// `envoy.config.cluster.v3.Cluster`, by CDS.
    Cluster,
    /// `envoy.config.endpoint.v3.ClusterLoadAssignment`, by EDS: of virtual nodes that Cloud Map discovers.
    Endpoint,
    /// `envoy.extensions.transport_sockets.tls.v3.Secret`, by SDS: which files of the proxy's host are whose certificate.
    Secret,
    /// `envoy.config.listener.v3.Listener`, by LDS.
    Listener,
    /// `envoy.config.route.v3.RouteConfiguration`, by RDS.
    Route,
}

impl ResourceType {
    /// Every type, in the order in which additions are safe.
    pub const ALL: [Self; 5] = [Self::Cluster, Self::Endpoint, Self::Secret, Self::Listener, Self::Route];

    /// A word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cluster => "cluster",
            Self::Endpoint => "endpoint",
            Self::Secret => "secret",
            Self::Listener => "listener",
            Self::Route => "route",
        }
    }

    /// The type's URL in discovery requests.
    pub fn url(self) -> &'static str {
        match self {
            Self::Cluster => "type.googleapis.com/envoy.config.cluster.v3.Cluster",
            Self::Endpoint => "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
            Self::Secret => "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
            Self::Listener => "type.googleapis.com/envoy.config.listener.v3.Listener",
            Self::Route => "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
        }
    }

    /// The type that `url` names; `None` when it is not served.
    pub fn from_url(url: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.url() == url)
    }

    /// Whether an answer always holds every resource, so that what is missing from it is removed (CDS and LDS).
    pub fn is_complete(self) -> bool {
        matches!(self, Self::Cluster | Self::Listener)
    }
}

/// One Envoy resource.
#[derive(Debug)]
pub struct Resource {
    /// Its name.
    pub name: String,
    /// A hash of its content.
    pub version: String,
    /// The encoded `google.protobuf.Any` that holds it.
    pub body: Bytes,
    /// The same for proxies of Envoy 1.34 or later ([`ProxyNode::is_newer`](crate::ads::identity::ProxyNode::is_newer)), where they get it in
    /// other words.
    pub newer: Option<Bytes>,
    /// The clusters it refers to; empty for clusters.
    pub clusters: BTreeSet<String>,
    /// The App Mesh objects it was made from.
    pub objects: BTreeSet<ResourceId>,
}

impl Resource {
    /// Encodes `message`.
    pub fn new<T: Message + Name>(
        name: impl Into<String>,
        message: &T,
        clusters: BTreeSet<String>,
        objects: BTreeSet<ResourceId>,
    ) -> Self {
        let body = encoded(message);
        Self { name: name.into(), version: hash([body.as_ref()]), body, newer: None, clusters, objects }
    }

    /// Encodes a cluster in the words of all proxies. Its version is that of the older ones: what it says is the same.
    pub fn of_cluster(cluster: &Cluster, objects: BTreeSet<ResourceId>) -> Self {
        let newer = dns::by_extension(cluster).map(|newer| encoded(&newer));
        Self { newer, ..Self::new(cluster.name.clone(), cluster, BTreeSet::new(), objects) }
    }

    /// What a proxy gets.
    pub fn body(&self, is_newer: bool) -> &Bytes {
        self.newer.as_ref().filter(|_| is_newer).unwrap_or(&self.body)
    }

    fn size(&self) -> usize {
        self.body(true).len().max(self.body.len())
    }
}

fn encoded<T: Message + Name>(message: &T) -> Bytes {
    let any =
        envoy_types::pb::google::protobuf::Any { type_url: T::type_url(), value: message.encode_to_vec() };
    Bytes::from(any.encode_to_vec())
}

/// Resources of one type, by name.
pub type ResourceSet = BTreeMap<String, Arc<Resource>>;

/// Resources of one type as one answer to a proxy.
#[derive(Debug)]
pub struct Content {
    /// A hash of the resources' names and versions: the same resources have the same version in every process and
    /// after every restart.
    pub version: String,
    /// The resources.
    pub resources: ResourceSet,
}

impl Content {
    /// The answer that holds `resources`, all of one type.
    pub fn new(resources: ResourceSet) -> Self {
        let parts =
            resources.values().flat_map(|resource| [resource.name.as_bytes(), resource.version.as_bytes()]);
        Self { version: hash(parts), resources }
    }

    /// At most how many bytes the resources take in an answer: each its body, a tag, a length and a mark in the version.
    pub fn size(&self) -> usize {
        self.resources.values().map(|resource| resource.size() + 24).sum()
    }

    /// Whether both have the resource `name`, the same version of it.
    pub fn agrees(&self, other: &Self, name: &str) -> bool {
        let both = self.resources.get(name).zip(other.resources.get(name));
        both.is_some_and(|(one, other)| one.version == other.version)
    }

    /// Whether every resource of `self` is in `other`, the same version of it.
    pub fn is_within(&self, other: &Self) -> bool {
        self.resources.iter().all(|(name, resource)| {
            other.resources.get(name).is_some_and(|found| found.version == resource.version)
        })
    }
}

impl Default for Content {
    fn default() -> Self {
        Self::new(ResourceSet::new())
    }
}

/// Hexadecimal digits by which these parts differ from all others.
pub(super) fn hash(parts: impl IntoIterator<Item = impl AsRef<[u8]>>) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        let part = part.as_ref();
        hasher.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hasher.update(part);
    }
    format!("{:.16}", hex::encode(hasher.finalize()))
}
