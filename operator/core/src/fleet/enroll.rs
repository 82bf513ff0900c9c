//! Instances that exist already: they get the node's instance profile, and lose it when they are not meant any more. Pure.

use std::collections::BTreeSet;

use fleetmesh_crds::fleet::ENROLL_TAG;
use fleetmesh_model::tag::Tags;

use super::observed::{Instance, Observed};
use super::plan::Step;

/// How far an enrolled instance is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has the node's profile.
    Joined,
    /// It has none yet.
    Free,
    /// It has another profile, which is not ours to replace.
    Foreign,
}

/// How far `instance` is on its way to `profile_arn`.
pub fn standing(observed: &Observed, instance: &Instance, profile_arn: &str) -> Standing {
    let association = observed.associations.iter().find(|association| association.instance == instance.id);
    match association {
        None => Standing::Free,
        Some(association) if association.profile_arn == profile_arn => Standing::Joined,
        Some(_) => Standing::Foreign,
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
pub fn steps(observed: &Observed, profile_arn: &str, meant: bool) -> Vec<Step> {
    let enrolled: Vec<&Instance> =
        observed.enrolled.iter().filter(|instance| meant && instance.state.is_live()).collect();
    let free = enrolled.iter().filter(|instance| standing(observed, instance, profile_arn) == Standing::Free);
    let join = free.map(|instance| Step::Associate {
        instance: instance.id.clone(),
        profile_arn: profile_arn.to_owned(),
    });
    let stays = |id: &String| {
        enrolled.iter().any(|instance| instance.id == *id)
            || observed.instances.iter().any(|instance| instance.id == *id)
    };
    let ours = observed.associations.iter().filter(|association| association.profile_arn == profile_arn);
    let leave = ours.filter(|association| !stays(&association.instance)).map(|association| {
        Step::Disassociate { association: association.id.clone(), instance: association.instance.clone() }
    });
    join.chain(leave).collect()
}
