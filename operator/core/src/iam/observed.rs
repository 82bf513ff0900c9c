//! What a reconcile read in IAM. Pure data.

use std::collections::BTreeSet;

use fleetmesh_model::tag::Tags;

/// Role, policy and instance profile of one place.
#[derive(Clone, Debug, PartialEq)]
pub struct ObservedIdentity {
    /// The role.
    pub role: Found<Role>,
    /// The policy; not looked for while the account is unknown.
    pub policy: Found<Policy>,
    /// The instance profile.
    pub instance_profile: Found<InstanceProfile>,
}

/// Whether a thing is there.
#[derive(Clone, Debug, PartialEq)]
pub enum Found<T> {
    /// It is not.
    Absent,
    /// We made it a moment ago, and IAM does not show it yet: it is eventually consistent.
    Settling,
    /// It is.
    Present(T),
}

impl<T> Found<T> {
    /// The thing when it is there.
    pub fn present(&self) -> Option<&T> {
        match self {
            Self::Present(thing) => Some(thing),
            Self::Absent | Self::Settling => None,
        }
    }
}

/// A role.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Role {
    /// Its ARN.
    pub arn: String,
    /// Its unique id, `AROA…`; empty when IAM returns none.
    pub unique_id: String,
    /// Its trust document, as JSON.
    pub trust: String,
    /// Its tags.
    pub tags: Tags,
    /// The ARN of its permissions boundary.
    pub permissions_boundary: Option<String>,
    /// The ARNs of the managed policies that are attached.
    pub attached: BTreeSet<String>,
    /// The names of its inline policies.
    pub inline: BTreeSet<String>,
}

/// A managed policy.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Policy {
    /// Its ARN.
    pub arn: String,
    /// The document of its default version, as JSON.
    pub document: String,
    /// The default version, for example `v1`.
    pub default_version: String,
    /// All versions, the oldest first.
    pub versions: Vec<String>,
    /// Its tags.
    pub tags: Tags,
}

/// An instance profile.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InstanceProfile {
    /// Its ARN.
    pub arn: String,
    /// The names of its roles; IAM allows one.
    pub roles: Vec<String>,
    /// Its tags.
    pub tags: Tags,
}

/// The number of a policy version `vN`, by which versions are ordered; 0 for another text.
pub fn version_number(version: &str) -> u64 {
    version.strip_prefix('v').and_then(|number| number.parse().ok()).unwrap_or_default()
}
