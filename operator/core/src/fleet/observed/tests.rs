#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use super::*;

fn mine() -> Tags {
    let tags = [
        (OWNER_UID_TAG, "mine"),
        (OWNER_CLUSTER_TAG, "cluster"),
        (OWNER_NAMESPACE_TAG, "apps"),
        (OWNER_NAME_TAG, "web"),
    ];
    tags.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
}

/// An instance with the tags of ownership of `owner`, `UID` or `UID@CLUSTER`.
fn instance(id: &str, owner: Option<&str>, state: InstanceState) -> Instance {
    let mut tags = Tags::new();
    if let Some(owner) = owner {
        let (uid, cluster) = owner.split_once('@').unwrap_or((owner, "cluster"));
        tags.insert(OWNER_UID_TAG.to_owned(), uid.to_owned());
        tags.insert(OWNER_CLUSTER_TAG.to_owned(), cluster.to_owned());
    }
    Instance { state, marks: Instance::marks_of(&tags), tags, ..Instance::running(id, Timestamp::UNIX_EPOCH) }
}

/// The same, of a resource of this namespace and name.
fn named(instance: Instance, namespace: &str, name: &str) -> Instance {
    let mut tags = instance.tags;
    tags.insert(OWNER_NAMESPACE_TAG.to_owned(), namespace.to_owned());
    tags.insert(OWNER_NAME_TAG.to_owned(), name.to_owned());
    Instance { tags, ..instance }
}

fn ids(instances: &[Instance]) -> Vec<&str> {
    instances.iter().map(|instance| instance.id.as_str()).collect()
}

/// An instance of this cluster whose uid somebody took away.
fn without_uid(id: &str) -> Instance {
    let mut instance = instance(id, Some("x"), InstanceState::Running);
    instance.tags.remove(OWNER_UID_TAG);
    instance
}

#[test]
fn who_shows_anothers_tag_is_anothers_however_it_was_found() {
    let found = || {
        vec![
            instance("i-1", Some("mine"), InstanceState::Running),
            instance("i-2", Some("another"), InstanceState::Running),
            instance("i-3", None, InstanceState::Running),
            instance("i-4", Some("mine"), InstanceState::Terminated),
            instance("i-5", Some("another"), InstanceState::Terminated),
        ]
    };
    let mut by_tag = ObservedFleet::default();
    by_tag.add_found(found(), &mine());
    assert_eq!(ids(&by_tag.instances), ["i-1", "i-3", "i-4"]);
    assert_eq!(ids(&by_tag.taken), ["i-2"]);

    let mut by_id = ObservedFleet::default();
    let known = ["i-1", "i-2", "i-3", "i-4", "i-5"].map(str::to_owned).into();
    by_id.add_lost(found(), &known, &mine());
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
        instance("i-own", Some("mine"), InstanceState::Running),
        // The attack: somebody else's instances, with tags of theirs or none, named in one's own status.
        instance("i-nobodys", None, InstanceState::Running),
        instance("i-others", Some("another"), InstanceState::Running),
        instance("i-elsewhere", Some("mine@other"), InstanceState::Running),
        named(instance("i-victim", Some("another"), InstanceState::Running), "others", "web"),
        named(without_uid("i-of-another-name"), "apps", "victim"),
        named(without_uid("i-of-another-namespace"), "others", "web"),
        // Its own, after somebody took one tag away.
        named(without_uid("i-own-too"), "apps", "web"),
    ];
    let mut observed = ObservedFleet::default();
    observed.add_lost(found, &BTreeSet::new(), &mine());
    assert_eq!(ids(&observed.instances), ["i-own", "i-own-too"]);
    assert_eq!(ids(&observed.taken), Vec::<&str>::new(), "nothing is reported of what is others'");
}
