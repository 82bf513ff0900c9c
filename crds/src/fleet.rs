//! `fleet` of a virtual node: the EC2 instances that run it. Pure data and its rules.

use std::collections::BTreeMap;

use fleetmesh_model::rule::Rule;
use fleetmesh_model::schema::{add_rule, exactly_one_of, plain_enum};
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// The AMI that instances start from unless the fleet names one: the newest Amazon Linux 2023.
pub const DEFAULT_SSM_PARAMETER: &str =
    "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64";

/// The same for instance types of Graviton, which run arm64.
pub const DEFAULT_SSM_PARAMETER_ARM64: &str =
    "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64";

/// The pattern of an AMI's id.
pub const AMI_PATTERN: &str = "^ami-[0-9a-f]{8,17}$";

/// The most instances of one fleet.
pub const MAX_REPLICAS: i32 = 1000;

/// The most instances that a status lists one by one.
pub const MAX_LISTED_INSTANCES: usize = 50;

pub(crate) const LAUNCH_NEEDS: Rule =
    Rule { cel: "!has(self.replicas) || has(self.app)", message: "app must be set when replicas is" };
pub(crate) const ENROLL_ALONE: Rule = Rule {
    cel: "!has(self.enroll) || !(has(self.app) || has(self.capacity) || has(self.image) || has(self.network) || has(self.proxy) || has(self.rollout))",
    message: "enroll takes instances as they are: app, capacity, image, network, proxy and rollout must not be set beside it",
};
pub(crate) const SOME_MOVE: Rule = Rule {
    cel: "!(has(self.maxSurge) && self.maxSurge == 0 && (!has(self.maxUnavailable) || self.maxUnavailable == 0))",
    message: "maxSurge and maxUnavailable must not both be 0: no instance could be replaced",
};

pub(crate) const TYPES_ONCE: Rule = Rule {
    cel: "self.all(a, self.exists_one(b, a == b))",
    message: "instanceTypes must name each type once",
};
pub(crate) const SUBNETS_ONCE: Rule =
    Rule { cel: "self.all(a, self.exists_one(b, a == b))", message: "subnetIds must name each subnet once" };
pub(crate) const GROUPS_ONCE: Rule = Rule {
    cel: "self.all(a, self.exists_one(b, a == b))",
    message: "securityGroupIds must name each security group once",
};

fn fleet_rules(schema: &mut Schema) {
    exactly_one_of(schema, &["replicas", "enroll"]);
    for rule in [&LAUNCH_NEEDS, &ENROLL_ALONE] {
        add_rule(schema, rule);
    }
}

fn image_rules(schema: &mut Schema) {
    exactly_one_of(schema, &["id", "ssmParameter"]);
}

fn app_rules(schema: &mut Schema) {
    exactly_one_of(schema, &["container", "userData"]);
}

fn rollout_rules(schema: &mut Schema) {
    add_rule(schema, &SOME_MOVE);
}

fn strings(schema: &mut Schema, min: usize, max: usize, items: serde_json::Value) {
    schema.insert("minItems".into(), json!(min));
    schema.insert("maxItems".into(), json!(max));
    schema.insert("items".into(), items);
}

fn instance_types(schema: &mut Schema) {
    strings(
        schema,
        1,
        20,
        json!({ "type": "string", "pattern": "^[a-z0-9-]+\\.[a-z0-9-]+$", "maxLength": 64 }),
    );
    add_rule(schema, &TYPES_ONCE);
}

fn subnets(schema: &mut Schema) {
    strings(schema, 0, 16, json!({ "type": "string", "pattern": "^subnet-[0-9a-f]+$", "maxLength": 64 }));
    add_rule(schema, &SUBNETS_ONCE);
}

fn security_groups(schema: &mut Schema) {
    strings(schema, 0, 16, json!({ "type": "string", "pattern": "^sg-[0-9a-f]+$", "maxLength": 64 }));
    add_rule(schema, &GROUPS_ONCE);
}

fn ignored_ips(schema: &mut Schema) {
    strings(schema, 0, 50, json!({ "type": "string", "minLength": 1, "maxLength": 43 }));
}

fn ignored_ports(schema: &mut Schema) {
    strings(schema, 0, 50, json!({ "type": "integer", "format": "int32", "minimum": 1, "maximum": 65535 }));
}

fn parts(schema: &mut Schema) {
    schema.insert("minItems".into(), json!(1));
    schema.insert("maxItems".into(), json!(10));
}

fn enroll_tags(schema: &mut Schema) {
    schema.insert("minProperties".into(), json!(1));
    schema.insert("maxProperties".into(), json!(10));
    schema.insert("additionalProperties".into(), json!({ "type": "string", "maxLength": 256 }));
}

/// The EC2 instances of a virtual node: either so many that Fleetmesh launches (`replicas`), or some that exist
/// (`enroll`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = fleet_rules)]
pub struct Fleet {
    /// The application on each instance; needed with replicas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<App>,
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
    pub proxy: Option<Proxy>,
    /// How many instances there are to be, 0 to 1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = MAX_REPLICAS))]
    pub replicas: Option<i32>,
    /// How instances are replaced when what they are launched from changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Rollout>,
}

/// The application on each instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = app_rules)]
pub struct App {
    /// The container image that is run, with the instance's network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub container: Option<String>,
    /// Whether the application may reach the instance's metadata service, and with it the credentials of the instance's
    /// role. When it may not, only root, the proxy and what gets the proxy's certificate reach it, and a container runs in a
    /// group of its own and cannot change its user or group.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub metadata: bool,
    /// The port that the application listens on, 1 to 65535; traffic that arrives for it goes through the proxy.
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
    /// Parts of cloud-init user data that start the application, instead of a container; 1 to 10. EC2 allows 16 KiB
    /// for all user data together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = parts)]
    pub user_data: Option<Vec<UserDataPart>>,
}

/// One part of cloud-init user data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserDataPart {
    /// The part's text, at most 16384 characters. Everybody who may read the resource or the instance's user data can
    /// read it: no secret belongs here.
    #[schemars(length(min = 1, max = 16384))]
    pub content: String,
    /// The part's MIME type as cloud-init knows it, for example `text/x-shellscript` or `text/cloud-config`.
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^text/[a-z0-9.+-]+$"))]
    pub content_type: String,
}

/// What kind of instances are launched.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Capacity {
    /// The instance types that will do, 1 to 20, each once, of those that the class allows; as the class says when absent. EC2
    /// takes the cheapest that it has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(transform = instance_types)]
    pub instance_types: Vec<String>,
    /// How they are paid for.
    #[serde(default)]
    pub purchase: Purchase,
}

/// How instances are paid for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = plain_enum)]
pub enum Purchase {
    /// At the regular price.
    #[default]
    OnDemand,
    /// At the price of spare capacity; EC2 may take them back.
    Spot,
}

/// Instances that exist already: they get the node's instance profile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Enroll {
    /// The tags that an instance must have, all of them, 1 to 10, those of the class' `enrollTags` among them. It also has to
    /// carry the tag `fleetmesh.dev/enroll`, whose value is the cluster's name.
    #[schemars(transform = enroll_tags)]
    pub tags: BTreeMap<String, String>,
}

/// The AMI that instances start from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = image_rules)]
pub struct Image {
    /// The AMI's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 21), regex(pattern = AMI_PATTERN))]
    pub id: Option<String>,
    /// The SSM parameter that holds the AMI's id, one that the class allows; it is read again with each comparison, and a new AMI rolls the fleet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1011), regex(pattern = r"^/[A-Za-z0-9_.:/-]+$"))]
    pub ssm_parameter: Option<String>,
}

/// Where instances are launched.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Network {
    /// The security groups, at most 16, each once. Those of the class when a fleet names none, and the VPC's default group when the
    /// class names none either.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(transform = security_groups)]
    pub security_group_ids: Vec<String>,
    /// The subnets, at most 16, each once, all of one VPC. Instances are spread over their availability zones; of several in one
    /// zone the one with most free addresses is used. Those of the class when a fleet names none, and the default VPC's when the
    /// class names none either.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(transform = subnets)]
    pub subnet_ids: Vec<String>,
}

/// The proxy on each instance and what it intercepts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Proxy {
    /// Whether the names of the services that the virtual node may call resolve on each instance, without a record anywhere: to
    /// addresses of 198.18.0.0/15, which lead to the proxy. Needs instances that join (`--proxy-join-image` of the operator).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dns: bool,
    /// Destinations whose traffic does not go through the proxy, addresses or networks, at most 50; always also
    /// 169.254.169.254 and 169.254.170.2.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(transform = ignored_ips)]
    pub egress_ignored_ips: Vec<String>,
    /// Destination ports whose traffic does not go through the proxy, at most 50; always also 22.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(transform = ignored_ports)]
    pub egress_ignored_ports: Vec<i32>,
    /// `AppMesh` for AWS's image, `Envoy` for the stock one, or an image of your own as `registry/image:tag`.
    #[serde(default = "Proxy::default_image")]
    #[schemars(length(min = 1, max = 1024))]
    pub image: String,
    /// Whether IPv6 traffic is intercepted, too.
    #[serde(default)]
    pub ipv6: bool,
    /// The user id that the proxy runs as, whose traffic is not intercepted; 0 to 2147483647.
    #[serde(default = "Proxy::default_uid")]
    #[schemars(range(min = 0))]
    pub uid: i32,
}

impl Proxy {
    /// The image of a proxy that names none: AWS's.
    pub const DEFAULT_IMAGE: &'static str = "AppMesh";

    fn default_image() -> String {
        Self::DEFAULT_IMAGE.to_owned()
    }

    fn default_uid() -> i32 {
        1337
    }
}

impl Default for Proxy {
    fn default() -> Self {
        Self {
            dns: false,
            egress_ignored_ips: Vec::new(),
            egress_ignored_ports: Vec::new(),
            image: Self::default_image(),
            ipv6: false,
            uid: Self::default_uid(),
        }
    }
}

/// How instances are replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rollout_rules)]
pub struct Rollout {
    /// How many instances there may be above replicas meanwhile, 0 to 100.
    #[serde(default = "Rollout::default_surge")]
    #[schemars(range(min = 0, max = 100))]
    pub max_surge: i32,
    /// How many of replicas may be not ready meanwhile, 0 to 100.
    #[serde(default)]
    #[schemars(range(min = 0, max = 100))]
    pub max_unavailable: i32,
}

impl Rollout {
    fn default_surge() -> i32 {
        1
    }
}

impl Default for Rollout {
    fn default() -> Self {
        Self { max_surge: Self::default_surge(), max_unavailable: 0 }
    }
}

/// What there is of a fleet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FleetStatus {
    /// The FleetClass that counts; absent while there is none, or while it does not allow the fleet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class_name: Option<String>,
    /// How many instances there are to be.
    #[serde(default)]
    pub desired: i32,
    /// The instances, at most 50 of them: the ones that are not ready first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub instances: Vec<InstanceStatus>,
    /// How many launches were asked for so far; each has its own client token.
    #[serde(default)]
    pub launches: i64,
    /// The id of the launch template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub launch_template_id: Option<String>,
    /// How many run, with a proxy that is connected and has acknowledged; where the endpoint does not report on proxies,
    /// how many run and pass EC2's checks.
    #[serde(default)]
    pub ready: i32,
    /// How many run.
    #[serde(default)]
    pub running: i32,
    /// The version of the launch template that instances are to be launched from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template_version: Option<i64>,
    /// How many were launched from that version.
    #[serde(default)]
    pub updated: i32,
}

/// One instance of a fleet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InstanceStatus {
    /// The availability zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub az: Option<String>,
    /// The instance's id.
    pub id: String,
    /// How far its proxy is: `Connected`, `Acknowledged`, `Absent`; absent where the endpoint does not report it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<String>,
    /// EC2's word for its state, `draining` before it is terminated, or `joined` and `foreign-profile` for an enrolled
    /// one.
    pub state: String,
    /// The version of the launch template that it was launched from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template_version: Option<i64>,
    /// The instance type.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub type_: Option<String>,
}
