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

/// The bytes of one resource, which all proxies share, in either variant of the protocol.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// The encoded `google.protobuf.Any` that holds it.
    pub any: Bytes,
    /// The encoded `envoy.service.discovery.v3.Resource`, with its name and version: in memory, the former is a part of it.
    pub named: Bytes,
}

impl Encoded {
    /// `any` of the resource `name` in its version `version`.
    pub(super) fn new(name: &str, version: &str, any: Vec<u8>) -> Self {
        let length = any.len();
        let mut whole = NamedResource { version: version.to_owned(), any, name: name.to_owned() };
        let named = Bytes::from(whole.encode_to_vec());
        (whole.version, whole.any) = Default::default();
        // What comes after it is the name.
        let end = named.len() - whole.encoded_len();
        Self { any: named.slice(end - length..end), named }
    }
}

/// `envoy.service.discovery.v3.Resource`.
#[derive(Clone, PartialEq, Message)]
struct NamedResource {
    #[prost(string, tag = "1")]
    version: String,
    #[prost(bytes = "vec", tag = "2")]
    any: Vec<u8>,
    #[prost(string, tag = "3")]
    name: String,
}

/// One Envoy resource.
#[derive(Debug)]
pub struct Resource {
    /// Its name.
    pub name: String,
    /// A hash of its content.
    pub version: String,
    /// It as it is sent.
    pub encoded: Encoded,
    /// The same for proxies of Envoy 1.34 or later ([`ProxyNode::is_newer`](crate::ads::identity::ProxyNode::is_newer)), where they get it in
    /// other words.
    pub newer: Option<Encoded>,
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
        let (name, any) = (name.into(), encoded(message));
        let version = hash([any.as_slice()]);
        Self::stored(name, version, any, clusters, objects)
    }

    /// One that was encoded before, as its `any`.
    pub(crate) fn stored(
        name: String,
        version: String,
        any: Vec<u8>,
        clusters: BTreeSet<String>,
        objects: BTreeSet<ResourceId>,
    ) -> Self {
        let encoded = Encoded::new(&name, &version, any);
        Self { name, version, encoded, newer: None, clusters, objects }
    }

    /// Encodes a cluster in the words of all proxies. Its version is that of the older ones: what it says is the same.
    pub fn of_cluster(cluster: &Cluster, objects: BTreeSet<ResourceId>) -> Self {
        let made = Self::new(cluster.name.clone(), cluster, BTreeSet::new(), objects);
        let newer = dns::by_extension(cluster);
        let newer = newer.map(|newer| Encoded::new(&made.name, &made.version, encoded(&newer)));
        Self { newer, ..made }
    }

    /// The `google.protobuf.Any` of it, in the words of all proxies.
    pub fn body(&self) -> &Bytes {
        &self.encoded.any
    }

    /// What a proxy gets.
    pub fn encoded(&self, is_newer: bool) -> &Encoded {
        self.newer.as_ref().filter(|_| is_newer).unwrap_or(&self.encoded)
    }

    /// At most how many bytes it takes in an answer: itself, a tag, a length, and a mark in the version.
    pub fn size(&self) -> usize {
        self.encoded(true).named.len().max(self.encoded.named.len()) + 24
    }
}

pub(super) fn encoded<T: Message + Name>(message: &T) -> Vec<u8> {
    let any =
        envoy_types::pb::google::protobuf::Any { type_url: T::type_url(), value: message.encode_to_vec() };
    any.encode_to_vec()
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

    /// At most how many bytes the resources take in an answer.
    pub fn size(&self) -> usize {
        self.resources.values().map(|resource| resource.size()).sum()
    }

    /// Whether both have the resource `name`, the same version of it.
    pub fn agrees(&self, other: &Self, name: &str) -> bool {
        let both = self.resources.get(name).zip(other.resources.get(name));
        both.is_some_and(|(one, other)| one.version == other.version)
    }

    /// Whether every resource of `self` is in `other`, the same version of it.
    pub fn is_within(&self, other: &Self) -> bool {
        // The version stands for the names and versions of all: mostly that is enough, and names need not be compared one by one.
        self.version == other.version
            || self.resources.iter().all(|(name, resource)| {
                let found = other.resources.get(name);
                found.is_some_and(|found| Arc::ptr_eq(found, resource) || found.version == resource.version)
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

#[cfg(test)]
mod tests {
    use envoy_types::pb::envoy::service::discovery::v3::Resource as Sent;
    use envoy_types::pb::google::protobuf::Any;

    use super::*;

    #[test]
    fn both_variants_of_the_protocol_share_the_bytes_of_a_resource() {
        let cluster = Cluster { name: "c".into(), ..Cluster::default() };
        let made = Resource::of_cluster(&cluster, BTreeSet::new());
        let Encoded { any, named } = made.encoded(false);
        let sent = Sent::decode(named.clone()).expect("a resource");
        assert_eq!((sent.name.as_str(), &sent.version), ("c", &made.version));
        assert_eq!(sent.resource, Some(Any::decode(any.clone()).expect("an Any")));
        assert!(named.as_ptr_range().contains(&any.as_ptr()), "the same bytes, not a copy");
    }
}
