#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use super::*;

fn instance(id: &str, owner: Option<&str>, state: State) -> Instance {
    let tags: Tags = owner.map(|owner| (OWNER_UID_TAG.to_owned(), owner.to_owned())).into_iter().collect();
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
    by_tag.add_found(found(), "mine");
    assert_eq!(ids(&by_tag.instances), ["i-1", "i-3", "i-4"]);
    assert_eq!(ids(&by_tag.taken), ["i-2"]);

    let mut by_id = Observed::default();
    by_id.add_lost(found(), "mine");
    assert_eq!(
        ids(&by_id.instances),
        ["i-1", "i-3"],
        "one that is gone and was not found is not asked after"
    );
    assert_eq!(ids(&by_id.taken), ["i-2"]);
}
