//! Plans, as data with a printed form. Pure.

use std::fmt;

use fleetmesh_model::tag::Tags;
use fleetmesh_model::{ResourceId, Spec};

use crate::object::ObjectKey;

/// What a reconcile is to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Plan {
    /// These steps, one after another; the first that fails ends the plan, unless its failure is marked as harmless.
    Steps(Vec<Step>),
    /// Nothing, and why.
    Nothing(Idle),
    /// Nothing yet: something else has to happen first, and triggers the object when it does.
    Wait(Waiting),
}

/// One request.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Put our finalizer on the resource, so that its App Mesh object is never forgotten.
    AddFinalizer,
    /// Take our finalizer away, so that the resource can go.
    RemoveFinalizer,
    /// Create the App Mesh object with its tags.
    Create {
        /// Its identity.
        id: ResourceId,
        /// Its spec.
        spec: Spec,
        /// Its tags.
        tags: Tags,
        /// The client token: the same for the same wish, so that a repeated request makes nothing twice.
        token: String,
    },
    /// Change the App Mesh object.
    Update {
        /// Its identity.
        id: ResourceId,
        /// Its new spec.
        spec: Spec,
        /// The client token.
        token: String,
    },
    /// Set tags.
    TagResource {
        /// The ARN of the App Mesh object.
        arn: String,
        /// The tags to set.
        tags: Tags,
    },
    /// Remove tags.
    UntagResource {
        /// The ARN of the App Mesh object.
        arn: String,
        /// The keys to remove.
        keys: Vec<String>,
        /// Whether the plan goes on when this fails: a resource that lets go of its object goes in any case.
        optional: bool,
    },
    /// Delete the App Mesh object.
    Delete {
        /// Its identity.
        id: ResourceId,
    },
}

/// Why there is nothing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Idle {
    /// The App Mesh object means what the spec says.
    InStep,
    /// The resource is not accepted; the decision's verdict says why. The App Mesh object stays as it is.
    NotAccepted,
    /// The resource names what it may not; the decision's verdict says what. The App Mesh object stays as it is.
    NotPermitted,
    /// The App Mesh object is made elsewhere and only looked at, and it does not exist.
    NotThere,
    /// The App Mesh object could not be read; the next look tries again.
    Unread,
    /// The App Mesh object is gone, the identity or the fleet is not yet.
    PartsLeft,
    /// The resource is being deleted and nothing of ours holds it.
    Gone,
}

/// What a plan waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// App Mesh objects of these resources must exist first.
    Referents(Vec<(ResourceId, ObjectKey)>),
    /// Something the spec names has neither a resource nor, as far as is known, an App Mesh object; both may be on
    /// their way.
    Arrival(Vec<ResourceId>),
    /// App Mesh objects of these resources refer to this one and must go, or point elsewhere, first.
    Dependents(Vec<ObjectKey>),
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Steps(steps) => {
                for (index, step) in steps.iter().enumerate() {
                    write!(f, "{}{step}", if index == 0 { "" } else { "; " })?;
                }
                Ok(())
            }
            Self::Nothing(Idle::InStep) => f.write_str("nothing: in step"),
            Self::Nothing(Idle::NotAccepted) => f.write_str("nothing: not accepted"),
            Self::Nothing(Idle::NotPermitted) => f.write_str("nothing: not permitted"),
            Self::Nothing(Idle::NotThere) => f.write_str("nothing: made elsewhere, and not there"),
            Self::Nothing(Idle::Unread) => f.write_str("nothing: could not be read"),
            Self::Nothing(Idle::PartsLeft) => f.write_str("nothing: the identity or the fleet goes first"),
            Self::Nothing(Idle::Gone) => f.write_str("nothing: nothing of ours is left"),
            Self::Wait(Waiting::Referents(referents)) => {
                let names: Vec<String> = referents.iter().map(|(id, key)| format!("{id} of {key}")).collect();
                write!(f, "wait for {}", names.join(", "))
            }
            Self::Wait(Waiting::Arrival(ids)) => {
                let names: Vec<String> = ids.iter().map(ToString::to_string).collect();
                write!(f, "wait a moment for {}", names.join(", "))
            }
            Self::Wait(Waiting::Dependents(dependents)) => {
                let names: Vec<String> = dependents.iter().map(ToString::to_string).collect();
                write!(f, "wait until {} no longer refer to it", names.join(", "))
            }
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = |tags: &Tags| tags.keys().cloned().collect::<Vec<_>>().join(",");
        match self {
            Self::AddFinalizer => f.write_str("add finalizer"),
            Self::RemoveFinalizer => f.write_str("remove finalizer"),
            Self::Create { id, spec: _, tags: _, token: _ } => write!(f, "create {id}"),
            Self::Update { id, spec: _, token: _ } => write!(f, "update {id}"),
            Self::TagResource { arn: _, tags } => write!(f, "tag {}", keys(tags)),
            Self::UntagResource { arn: _, keys, optional: _ } => write!(f, "untag {}", keys.join(",")),
            Self::Delete { id } => write!(f, "delete {id}"),
        }
    }
}
