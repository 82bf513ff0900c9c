//! The two variants of the protocol on the wire: how requests are read and answers written. What an answer holds is decided by
//! [`stream`](fleetmesh_mesh::ads::stream), the same for both.

use bytes::Bytes;
use fleetmesh_mesh::ads::stream::{Changes, Interest, Send, Variant};
use fleetmesh_mesh::ads::wire::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
};
use fleetmesh_mesh::snapshot::{Encoded, Resource, ResourceSet, reworded};
use prost::Message;

/// A variant of the protocol.
pub trait Protocol: Clone + std::marker::Send + Sync + 'static {
    /// Which one.
    const VARIANT: Variant;
    /// The path of its method.
    const PATH: &'static str;
    /// The longest request, in bytes.
    const LARGEST: usize;
    /// What proxies send.
    type Request: Message + Default + 'static;
    /// What they are answered.
    type Answer: Message + 'static;

    /// The encoded node of a request, if it has one.
    fn node(request: &Self::Request) -> &Bytes;

    /// What a request says, whoever sent it.
    fn read(request: Self::Request) -> ProxyRequest;

    /// The answer `send`, in which all resources of the type have `version`, to a proxy that gets clusters in newer words or not.
    fn answer(send: &Send, version: impl FnOnce() -> String, is_newer: bool) -> Self::Answer;
}

/// A request as it was sent.
pub struct ProxyRequest {
    /// The type's URL.
    pub type_url: String,
    /// The nonce of the answer that it is about; empty for none.
    pub nonce: String,
    /// Why the proxy refuses that.
    pub error: Option<String>,
    /// What it says of resources; recalled is nothing.
    pub interest: Interest,
}

/// Answers that hold everything.
#[derive(Clone)]
pub struct StateOfTheWorld;

impl Protocol for StateOfTheWorld {
    const VARIANT: Variant = Variant::StateOfTheWorld;
    const PATH: &'static str =
        "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources";
    const LARGEST: usize = 256 * 1024;
    type Request = DiscoveryRequest;
    type Answer = DiscoveryResponse;

    fn node(request: &DiscoveryRequest) -> &Bytes {
        &request.node
    }

    fn read(request: DiscoveryRequest) -> ProxyRequest {
        let DiscoveryRequest {
            version_info: version,
            node: _,
            resource_names: names,
            type_url,
            response_nonce: nonce,
            error_detail,
        } = request;
        let interest = Interest::Whole { version, names, recalled: ResourceSet::new() };
        ProxyRequest { type_url, nonce, error: error_detail.map(|status| status.message), interest }
    }

    fn answer(send: &Send, version: impl FnOnce() -> String, is_newer: bool) -> DiscoveryResponse {
        DiscoveryResponse {
            version_info: version(),
            resources: send
                .content
                .resources
                .values()
                .map(|resource| worded(send, resource, is_newer).any)
                .collect(),
            type_url: send.kind.url().to_owned(),
            nonce: send.nonce.clone(),
        }
    }
}

/// Answers that hold what changes. A resource has the version of its content, and no mark: a proxy names what it has.
#[derive(Clone)]
pub struct Delta;

impl Protocol for Delta {
    const VARIANT: Variant = Variant::Delta;
    const PATH: &'static str =
        "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";
    /// A proxy that connects again lists what it has: of 4,096 clusters, as many as it may name at once, a name of 70 bytes and a
    /// version of 16 each, beside the 60 KB of its Node.
    const LARGEST: usize = 512 * 1024;
    type Request = DeltaDiscoveryRequest;
    type Answer = DeltaDiscoveryResponse;

    fn node(request: &DeltaDiscoveryRequest) -> &Bytes {
        &request.node
    }

    fn read(request: DeltaDiscoveryRequest) -> ProxyRequest {
        let DeltaDiscoveryRequest {
            node: _,
            type_url,
            resource_names_subscribe: subscribe,
            resource_names_unsubscribe: unsubscribe,
            initial_resource_versions: versions,
            response_nonce: nonce,
            error_detail,
        } = request;
        let interest = Interest::Change { subscribe, unsubscribe, versions };
        ProxyRequest { type_url, nonce, error: error_detail.map(|status| status.message), interest }
    }

    fn answer(send: &Send, _: impl FnOnce() -> String, is_newer: bool) -> DeltaDiscoveryResponse {
        let changes: &[_] = send.changes.as_ref().map_or(&[], |Changes { resources, .. }| resources);
        DeltaDiscoveryResponse {
            system_version_info: send.content.version.clone(),
            resources: changes.iter().map(|resource| worded(send, resource, is_newer).named).collect(),
            type_url: send.kind.url().to_owned(),
            nonce: send.nonce.clone(),
            removed_resources: send.changes.iter().flat_map(|changes| changes.removed.clone()).collect(),
        }
    }
}

/// A resource in the words of the answer `send`.
fn worded(send: &Send, resource: &Resource, is_newer: bool) -> Encoded {
    let other = send.wording.and_then(|number| reworded(resource, number));
    other.unwrap_or_else(|| resource.encoded(is_newer).clone())
}
