//! The permissions that the operator's own IAM identity needs, and the policy documents that grant them: one entry for
//! each action that code here or in the App Mesh client can call, on the narrowest resource and under the narrowest
//! condition that IAM knows for it. Pure.
//!
//! Tests hold the table against the calls in the sources and against AWS's Service Authorization Reference, and run the
//! operator with its documents, with its documents less one action, and attack with them.

mod boundary;
mod condition;
mod keys;
mod scope;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::LazyLock;

use fleetmesh_model::KINDS;
use serde_json::{Value, json};

pub use boundary::{Boundary, boundary};
use condition::{When, condition};
pub use scope::{PolicyLimits, Scope};

/// The documents: a managed policy may have so many characters, and not every operator needs them all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PolicyDocument {
    /// App Mesh's API, at AWS.
    Mesh,
    /// Identities.
    Iam,
    /// Instances and launch templates that there are, and the parameters that name their AMIs.
    Ec2,
    /// Launches of instances.
    Launch,
    /// The KMS keys of their volumes.
    Kms,
    /// Services in AWS Cloud Map.
    CloudMap,
}

impl PolicyDocument {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Mesh, Self::Iam, Self::Ec2, Self::Launch, Self::Kms, Self::CloudMap];

    /// Its name: a word in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mesh => "mesh",
            Self::Iam => "iam",
            Self::Ec2 => "ec2",
            Self::Launch => "launch",
            Self::Kms => "kms",
            Self::CloudMap => "cloudmap",
        }
    }

    fn of(permission: &Permission) -> Self {
        match (permission.service, permission.operation.as_ref()) {
            ("appmesh", _) => Self::Mesh,
            ("iam", _) => Self::Iam,
            ("servicediscovery", _) => Self::CloudMap,
            ("ec2", "CreateFleet" | "RunInstances") => Self::Launch,
            _ => Self::Ec2,
        }
    }
}

impl fmt::Display for PolicyDocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One permission.
#[derive(Clone, Debug)]
pub struct Permission {
    /// The service's prefix, for example `iam`.
    pub service: &'static str,
    /// The operation, for example `CreateRole`.
    pub operation: Cow<'static, str>,
    resources: &'static [&'static str],
    when: When,
}

const fn allow(
    service: &'static str,
    operation: &'static str,
    resources: &'static [&'static str],
    when: When,
) -> Permission {
    Permission { service, operation: Cow::Borrowed(operation), resources, when }
}

// Resources: `P`, `R`, `A`, `PATH`, `NAMES` and `PREFIX` in braces are partition, region, account, path, the pattern of names
// and each prefix of parameters. Where actions share a list, each is about some kinds in it and the others mean nothing for it:
// one statement for all keeps the document short.

const MESH: &[&str] = &["arn:{P}:appmesh:{R}:{A}:mesh/*"];
const ROLE: &[&str] = &["arn:{P}:iam::{A}:role{PATH}{NAMES}"];
const IDENTITY: &[&str] = &[
    "arn:{P}:iam::{A}:instance-profile{PATH}{NAMES}",
    "arn:{P}:iam::{A}:policy{PATH}{NAMES}",
    "arn:{P}:iam::{A}:role{PATH}{NAMES}",
];
/// Roles and instance profiles are asked for by name before they are made, and a name that stands for nothing has no path
/// that could match.
const READ: &[&str] =
    &["arn:{P}:iam::{A}:instance-profile/*", "arn:{P}:iam::{A}:policy{PATH}*", "arn:{P}:iam::{A}:role/*"];
const ANY: &[&str] = &["*"];
const INSTANCE: &[&str] = &["arn:{P}:ec2:{R}:{A}:instance/*"];
const TEMPLATE: &[&str] = &["arn:{P}:ec2:{R}:{A}:launch-template/*"];
const KEPT: &[&str] = &["arn:{P}:ec2:{R}:{A}:instance/*", "arn:{P}:ec2:{R}:{A}:launch-template/*"];
const FLEET: &[&str] = &["arn:{P}:ec2:{R}:{A}:fleet/*"];
const TAGGED: &[&str] = &["arn:{P}:ec2:{R}:{A}:*/*"];
const IMAGE: &[&str] = &["arn:{P}:ec2:{R}::image/*"];
const NETWORK: &[&str] = &[
    "arn:{P}:ec2:{R}:{A}:network-interface/*",
    "arn:{P}:ec2:{R}:{A}:security-group/*",
    "arn:{P}:ec2:{R}:{A}:subnet/*",
];
const BESIDE: &[&str] = &["arn:{P}:ec2:{R}:{A}:spot-instances-request/*", "arn:{P}:ec2:{R}:{A}:volume/*"];
const PARAMETER: &[&str] =
    &["arn:{P}:ssm:{R}::parameter/aws/service/*", "arn:{P}:ssm:{R}:{A}:parameter{PREFIX}*"];
const SERVICE: &[&str] = &["arn:{P}:servicediscovery:{R}:{A}:service/*"];

/// Every permission, by service and, within App Mesh's, by operation.
pub static PERMISSIONS: LazyLock<Vec<Permission>> = LazyLock::new(|| {
    let mut permissions = of_app_mesh();
    permissions.extend_from_slice(OF_OTHERS);
    permissions
});

/// What is done to objects of every kind, and to their tags.
fn of_app_mesh() -> Vec<Permission> {
    let verbs = [
        ("Create", When::BecomesOurs),
        ("Delete", When::Ours),
        ("Describe", When::Always),
        ("Update", When::Ours),
    ];
    let of_kinds = verbs.into_iter().flat_map(|(verb, when)| {
        KINDS.map(|kind| Permission {
            operation: Cow::Owned(format!("{verb}{}", kind.name)),
            ..allow("appmesh", "", MESH, when)
        })
    });
    let of_tags = [
        allow("appmesh", "ListTagsForResource", MESH, When::Always),
        allow("appmesh", "TagResource", MESH, When::Adopts),
        allow("appmesh", "TagResource", MESH, When::TagsOurs),
        allow("appmesh", "UntagResource", MESH, When::Ours),
    ];
    let mut permissions: Vec<Permission> = of_kinds.chain(of_tags).collect();
    permissions.sort_by(|one, other| one.operation.cmp(&other.operation));
    permissions
}

const OF_OTHERS: &[Permission] = &[
    // Instances that are enrolled are somebody else's and carry no tag of ours but the one that lets us.
    allow("ec2", "AssociateIamInstanceProfile", INSTANCE, When::Enrolls),
    allow("ec2", "CreateFleet", FLEET, When::BecomesOurs),
    allow("ec2", "CreateFleet", INSTANCE, When::LaunchesLater),
    allow("ec2", "CreateFleet", TEMPLATE, When::Ours),
    allow("ec2", "CreateFleet", IMAGE, When::OfOwner),
    allow("ec2", "CreateFleet", NETWORK, When::InVpc),
    allow("ec2", "CreateFleet", BESIDE, When::Always),
    allow("ec2", "CreateLaunchTemplate", TEMPLATE, When::BecomesOurs),
    allow("ec2", "CreateLaunchTemplateVersion", KEPT, When::Ours),
    allow("ec2", "CreateTags", TAGGED, When::WhileMade),
    // To mend what somebody changed on what is ours, and to put the tags back that mark instances with our profile as ours.
    allow("ec2", "CreateTags", KEPT, When::TagsOursInEc2),
    allow("ec2", "CreateTags", INSTANCE, When::MarksAgain),
    allow("ec2", "DeleteLaunchTemplate", KEPT, When::Ours),
    allow("ec2", "DescribeIamInstanceProfileAssociations", ANY, When::Always),
    allow("ec2", "DescribeImages", ANY, When::Always),
    allow("ec2", "DescribeInstanceStatus", ANY, When::Always),
    allow("ec2", "DescribeInstanceTypes", ANY, When::Always),
    allow("ec2", "DescribeInstances", ANY, When::Always),
    allow("ec2", "DescribeLaunchTemplateVersions", ANY, When::Always),
    allow("ec2", "DescribeLaunchTemplates", ANY, When::Always),
    allow("ec2", "DescribeSubnets", ANY, When::Always),
    allow("ec2", "DisassociateIamInstanceProfile", INSTANCE, When::Dismisses),
    allow("ec2", "ModifyLaunchTemplate", KEPT, When::Ours),
    allow("ec2", "RunInstances", INSTANCE, When::Launches),
    allow("ec2", "RunInstances", TEMPLATE, When::Ours),
    // What instances are launched from and into need not carry tags of ours.
    allow("ec2", "RunInstances", IMAGE, When::OfOwner),
    allow("ec2", "RunInstances", NETWORK, When::InVpc),
    allow("ec2", "RunInstances", BESIDE, When::Always),
    allow("ec2", "TerminateInstances", KEPT, When::Ours),
    allow("iam", "AddRoleToInstanceProfile", IDENTITY, When::Ours),
    allow("iam", "AttachRolePolicy", ROLE, When::PolicyAllowed),
    allow("iam", "CreateInstanceProfile", IDENTITY, When::BecomesOurs),
    allow("iam", "CreatePolicy", IDENTITY, When::BecomesOurs),
    allow("iam", "CreatePolicyVersion", IDENTITY, When::Ours),
    allow("iam", "CreateRole", ROLE, When::BecomesOursBounded),
    allow("iam", "DeleteInstanceProfile", IDENTITY, When::Ours),
    allow("iam", "DeletePolicy", IDENTITY, When::Ours),
    allow("iam", "DeletePolicyVersion", IDENTITY, When::Ours),
    allow("iam", "DeleteRole", IDENTITY, When::Ours),
    // It reduces rights: also one that is not allowed any more has to go.
    allow("iam", "DetachRolePolicy", ROLE, When::OursBounded),
    allow("iam", "GetInstanceProfile", READ, When::Always),
    allow("iam", "GetPolicy", READ, When::Always),
    allow("iam", "GetPolicyVersion", READ, When::Always),
    allow("iam", "GetRole", READ, When::Always),
    allow("iam", "ListAttachedRolePolicies", READ, When::Always),
    allow("iam", "ListPolicyVersions", READ, When::Always),
    allow("iam", "ListRolePolicies", READ, When::Always),
    // IAM does not look at the tags of a role that is passed.
    allow("iam", "PassRole", ROLE, When::PassedToEc2),
    allow("iam", "PutRolePermissionsBoundary", ROLE, When::OursBounded),
    allow("iam", "RemoveRoleFromInstanceProfile", IDENTITY, When::Ours),
    // Asked for by the requests that make them, too: those carry tags.
    allow("iam", "TagInstanceProfile", IDENTITY, When::AdoptsInIam),
    allow("iam", "TagInstanceProfile", IDENTITY, When::TagsOursInIam),
    allow("iam", "TagPolicy", IDENTITY, When::AdoptsInIam),
    allow("iam", "TagPolicy", IDENTITY, When::TagsOursInIam),
    allow("iam", "TagRole", IDENTITY, When::AdoptsInIam),
    allow("iam", "TagRole", IDENTITY, When::TagsOursInIam),
    allow("iam", "UpdateAssumeRolePolicy", ROLE, When::OursBounded),
    // Namespaces and services are the user's, and so are their tags.
    allow("servicediscovery", "DeregisterInstance", SERVICE, When::OfService),
    allow("servicediscovery", "ListInstances", SERVICE, When::OfService),
    allow("servicediscovery", "ListNamespaces", ANY, When::Always),
    allow("servicediscovery", "ListServices", ANY, When::Always),
    allow("servicediscovery", "RegisterInstance", SERVICE, When::OfService),
    allow("ssm", "GetParameter", PARAMETER, When::Always),
];

/// IAM allows so many characters in a managed policy, white space not counted.
pub const LONGEST: usize = 6144;

/// How many characters of a document IAM counts.
pub fn size(document: &Value) -> usize {
    document.to_string().chars().filter(|letter| !letter.is_whitespace()).count()
}

/// What the operator is never to do, whatever else its identity is allowed: take a boundary away, or change the boundary.
const NEVER: [&str; 6] = [
    "iam:CreatePolicyVersion",
    "iam:DeletePolicy",
    "iam:DeletePolicyVersion",
    "iam:SetDefaultPolicyVersion",
    "iam:TagPolicy",
    "iam:UntagPolicy",
];

/// The policy document of this name for the operator's identity. `None` when the operator has no use for it in this scope:
/// without a permissions boundary it makes no identities and launches nothing, and without a service of Cloud Map's it
/// registers nothing, and without keys it names none.
pub fn document(scope: &Scope, document: PolicyDocument) -> Option<Value> {
    let needed = match document {
        PolicyDocument::Mesh => true,
        PolicyDocument::Iam | PolicyDocument::Ec2 | PolicyDocument::Launch => {
            scope.permissions_boundary.is_some()
        }
        PolicyDocument::Kms => scope.permissions_boundary.is_some() && !scope.limits.kms_keys.is_empty(),
        PolicyDocument::CloudMap => {
            scope.permissions_boundary.is_some() && !scope.limits.cloud_map_services.is_empty()
        }
    };
    let mut statements: Vec<Statement> = Vec::new();
    let belong = PERMISSIONS.iter().filter(|permission| PolicyDocument::of(permission) == document);
    for permission in belong.filter(|permission| scope.adopt || !permission.when.adopts()) {
        match statements.iter_mut().find(|statement| statement.takes(permission)) {
            Some(statement) => statement.permissions.push(permission),
            None => statements.push(Statement { permissions: vec![permission] }),
        }
    }
    let denied = denied(scope).filter(|_| document == PolicyDocument::Iam);
    let keys = keys::statements(scope).filter(|_| document == PolicyDocument::Kms);
    let statements: Vec<Value> = statements
        .iter()
        .map(|statement| statement.text(scope))
        .chain(keys.into_iter().flatten())
        .chain(denied.into_iter().flatten())
        .collect();
    needed.then(|| json!({ "Version": "2012-10-17", "Statement": statements }))
}

fn denied(scope: &Scope) -> Option<[Value; 2]> {
    let boundary = scope.permissions_boundary.as_ref()?;
    let roles = scope.filled("arn:{P}:iam::{A}:role/*");
    Some([
        json!({ "Effect": "Deny", "Action": NEVER, "Resource": [boundary] }),
        json!({ "Effect": "Deny", "Action": ["iam:DeleteRolePermissionsBoundary"], "Resource": roles }),
    ])
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
        let resources: BTreeSet<String> = resources.flat_map(|resource| scope.filled(resource)).collect();
        let mut statement = json!({ "Effect": "Allow", "Action": actions, "Resource": resources });
        let Some(when) = permissions.first().map(|permission| permission.when) else { return statement };
        if let Some(condition) = condition(when, scope) {
            statement["Condition"] = condition;
        }
        if when.adopts() {
            // The chart distinguishes them by it; it has to differ in each statement of an identity.
            let document = permissions.first().map(|permission| PolicyDocument::of(permission));
            statement["Sid"] = json!(document.map(|document| format!("Adopt{}", document.name())));
        }
        statement
    }
}
