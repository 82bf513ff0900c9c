//! `iam` of a virtual node: the IAM identity of its instances. Pure data.

use fleetmesh_model::rule::Rule;
use fleetmesh_model::schema::add_rule;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// The path of everything that Fleetmesh makes in IAM, unless a resource says otherwise.
pub const DEFAULT_PATH: &str = "/fleetmesh/";

/// The most managed policies a user may name: IAM's quota of 10 per role less the one that Fleetmesh attaches.
pub const MAX_MANAGED_POLICIES: usize = 9;

/// What IAM allows in names of roles, policies and instance profiles.
const NAME_PATTERN: &str = r"^[A-Za-z0-9_+=,.@-]+$";
/// A path begins and ends with a slash.
const PATH_PATTERN: &str = r"^/([A-Za-z0-9_+=,.@-]+/)*$";
/// The ARN of a managed policy, AWS's or a customer's.
const POLICY_ARN_PATTERN: &str = r"^arn:[a-z0-9-]+:iam::(aws|[0-9]{12}):policy/[A-Za-z0-9_+=,.@/-]+$";

const NAMES_FIXED: Rule = Rule {
    // Not `self.?roleName == oldSelf.?roleName`, which the API server's estimate of costs refuses.
    cel: "has(self.roleName) == has(oldSelf.roleName) && (!has(self.roleName) || self.roleName == oldSelf.roleName) && has(self.path) == has(oldSelf.path) && (!has(self.path) || self.path == oldSelf.path)",
    message: "roleName and path are immutable: remove iam, wait until status.iam is gone, and set it again with the others",
};

fn rules(schema: &mut Schema) {
    add_rule(schema, &NAMES_FIXED);
}

fn policy_arn(schema: &mut Schema) {
    schema.insert("pattern".into(), json!(POLICY_ARN_PATTERN));
    schema.insert("maxLength".into(), json!(2048));
}

pub(crate) fn policy_arns(schema: &mut Schema) {
    schema.insert("maxItems".into(), json!(MAX_MANAGED_POLICIES));
    schema.insert("x-kubernetes-list-type".into(), json!("set"));
    schema.insert(
        "items".into(),
        json!({ "type": "string", "pattern": POLICY_ARN_PATTERN, "maxLength": 2048 }),
    );
}

/// The IAM identity of a virtual node's instances: a role that EC2 may assume, with a policy that allows reading this
/// node's configuration and nothing else, and an instance profile. `{}` takes every default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules)]
pub struct Iam {
    /// The managed policies attached to the role beside the node's own, at most 9 (IAM allows 10); by default AWS's
    /// AmazonEC2ContainerRegistryReadOnly of the partition, which pulls the proxy's image. An empty list attaches none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = policy_arns)]
    pub managed_policy_arns: Option<Vec<String>>,
    /// The IAM path of role, policy and instance profile, at most 512 characters; `/fleetmesh/` by default. It never
    /// changes: IAM cannot move what it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 512),
        regex(pattern = PATH_PATTERN)
    )]
    pub path: Option<String>,
    /// The ARN of the managed policy that bounds the role's permissions; none by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = policy_arn)]
    pub permissions_boundary: Option<String>,
    /// The name of role, policy and instance profile, 1 to 64 characters; `mesh-MESH-NODE` by default, shortened with
    /// a hash where IAM would refuse it. It never changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 64),
        regex(pattern = NAME_PATTERN)
    )]
    pub role_name: Option<String>,
}

/// What stands in IAM for a virtual node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IamStatus {
    /// The ARN of the instance profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_profile_arn: Option<String>,
    /// Path and name of role, policy and instance profile, for example `/fleetmesh/mesh-apps-serviceB`; noted before the
    /// first of them is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The ARN of the node's own policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_arn: Option<String>,
    /// SHA-256 of the policy document in force, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_hash: Option<String>,
    /// The ARN of the role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_arn: Option<String>,
}
