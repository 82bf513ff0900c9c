//! `iam` of a virtual node: the IAM identity of its instances. Pure data.

use fleetmesh_model::rule::Rule;
use fleetmesh_model::schema::add_rule;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// The path of everything that Fleetmesh makes in IAM, unless the operator is configured with another one.
pub const DEFAULT_PATH: &str = "/fleetmesh/";

/// The most managed policies a user may name: IAM's quota of 10 per role less the one that Fleetmesh attaches.
pub const MAX_MANAGED_POLICIES: usize = 9;

/// What IAM allows in names of roles, policies and instance profiles.
const NAME_PATTERN: &str = r"^[A-Za-z0-9_+=,.@-]+$";
/// The ARN of a managed policy, AWS's or a customer's.
const POLICY_ARN_PATTERN: &str = r"^arn:[a-z0-9-]+:iam::(aws|[0-9]{12}):policy/[A-Za-z0-9_+=,.@/-]+$";

pub(crate) const NAME_FIXED: Rule = Rule {
    // Not `self.?roleName == oldSelf.?roleName`, which the API server's estimate of costs refuses.
    cel: "has(self.roleName) == has(oldSelf.roleName) && (!has(self.roleName) || self.roleName == oldSelf.roleName)",
    message: "roleName is immutable: remove iam, wait until status.iam is gone, and set it again with the other name",
};
pub(crate) const NO_BOUNDARY: Rule = Rule {
    cel: "!has(self.permissionsBoundary)",
    message: "permissionsBoundary is not a resource's to name: the operator puts the one of --iam-permissions-boundary on every role. Remove it",
};
pub(crate) const NO_PATH: Rule = Rule {
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
    /// The unique id of the role, which a role that is made again under the same name does not have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_id: Option<String>,
}

impl IamStatus {
    /// The role as the tag [`PROXY_PRINCIPALS_TAG`](fleetmesh_api::tags::PROXY_PRINCIPALS_TAG) lists it; none without a role.
    ///
    /// While its unique id is known, that is `ARN ARN:ID`: a control plane goes by the second, and one of before, which would
    /// take that for another role, by the first. Paths, which count for nobody, are left out where App Mesh's 256 characters
    /// are too few for them.
    pub fn principals(&self) -> Option<String> {
        let arn = self.role_arn.as_ref()?;
        let Some(id) = &self.role_id else { return Some(arn.clone()) };
        let short = without_path(arn);
        let full = format!("{arn} {short}:{id}");
        Some(if full.len() <= LONGEST_TAG_VALUE { full } else { format!("{short} {short}:{id}") })
    }
}

/// The longest value of a tag in App Mesh.
const LONGEST_TAG_VALUE: usize = 256;

/// The ARN of a role as STS has it.
fn without_path(arn: &str) -> String {
    match arn.split_once(":role/") {
        Some((account, role)) => format!("{account}:role/{}", role.rsplit('/').next().unwrap_or(role)),
        None => arn.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_listed_for_control_planes_that_know_unique_ids_and_for_those_that_do_not() {
        const ID: &str = "AROAEXAMPLEID01234567";
        let status = |role_arn: Option<&str>, role_id: Option<&str>| {
            let own = |text: &str| text.to_owned();
            IamStatus { role_arn: role_arn.map(own), role_id: role_id.map(own), ..IamStatus::default() }
        };
        let arn = "arn:aws:iam::111122223333:role/fleetmesh/mesh-apps-red";
        assert_eq!(status(None, Some(ID)).principals(), None);
        assert_eq!(status(Some(arn), None).principals().as_deref(), Some(arn));
        let both = format!("{arn} arn:aws:iam::111122223333:role/mesh-apps-red:{ID}");
        assert_eq!(status(Some(arn), Some(ID)).principals(), Some(both));
        for path in ["/", "/fleetmesh/", &format!("/{}/", "p".repeat(510))] {
            let arn = format!("arn:aws-us-gov:iam::111122223333:role{path}{}", "n".repeat(64));
            let both = status(Some(&arn), Some(ID)).principals().expect("a principal");
            assert!(both.len() <= LONGEST_TAG_VALUE, "{both}");
            assert_eq!(both.contains(path), path.len() < 20, "{both}");
        }
    }
}
