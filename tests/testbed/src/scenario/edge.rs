//! The edge of the scenario: an instance that runs the gateway of `samples/gateway` and nothing else, and one that is no
//! member of the mesh.

use anyhow::Result;
use serde_json::json;

use super::identities::{self, Identities};
use super::installation::Installation;
use super::member::{Admission, Membership};
use super::{LIMIT, MESH, Observer};
use crate::dns::Zone;
use crate::envoy::Envoy;
use crate::netns::{NetnsInstance, Network};
use crate::run_dir::RunDir;

/// The gateway's virtual gateway, and the host name that clients know it by.
const GATEWAY: (&str, &str) = ("edge", "edge.apps.local");
/// What the gateway's instance, which no fleet launched, is called in EC2.
const INSTANCE: &str = "i-0000000000000000e";

/// The gateway and its client. Fields are dropped in this order.
#[derive(Debug)]
pub struct Edge {
    _envoy: Envoy,
    _membership: Membership,
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

    /// Gives the gateway an identity, starts its proxy and awaits that it serves.
    ///
    /// # Errors
    /// It gets no role, does not start, or gets no configuration.
    pub(super) async fn start(
        self,
        installation: &Installation,
        admission: &Admission,
        run: &RunDir,
        observer: &mut dyn Observer,
    ) -> Result<Edge> {
        let (node, resource) = (GATEWAY.0, format!("mesh/{MESH}/virtualGateway/{}", GATEWAY.0));
        let (kind, objects) = ("VirtualGateway", &installation.objects);
        let role = match admission.identities {
            Identities::Moto(_) => {
                observer.step("an identity for the gateway: iam: {}");
                objects.merge(kind, MESH, node, &json!({ "spec": { "iam": {} } })).await?;
                identities::role_of(objects, kind, node).await?
            }
            Identities::Sts(_) => identities::grant(installation, &resource, node).await?,
        };
        let membership = admission.admit(&self.gateway, &resource, (INSTANCE, &role), run).await?;
        let bootstrap = membership.bootstrap(&resource).await?;
        let mut envoy = Envoy::start_with(&bootstrap, &self.gateway, run)?;
        envoy.ready(&self.gateway, LIMIT).await?;
        Ok(Edge { _envoy: envoy, _membership: membership, _gateway: self.gateway, outside: self.outside })
    }
}
