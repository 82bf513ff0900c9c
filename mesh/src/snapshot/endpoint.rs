//! Where traffic ends: one port of one virtual node, or why it cannot be reached. Pure.

use std::fmt;

use fleetmesh_model::VirtualNodeSpec;
use fleetmesh_model::common::PortProtocol;
use fleetmesh_model::listener::Listener;
use fleetmesh_model::service_discovery::ServiceDiscovery;
use fleetmesh_model::tls::ClientPolicyTls;

use super::inputs::{FoundInput, Reader};
use super::names::{self, Direction};
use super::tls::ClientTls;
use crate::http_tags::HttpTags;

/// One port of a virtual node that callers can find.
#[derive(Clone, Copy, Debug)]
pub(super) struct Endpoint<'a> {
    pub(super) node: FoundInput<'a, VirtualNodeSpec>,
    pub(super) listener: &'a Listener,
    pub(super) discovery: &'a ServiceDiscovery,
}

impl Endpoint<'_> {
    /// The protocol spoken on the port.
    pub(super) fn protocol(&self) -> PortProtocol {
        self.listener.port_mapping.protocol
    }

    /// What its node's tags say about HTTP.
    pub(super) fn http(&self) -> HttpTags {
        HttpTags::of(&self.node.record.tags)
    }

    /// The port.
    pub(super) fn port(&self) -> i32 {
        self.listener.port_mapping.port
    }
}

/// An endpoint as one backend reaches it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target<'a> {
    pub(super) endpoint: Endpoint<'a>,
    pub(super) tls: ClientTls<'a>,
    /// Whether other backends reach the endpoint in other ways.
    pub(super) apart: bool,
}

impl<'a> Target<'a> {
    /// How a client with `policy` reaches `endpoint`, as the only one; `None` when it must not, because what it is to trust
    /// cannot be had.
    pub(super) fn new(
        reader: &Reader<'a>,
        endpoint: Endpoint<'a>,
        policy: Option<&'a ClientPolicyTls>,
    ) -> Option<Self> {
        let server = reader.callers_tls(&endpoint.node.record.id, endpoint.listener);
        let tls = ClientTls::towards(reader, policy, endpoint.port(), server);
        (tls != ClientTls::Closed).then_some(Self { endpoint, tls, apart: false })
    }

    /// The name of the cluster that callers use.
    pub(super) fn cluster(&self) -> String {
        let id = &self.endpoint.node.record.id;
        let (protocol, port) = (self.endpoint.protocol(), self.endpoint.port());
        let name = names::cluster(Direction::Egress, id.mesh_name(), id.name(), protocol, port);
        if self.apart { names::cluster_apart(&name, &self.tls.mark()) } else { name }
    }
}

/// Why callers cannot reach a port of a virtual node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unreachable {
    Missing(String),
    NoListener(String),
    NoListenerOn(String, i32),
    NoDiscovery(String),
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(node) => write!(f, "virtual node {node:?} does not exist"),
            Self::NoListener(node) => write!(f, "virtual node {node:?} has no listener"),
            Self::NoListenerOn(node, port) => {
                write!(f, "virtual node {node:?} has no listener on port {port}")
            }
            Self::NoDiscovery(node) => write!(f, "virtual node {node:?} has no serviceDiscovery"),
        }
    }
}

/// The port of `node` that a target means: `port`, or the node's first listener when the target names none (App Mesh
/// demands a port only of nodes with several).
pub(super) fn endpoint<'a>(
    reader: &Reader<'a>,
    node: &str,
    port: Option<i32>,
) -> Result<Endpoint<'a>, Unreachable> {
    let found = reader.virtual_node(node).ok_or_else(|| Unreachable::Missing(node.to_owned()))?;
    let mut listeners = found.spec.listeners().iter();
    let listener = match port {
        Some(port) => listeners
            .find(|listener| listener.port_mapping.port == port)
            .ok_or_else(|| Unreachable::NoListenerOn(node.to_owned(), port))?,
        None => listeners.next().ok_or_else(|| Unreachable::NoListener(node.to_owned()))?,
    };
    match &found.spec.service_discovery {
        Some(discovery) => Ok(Endpoint { node: found, listener, discovery }),
        None => Err(Unreachable::NoDiscovery(node.to_owned())),
    }
}
