//! `iam` of a virtual node: the IAM identity of its instances. Pure data.

use fleetmesh_model::rule::Rule;
use fleetmesh_model::schema::add_rule;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// The path of everything that Fleetmesh makes in IAM, unless the operator was told another one.
pub const DEFAULT_PATH: &str = "/fleetmesh/";

/// The most managed policies a user may name: IAM's quota of 10 per role less the one that Fleetmesh attaches.
pub const MAX_MANAGED_POLICIES: usize = 9;

/// What IAM allows in names of roles, policies and instance profiles.
const NAME_PATTERN: &str = r"^[A-Za-z0-9_+=,.@-]+$";
/// The ARN of a managed policy, AWS's or a customer's.
const POLICY_ARN_PATTERN: &str = r"^arn:[a-z0-9-]+:iam::(aws|[0-9]{12}):policy/[A-Za-z0-9_+=,.@/-]+$";

const NAME_FIXED: Rule = Rule {
    // Not `self.?roleName == oldSelf.?roleName`, which the API server's estimate of costs refuses.
    cel: "has(self.roleName) == has(oldSelf.roleName) && (!has(self.roleName) || self.roleName == oldSelf.roleName)",
    message: "roleName is immutable: remove iam, wait until status.iam is gone, and set it again with the other name",
};
const NO_BOUNDARY: Rule = Rule {
    cel: "!has(self.permissionsBoundary)",
    message: "permissionsBoundary is not a resource's to name: the operator puts the one of --iam-permissions-boundary on every role. Remove it",
};
const NO_PATH: Rule = Rule {
    cel: "!has(self.path)",
    message: "path is not a resource's to choose: it is the operator's (--iam-path). Remove it; an identity that exists stays at its path",
};

fn rules(schema: &mut Schema) {
    for rule in [&NAME_FIXED, &NO_BOUNDARY, &NO_PATH] {
        add_rule(schema, rule);
    }
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
    /// The managed policies attached to the role beside the node's own, at most 9 (IAM allows 10), of those that the operator
    /// allows: any below its IAM path, and those of `--iam-managed-policy`. By default AWS's
    /// AmazonEC2ContainerRegistryReadOnly of the partition, which pulls the proxy's image, when it is allowed. An empty list
    /// attaches none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = policy_arns)]
    pub managed_policy_arns: Option<Vec<String>>,
    /// Refused: the path is the operator's (`--iam-path`). Resources of releases that took it keep it, and it is not read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub path: Option<String>,
    /// Refused: the boundary is the operator's (`--iam-permissions-boundary`). Resources of releases that took it keep it, and
    /// it is not read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub permissions_boundary: Option<String>,
    /// The name of role, policy and instance profile, 1 to 64 characters; `mesh-MESH-NODE` by default, shortened with
    /// a hash where IAM would refuse it. It has to match the operator's `--iam-role-names`, and never changes.
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
    /// The ARN of the role's permissions boundary. Instances get the identity only while it is the operator's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permissions_boundary: Option<String>,
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
