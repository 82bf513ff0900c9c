//! Existing instances: they get the node's instance profile, and lose it when they are no longer selected. Pure.

use std::collections::BTreeSet;

use fleetmesh_api::tags::ENROLL_TAG;
use fleetmesh_model::tag::Tags;

use super::observed::{Instance, ObservedFleet};
use super::plan::FleetStep;

/// How far an enrolled instance is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnrollStanding {
    /// It has the node's profile.
    Joined,
    /// It has none yet.
    Free,
    /// It has another profile, which is not ours to replace.
    Foreign,
}

/// How far `instance` is on its way to `profile_arn`.
pub fn standing(observed: &ObservedFleet, instance: &Instance, profile_arn: &str) -> EnrollStanding {
    let association = observed.associations.iter().find(|association| association.instance == instance.id);
    match association {
        None => EnrollStanding::Free,
        Some(association) if association.profile_arn == profile_arn => EnrollStanding::Joined,
        Some(_) => EnrollStanding::Foreign,
    }
}

/// Of the instances that EC2 `found` by the tags of a fleet, those that are meant, and how many have the tags and did not opt
/// in. EC2 takes `*` and `?` in what it looks for; here a value is what it is. Who did not opt in for this cluster is not ours
/// to change, to name or to look at, unless it has the node's profile already (`joined`): then it keeps it. With `admitted`
/// false only these are left: no class says that the fleet may look for others.
pub fn meant(
    found: Vec<Instance>,
    tags: &Tags,
    cluster: &str,
    joined: &BTreeSet<String>,
    admitted: bool,
) -> (Vec<Instance>, usize) {
    let tagged = |instance: &Instance| tags.iter().all(|(key, value)| instance.tags.get(key) == Some(value));
    let opted_in = |instance: &Instance| instance.tags.get(ENROLL_TAG).is_some_and(|name| name == cluster);
    let (meant, others): (Vec<Instance>, Vec<Instance>) = found
        .into_iter()
        .filter(|instance| tagged(instance))
        .partition(|instance| joined.contains(&instance.id) || (admitted && opted_in(instance)));
    let unasked = others.iter().filter(|instance| admitted && instance.state.is_live()).count();
    (meant, unasked)
}

/// The steps that give the profile to the instances that are meant, none unless `meant`, and take it from all others but
/// those that were launched with it.
pub fn steps(observed: &ObservedFleet, profile_arn: &str, meant: bool) -> Vec<FleetStep> {
    let enrolled: Vec<&Instance> =
        observed.enrolled.iter().filter(|instance| meant && instance.state.is_live()).collect();
    let free =
        enrolled.iter().filter(|instance| standing(observed, instance, profile_arn) == EnrollStanding::Free);
    let join = free.map(|instance| FleetStep::Associate {
        instance: instance.id.clone(),
        profile_arn: profile_arn.to_owned(),
    });
    let stays = |id: &String| {
        enrolled.iter().any(|instance| instance.id == *id)
            || observed.instances.iter().any(|instance| instance.id == *id)
    };
    let ours = observed.associations.iter().filter(|association| association.profile_arn == profile_arn);
    let leave =
        ours.filter(|association| !stays(&association.instance)).map(|association| FleetStep::Disassociate {
            association: association.id.clone(),
            instance: association.instance.clone(),
        });
    join.chain(leave).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use jiff::Timestamp;

    use super::*;

    fn instance(id: &str, tags: &[(&str, &str)]) -> Instance {
        let tags: Tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Instance { tags, ..Instance::running(id, Timestamp::UNIX_EPOCH) }
    }

    #[test]
    fn who_did_not_opt_in_for_this_cluster_is_counted_and_nothing_else() {
        let found = || {
            vec![
                instance("i-ours", &[("app", "web"), (ENROLL_TAG, "c")]),
                instance("i-silent", &[("app", "web")]),
                instance("i-elsewhere", &[("app", "web"), (ENROLL_TAG, "another")]),
                instance("i-wild", &[("app", "database"), (ENROLL_TAG, "c")]),
                instance("i-joined", &[("app", "web")]),
            ]
        };
        let joined = BTreeSet::from(["i-joined".to_owned()]);
        let tags = |value: &str| Tags::from([("app".to_owned(), value.to_owned())]);
        let meant = |value: &str, admitted: bool| {
            let (meant, unasked) = meant(found(), &tags(value), "c", &joined, admitted);
            (meant.into_iter().map(|instance| instance.id).collect::<Vec<_>>(), unasked)
        };
        assert_eq!(meant("web", true), (vec!["i-ours".to_owned(), "i-joined".to_owned()], 2));
        assert_eq!(meant("web", false), (vec!["i-joined".to_owned()], 0));
        assert_eq!(meant("*", true), (vec![], 0), "EC2 takes it for every value");
    }
}
