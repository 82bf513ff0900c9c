//! The edge of the scenario: an instance that runs the gateway of `samples/gateway` and nothing else, and one that is no
//! member of the mesh.

use anyhow::Result;

use super::{LIMIT, MESH};
use crate::dns::Zone;
use crate::envoy::Envoy;
use crate::netns::{NetnsInstance, Network};
use crate::run_dir::RunDir;

/// The gateway's virtual gateway, and the host name that clients know it by.
const GATEWAY: (&str, &str) = ("edge", "edge.apps.local");

/// The gateway and its client. Fields are dropped in this order.
#[derive(Debug)]
pub struct Edge {
    _envoy: Envoy,
    _gateway: NetnsInstance,
    /// An instance without a proxy.
    pub outside: NetnsInstance,
}

/// The instances, before the gateway's proxy runs.
#[derive(Debug)]
pub(super) struct EdgeInstances {
    gateway: NetnsInstance,
    outside: NetnsInstance,
}

impl EdgeInstances {
    /// Makes both and gives the gateway its name in `zone`.
    ///
    /// # Errors
    /// An instance cannot be made.
    pub(super) async fn make(network: &mut Network, zone: &mut Zone, run: &RunDir) -> Result<Self> {
        let (node, name) = GATEWAY;
        let gateway = network.instance(node, run).await?;
        zone.add(name, gateway.ipv4()).add(name, gateway.ipv6());
        Ok(Self { gateway, outside: network.instance("outside", run).await? })
    }

    /// Starts the gateway's proxy and awaits that it serves.
    ///
    /// # Errors
    /// It does not start, or gets no configuration.
    pub(super) async fn start(self, control_plane: &str, run: &RunDir) -> Result<Edge> {
        let resource = format!("mesh/{MESH}/virtualGateway/{}", GATEWAY.0);
        let mut envoy = Envoy::start(&resource, control_plane, &self.gateway, run).await?;
        envoy.ready(&self.gateway, LIMIT).await?;
        Ok(Edge { _envoy: envoy, _gateway: self.gateway, outside: self.outside })
    }
}
