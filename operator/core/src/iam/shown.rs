//! How far a status is trusted about an identity: whoever may write a status can make it name anything. Pure.

use fleetmesh_crds::IamStatus;
use fleetmesh_model::tag::Tags;

use super::{InstanceProfile, Role};
use crate::owner::is_of;

/// What may be believed of the instance profile `arn` that a status names, after IAM was asked for the profile and the role of
/// its `name`: the profile when it carries the tags of the `owner` and has no role but that one, and its role's boundary. One
/// that IAM does not have any more is nobody else's; it has no boundary, so it can be taken from instances and not handed out.
pub fn shown(
    arn: &str,
    name: &str,
    profile: Option<&InstanceProfile>,
    role: Option<&Role>,
    owner: &Tags,
) -> IamStatus {
    let own = profile.is_none_or(|profile| {
        profile.arn == arn && is_of(&profile.tags, owner) && profile.roles.iter().all(|role| role == name)
    });
    let role = role.filter(|role| own && profile.is_some() && is_of(&role.tags, owner));
    IamStatus {
        instance_profile_arn: own.then(|| arn.to_owned()),
        permissions_boundary: role.and_then(|role| role.permissions_boundary.clone()),
        ..IamStatus::default()
    }
}

#[cfg(test)]
mod tests {

    use fleetmesh_api::tags::{OWNER_CLUSTER_TAG, OWNER_UID_TAG};

    use super::*;
    use crate::iam::{Found, IamOutcome, IamPlan, ObservedIdentity, Place, Then, part};

    const ARN: &str = "arn:aws:iam::111122223333:instance-profile/fleetmesh/web";

    fn tags(uid: &str, cluster: &str) -> Tags {
        [(OWNER_UID_TAG, uid), (OWNER_CLUSTER_TAG, cluster)]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into()
    }

    fn profile(tags: Tags, role: &str) -> InstanceProfile {
        InstanceProfile { arn: ARN.to_owned(), roles: vec![role.to_owned()], tags }
    }

    fn role(tags: Tags) -> Role {
        let arn = ARN.replace("instance-profile", "role");
        Role { arn, permissions_boundary: Some("boundary".to_owned()), tags, ..Role::default() }
    }

    #[test]
    fn a_profile_that_a_status_names_is_believed_by_its_tags_alone() {
        let mine = || tags("u", "c");
        let read = |profile: Option<&InstanceProfile>, role: &Role| {
            let shown = shown(ARN, "web", profile, Some(role), &mine());
            (shown.instance_profile_arn.is_some(), shown.permissions_boundary.is_some())
        };
        assert_eq!(read(Some(&profile(mine(), "web")), &role(mine())), (true, true));
        for others in [tags("another", "c"), tags("u", "other"), Tags::new()] {
            assert_eq!(
                read(Some(&profile(others.clone(), "web")), &role(mine())),
                (false, false),
                "{others:?}"
            );
            let of_role = read(Some(&profile(mine(), "web")), &role(others.clone()));
            assert_eq!(of_role, (true, false), "its role is another's: {others:?}");
        }
        assert_eq!(read(Some(&profile(mine(), "admin")), &role(mine())), (false, false));
        let elsewhere = InstanceProfile { arn: ARN.replace("/fleetmesh/", "/x/"), ..profile(mine(), "web") };
        assert_eq!(read(Some(&elsewhere), &role(mine())), (false, false));
        assert_eq!(
            read(None, &role(mine())),
            (true, false),
            "nobody's any more: to be taken off, not handed out"
        );
    }

    #[test]
    fn a_profile_of_another_resource_is_not_shown_as_ones_own() {
        let shown = |owner: Tags| {
            let observed = ObservedIdentity {
                role: Found::Present(role(owner.clone())),
                policy: Found::Absent,
                instance_profile: Found::Present(profile(owner, "web")),
            };
            let place = Place { path: "/fleetmesh/".to_owned(), name: "web".to_owned() };
            let plan =
                IamPlan { steps: Vec::new(), then: Then::Settling("it".to_owned()), foreign: Vec::new() };
            let outcome = IamOutcome::default();
            let part = part::gone(&Default::default(), &tags("u", "c"), &place, &observed, &plan, &outcome);
            part.status.and_then(|status| status.instance_profile_arn)
        };
        assert_eq!(shown(tags("u", "c")).as_deref(), Some(ARN));
        for others in [tags("another", "c"), tags("u", "other"), Tags::new()] {
            assert_eq!(shown(others.clone()), None, "{others:?}");
        }
    }
}
