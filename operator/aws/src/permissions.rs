//! The permissions that the operator's own IAM identity needs, and the policy document that grants them: one entry for
//! each action that code here or in the App Mesh client can call, on the narrowest resource and under the narrowest
//! condition that IAM knows for it. Pure; a test holds the table against the calls in the sources.

use serde_json::{Value, json};

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
    /// When the instance has a profile of our path.
    HasOurProfile,
    /// When the role is handed to EC2.
    PassedToEc2,
    /// When the tags are set by one of the requests that make something.
    WhileMade,
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

/// Resources of services: `P`, `R`, `A` and `PATH` in braces are partition, region, account and path.
const MESH: &[&str] = &["arn:{P}:appmesh:{R}:{A}:mesh/*"];
const ROLE: &[&str] = &["arn:{P}:iam::{A}:role{PATH}*"];
const POLICY: &[&str] = &["arn:{P}:iam::{A}:policy{PATH}*"];
const PROFILE: &[&str] = &["arn:{P}:iam::{A}:instance-profile{PATH}*"];
const ANY: &[&str] = &["*"];
const TEMPLATE: &[&str] = &["arn:{P}:ec2:{R}:{A}:launch-template/*"];
const INSTANCE: &[&str] = &["arn:{P}:ec2:{R}:{A}:instance/*"];
/// What instances are launched from and into carries nobody's tags of ours.
const LAUNCHED_WITH: &[&str] = &[
    "arn:{P}:ec2:{R}::image/*",
    "arn:{P}:ec2:{R}::snapshot/*",
    "arn:{P}:ec2:{R}:{A}:key-pair/*",
    "arn:{P}:ec2:{R}:{A}:network-interface/*",
    "arn:{P}:ec2:{R}:{A}:security-group/*",
    "arn:{P}:ec2:{R}:{A}:subnet/*",
    "arn:{P}:ec2:{R}:{A}:volume/*",
];
/// Whatever the requests make that may set tags.
const MADE: &[&str] = &["arn:{P}:ec2:{R}:{A}:*/*"];
const FLEET: &[&str] = &["arn:{P}:ec2:{R}:{A}:fleet/*", "arn:{P}:ec2:{R}:{A}:instance/*"];
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
    allow("appmesh", "TagResource", MESH, When::Always),
    allow("appmesh", "UntagResource", MESH, When::Ours),
    allow("appmesh", "UpdateMesh", MESH, When::Ours),
    allow("appmesh", "UpdateRoute", MESH, When::Ours),
    allow("appmesh", "UpdateVirtualNode", MESH, When::Ours),
    allow("appmesh", "UpdateVirtualRouter", MESH, When::Ours),
    allow("appmesh", "UpdateVirtualService", MESH, When::Ours),
    allow("ec2", "AssociateIamInstanceProfile", INSTANCE, When::Always),
    allow("ec2", "CreateFleet", FLEET, When::BecomesOurs),
    allow("ec2", "CreateFleet", TEMPLATE, When::Ours),
    allow("ec2", "CreateFleet", LAUNCHED_WITH, When::Always),
    allow("ec2", "CreateLaunchTemplate", TEMPLATE, When::BecomesOurs),
    allow("ec2", "CreateLaunchTemplateVersion", TEMPLATE, When::Ours),
    allow("ec2", "CreateTags", MADE, When::WhileMade),
    allow("ec2", "CreateTags", TEMPLATE, When::Ours),
    allow("ec2", "CreateTags", INSTANCE, When::Ours),
    // To give back tags that somebody took.
    allow("ec2", "CreateTags", INSTANCE, When::HasOurProfile),
    allow("ec2", "DeleteLaunchTemplate", TEMPLATE, When::Ours),
    allow("ec2", "DescribeIamInstanceProfileAssociations", ANY, When::Always),
    allow("ec2", "DescribeInstanceStatus", ANY, When::Always),
    allow("ec2", "DescribeInstances", ANY, When::Always),
    allow("ec2", "DescribeLaunchTemplateVersions", ANY, When::Always),
    allow("ec2", "DescribeLaunchTemplates", ANY, When::Always),
    allow("ec2", "DisassociateIamInstanceProfile", INSTANCE, When::Always),
    allow("ec2", "ModifyLaunchTemplate", TEMPLATE, When::Ours),
    allow("ec2", "RunInstances", INSTANCE, When::BecomesOurs),
    allow("ec2", "RunInstances", TEMPLATE, When::Ours),
    allow("ec2", "RunInstances", LAUNCHED_WITH, When::Always),
    allow("ec2", "TerminateInstances", INSTANCE, When::Ours),
    // By path only: that IAM looks at the tags of an instance profile here could not be tried.
    allow("iam", "AddRoleToInstanceProfile", PROFILE, When::Always),
    allow("iam", "AttachRolePolicy", ROLE, When::Ours),
    allow("iam", "CreateInstanceProfile", PROFILE, When::BecomesOurs),
    allow("iam", "CreatePolicy", POLICY, When::BecomesOurs),
    allow("iam", "CreatePolicyVersion", POLICY, When::Ours),
    allow("iam", "CreateRole", ROLE, When::BecomesOurs),
    allow("iam", "DeleteInstanceProfile", PROFILE, When::Ours),
    allow("iam", "DeletePolicy", POLICY, When::Ours),
    allow("iam", "DeletePolicyVersion", POLICY, When::Ours),
    allow("iam", "DeleteRole", ROLE, When::Ours),
    allow("iam", "DeleteRolePermissionsBoundary", ROLE, When::Ours),
    allow("iam", "DetachRolePolicy", ROLE, When::Ours),
    allow("iam", "GetInstanceProfile", PROFILE, When::Always),
    allow("iam", "GetPolicy", POLICY, When::Always),
    allow("iam", "GetPolicyVersion", POLICY, When::Always),
    allow("iam", "GetRole", ROLE, When::Always),
    allow("iam", "ListAttachedRolePolicies", ROLE, When::Always),
    allow("iam", "ListPolicyVersions", POLICY, When::Always),
    allow("iam", "ListRolePolicies", ROLE, When::Always),
    allow("iam", "PassRole", ROLE, When::PassedToEc2),
    allow("iam", "PutRolePermissionsBoundary", ROLE, When::Ours),
    allow("iam", "RemoveRoleFromInstanceProfile", PROFILE, When::Always),
    // To adopt, and to give back tags that somebody took, is to tag what is not ours yet.
    allow("iam", "TagInstanceProfile", PROFILE, When::Always),
    allow("iam", "TagPolicy", POLICY, When::Always),
    allow("iam", "TagRole", ROLE, When::Always),
    allow("iam", "UpdateAssumeRolePolicy", ROLE, When::Ours),
    allow("servicediscovery", "DeregisterInstance", SERVICE, When::Always),
    allow("servicediscovery", "ListInstances", ANY, When::Always),
    allow("servicediscovery", "ListNamespaces", ANY, When::Always),
    allow("servicediscovery", "ListServices", ANY, When::Always),
    allow("servicediscovery", "RegisterInstance", SERVICE, When::Always),
    allow("ssm", "GetParameter", PARAMETER, When::Always),
];

/// The tag that conditions look at.
const CLUSTER_TAG: &str = fleetmesh_core::owner::CLUSTER_TAG;

/// The policy document for the operator's identity.
///
/// IAM bounds its length, so actions share a statement where that allows nothing more: those on the same resources, and
/// those that have one entry each, because each knows resources of one kind only.
pub fn document(scope: &Scope) -> Value {
    let mut statements: Vec<Statement> = Vec::new();
    for permission in PERMISSIONS {
        match statements.iter_mut().find(|statement| statement.has_room_for(permission)) {
            Some(statement) => statement.permissions.push(permission),
            None => statements.push(Statement { permissions: vec![permission] }),
        }
    }
    let statements: Vec<Value> = statements.iter().map(|statement| statement.document(scope)).collect();
    json!({ "Version": "2012-10-17", "Statement": statements })
}

/// Permissions under one condition; at least one.
struct Statement {
    permissions: Vec<&'static Permission>,
}

impl Statement {
    fn has_room_for(&self, more: &Permission) -> bool {
        self.permissions.iter().all(|one| {
            let same_resources = one.resources == more.resources;
            let apart = one.resources != ANY && more.resources != ANY && one.is_alone() && more.is_alone();
            one.when == more.when
                && (same_resources && (one.service == more.service || one.resources == ANY)
                    || apart && one.service == more.service)
        })
    }

    fn document(&self, scope: &Scope) -> Value {
        let actions: Vec<String> =
            self.permissions.iter().map(|one| format!("{}:{}", one.service, one.operation)).collect();
        let mut resources: Vec<String> = Vec::new();
        for resource in self.permissions.iter().flat_map(|one| one.resources) {
            let resource = filled(resource, scope);
            if !resources.contains(&resource) {
                resources.push(resource);
            }
        }
        let mut statement = json!({ "Effect": "Allow", "Action": actions, "Resource": resources });
        let condition = self.permissions.first().and_then(|one| condition(one.when, scope));
        if let Some(condition) = condition {
            statement["Condition"] = condition;
        }
        statement
    }
}

impl Permission {
    /// Whether the action has no other entry.
    fn is_alone(&self) -> bool {
        let same = PERMISSIONS
            .iter()
            .filter(|other| (other.service, other.operation) == (self.service, self.operation));
        same.count() == 1
    }
}

fn filled(resource: &str, scope: &Scope) -> String {
    let Scope { partition, region, account, cluster: _, path } = scope;
    let filled = resource.replace("{P}", partition).replace("{R}", region);
    filled.replace("{A}", account).replace("{PATH}", path)
}

fn condition(when: When, scope: &Scope) -> Option<Value> {
    let tagged = |key: &str| json!({ "StringLike": { format!("aws:{key}/{CLUSTER_TAG}"): scope.cluster } });
    match when {
        When::Always => None,
        When::Ours => Some(tagged("ResourceTag")),
        When::BecomesOurs => Some(tagged("RequestTag")),
        When::HasOurProfile => {
            let profiles = filled("arn:{P}:iam::{A}:instance-profile{PATH}*", scope);
            Some(json!({ "ArnLike": { "ec2:InstanceProfile": profiles } }))
        }
        When::PassedToEc2 => {
            let domain = if scope.partition == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
            Some(json!({ "StringEquals": { "iam:PassedToService": format!("ec2.{domain}") } }))
        }
        When::WhileMade => {
            let makers = ["CreateFleet", "CreateLaunchTemplate", "RunInstances"];
            Some(json!({ "StringEquals": { "ec2:CreateAction": makers } }))
        }
    }
}
