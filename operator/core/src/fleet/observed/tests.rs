#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use super::*;

const MINE: (&str, &str) = ("mine", "cluster");

/// An instance with the tags of ownership of `owner`, `UID` or `UID@CLUSTER`.
fn instance(id: &str, owner: Option<&str>, state: State) -> Instance {
    let mut tags = Tags::new();
    if let Some(owner) = owner {
        let (uid, cluster) = owner.split_once('@').unwrap_or((owner, "cluster"));
        tags.insert(OWNER_UID_TAG.to_owned(), uid.to_owned());
        tags.insert(OWNER_CLUSTER_TAG.to_owned(), cluster.to_owned());
    }
    Instance {
        id: id.to_owned(),
        az: None,
        type_: None,
        state,
        checks: Checks::Passed,
        launched: Timestamp::UNIX_EPOCH,
        missed_since: Timestamp::UNIX_EPOCH,
        ipv4: None,
        ipv6: None,
        draining_since: None,
        marks: Instance::marks_of(&tags),
        tags,
    }
}

fn ids(instances: &[Instance]) -> Vec<&str> {
    instances.iter().map(|instance| instance.id.as_str()).collect()
}

#[test]
fn who_shows_anothers_tag_is_anothers_however_it_was_found() {
    let found = || {
        vec![
            instance("i-1", Some("mine"), State::Running),
            instance("i-2", Some("another"), State::Running),
            instance("i-3", None, State::Running),
            instance("i-4", Some("mine"), State::Terminated),
            instance("i-5", Some("another"), State::Terminated),
        ]
    };
    let mut by_tag = Observed::default();
    by_tag.add_found(found(), MINE);
    assert_eq!(ids(&by_tag.instances), ["i-1", "i-3", "i-4"]);
    assert_eq!(ids(&by_tag.taken), ["i-2"]);

    let mut by_id = Observed::default();
    let known = ["i-1", "i-2", "i-3", "i-4", "i-5"].map(str::to_owned).into();
    by_id.add_lost(found(), &known, MINE);
    assert_eq!(
        ids(&by_id.instances),
        ["i-1", "i-3"],
        "one that is gone and was not found is not asked after"
    );
    assert_eq!(ids(&by_id.taken), ["i-2"]);
}

#[test]
fn an_instance_that_a_status_alone_names_is_ones_own_by_both_tags_or_not_at_all() {
    let found = vec![
        instance("i-own", Some("mine"), State::Running),
        // The attack: somebody else's instances, with tags of theirs or none, named in one's own status.
        instance("i-nobodys", None, State::Running),
        instance("i-others", Some("another"), State::Running),
        instance("i-elsewhere", Some("mine@other"), State::Running),
    ];
    let mut observed = Observed::default();
    observed.add_lost(found, &BTreeSet::new(), MINE);
    assert_eq!(ids(&observed.instances), ["i-own"]);
    assert_eq!(ids(&observed.taken), Vec::<&str>::new(), "nothing is told of what is others'");
}
