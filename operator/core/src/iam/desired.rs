//! What a virtual node's `iam` asks for, as far as the admin's rules allow it. Pure.

use std::collections::BTreeSet;

use fleetmesh_crds::{AdoptionPolicy, ConditionType, Iam};
use fleetmesh_model::tag::Tags;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::rules::{self, Rules};
use super::{Place, document};
use crate::condition::Finding;
use crate::object::Object;
use crate::owner;

/// What IAM is to have.
#[derive(Clone, Debug, PartialEq)]
pub struct Desired {
    /// Path and name of role, policy and instance profile.
    pub place: Place,
    /// Whether only the status says that the identity is there, and the rules allow no new one of this name or path: whoever may
    /// write the status can make it say so, and IAM has to show that it is.
    pub unproven: bool,
    /// The role's trust document.
    pub trust: Value,
    /// The policy's document.
    pub policy: Value,
    /// The managed policies beside the node's own, by ARN.
    pub managed: BTreeSet<String>,
    /// Those that the spec names and the rules do not allow: they are not attached, and stay where an earlier release
    /// attached them.
    pub refused: BTreeSet<String>,
    /// Why managed policies that are missing are not attached yet, in words; `None` when they are.
    pub withheld: Option<String>,
    /// The role's permissions boundary, by ARN.
    pub permissions_boundary: String,
    /// The tags of ownership.
    pub tags: Tags,
    /// Our cluster: nothing of another's is taken over.
    pub cluster: String,
    /// Whether things that are somebody else's are taken over.
    pub adopt: bool,
    /// Whether the last report says that IAM had all of this: what differs then was changed by somebody else.
    pub was_in_step: bool,
    /// Whether the last report says that the role had this boundary.
    pub was_bounded: bool,
    /// Members of the spec that are not read, and why, in words; empty for a resource of this release.
    pub unread: String,
}

/// An identity that the rules do not allow as it is asked for: nothing is written.
#[derive(Clone, Debug, PartialEq)]
pub struct RefusedIdentity {
    /// Where it would be, or is.
    pub place: Place,
    /// Why, and the way out.
    pub finding: Finding,
}

impl Desired {
    /// What `object` asks for, when it has `iam`, or why it may not have that. `arn` is that of its App Mesh node.
    pub fn of(
        object: &Object,
        arn: &str,
        cluster: &str,
        rules: &Rules,
    ) -> Option<Result<Self, RefusedIdentity>> {
        let iam = object.iam()?;
        let reported = object.status.iam().and_then(Place::reported);
        let place = Place::of(iam, &object.id, &rules.path, reported.as_ref());
        let refused = |finding: Finding| Some(Err(RefusedIdentity { place: place.clone(), finding }));
        let Some(boundary) = &rules.permissions_boundary else { return refused(rules::boundary_required()) };
        let name_refused = rules.refuse_name(iam, &object.id);
        let allowed = name_refused.is_none();
        if let Some(finding) = name_refused.filter(|_| reported.as_ref() != Some(&place)) {
            return refused(finding);
        }
        let partition = document::partition(arn);
        let wanted = iam.managed_policy_arns.clone();
        let wanted = wanted.unwrap_or_else(|| rules.default_policies(partition));
        let (managed, not_allowed): (BTreeSet<_>, BTreeSet<_>) =
            wanted.into_iter().partition(|arn| rules.allow_policy(arn, partition));
        let status = object.status.iam();
        if !not_allowed.is_empty() && status.is_none_or(|status| status.role_arn.is_none()) {
            return refused(rules::policies_not_allowed(&not_allowed, &rules.path));
        }
        let ready = object.status.condition(ConditionType::IdentityReady);
        Some(Ok(Self {
            trust: document::trust(partition),
            policy: document::policy(arn),
            managed,
            refused: not_allowed,
            withheld: None,
            permissions_boundary: boundary.clone(),
            tags: owner::owner_tags(object, cluster),
            cluster: cluster.to_owned(),
            adopt: rules.adopt && object.management.adoption_policy == AdoptionPolicy::Adopt,
            was_in_step: object.reported() && ready.is_some_and(|ready| ready.status == "True"),
            was_bounded: status.is_some_and(|status| status.permissions_boundary.as_ref() == Some(boundary)),
            unread: unread(iam),
            unproven: !allowed || place.path != rules.path,
            place,
        }))
    }

    /// Whether the managed policy `arn` stays attached where the operator attached it.
    pub fn keeps(&self, arn: &String) -> bool {
        self.managed.contains(arn) || self.refused.contains(arn)
    }

    /// The same for the same wish: while IAM was left in step with it, news about something else need no call.
    pub fn hash(&self) -> String {
        let Self { place, trust, policy, managed, refused, permissions_boundary, tags, .. } = self;
        let Self { cluster, adopt, unread, was_in_step: _, was_bounded: _, withheld: _, unproven: _, .. } =
            self;
        let text = format!(
            "{place}|{trust}|{policy}|{managed:?}|{refused:?}|{permissions_boundary}|{tags:?}|{cluster}|{adopt}|{unread}"
        );
        hex::encode(Sha256::digest(text))
    }
}

/// What only a resource of an earlier release can have: the API server refuses it in others.
fn unread(iam: &Iam) -> String {
    let members = [("path", &iam.path), ("permissionsBoundary", &iam.permissions_boundary)];
    let set: Vec<String> = members
        .iter()
        .filter(|(_, value)| value.is_some())
        .map(|(name, _)| format!("spec.iam.{name}"))
        .collect();
    if set.is_empty() {
        return String::new();
    }
    format!(
        "; not read any more, because it is the operator's to say (--iam-path, --iam-permissions-boundary): {}. Remove it",
        set.join(", ")
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use fleetmesh_crds::{IamStatus, NodeStatus, Reason, VirtualNode};
    use serde_json::json;

    use super::*;

    const ARN: &str = "arn:aws:appmesh:us-west-2:111122223333:mesh/apps/virtualNode/b";
    const ADMIN: &str = "arn:aws:iam::aws:policy/AdministratorAccess";
    const REGISTRY: &str = "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryReadOnly";

    /// A virtual node with this `iam`; `made` is the place that its status names.
    fn object(iam: Value, made: Option<&str>) -> Object {
        let node: VirtualNode = serde_json::from_value(json!({
            "apiVersion": "fleetmesh.dev/v1alpha1", "kind": "VirtualNode", "metadata": { "name": "b", "uid": "u" },
            "spec": { "meshName": "apps", "adoptionPolicy": "Adopt", "iam": iam },
        }))
        .unwrap();
        let mut object = Object::read(&node);
        let iam = made.map(|name| IamStatus {
            name: Some(name.to_owned()),
            role_arn: Some(format!("arn:aws:iam::111122223333:role{name}")),
            ..IamStatus::default()
        });
        object.status.of_kind = NodeStatus { iam, ..NodeStatus::default() }.into();
        object
    }

    fn rules() -> Rules {
        Rules { permissions_boundary: Some("boundary".to_owned()), ..Rules::default() }
    }

    fn of(object: &Object, rules: &Rules) -> Result<Desired, Reason> {
        Desired::of(object, ARN, "c", rules).unwrap().map_err(|refused| refused.finding.reason)
    }

    #[test]
    fn nothing_is_wanted_without_a_boundary_whatever_there_is() {
        for made in [None, Some("/fleetmesh/mesh-apps-b")] {
            assert_eq!(of(&object(json!({}), made), &Rules::default()), Err(Reason::BoundaryRequired));
        }
        let desired = of(&object(json!({}), None), &rules()).unwrap();
        assert_eq!(desired.permissions_boundary, "boundary");
        assert_eq!(desired.managed, BTreeSet::from([REGISTRY.to_owned()]));
    }

    #[test]
    fn names_outside_of_the_pattern_are_only_those_that_exist() {
        let rules = Rules { role_names: "mesh-*".to_owned(), ..rules() };
        let named = json!({ "roleName": "Admin" });
        assert_eq!(of(&object(named.clone(), None), &rules), Err(Reason::NameNotAllowed));
        assert_eq!(of(&object(named.clone(), Some("/other/x")), &rules), Err(Reason::NameNotAllowed));
        let kept = of(&object(named, Some("/mesh/Admin")), &rules).unwrap();
        assert_eq!(kept.place.to_string(), "/mesh/Admin", "it stays at its path, too");
        assert!(kept.unproven, "IAM has to show that it exists");
        assert!(!of(&object(json!({}), None), &rules).unwrap().unproven);
        assert!(!of(&object(json!({}), Some("/fleetmesh/mesh-apps-b")), &rules).unwrap().unproven);
        assert!(of(&object(json!({}), Some("/mesh/mesh-apps-b")), &rules).unwrap().unproven, "by its path");
    }

    #[test]
    fn nobody_takes_the_name_that_another_node_has_by_default() {
        for name in ["mesh-apps-payments", "mesh-", "Mesh-apps-payments", "MESH-APPS-B", "mesh-apps-b2"] {
            let squats = json!({ "roleName": name });
            assert_eq!(of(&object(squats.clone(), None), &rules()), Err(Reason::NameNotAllowed), "{name}");
            let finding =
                Desired::of(&object(squats.clone(), None), ARN, "c", &rules()).unwrap().unwrap_err();
            for words in
                [&format!("spec.iam.roleName is {name}"), "this node's is mesh-apps-b", "Remove roleName"]
            {
                assert!(finding.finding.message.contains(words), "{}", finding.finding.message);
            }
            // One that an earlier release made stays, while IAM shows that it is the node's.
            let kept = of(&object(squats, Some(&format!("/fleetmesh/{name}"))), &rules()).unwrap();
            assert!(kept.unproven, "{name}");
        }
        for name in ["mesh-apps-b", "apps-payments", "team-mesh-a"] {
            let desired = of(&object(json!({ "roleName": name }), None), &rules()).unwrap();
            assert!(!desired.unproven, "{name}");
        }
    }

    #[test]
    fn policies_that_are_not_allowed_are_wanted_of_nobody() {
        let iam = json!({ "managedPolicyArns": [ADMIN, REGISTRY] });
        assert_eq!(of(&object(iam.clone(), None), &rules()), Err(Reason::PolicyNotAllowed));
        let desired = of(&object(iam, Some("/fleetmesh/mesh-apps-b")), &rules()).unwrap();
        assert_eq!(desired.refused, BTreeSet::from([ADMIN.to_owned()]));
        assert_eq!(desired.managed, BTreeSet::from([REGISTRY.to_owned()]));
    }

    #[test]
    fn what_a_stored_spec_names_is_not_read_but_reported() {
        let iam = json!({ "path": "/mesh/", "permissionsBoundary": ADMIN });
        let desired = of(&object(iam, None), &rules()).unwrap();
        assert_eq!(desired.place.path, "/fleetmesh/");
        assert_eq!(desired.permissions_boundary, "boundary");
        assert!(desired.unread.contains("spec.iam.path, spec.iam.permissionsBoundary"), "{}", desired.unread);
    }

    #[test]
    fn adoption_takes_the_admin_and_the_resource() {
        assert!(!of(&object(json!({}), None), &rules()).unwrap().adopt);
        let adopts = Rules { adopt: true, ..rules() };
        assert!(of(&object(json!({}), None), &adopts).unwrap().adopt);
    }
}
