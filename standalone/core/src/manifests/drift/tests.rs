use serde_json::{Value, json};

use super::super::change::{WatchLine, watch_line};
use super::super::{LABEL, MANAGER};
use super::*;

fn name(kind: &str, namespace: &str, name: &str) -> ObjectName {
    let [kind, namespace, name] = [kind, namespace, name].map(str::to_owned);
    ObjectName { group: String::new(), kind, namespace, name }
}

fn object(revision: u64, owned: &[&str], status_of: &str) -> Value {
    let fields: serde_json::Map<String, Value> =
        owned.iter().map(|field| (format!("f:{field}"), json!({}))).collect();
    json!({"metadata": {
        "name": "a", "resourceVersion": revision.to_string(),
        "managedFields": [
            {"manager": MANAGER, "operation": "Apply", "time": "2026-01-01T00:00:00Z", "fieldsV1": {"f:data": fields}},
            {"manager": "kubectl-edit", "operation": "Update", "time": "2026-01-02T00:00:00Z", "fieldsV1": {}},
            {"manager": "operator", "operation": "Update", "subresource": "status", "time": status_of, "fieldsV1": {}},
        ],
    }})
}

fn change(revision: u64, owned: &[&str]) -> Change {
    Change::of(&object(revision, owned, "2026-01-03T00:00:00Z")).expect("an object")
}

fn watched(kind: &str, object: &Value) -> Change {
    match watch_line(json!({"type": kind, "object": object}).to_string().as_bytes()) {
        WatchLine::Changed { change, .. } => change,
        other => panic!("{other:?}"),
    }
}

const NOW: Duration = Duration::from_secs(1000);

fn seconds(seconds: u64) -> Duration {
    NOW + Duration::from_secs(seconds)
}

#[test]
fn what_takes_a_field_away_is_put_back_and_nothing_else() {
    let (a, mut drift) = (name("ConfigMap", "default", "a"), Drift::default());
    drift.applied(&a, &change(5, &["x", "y"]));
    drift.see(&a, &change(6, &["x", "y"]), NOW);
    drift.see(&name("ConfigMap", "default", "b"), &change(6, &[]), NOW);
    assert_eq!(drift.next(), None, "a status, and what nobody applied");
    drift.see(&a, &change(4, &["x"]), NOW);
    assert_eq!(drift.next(), None, "it was so before it was applied");
    drift.see(&a, &change(7, &["x"]), NOW);
    assert_eq!(drift.next(), Some(NOW), "at once");
    assert_eq!(drift.take(NOW), [PutBack { name: a.clone(), is_gone: false, by: None, before: 0 }]);
    assert_eq!(drift.next(), None);
    drift.see(&a, &change(8, &["x"]), NOW);
    drift.see(&a, &change(9, &["x", "y"]), NOW);
    assert_eq!(drift.next(), None, "somebody put it back");
    drift.see(&a, &change(10, &["x"]), NOW);
    drift.keep(|_| false);
    assert_eq!(drift.next(), None, "no file has it any more");
}

#[test]
fn what_is_deleted_is_made_again_when_it_is_gone_and_its_namespace_before_it() {
    let (space, a) = (name("Namespace", "", "shop"), name("ConfigMap", "shop", "a"));
    let mut drift = Drift::default();
    drift.applied(&space, &change(1, &["x"]));
    drift.applied(&a, &change(2, &["x"]));
    let mut deleting = object(3, &["x"], "");
    deleting["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    drift.see(&space, &watched("MODIFIED", &deleting), NOW);
    drift.see(&a, &watched("DELETED", &object(4, &["x"], "")), NOW);
    assert_eq!((drift.next(), drift.take(seconds(9))), (None, vec![]), "the namespace ends");
    assert!(!drift.is_gone(&a), "nor is it tried with the rest");
    drift.see(&space, &watched("DELETED", &object(5, &["x"], "")), NOW);
    assert!(drift.is_gone(&space));
    assert_eq!(gone(&drift.take(NOW)), [&space]);
    assert_eq!(drift.next(), None, "there is no namespace yet");
    drift.applied(&space, &change(6, &["x"]));
    assert_eq!(drift.next(), Some(NOW), "at once");
    assert_eq!(gone(&drift.take(NOW)), [&a]);
}

#[test]
fn what_was_made_for_the_directory_is_known_without_its_label_until_no_file_has_it() {
    let (a, mut drift) = (name("ConfigMap", "default", "a"), Drift::default());
    let mut made = object(1, &["x"], "");
    made["metadata"]["uid"] = "u".into();
    drift.applied(&a, &Change::of(&made).expect("an object"));
    assert_eq!(drift.ours(&a), None, "it was there before");
    made["metadata"]["labels"] = json!({(LABEL): "applied"});
    made["metadata"]["managedFields"][0]["fieldsV1"] =
        json!({"f:metadata": {"f:labels": {format!("f:{LABEL}"): {}}}});
    drift.applied(&a, &Change::of(&made).expect("an object"));
    assert!(!drift.see(&a, &change(2, &[]), NOW), "the label is gone");
    assert_eq!(drift.ours(&a), Some("u"));
    drift.keep(|_| false);
    assert_eq!(drift.ours(&a), None);
}

fn gone(due: &[PutBack]) -> Vec<&ObjectName> {
    due.iter().filter(|one| one.is_gone).map(|one| &one.name).collect()
}

/// A namespace and what is in it, applied, and deleted as a collector does that, from the revision on.
fn delete_namespace(drift: &mut Drift, inside: &ObjectName, revision: u64, now: Duration) -> bool {
    let space = ObjectName::of_namespace(&inside.namespace);
    let mut deleting = object(revision, &["x"], "");
    deleting["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    let is_new = drift.see(&space, &watched("MODIFIED", &deleting), now);
    drift.see(inside, &watched("DELETED", &object(revision + 1, &["x"], "")), now);
    is_new
}

#[test]
fn what_is_in_a_namespace_that_is_deleted_twice_waits_for_it_the_second_time_too() {
    let (space, a) = (name("Namespace", "", "shop"), name("ConfigMap", "shop", "a"));
    let mut drift = Drift::default();
    drift.applied(&space, &change(1, &["x"]));
    drift.applied(&a, &change(2, &["x"]));
    assert!(delete_namespace(&mut drift, &a, 3, NOW), "it waits until it is gone");
    drift.see(&space, &watched("DELETED", &object(5, &["x"], "")), NOW);
    for (revision, name) in [(6, &space), (7, &a)] {
        let due = drift.take(NOW);
        assert_eq!(gone(&due), [name]);
        drift.applied(name, &change(revision, &["x"]));
        due.iter().for_each(|one| drift.put_back(one, NOW));
    }
    delete_namespace(&mut drift, &a, 8, seconds(3));
    // Later than what is in it: both wait for a second, each from its own deletion.
    drift.see(&space, &watched("DELETED", &object(10, &["x"], "")), seconds(5));
    assert_eq!(drift.next(), Some(seconds(6)), "what is in it waits for the namespace");
    assert_eq!(gone(&drift.take(seconds(6))), [&space]);
    drift.applied(&space, &change(11, &["x"]));
    assert_eq!(gone(&drift.take(seconds(6))), [&a]);
}

#[test]
fn a_namespace_holds_nothing_when_no_file_has_it_or_its_changes_are_missed_or_it_is_older_than_known() {
    let (space, a) = (name("Namespace", "", "shop"), name("ConfigMap", "shop", "a"));
    let deleted = |has_namespace: bool| {
        let mut drift = Drift::default();
        drift.applied(&a, &change(1, &["x"]));
        if has_namespace {
            drift.applied(&space, &change(2, &["x"]));
        }
        let is_new = delete_namespace(&mut drift, &a, 3, NOW);
        assert_eq!(is_new, has_namespace);
        drift
    };
    assert_eq!(deleted(false).next(), Some(NOW), "it is another's");
    let mut drift = deleted(true);
    assert_eq!(drift.next(), None);
    drift.keep(|name| !name.is_namespace());
    assert_eq!(drift.next(), Some(NOW), "no file has it any more");
    let mut drift = deleted(true);
    drift.missed();
    assert_eq!(drift.next(), Some(NOW), "nobody would say when it is gone");
    drift.applied(&space, &change(9, &["x"]));
    drift.see(&space, &watched("DELETED", &object(8, &["x"], "")), NOW);
    assert_eq!(gone(&drift.take(NOW)), [&a], "it was gone before it was made again");
}

#[test]
fn who_wrote_since_it_was_applied_is_named_and_nobody_for_who_only_removes() {
    let a = name("ConfigMap", "default", "a");
    let entry = |manager: &str, day: u32, fields: &str| json!({"manager": manager, "operation": "Update", "time": format!("2026-01-0{day}T00:00:00Z"), "fieldsV1": {fields: {}}});
    let by = |entries: &[Value]| {
        let mut drift = Drift::default();
        drift.applied(&a, &change(1, &["x"]));
        let mut changed = object(2, &[], "2026-01-09T00:00:00Z");
        let known = changed["metadata"]["managedFields"].as_array_mut().expect("entries");
        known.extend(entries.iter().cloned());
        drift.see(&a, &watched("MODIFIED", &changed), NOW);
        drift.take(NOW).pop().expect("due").by
    };
    assert_eq!(by(&[]), None, "kubectl-edit was there before, and a status is none");
    assert_eq!(by(&[entry("culprit", 1, "f:data")]).as_deref(), Some("culprit"), "new, whatever its time");
    let two = [entry("culprit", 3, "f:data"), entry("another", 2, "f:data")];
    assert_eq!(by(&two).as_deref(), Some("culprit"), "the last of them");
    assert_eq!(by(&[entry("kubectl-edit", 2, "f:data")]).as_deref(), Some("kubectl-edit"), "other fields");
    assert_eq!(by(&[entry("kubectl-edit", 3, "f:data")]).as_deref(), Some("kubectl-edit"), "and later");
}

#[test]
fn two_parties_that_fight_do_so_more_and_more_slowly() {
    let (a, mut drift, mut now) = (name("ConfigMap", "default", "a"), Drift::default(), NOW);
    drift.applied(&a, &change(0, &["x"]));
    let mut waits = Vec::new();
    for revision in 1..14_u64 {
        // The other one answers at once.
        drift.see(&a, &change(2 * revision - 1, &[]), now);
        let next = drift.next().expect("due");
        waits.push((next - now).as_secs());
        drift.see(&a, &change(2 * revision - 1, &[]), now);
        assert_eq!(drift.next(), Some(next), "not later for being changed again");
        now = next;
        let due = drift.take(now);
        drift.applied(&a, &change(2 * revision, &["x"]));
        due.iter().for_each(|one| drift.put_back(one, now));
    }
    assert_eq!(waits, [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]);
    now += LONGEST + CALM;
    drift.see(&a, &change(100, &[]), now);
    assert_eq!(drift.next(), Some(now), "after a calm it is at once again");
}
