//! Plans for IAM, as data with a printed form. Pure.

use std::collections::BTreeSet;
use std::fmt;

use fleetmesh_model::tag::Tags;

use super::Place;
use crate::condition::Finding;

/// What a reconcile is to do in IAM.
#[derive(Clone, Debug, PartialEq)]
pub struct IamPlan {
    /// The steps, one request each; the first that fails ends the plan.
    pub steps: Vec<Planned>,
    /// What holds when the steps are done.
    pub then: Then,
    /// What somebody else attached to the role; it is left alone.
    pub foreign: Vec<String>,
}

/// One step and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    /// The step.
    pub step: IamStep,
    /// What somebody changed and the step puts back, in words; `None` for a step that the spec asks for.
    pub mends: Option<String>,
    /// Whether the step takes over what was somebody else's.
    pub adopts: bool,
}

/// What holds when the steps of a plan are done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Then {
    /// IAM has what the spec says.
    InStep,
    /// The account is known, and the rest can be looked at.
    LookAgain,
    /// IAM does not show yet what was made a moment ago; what, in words.
    Settling(String),
    /// There are as many roles as there may be, and this one is not: what to say.
    Full(Finding),
    /// Managed policies are not attached yet: why, in words.
    Withheld(String),
    /// Something of that name is somebody else's: what and whose, in words.
    NotOwned(String),
    /// Nothing of ours is there, or is left.
    Gone,
    /// Something of ours cannot go: why, and the way out.
    Blocked(String),
}

/// What an identity consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Thing {
    /// The role.
    Role,
    /// The policy.
    Policy,
    /// The instance profile.
    InstanceProfile,
}

/// One request.
#[derive(Clone, Debug, PartialEq)]
pub enum IamStep {
    /// Create the role with its tags.
    CreateRole {
        /// Path and name.
        place: Place,
        /// The trust document.
        trust: String,
        /// The permissions boundary.
        permissions_boundary: String,
        /// The tags.
        tags: Tags,
    },
    /// Set tags of the role.
    TagRole {
        /// The role's name.
        name: String,
        /// The tags.
        tags: Tags,
    },
    /// Change who may assume the role.
    UpdateAssumeRolePolicy {
        /// The role's name.
        name: String,
        /// The trust document.
        trust: String,
    },
    /// Set the role's permissions boundary.
    PutRolePermissionsBoundary {
        /// The role's name.
        name: String,
        /// The boundary's ARN.
        arn: String,
    },
    /// Attach a managed policy to the role.
    AttachRolePolicy {
        /// The role's name.
        name: String,
        /// The policy's ARN.
        arn: String,
    },
    /// Detach a managed policy from the role.
    DetachRolePolicy {
        /// The role's name.
        name: String,
        /// The policy's ARN.
        arn: String,
    },
    /// Delete the role.
    DeleteRole {
        /// Its name.
        name: String,
    },
    /// Create the policy with its tags.
    CreatePolicy {
        /// Path and name.
        place: Place,
        /// The document.
        document: String,
        /// The tags.
        tags: Tags,
    },
    /// Set tags of the policy.
    TagPolicy {
        /// The policy's ARN.
        arn: String,
        /// The tags.
        tags: Tags,
    },
    /// Give the policy a new default version.
    CreatePolicyVersion {
        /// The policy's ARN.
        arn: String,
        /// The document.
        document: String,
    },
    /// Delete a version of the policy that is not the default.
    DeletePolicyVersion {
        /// The policy's ARN.
        arn: String,
        /// The version.
        version: String,
    },
    /// Delete the policy.
    DeletePolicy {
        /// Its ARN.
        arn: String,
    },
    /// Create the instance profile with its tags.
    CreateInstanceProfile {
        /// Path and name.
        place: Place,
        /// The tags.
        tags: Tags,
    },
    /// Set tags of the instance profile.
    TagInstanceProfile {
        /// The instance profile's name.
        name: String,
        /// The tags.
        tags: Tags,
    },
    /// Put the role into the instance profile.
    AddRoleToInstanceProfile {
        /// The instance profile's name.
        name: String,
        /// The role's name.
        role: String,
    },
    /// Take a role out of the instance profile.
    RemoveRoleFromInstanceProfile {
        /// The instance profile's name.
        name: String,
        /// The role's name.
        role: String,
    },
    /// Delete the instance profile.
    DeleteInstanceProfile {
        /// Its name.
        name: String,
    },
}

impl IamPlan {
    /// Whether the plan makes a role.
    pub fn makes_a_role(&self) -> bool {
        self.steps.iter().any(|planned| matches!(planned.step, IamStep::CreateRole { .. }))
    }

    /// Whether the plan attaches any of `policies`.
    pub fn attaches(&self, policies: &BTreeSet<String>) -> bool {
        let attaches =
            |step: &IamStep| matches!(step, IamStep::AttachRolePolicy { arn, .. } if policies.contains(arn));
        self.steps.iter().any(|planned| attaches(&planned.step))
    }
}

impl IamStep {
    /// What the step makes: IAM may not show it yet to the next call, and answers the same request again that it exists.
    pub fn creates(&self) -> Option<Thing> {
        match self {
            Self::CreateRole { .. } => Some(Thing::Role),
            Self::CreatePolicy { .. } => Some(Thing::Policy),
            Self::CreateInstanceProfile { .. } => Some(Thing::InstanceProfile),
            _ => None,
        }
    }

    /// Whether the step is done when what it is about does not exist.
    pub fn removes(&self) -> bool {
        matches!(
            self,
            Self::DetachRolePolicy { .. }
                | Self::DeleteRole { .. }
                | Self::DeletePolicyVersion { .. }
                | Self::DeletePolicy { .. }
                | Self::RemoveRoleFromInstanceProfile { .. }
                | Self::DeleteInstanceProfile { .. }
        )
    }
}

impl From<IamStep> for Planned {
    fn from(step: IamStep) -> Self {
        Self { step, mends: None, adopts: false }
    }
}

impl fmt::Display for IamPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for planned in &self.steps {
            write!(f, "{}; ", planned.step)?;
        }
        match &self.then {
            Then::InStep => f.write_str("in step"),
            Then::LookAgain => f.write_str("look again"),
            Then::Settling(what) => write!(f, "wait until IAM shows {what}"),
            Then::Full(finding) => write!(f, "no room: {}", finding.message),
            Then::Withheld(why) => write!(f, "withheld: {why}"),
            Then::NotOwned(what) => write!(f, "not owned: {what}"),
            Then::Gone => f.write_str("gone"),
            Then::Blocked(why) => write!(f, "blocked: {why}"),
        }
    }
}

impl fmt::Display for IamStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = |tags: &Tags| tags.keys().cloned().collect::<Vec<_>>().join(",");
        match self {
            Self::CreateRole { place, trust: _, permissions_boundary, tags: _ } => {
                write!(f, "create role {place} bounded by {permissions_boundary}")
            }
            Self::TagRole { name: _, tags } => write!(f, "tag role {}", keys(tags)),
            Self::UpdateAssumeRolePolicy { .. } => f.write_str("update trust"),
            Self::PutRolePermissionsBoundary { name: _, arn } => write!(f, "bound by {arn}"),
            Self::AttachRolePolicy { name: _, arn } => write!(f, "attach {arn}"),
            Self::DetachRolePolicy { name: _, arn } => write!(f, "detach {arn}"),
            Self::DeleteRole { name } => write!(f, "delete role {name}"),
            Self::CreatePolicy { place, .. } => write!(f, "create policy {place}"),
            Self::TagPolicy { arn: _, tags } => write!(f, "tag policy {}", keys(tags)),
            Self::CreatePolicyVersion { .. } => f.write_str("create policy version"),
            Self::DeletePolicyVersion { arn: _, version } => write!(f, "delete policy version {version}"),
            Self::DeletePolicy { arn } => write!(f, "delete policy {arn}"),
            Self::CreateInstanceProfile { place, .. } => write!(f, "create instance profile {place}"),
            Self::TagInstanceProfile { name: _, tags } => write!(f, "tag instance profile {}", keys(tags)),
            Self::AddRoleToInstanceProfile { name: _, role } => write!(f, "add role {role} to profile"),
            Self::RemoveRoleFromInstanceProfile { name: _, role } => {
                write!(f, "remove role {role} from profile")
            }
            Self::DeleteInstanceProfile { name } => write!(f, "delete instance profile {name}"),
        }
    }
}
