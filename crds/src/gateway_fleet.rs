//! `fleet` of a virtual gateway: the EC2 instances that run its proxies. Pure data and its rules.

use fleetmesh_model::rule::Rule;
use fleetmesh_model::schema::{add_rule, exactly_one_of};
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

use crate::fleet::{Capacity, Enroll, Fleet, Image, MAX_REPLICAS, Network, Proxy, Rollout};

pub(crate) const ENROLL_ALONE: Rule = Rule {
    cel: "!has(self.enroll) || !(has(self.capacity) || has(self.image) || has(self.network) || has(self.proxy) || has(self.rollout))",
    message: "enroll takes the gateway's instances as they are: capacity, image, network, proxy and rollout must not be set beside it",
};

fn fleet_rules(schema: &mut Schema) {
    exactly_one_of(schema, &["replicas", "enroll"]);
    add_rule(schema, &ENROLL_ALONE);
}

/// The EC2 instances of a virtual gateway: either so many that Fleetmesh launches (`replicas`), or some that exist (`enroll`).
/// They run a proxy and nothing else.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = fleet_rules)]
pub struct GatewayFleet {
    /// What kind of instances, of those that the class allows; as the class says when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<Capacity>,
    /// The FleetClass, which says what the fleet may be made of; the default class when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"))]
    pub class_name: Option<String>,
    /// Instances that exist already, instead of replicas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enroll: Option<Enroll>,
    /// The AMI, of those that the class allows; as the class says when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Image>,
    /// Where instances are launched, within what the class allows; as the class says when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
    /// The proxy on each instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<GatewayProxy>,
    /// How many instances there are to be, 0 to 1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = MAX_REPLICAS))]
    pub replicas: Option<i32>,
    /// How instances are replaced when what they are launched from changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Rollout>,
}

/// The proxy on each instance of a gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewayProxy {
    /// `AppMesh` for AWS's image, `Envoy` for the stock one, or an image of your own as `registry/image:tag`.
    #[serde(default = "GatewayProxy::default_image")]
    #[schemars(length(min = 1, max = 1024))]
    pub image: String,
    /// The user id that the proxy runs as; 0 to 2147483647.
    #[serde(default = "GatewayProxy::default_uid")]
    #[schemars(range(min = 0))]
    pub uid: i32,
}

impl GatewayProxy {
    fn default_image() -> String {
        Proxy::default().image
    }

    fn default_uid() -> i32 {
        Proxy::default().uid
    }
}

impl From<GatewayFleet> for Fleet {
    fn from(fleet: GatewayFleet) -> Self {
        let GatewayFleet { capacity, class_name, enroll, image, network, proxy, replicas, rollout } = fleet;
        let proxy = proxy.map(|GatewayProxy { image, uid }| Proxy { image, uid, ..Proxy::default() });
        Self { app: None, capacity, class_name, enroll, image, network, proxy, replicas, rollout }
    }
}
