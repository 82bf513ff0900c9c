//! The decision about an identity that the spec asks for. Total. Pure.

use fleetmesh_api::tags::{ATTACHED_TAG, OWNER_NAMESPACE_TAG, OWNER_UID_TAG};
use fleetmesh_model::tag::Tags;

use super::attached::Marks;
use super::document;
use super::role;
use super::{
    Account, Desired, Found, IamPlan, IamStep, InstanceProfile, ObservedIdentity, Planned, Policy, Then,
};
use crate::owner::{self, Owner};

/// How many versions IAM keeps of a policy.
const MAX_VERSIONS: usize = 5;

/// What to do about what was observed.
pub fn decide(desired: &Desired, observed: &ObservedIdentity) -> IamPlan {
    if desired.unproven && !is_there(desired, observed) {
        return IamPlan { steps: Vec::new(), then: Then::Gone, foreign: Vec::new() };
    }
    if let Some(what) = not_owned(desired, observed) {
        return IamPlan { steps: Vec::new(), then: Then::NotOwned(what), foreign: Vec::new() };
    }
    let role = match &observed.role {
        Found::Present(role) => role,
        Found::Settling => return settling("the role", desired),
        Found::Absent => {
            let tags = role::tags(desired, &Marks::of(&desired.managed));
            let step = IamStep::CreateRole {
                place: desired.place.clone(),
                trust: desired.trust.to_string(),
                permissions_boundary: desired.permissions_boundary.clone(),
                tags,
            };
            let mends = desired.was_in_step.then(|| "the role was deleted".to_owned());
            let steps = vec![Planned { step, mends, adopts: false }];
            return IamPlan { steps, then: Then::LookAgain, foreign: Vec::new() };
        }
    };
    let Some(account) = Account::of(&role.arn) else {
        let what = format!("an ARN of IAM for the role ({} is none)", role.arn);
        return IamPlan { steps: Vec::new(), then: Then::Settling(what), foreign: Vec::new() };
    };
    let own = account.policy(&desired.place);
    let (before, after) = role::marks(desired, role);
    let mut steps = role::shape(desired, role, &before);
    // Before anything that may fail: what the spec wants no more is not to be had together with what it wants now.
    steps.extend(role::detach(desired, role, &before, &own));
    match policy(desired, &observed.policy, &own) {
        Some(more) => steps.extend(more),
        None => return IamPlan { steps, ..settling("the policy", desired) },
    }
    steps.extend(role::attach(desired, role, &own));
    match instance_profile(desired, &observed.instance_profile) {
        Some(more) => steps.extend(more),
        None => return IamPlan { steps, ..settling("the instance profile", desired) },
    }
    if after != before {
        let tags = Tags::from([(ATTACHED_TAG.to_owned(), after.value())]);
        steps.push(IamStep::TagRole { name: desired.place.name.clone(), tags }.into());
    }
    let then = role::withheld(desired, role).map_or(Then::InStep, Then::Withheld);
    IamPlan { steps, then, foreign: role::foreign(role, &before, &own) }
}

/// Whether IAM has something where the status says that the identity is, and the role or the instance profile there is this
/// resource's when the rules do not allow the place: nothing is made or taken over there because a status says so.
fn is_there(desired: &Desired, observed: &ObservedIdentity) -> bool {
    let tags = |found: Option<&Tags>| found.is_some_and(|tags| is_ours(desired, tags));
    let role = tags(observed.role.present().map(|role| &role.tags));
    let profile = tags(observed.instance_profile.present().map(|profile| &profile.tags));
    // What settles was made by this process, which makes nothing that the rules do not allow.
    let settles = observed.role == Found::Settling;
    settles || ((role || profile) && elsewhere(desired, observed).is_none())
}

fn settling(what: &str, desired: &Desired) -> IamPlan {
    let what = format!("{what} {}", desired.place);
    IamPlan { steps: Vec::new(), then: Then::Settling(what), foreign: Vec::new() }
}

/// What there is of that name and not this resource's, unless it is to be taken over and nobody else's cluster has it; and
/// what has that name and another path.
fn not_owned(desired: &Desired, observed: &ObservedIdentity) -> Option<String> {
    if let Some(elsewhere) = elsewhere(desired, observed) {
        return Some(elsewhere);
    }
    let cluster = &desired.cluster;
    let takes = |tags: &Tags| {
        desired.adopt
            && !owner::is_of_another_cluster(tags, cluster)
            && !is_of_another_namespace(desired, tags)
    };
    let foreign: Vec<(&str, &Tags)> =
        tags_of(observed).into_iter().filter(|(_, tags)| !is_ours(desired, tags) && !takes(tags)).collect();
    let texts = foreign.iter().map(|(kind, tags)| {
        format!("{kind} {} exists and is not this resource's: {}", desired.place, Owner::of(tags))
    });
    let text = texts.collect::<Vec<_>>().join("; ");
    let (_, first) = foreign.first()?;
    // Another cluster's decides about the way out, then another namespace's.
    if let Some((_, tags)) = foreign.iter().find(|(_, tags)| owner::is_of_another_cluster(tags, cluster)) {
        return Some(format!("{text}. {}", owner::way_out(tags, cluster, NAME_FIELD)));
    }
    if foreign.iter().any(|(_, tags)| is_of_another_namespace(desired, tags)) {
        return Some(format!("{text}. {}", another_namespaces()));
    }
    Some(format!("{text}. {}{ADOPT}", owner::way_out(first, cluster, NAME_FIELD)))
}

/// Where another name is taken.
const NAME_FIELD: &str = "spec.iam.roleName";

/// Who could choose the role of another namespace would have its rights: also one that was let go of stays there.
fn another_namespaces() -> String {
    format!(
        "What another namespace had in IAM is never taken over: take another name in {NAME_FIELD}, or let an admin delete it, or take the tag {OWNER_NAMESPACE_TAG} off it"
    )
}

/// Whether the tags name another namespace than the resource's.
fn is_of_another_namespace(desired: &Desired, tags: &Tags) -> bool {
    let owner = tags.get(OWNER_NAMESPACE_TAG);
    owner.is_some() && owner != desired.tags.get(OWNER_NAMESPACE_TAG)
}

/// In IAM it takes the admin's consent, too.
const ADOPT: &str = "; in IAM the operator adopts only with --iam-adopt";

/// IAM knows roles and instance profiles by their names alone: one of ours may be at another path, and is not what is meant.
/// The message does not say which path that is: it may be a secret of others, and whoever may name roles could ask for each.
fn elsewhere(desired: &Desired, observed: &ObservedIdentity) -> Option<String> {
    let place = &desired.place;
    let role = observed.role.present().map(|role| ("role", "role", &role.arn));
    let profile = observed.instance_profile.present();
    let profile = profile.map(|profile| ("instance profile", "instance-profile", &profile.arn));
    let mut found = [role, profile].into_iter().flatten();
    let (words, ..) = found.find(|(_, kind, arn)| !arn.ends_with(&format!(":{kind}{place}")))?;
    Some(format!(
        "the account has {} {words} of the name {} at another path than {}, so it is nothing that the operator may have. Take another name in spec.iam.roleName",
        if words.starts_with('i') { "an" } else { "a" },
        place.name,
        place.path
    ))
}

/// The things that are there, and their tags.
fn tags_of(observed: &ObservedIdentity) -> Vec<(&'static str, &Tags)> {
    let role = observed.role.present().map(|role| ("role", &role.tags));
    let policy = observed.policy.present().map(|policy| ("policy", &policy.tags));
    let profile = observed.instance_profile.present().map(|profile| ("instance profile", &profile.tags));
    [role, policy, profile].into_iter().flatten().collect()
}

/// The uids of resources that the things there belong to.
pub fn owners(observed: &ObservedIdentity) -> impl Iterator<Item = &String> {
    tags_of(observed).into_iter().filter_map(|(_, tags)| tags.get(OWNER_UID_TAG))
}

fn is_ours(desired: &Desired, tags: &Tags) -> bool {
    tags.get(OWNER_UID_TAG) == desired.tags.get(OWNER_UID_TAG)
}

/// The tags to set so that `wanted` holds, and how that came. The tags of others stay.
pub(super) fn tagging(
    desired: &Desired,
    wanted: &Tags,
    found: &Tags,
    what: &str,
) -> Option<(Tags, Option<String>, bool)> {
    let set = wanted.iter().filter(|(key, value)| found.get(*key) != Some(*value));
    let set: Tags = set.map(|(key, value)| (key.clone(), value.clone())).collect();
    if set.is_empty() {
        return None;
    }
    let adopts = !is_ours(desired, found);
    let keys: Vec<&str> = set.keys().map(String::as_str).collect();
    let mends = (desired.was_in_step && !adopts).then(|| format!("tags {} of the {what}", keys.join(", ")));
    Some((set, mends, adopts))
}

/// The steps for the policy; `None` while IAM does not show it.
fn policy(desired: &Desired, found: &Found<Policy>, own: &str) -> Option<Vec<Planned>> {
    let policy = match found {
        Found::Present(policy) => policy,
        Found::Settling => return None,
        Found::Absent => {
            let step = IamStep::CreatePolicy {
                place: desired.place.clone(),
                document: desired.policy.to_string(),
                tags: desired.tags.clone(),
            };
            let mends = desired.was_in_step.then(|| "the policy was deleted".to_owned());
            return Some(vec![Planned { step, mends, adopts: false }]);
        }
    };
    let mut steps = Vec::new();
    let arn = || own.to_owned();
    if let Some((tags, mends, adopts)) = tagging(desired, &desired.tags, &policy.tags, "policy") {
        steps.push(Planned { step: IamStep::TagPolicy { arn: arn(), tags }, mends, adopts });
    }
    if !document::means(&policy.document, &desired.policy) {
        let oldest = policy.versions.iter().find(|version| **version != policy.default_version);
        if let Some(version) = oldest.filter(|_| policy.versions.len() >= MAX_VERSIONS) {
            steps.push(IamStep::DeletePolicyVersion { arn: arn(), version: version.clone() }.into());
        }
        let mends = desired.was_in_step.then(|| format!("the policy allowed {}", policy.document));
        let step = IamStep::CreatePolicyVersion { arn: arn(), document: desired.policy.to_string() };
        steps.push(Planned { step, mends, adopts: false });
    }
    Some(steps)
}

/// The steps for the instance profile; `None` while IAM does not show it.
fn instance_profile(desired: &Desired, found: &Found<InstanceProfile>) -> Option<Vec<Planned>> {
    let name = || desired.place.name.clone();
    let add = || IamStep::AddRoleToInstanceProfile { name: name(), role: name() };
    let mends = |what: String| desired.was_in_step.then_some(what);
    let profile = match found {
        Found::Present(profile) => profile,
        Found::Settling => return None,
        Found::Absent => {
            let step =
                IamStep::CreateInstanceProfile { place: desired.place.clone(), tags: desired.tags.clone() };
            let mends = mends("the instance profile was deleted".to_owned());
            return Some(vec![Planned { step, mends, adopts: false }, add().into()]);
        }
    };
    let mut steps = Vec::new();
    if let Some((tags, mends, adopts)) = tagging(desired, &desired.tags, &profile.tags, "instance profile") {
        steps.push(Planned { step: IamStep::TagInstanceProfile { name: name(), tags }, mends, adopts });
    }
    for role in profile.roles.iter().filter(|role| **role != desired.place.name) {
        let step = IamStep::RemoveRoleFromInstanceProfile { name: name(), role: role.clone() };
        let mends = mends(format!("the instance profile had the role {role}"));
        steps.push(Planned { step, mends, adopts: false });
    }
    if !profile.roles.contains(&desired.place.name) {
        let mends = mends("the instance profile had lost its role".to_owned());
        steps.push(Planned { step: add(), mends, adopts: false });
    }
    Some(steps)
}
