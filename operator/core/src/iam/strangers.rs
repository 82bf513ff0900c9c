//! Instances that have a node's instance profile but are not the node's: they came with an adopted role, and nobody checked for this
//! node what they run. Pure.

use std::collections::BTreeSet;

use crate::fleet::Association;

/// Why managed policies are not attached to the role of the instance profile `profile_arn`, in words; `None` when no instance
/// has it but the node's `own`. `associations` are those of the account.
pub fn strangers(profile_arn: &str, associations: &[Association], own: &BTreeSet<String>) -> Option<String> {
    let has = associations.iter().filter(|association| association.profile_arn == profile_arn);
    let count = has.filter(|association| !own.contains(&association.instance)).count();
    // Whose they are, and their ids, is not for this node's namespace.
    (count > 0).then(|| {
        let are = if count == 1 { "instance that is".to_owned() } else { "instances that are".to_owned() };
        format!(
            "managed policies are attached when nothing else has the instance profile: {count} {are} not this node's would get them, too. Terminate what an earlier owner of the role left running, or take it off the profile"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "arn:aws:iam::111122223333:instance-profile/fleetmesh/mesh-apps-b";

    fn association(instance: &str, profile_arn: &str) -> Association {
        Association {
            id: format!("iip-assoc-{instance}"),
            instance: instance.to_owned(),
            profile_arn: profile_arn.to_owned(),
        }
    }

    #[test]
    fn whatever_has_the_profile_and_is_not_the_nodes_holds_policies_back() {
        let own = BTreeSet::from(["i-own".to_owned()]);
        let other = association("i-other", &OURS.replace("-b", "-c"));
        let quiet = [association("i-own", OURS), other.clone()];
        assert_eq!(strangers(OURS, &quiet, &own), None);
        assert_eq!(strangers(OURS, &[], &own), None);
        let words = strangers(OURS, &[association("i-left", OURS), other], &own).unwrap_or_default();
        assert!(words.contains("1 instance that is not this node's") && !words.contains("i-left"), "{words}");
        let both = [association("i-left", OURS), association("i-own", OURS)];
        assert!(strangers(OURS, &both, &BTreeSet::new()).is_some_and(|words| words.contains("2 instances")));
    }
}
