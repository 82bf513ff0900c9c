//! The FleetClass kind: what an admin of the AWS account lets virtual nodes launch and enrol. Pure data and its rules.

use std::collections::BTreeMap;

use fleetmesh_model::rule::Rule;
use fleetmesh_model::schema::{add_rule, plain_enum};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceColumnDefinition;
use kube_derive::CustomResource;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::columns::{age, text, wide};
use crate::fleet::{Network, TYPES_ONCE};
use crate::iam::policy_arns;
use crate::namespaces::AllowedNamespaces;

/// The annotation that, set to `"true"`, marks the class of the fleets that name none. Of several the newest counts, as with
/// Kubernetes' StorageClasses.
pub const DEFAULT_CLASS_ANNOTATION: &str = "fleetmesh.dev/is-default-class";

/// The lowest user id of a proxy where a class does not say another.
pub const DEFAULT_MIN_PROXY_UID: i32 = 1000;

/// The most entries of a list in a class.
const MAX_ENTRIES: usize = 100;

pub(crate) const TAG_KEYS_FREE: Rule = Rule {
    cel: "!self.exists(key, key.startsWith('aws:') || key.startsWith('fleetmesh.dev/'))",
    message: "tagKeys must not begin with aws: or fleetmesh.dev/, which are reserved",
};
pub(crate) const NAMESPACE_WITHIN: Rule = Rule {
    cel: "!has(self.instancesPerNamespace) || self.instancesPerNamespace <= self.instances",
    message: "instancesPerNamespace must not be more than instances",
};

fn list(schema: &mut Schema, min: usize, items: serde_json::Value) {
    schema.insert("minItems".into(), json!(min));
    schema.insert("maxItems".into(), json!(MAX_ENTRIES));
    schema.insert("items".into(), items);
}

fn type_patterns(schema: &mut Schema) {
    let item = json!({ "type": "string", "pattern": r"^([a-z0-9-]+\.([a-z0-9-]+|[a-z0-9-]*\*)|[a-z0-9-]*\*)$", "maxLength": 64 });
    list(schema, 0, item);
    add_rule(schema, &TYPES_ONCE);
}

fn image_ids(schema: &mut Schema) {
    list(schema, 0, json!({ "type": "string", "pattern": crate::fleet::AMI_PATTERN, "maxLength": 21 }));
}

fn owners(schema: &mut Schema) {
    let item =
        json!({ "type": "string", "pattern": "^([0-9]{12}|amazon|aws-marketplace)$", "maxLength": 15 });
    list(schema, 0, item);
}

fn parameters(schema: &mut Schema) {
    let item = json!({ "type": "string", "pattern": r"^/[A-Za-z0-9_.:/-]+$", "maxLength": 1011 });
    list(schema, 0, item);
}

fn proxy_images(schema: &mut Schema) {
    list(schema, 0, json!({ "type": "string", "minLength": 1, "maxLength": 1024 }));
}

fn tag_keys(schema: &mut Schema) {
    list(schema, 0, json!({ "type": "string", "minLength": 1, "maxLength": 128 }));
    add_rule(schema, &TAG_KEYS_FREE);
}

fn services(schema: &mut Schema) {
    schema.insert("maxItems".into(), json!(MAX_ENTRIES));
}

fn enroll_tags(schema: &mut Schema) {
    schema.insert("maxProperties".into(), json!(10));
    schema.insert("additionalProperties".into(), json!({ "type": "string", "maxLength": 256 }));
}

fn limits(schema: &mut Schema) {
    add_rule(schema, &NAMESPACE_WITHIN);
}

/// What the fleets of some namespaces may be made of. It belongs to whoever answers for the AWS account; a virtual node
/// names one by `fleet.className`. Each list is what a fleet may choose from, and what it gets when it names nothing. What
/// a class does not list no fleet of it can have.
// It is not of the category `fleetmesh`: it has no status, and `kubectl wait --for=condition=Ready fleetmesh --all` would wait
// for one.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "fleetmesh.dev",
    version = "v1alpha1",
    kind = "FleetClass",
    plural = "fleetclasses",
    doc = "What the fleets of some namespaces may be made of; it belongs to whoever answers for the AWS account.",
    derive = "PartialEq",
    shortname = "fclass",
    crates(kube_core = "::kube_core")
)]
pub struct FleetClassSpec {
    /// Whether `fleet.app.metadata` may be true, which gives the application the credentials of the instance's role.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_metadata: bool,
    /// Which namespaces may have fleets of this class; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_namespaces: Option<AllowedNamespaces>,
    /// The Cloud Map services that instances are registered in; none when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(transform = services)]
    pub cloud_map_services: Vec<CloudMapService>,
    /// The tags that `fleet.enroll.tags` has to name, each with this value: a fleet can enrol instances among those that have
    /// them, and no others. `{}` lets it enrol every instance that opted in; without it none is enrolled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = enroll_tags)]
    pub enroll_tags: Option<BTreeMap<String, String>>,
    /// The AMIs; the newest Amazon Linux 2023, for x86-64 or arm64 as the fleet's instance types are, when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<ClassImages>,
    /// The instance types; without any nothing is launched. An entry may end with `*`, which stands for any characters: `t3.*`. A fleet that names
    /// none may be launched on any of those that have no `*`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(transform = type_patterns)]
    pub instance_types: Vec<String>,
    /// How many instances there may be.
    pub limits: ClassLimits,
    /// The managed policies that `iam.managedPolicyArns` of a node with a fleet may name, of those that the operator is
    /// allowed to attach; all of those when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = policy_arns)]
    pub managed_policy_arns: Option<Vec<String>>,
    /// The lowest user id that `fleet.proxy.uid` may be, 0 to 2147483647; 1000 when absent, below which a system has its own
    /// users. What runs as that user reaches the credentials of the instance's role and is not intercepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub min_proxy_uid: Option<i32>,
    /// The security groups and subnets. A fleet that names none gets all of these; with an empty list of subnets instances
    /// are in the default VPC, with an empty list of security groups they have the VPC's default one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
    /// What `fleet.proxy.image` may be: `AppMesh`, `Envoy`, or images. An entry may end with `*`, which stands for any
    /// characters: `registry.example.com/proxies/*`. `AppMesh` alone when empty, which is what a fleet has that names none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(transform = proxy_images)]
    pub proxy_images: Vec<String>,
    /// The keys that `tags` of a node may have, which become tags of instances and volumes. An entry may end with `*`, which
    /// stands for any characters. None when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(transform = tag_keys)]
    pub tag_keys: Vec<String>,
    /// Whether `fleet.app.userData` may be used, which runs as root before and after the proxy is set up.
    #[serde(default)]
    pub user_data: UserDataPolicy,
    /// The volume that instances start from; as the AMI says when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume: Option<ClassVolume>,
}

/// Whether a fleet may bring user data of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = plain_enum)]
pub enum UserDataPolicy {
    /// It may not: applications are containers.
    #[default]
    Forbidden,
    /// It may.
    Allowed,
}

/// A service of AWS Cloud Map.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CloudMapService {
    /// The name of its namespace, 1 to 1024 characters.
    #[schemars(length(min = 1, max = 1024))]
    pub namespace_name: String,
    /// Its name, 1 to 1024 characters; `*` for every service of the namespace.
    #[schemars(length(min = 1, max = 1024))]
    pub service_name: String,
}

/// The AMIs of a class.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClassImages {
    /// The ids that `fleet.image.id` may be. When it is empty and `owners` is not, any AMI of these owners will do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(transform = image_ids)]
    pub ids: Vec<String>,
    /// Whose every AMI has to be, whether it is named by its id or by a parameter: account ids, `amazon` or
    /// `aws-marketplace`. Anybody's when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(transform = owners)]
    pub owners: Vec<String>,
    /// The SSM parameters that `fleet.image.ssmParameter` may be. An entry that ends with a slash stands for all below it. A
    /// fleet that names no image gets the first of `ids`, else the first parameter here that does not end with a slash.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(transform = parameters)]
    pub ssm_parameters: Vec<String>,
}

/// How many instances there may be. Those of all fleets count that are launched and not terminated, and those that are being
/// launched; what is above a limit already stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = limits)]
pub struct ClassLimits {
    /// In all namespaces together, 0 to 100000.
    #[schemars(range(min = 0, max = 100_000))]
    pub instances: i32,
    /// In each namespace, 0 to 100000; only `instances` counts when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100_000))]
    pub instances_per_namespace: Option<i32>,
}

/// The volume that instances start from, encrypted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClassVolume {
    /// Its device name, as all AMIs of the class have it: `/dev/xvda` with Amazon Linux, `/dev/sda1` with Ubuntu.
    #[schemars(length(max = 32), regex(pattern = r"^/dev/[a-z0-9]+$"))]
    pub device_name: String,
    /// The ARN of the KMS key that encrypts it; the account's default key for EBS when absent. Key policy and grants let
    /// the operator's identity use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 2048),
        regex(pattern = r"^arn:[a-z0-9-]+:kms:[a-z0-9-]+:[0-9]{12}:(key|alias)/[A-Za-z0-9/_-]+$")
    )]
    pub kms_key_id: Option<String>,
}

impl FleetClass {
    /// Whether it is marked as the class of the fleets that name none.
    pub fn is_default(&self) -> bool {
        let annotations = self.metadata.annotations.as_ref();
        annotations
            .and_then(|annotations| annotations.get(DEFAULT_CLASS_ANNOTATION))
            .is_some_and(|mark| mark == "true")
    }
}

/// The columns that `kubectl get` prints.
pub fn columns() -> Vec<CustomResourceColumnDefinition> {
    let number = |name, path, description| CustomResourceColumnDefinition {
        type_: "integer".into(),
        ..text(name, path, description)
    };
    let mark = r".metadata.annotations.fleetmesh\.dev/is-default-class";
    vec![
        text("Default", mark, "Whether it is the class of the fleets that name none"),
        number("Instances", ".spec.limits.instances", "How many instances there may be"),
        number(
            "Per Namespace",
            ".spec.limits.instancesPerNamespace",
            "How many there may be in each namespace",
        ),
        text("User Data", ".spec.userData", "Whether fleets may bring user data of their own"),
        wide(text("Types", ".spec.instanceTypes", "The instance types")),
        wide(text("Subnets", ".spec.network.subnetIds", "The subnets")),
        age(),
    ]
}
