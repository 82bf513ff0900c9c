//! The steps of a fleet's plan: one request each, as data with a printed form. Pure.

use std::fmt;

use fleetmesh_crds::fleet::Purchase;
use fleetmesh_model::tag::Tags;
use jiff::Timestamp;

use super::template::TemplateContent;

/// One request.
#[derive(Clone, Debug, PartialEq)]
pub enum FleetStep {
    /// Make the launch template.
    CreateTemplate {
        /// Its name.
        name: String,
        /// What its first version holds.
        content: TemplateContent,
        /// The user data, not encoded.
        user_data: String,
        /// Its tags.
        tags: Tags,
        /// The client token.
        token: String,
        /// What it mends, in words, if it does.
        mends: Option<String>,
    },
    /// Give the launch template a new version.
    CreateVersion {
        /// The template's id.
        template: String,
        /// What it holds.
        content: TemplateContent,
        /// The user data, not encoded.
        user_data: String,
        /// The client token.
        token: String,
        /// What it mends, in words, if it does.
        mends: Option<String>,
    },
    /// Make a version of the launch template the one that those get who name none.
    SetDefaultVersion {
        /// The template's id.
        template: String,
        /// The version.
        version: i64,
        /// The one that it is now.
        before: i64,
    },
    /// Set tags of the launch template or of an instance.
    Tag {
        /// Its id.
        resource: String,
        /// The tags to set; others stay.
        tags: Tags,
        /// What it mends, in words, if it does.
        mends: Option<String>,
    },
    /// Launch instances in one zone.
    Launch {
        /// The template's id.
        template: String,
        /// Its version.
        version: i64,
        /// How many, 1 or more.
        count: i32,
        /// Which of them will do, and how they are paid for.
        instance_types: Vec<String>,
        /// How they are paid for.
        purchase: Purchase,
        /// The availability zone; `None` when EC2 is to choose it.
        zone: Option<String>,
        /// The subnet, which is in that zone; one of the default VPC's when `None`.
        subnet: Option<String>,
        /// The tags of the instances.
        tags: Tags,
        /// The number of the launch.
        launch: i64,
        /// The client token: the same for the same launch, so that a lost reply launches nothing twice.
        token: String,
    },
    /// Mark instances as drained from now on.
    Drain {
        /// Their ids.
        instances: Vec<String>,
        /// Now.
        since: Timestamp,
    },
    /// Register an instance in Cloud Map.
    Register {
        /// The id of the node's service.
        service: String,
        /// Its id.
        instance: String,
        /// Its attributes.
        attributes: Tags,
    },
    /// Take an instance out of Cloud Map.
    Deregister {
        /// The id of the node's service.
        service: String,
        /// Its id.
        instance: String,
    },
    /// Terminate instances.
    Terminate {
        /// Their ids.
        instances: Vec<String>,
    },
    /// Give an instance the node's instance profile.
    Associate {
        /// The instance.
        instance: String,
        /// The profile's ARN.
        profile_arn: String,
    },
    /// Take the node's instance profile from an instance.
    Disassociate {
        /// The association's id.
        association: String,
        /// The instance.
        instance: String,
    },
    /// Delete the launch template with all versions.
    DeleteTemplate {
        /// Its id.
        template: String,
    },
}

impl FleetStep {
    /// What somebody changed from outside and the step puts back, in words.
    pub fn mends(&self) -> Option<&str> {
        match self {
            Self::CreateTemplate { mends, .. }
            | Self::CreateVersion { mends, .. }
            | Self::Tag { mends, .. } => mends.as_deref(),
            _ => None,
        }
    }

    /// Whether `failed`, a step of the same plan, has to succeed before this one is tried. All others go on without it.
    pub fn needs(&self, failed: &Self) -> bool {
        match (self, failed) {
            // The next number is asked for when this one is answered: a lost reply would be passed over.
            (Self::Launch { .. }, Self::Launch { .. }) => true,
            // An instance that is not marked would be registered again.
            (Self::Deregister { instance, .. }, Self::Drain { instances, .. }) => {
                instances.contains(instance)
            }
            // Callers still find it.
            (Self::Terminate { instances }, Self::Deregister { instance, .. }) => {
                instances.contains(instance)
            }
            _ => false,
        }
    }
}

impl fmt::Display for FleetStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateTemplate { name, content, .. } => {
                write!(f, "create launch template {name} ({})", content.hash())
            }
            Self::CreateVersion { template, content, .. } => {
                write!(f, "new version of {template} ({})", content.hash())
            }
            Self::SetDefaultVersion { template, version, .. } => {
                write!(f, "version {version} of {template} is the default")
            }
            Self::Tag { resource, tags, .. } => {
                let keys: Vec<&str> = tags.keys().map(String::as_str).collect();
                write!(f, "tag {resource} ({})", keys.join(", "))
            }
            Self::Launch { template, version, count, launch, zone, .. } => {
                let place = zone.as_ref().map(|zone| format!(" in {zone}")).unwrap_or_default();
                write!(f, "launch {count} of {template} version {version}{place} (launch {launch})")
            }
            Self::Drain { instances, .. } => write!(f, "drain {}", instances.join(", ")),
            Self::Register { instance, .. } => write!(f, "register {instance}"),
            Self::Deregister { instance, .. } => write!(f, "deregister {instance}"),
            Self::Terminate { instances } => write!(f, "terminate {}", instances.join(", ")),
            Self::Associate { instance, profile_arn } => write!(f, "give {instance} {profile_arn}"),
            Self::Disassociate { instance, .. } => write!(f, "take the profile from {instance}"),
            Self::DeleteTemplate { template } => write!(f, "delete launch template {template}"),
        }
    }
}
