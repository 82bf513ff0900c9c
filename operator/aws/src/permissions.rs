//! The permissions that the operator's own IAM identity needs, and the policy document that grants them: one entry for
//! each action that code here or in the App Mesh client can call, on the narrowest resource and under the narrowest
//! condition that IAM knows for it. Pure.
//!
//! Tests hold the table against the calls in the sources and against AWS's Service Authorization Reference, and run the
//! operator with its document and with its document less one action.

use std::collections::BTreeSet;

use fleetmesh_core::owner::CLUSTER_TAG;
use fleetmesh_crds::management::TAG_PREFIX;
use serde_json::{Map, Value, json};

/// Whose permissions: the values that resources and conditions are made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The partition, for example `aws`.
    pub partition: String,
    /// The region of App Mesh, EC2, Systems Manager and Cloud Map; `*` for every one.
    pub region: String,
    /// The account; `*` for every one.
    pub account: String,
    /// The cluster's name in the tags of ownership; `*` for every one.
    pub cluster: String,
    /// The path of everything that Fleetmesh makes in IAM; it begins and ends with a slash.
    pub path: String,
}

/// When an action is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    /// Always: IAM knows no narrower condition for it.
    Always,
    /// When the thing carries our cluster's tag.
    Ours,
    /// When the request gives the thing our cluster's tag.
    BecomesOurs,
    /// When the role is handed to EC2.
    PassedToEc2,
    /// When the tags are set by one of the requests that make something, our cluster's among them.
    WhileMade,
    /// When only tags of Fleetmesh's are set, our cluster's among them: to adopt, and to give back what somebody took.
    Marked,
    /// When only tags of Fleetmesh's are set, on what carries our cluster's.
    MarkedAgain,
    /// When the instance has no profile and gets one below our path.
    GetsProfile,
    /// When the instance's profile is one below our path.
    HasProfile,
}

/// One permission.
#[derive(Clone, Copy, Debug)]
pub struct Permission {
    /// The service's prefix, for example `iam`.
    pub service: &'static str,
    /// The operation, for example `CreateRole`.
    pub operation: &'static str,
    resources: &'static [&'static str],
    when: When,
}

const fn allow(
    service: &'static str,
    operation: &'static str,
    resources: &'static [&'static str],
    when: When,
) -> Permission {
    Permission { service, operation, resources, when }
}

// Resources: `P`, `R`, `A` and `PATH` in braces are partition, region, account and path. Where actions share a list, each
// is about some kinds in it and the others mean nothing for it: one statement for all keeps the document below IAM's bound.

const MESH: &[&str] = &["arn:{P}:appmesh:{R}:{A}:mesh/*"];
const ROLE: &[&str] = &["arn:{P}:iam::{A}:role{PATH}*"];
const IDENTITY: &[&str] = &[
    "arn:{P}:iam::{A}:instance-profile{PATH}*",
    "arn:{P}:iam::{A}:policy{PATH}*",
    "arn:{P}:iam::{A}:role{PATH}*",
];
/// Roles and instance profiles are asked for by name before they are made, and a name that stands for nothing has no path
/// that could match.
const READ: &[&str] =
    &["arn:{P}:iam::{A}:instance-profile/*", "arn:{P}:iam::{A}:policy{PATH}*", "arn:{P}:iam::{A}:role/*"];
const PROFILE: &str = "arn:{P}:iam::{A}:instance-profile{PATH}*";
const ANY: &[&str] = &["*"];
const INSTANCE: &[&str] = &["arn:{P}:ec2:{R}:{A}:instance/*"];
const KEPT: &[&str] = &["arn:{P}:ec2:{R}:{A}:instance/*", "arn:{P}:ec2:{R}:{A}:launch-template/*"];
const MADE: &[&str] = &[
    "arn:{P}:ec2:{R}:{A}:fleet/*",
    "arn:{P}:ec2:{R}:{A}:instance/*",
    "arn:{P}:ec2:{R}:{A}:launch-template/*",
];
const TAGGED: &[&str] = &["arn:{P}:ec2:{R}:{A}:*/*"];
/// What instances are launched from and into need not carry tags of ours.
const LAUNCHED_WITH: &[&str] = &[
    "arn:{P}:ec2:{R}::image/*",
    "arn:{P}:ec2:{R}:{A}:network-interface/*",
    "arn:{P}:ec2:{R}:{A}:security-group/*",
    "arn:{P}:ec2:{R}:{A}:spot-instances-request/*",
    "arn:{P}:ec2:{R}:{A}:subnet/*",
    "arn:{P}:ec2:{R}:{A}:volume/*",
];
const PARAMETER: &[&str] = &["arn:{P}:ssm:{R}::parameter/aws/service/*", "arn:{P}:ssm:{R}:{A}:parameter/*"];
const SERVICE: &[&str] = &["arn:{P}:servicediscovery:{R}:{A}:service/*"];

/// Every permission, by service.
pub const PERMISSIONS: &[Permission] = &[
    allow("appmesh", "CreateMesh", MESH, When::BecomesOurs),
    allow("appmesh", "CreateRoute", MESH, When::BecomesOurs),
    allow("appmesh", "CreateVirtualNode", MESH, When::BecomesOurs),
    allow("appmesh", "CreateVirtualRouter", MESH, When::BecomesOurs),
    allow("appmesh", "CreateVirtualService", MESH, When::BecomesOurs),
    allow("appmesh", "DeleteMesh", MESH, When::Ours),
    allow("appmesh", "DeleteRoute", MESH, When::Ours),
    allow("appmesh", "DeleteVirtualNode", MESH, When::Ours),
    allow("appmesh", "DeleteVirtualRouter", MESH, When::Ours),
    allow("appmesh", "DeleteVirtualService", MESH, When::Ours),
    allow("appmesh", "DescribeMesh", MESH, When::Always),
    allow("appmesh", "DescribeRoute", MESH, When::Always),
    allow("appmesh", "DescribeVirtualNode", MESH, When::Always),
    allow("appmesh", "DescribeVirtualRouter", MESH, When::Always),
    allow("appmesh", "DescribeVirtualService", MESH, When::Always),
    allow("appmesh", "ListTagsForResource", MESH, When::Always),
    // To adopt is to tag what is not ours yet.
    allow("appmesh", "TagResource", MESH, When::BecomesOurs),
    allow("appmesh", "TagResource", MESH, When::Ours),
    allow("appmesh", "UntagResource", MESH, When::Ours),
    allow("appmesh", "UpdateMesh", MESH, When::Ours),
    allow("appmesh", "UpdateRoute", MESH, When::Ours),
    allow("appmesh", "UpdateVirtualNode", MESH, When::Ours),
    allow("appmesh", "UpdateVirtualRouter", MESH, When::Ours),
    allow("appmesh", "UpdateVirtualService", MESH, When::Ours),
    // Instances that are enrolled are somebody else's and carry no tag of ours.
    allow("ec2", "AssociateIamInstanceProfile", INSTANCE, When::GetsProfile),
    allow("ec2", "CreateFleet", MADE, When::BecomesOurs),
    allow("ec2", "CreateFleet", KEPT, When::Ours),
    allow("ec2", "CreateFleet", LAUNCHED_WITH, When::Always),
    allow("ec2", "CreateLaunchTemplate", MADE, When::BecomesOurs),
    allow("ec2", "CreateLaunchTemplateVersion", KEPT, When::Ours),
    allow("ec2", "CreateTags", TAGGED, When::WhileMade),
    // To mend what somebody changed on what is ours, and to give back tags that somebody took.
    allow("ec2", "CreateTags", KEPT, When::Ours),
    allow("ec2", "CreateTags", INSTANCE, When::HasProfile),
    allow("ec2", "DeleteLaunchTemplate", KEPT, When::Ours),
    allow("ec2", "DescribeIamInstanceProfileAssociations", ANY, When::Always),
    allow("ec2", "DescribeImages", ANY, When::Always),
    allow("ec2", "DescribeInstanceStatus", ANY, When::Always),
    allow("ec2", "DescribeInstances", ANY, When::Always),
    allow("ec2", "DescribeLaunchTemplateVersions", ANY, When::Always),
    allow("ec2", "DescribeLaunchTemplates", ANY, When::Always),
    allow("ec2", "DisassociateIamInstanceProfile", INSTANCE, When::HasProfile),
    allow("ec2", "ModifyLaunchTemplate", KEPT, When::Ours),
    allow("ec2", "RunInstances", MADE, When::BecomesOurs),
    allow("ec2", "RunInstances", KEPT, When::Ours),
    allow("ec2", "RunInstances", LAUNCHED_WITH, When::Always),
    allow("ec2", "TerminateInstances", KEPT, When::Ours),
    allow("iam", "AddRoleToInstanceProfile", IDENTITY, When::Ours),
    // Which policies may be attached is the specs' to say, not known here: `iam:PolicyARN` would have to list them.
    allow("iam", "AttachRolePolicy", IDENTITY, When::Ours),
    allow("iam", "CreateInstanceProfile", IDENTITY, When::BecomesOurs),
    allow("iam", "CreatePolicy", IDENTITY, When::BecomesOurs),
    allow("iam", "CreatePolicyVersion", IDENTITY, When::Ours),
    allow("iam", "CreateRole", IDENTITY, When::BecomesOurs),
    allow("iam", "DeleteInstanceProfile", IDENTITY, When::Ours),
    allow("iam", "DeletePolicy", IDENTITY, When::Ours),
    allow("iam", "DeletePolicyVersion", IDENTITY, When::Ours),
    allow("iam", "DeleteRole", IDENTITY, When::Ours),
    allow("iam", "DeleteRolePermissionsBoundary", IDENTITY, When::Ours),
    allow("iam", "DetachRolePolicy", IDENTITY, When::Ours),
    allow("iam", "GetInstanceProfile", READ, When::Always),
    allow("iam", "GetPolicy", READ, When::Always),
    allow("iam", "GetPolicyVersion", READ, When::Always),
    allow("iam", "GetRole", READ, When::Always),
    allow("iam", "ListAttachedRolePolicies", READ, When::Always),
    allow("iam", "ListPolicyVersions", READ, When::Always),
    allow("iam", "ListRolePolicies", READ, When::Always),
    // IAM does not look at the tags of a role that is passed.
    allow("iam", "PassRole", ROLE, When::PassedToEc2),
    allow("iam", "PutRolePermissionsBoundary", IDENTITY, When::Ours),
    allow("iam", "RemoveRoleFromInstanceProfile", IDENTITY, When::Ours),
    // Asked for by the requests that make them, too: those carry tags.
    allow("iam", "TagInstanceProfile", IDENTITY, When::Marked),
    allow("iam", "TagInstanceProfile", IDENTITY, When::MarkedAgain),
    allow("iam", "TagPolicy", IDENTITY, When::Marked),
    allow("iam", "TagPolicy", IDENTITY, When::MarkedAgain),
    allow("iam", "TagRole", IDENTITY, When::Marked),
    allow("iam", "TagRole", IDENTITY, When::MarkedAgain),
    allow("iam", "UpdateAssumeRolePolicy", IDENTITY, When::Ours),
    // Namespaces and services are the user's, and so are their tags.
    allow("servicediscovery", "DeregisterInstance", SERVICE, When::Always),
    allow("servicediscovery", "ListInstances", SERVICE, When::Always),
    allow("servicediscovery", "ListNamespaces", ANY, When::Always),
    allow("servicediscovery", "ListServices", ANY, When::Always),
    allow("servicediscovery", "RegisterInstance", SERVICE, When::Always),
    allow("ssm", "GetParameter", PARAMETER, When::Always),
];

/// The policy document for the operator's identity.
pub fn document(scope: &Scope) -> Value {
    let mut statements: Vec<Statement> = Vec::new();
    for permission in PERMISSIONS {
        match statements.iter_mut().find(|statement| statement.takes(permission)) {
            Some(statement) => statement.permissions.push(permission),
            None => statements.push(Statement { permissions: vec![permission] }),
        }
    }
    let statements: Vec<Value> = statements.iter().map(|statement| statement.text(scope)).collect();
    json!({ "Version": "2012-10-17", "Statement": statements })
}

/// Permissions under one condition. Those of several services share it, because an action applies to nothing of another
/// service, and a condition is long.
struct Statement {
    permissions: Vec<&'static Permission>,
}

impl Statement {
    /// Whether `new` can join and widens nothing: those of its own service have its very resources.
    fn takes(&self, new: &Permission) -> bool {
        let any = |permission: &Permission| permission.resources == ANY;
        self.permissions.iter().all(|one| {
            let resources = one.service != new.service || one.resources == new.resources;
            one.when == new.when && any(one) == any(new) && resources
        })
    }

    fn text(&self, scope: &Scope) -> Value {
        let Self { permissions } = self;
        let action = |permission: &&Permission| format!("{}:{}", permission.service, permission.operation);
        let actions: Vec<String> = permissions.iter().map(action).collect();
        let resources = permissions.iter().flat_map(|permission| permission.resources);
        let resources: BTreeSet<String> = resources.map(|resource| filled(resource, scope)).collect();
        let mut statement = json!({ "Effect": "Allow", "Action": actions, "Resource": resources });
        let condition = permissions.first().and_then(|permission| condition(permission.when, scope));
        if let Some(condition) = condition {
            statement["Condition"] = condition;
        }
        statement
    }
}

fn filled(resource: &str, scope: &Scope) -> String {
    let Scope { partition, region, account, cluster: _, path } = scope;
    let filled = resource.replace("{P}", partition).replace("{R}", region);
    filled.replace("{A}", account).replace("{PATH}", path)
}

fn condition(when: When, scope: &Scope) -> Option<Value> {
    let tagged = |key: &str| (format!("aws:{key}/{CLUSTER_TAG}"), json!(scope.cluster));
    let like = |key: &str| json!({ "StringLike": Map::from_iter([tagged(key)]) });
    let profile = || filled(PROFILE, scope);
    match when {
        When::Always => None,
        When::Ours => Some(like("ResourceTag")),
        When::BecomesOurs => Some(like("RequestTag")),
        When::PassedToEc2 => {
            let domain = if scope.partition == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
            Some(json!({ "StringEquals": { "iam:PassedToService": format!("ec2.{domain}") } }))
        }
        When::WhileMade => {
            let mut condition = like("RequestTag");
            let makers = ["CreateFleet", "CreateLaunchTemplate", "RunInstances"];
            condition["StringEquals"] = json!({ "ec2:CreateAction": makers });
            Some(condition)
        }
        When::Marked => Some(only("StringLike", &format!("{TAG_PREFIX}*"), like("RequestTag"))),
        When::MarkedAgain => Some(only("StringLike", &format!("{TAG_PREFIX}*"), like("ResourceTag"))),
        When::GetsProfile => Some(json!({
            "ArnLike": { "ec2:NewInstanceProfile": profile() },
            "Null": { "ec2:InstanceProfile": "true" },
        })),
        When::HasProfile => Some(json!({ "ArnLike": { "ec2:InstanceProfile": profile() } })),
    }
}

/// `condition`, and that no other tags than `keys` are set.
fn only(operator: &str, keys: &str, mut condition: Value) -> Value {
    condition[format!("ForAllValues:{operator}")] = json!({ "aws:TagKeys": keys });
    condition
}
