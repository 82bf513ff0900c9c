//! What a virtual node's `iam` asks for. Pure.

use std::collections::BTreeSet;

use fleetmesh_crds::AdoptionPolicy;
use fleetmesh_model::tag::Tags;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Place, document};
use crate::object::Object;
use crate::owner;

/// What IAM is to have.
#[derive(Clone, Debug, PartialEq)]
pub struct Desired {
    /// Path and name of role, policy and instance profile.
    pub place: Place,
    /// The role's trust document.
    pub trust: Value,
    /// The policy's document.
    pub policy: Value,
    /// The managed policies beside the node's own, by ARN.
    pub managed: BTreeSet<String>,
    /// The role's permissions boundary, by ARN.
    pub permissions_boundary: Option<String>,
    /// The tags of ownership.
    pub tags: Tags,
    /// Whether things that are somebody else's are taken over.
    pub adopt: bool,
    /// Whether the last report says that IAM had all of this: what differs then was changed by somebody else.
    pub was_in_step: bool,
}

impl Desired {
    /// What `object` asks for, when it has `iam`. `arn` is that of its App Mesh node.
    pub fn of(object: &Object, arn: &str, cluster: &str) -> Option<Self> {
        let iam = object.iam.as_ref()?;
        let partition = document::partition(arn);
        let managed = iam.managed_policy_arns.clone();
        let managed = managed.unwrap_or_else(|| vec![document::image_pull_policy(partition)]);
        let ready = object.status.condition(fleetmesh_crds::ConditionType::IdentityReady);
        Some(Self {
            place: Place::of(iam, &object.id),
            trust: document::trust(partition),
            policy: document::policy(arn),
            managed: managed.into_iter().collect(),
            permissions_boundary: iam.permissions_boundary.clone(),
            tags: owner::owner_tags(object, cluster),
            adopt: object.management.adoption_policy == AdoptionPolicy::Adopt,
            was_in_step: object.reported() && ready.is_some_and(|ready| ready.status == "True"),
        })
    }

    /// The same for the same wish: while IAM was left in step with it, news about something else need no call.
    pub fn hash(&self) -> String {
        let Self { place, trust, policy, managed, permissions_boundary, tags, adopt, was_in_step: _ } = self;
        let text = format!("{place}|{trust}|{policy}|{managed:?}|{permissions_boundary:?}|{tags:?}|{adopt}");
        Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
