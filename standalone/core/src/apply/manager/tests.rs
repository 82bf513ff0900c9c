//! Who owns what, by example and by law.

use proptest::prelude::*;

use super::*;
use crate::apply::keep_times;

mod schema_changes;

const THEN: &str = "2026-01-01T00:00:00Z";
const NOW: &str = "2026-01-01T00:00:10Z";

fn schema() -> Schema {
    schema_with(&json!({"type": "array", "items": {"type": "string"}}))
}

/// The schema, with this one of `spec.atomic`.
fn schema_with(atomic: &Value) -> Schema {
    Schema::parse(&json!({"type": "object", "properties": {
        "apiVersion": {"type": "string"}, "kind": {"type": "string"},
        "metadata": {"type": "object", "properties": {"name": {"type": "string"}, "uid": {"type": "string"},
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            "annotations": {"type": "object", "additionalProperties": {"type": "string"}}}},
        "spec": {"type": "object", "properties": {
            "a": {"type": "integer"}, "b": {"type": "integer"},
            "set": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
            "map": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"],
                "items": {"type": "object", "properties": {"k": {"type": "string"}, "v": {"type": "integer"}}}},
            "atomic": atomic}},
        "status": {"type": "object", "properties": {"phase": {"type": "string"}}}}}))
    .unwrap()
}

fn manager(schema: &Schema) -> FieldManager<'_> {
    FieldManager::new(schema, "g/v1", "Thing", Subresource::None { with_status: true })
}

fn thing(spec: Value) -> Value {
    json!({"apiVersion": "g/v1", "kind": "Thing", "metadata": {"name": "t"}, "spec": spec})
}

fn fields<'o>(object: &'o Value, manager: &str) -> Option<&'o Value> {
    let entries = object.pointer("/metadata/managedFields")?.as_array()?;
    entries.iter().find(|entry| entry["manager"] == manager).map(|entry| &entry["fieldsV1"])
}

#[test]
fn what_is_applied_no_longer_goes() {
    let schema = schema();
    let manager = manager(&schema);
    let first = thing(
        json!({"a": 1, "b": 2, "set": ["x", "y"], "map": [{"k": "p", "v": 1}, {"k": "q"}], "atomic": ["z"]}),
    );
    let object = manager.apply(None, &first, "one", false, THEN).unwrap();
    assert_eq!(object["spec"], first["spec"]);
    let second = thing(json!({"a": 1, "set": ["y"], "map": [{"k": "p"}]}));
    let object = manager.apply(Some(&object), &second, "one", false, NOW).unwrap();
    assert_eq!(object["spec"], json!({"a": 1, "set": ["y"], "map": [{"k": "p"}]}));
    assert_eq!(
        object["metadata"]["managedFields"],
        json!([{"manager": "one", "operation": "Apply", "apiVersion": "g/v1", "time": NOW, "fieldsType": "FieldsV1",
            "fieldsV1": {"f:spec": {"f:a": {}, "f:set": {"v:\"y\"": {}},
                "f:map": {"k:{\"k\":\"p\"}": {".": {}, "f:k": {}}}}}}])
    );
}

#[test]
fn what_others_own_stays_and_conflicts_when_it_changes() {
    let schema = schema();
    let manager = manager(&schema);
    let object = manager.apply(None, &thing(json!({"a": 1, "b": 2})), "one", false, THEN).unwrap();
    let object = manager.apply(Some(&object), &thing(json!({"a": 1})), "two", false, NOW).unwrap();
    let conflict = manager.apply(Some(&object), &thing(json!({"a": 3})), "two", false, NOW).unwrap_err();
    assert_eq!(conflict.to_string(), "Apply failed with 1 conflict: conflict with \"one\": .spec.a");
    let left = manager.apply(Some(&object), &thing(json!({})), "one", false, NOW).unwrap();
    assert_eq!(left["spec"], json!({"a": 1}), "two still owns a");
    let forced = manager.apply(Some(&object), &thing(json!({"a": 3})), "two", true, NOW).unwrap();
    assert_eq!(forced["spec"], json!({"a": 3, "b": 2}));
    assert_eq!(fields(&forced, "one"), Some(&json!({"f:spec": {"f:b": {}}})));
}

#[test]
fn conflicts_with_several_are_sorted_by_manager() {
    let schema = schema();
    let manager = manager(&schema);
    let object = manager.update(None, thing(json!({"a": 1, "b": 2})), "up", THEN);
    let object = manager.apply(Some(&object), &thing(json!({"a": 1})), "one", false, NOW).unwrap();
    let error = manager.apply(Some(&object), &thing(json!({"a": 2, "b": 3})), "two", false, NOW).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Apply failed with 3 conflicts: conflicts with \"one\":\n- .spec.a\nconflicts with \"up\" using g/v1:\n- .spec.a\n- .spec.b"
    );
    let ApplyError::Conflicts(conflicts) = error else { panic!("conflicts") };
    assert_eq!(conflicts[1].message(), "conflict with \"up\" using g/v1");
}

#[test]
fn updates_own_what_they_change() {
    let schema = schema();
    let manager = manager(&schema);
    let object = manager.update(None, thing(json!({"a": 1, "b": 2})), "one", THEN);
    assert_eq!(fields(&object, "one"), Some(&json!({"f:spec": {".": {}, "f:a": {}, "f:b": {}}})));
    let mut new = object.clone();
    new["spec"] = json!({"a": 2});
    let object = manager.update(Some(&object), new, "two", NOW);
    assert_eq!(fields(&object, "one"), Some(&json!({"f:spec": {}})));
    assert_eq!(fields(&object, "two"), Some(&json!({"f:spec": {"f:a": {}}})));
    let again = manager.update(Some(&object), object.clone(), "three", NOW);
    assert_eq!(again, object, "who changes nothing owns nothing");
}

#[test]
fn the_status_belongs_to_its_subresource() {
    let schema = schema();
    let mut object = thing(json!({"a": 1}));
    object["status"] = json!({"phase": "x"});
    let object = manager(&schema).update(None, object, "one", THEN);
    assert_eq!(fields(&object, "one"), Some(&json!({"f:spec": {".": {}, "f:a": {}}})));
    let of_status = FieldManager::new(&schema, "g/v1", "Thing", Subresource::Status);
    let mut new = object.clone();
    new["status"] = json!({"phase": "y"});
    new["spec"] = json!({"a": 2});
    let new = of_status.update(Some(&object), new, "controller", NOW);
    assert_eq!(fields(&new, "controller"), Some(&json!({"f:status": {"f:phase": {}}})));
    assert_eq!(new["metadata"]["managedFields"][1]["subresource"], "status");
}

#[test]
fn managed_fields_may_be_sent_and_dropped() {
    let schema = schema();
    let manager = manager(&schema);
    let object = manager.update(None, thing(json!({"a": 1})), "one", THEN);
    for reset in [json!([]), json!([{}])] {
        let mut new = object.clone();
        new["metadata"]["uid"] = "u".into();
        new["metadata"]["managedFields"] = reset;
        let mut live = object.clone();
        live["metadata"]["uid"] = "u".into();
        let new = manager.update(Some(&live), new, "two", NOW);
        assert_eq!(new["metadata"].get("managedFields"), None);
        let applied = manager.apply(Some(&new), &thing(json!({"a": 1})), "three", false, NOW).unwrap();
        assert!(fields(&applied, "before-first-apply").is_some());
    }
    let mut new = object.clone();
    new["metadata"]["managedFields"][0]["manager"] = "renamed".into();
    let new = manager.update(Some(&object), new, "two", NOW);
    assert!(fields(&new, "renamed").is_some() && fields(&new, "one").is_none());
}

#[test]
fn old_updates_become_one_manager() {
    let schema =
        Schema::parse(&json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})).unwrap();
    let manager = FieldManager::new(&schema, "g/v1", "Thing", Subresource::None { with_status: false });
    let mut object = manager.update(None, thing(json!({"f0": 0})), "m00", THEN);
    for at in 1..13 {
        let mut new = object.clone();
        new["spec"][format!("f{at}")] = at.into();
        object =
            manager.update(Some(&object), new, &format!("m{at:02}"), &format!("2026-01-01T00:00:{at:02}Z"));
    }
    let entries = object["metadata"]["managedFields"].as_array().unwrap();
    assert_eq!(entries.len(), 10);
    assert!(fields(&object, "ancient-changes").is_some() && fields(&object, "m12").is_some());
    assert!(fields(&object, "m01").is_none());
}

#[test]
fn kubectl_takes_over_from_its_annotation() {
    let schema = schema();
    let manager = manager(&schema);
    let last = thing(json!({"a": 1})).to_string();
    let mut object = thing(json!({"a": 1}));
    object["metadata"]["annotations"] = json!({"kubectl.kubernetes.io/last-applied-configuration": last});
    let object = manager.update(None, object, "kubectl-client-side-apply", THEN);
    let config = thing(json!({"a": 2}));
    assert!(matches!(
        manager.apply(Some(&object), &config, "other", false, NOW),
        Err(ApplyError::Conflicts(_))
    ));
    let object = manager.apply(Some(&object), &config, "kubectl", false, NOW).unwrap();
    assert_eq!(object["spec"], json!({"a": 2}));
    let annotation = &object["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"];
    let annotation: Value = serde_json::from_str(annotation.as_str().unwrap()).unwrap();
    assert_eq!(annotation, config);
}

#[test]
fn rejects_what_is_not_of_its_type() {
    let schema = schema();
    let manager = manager(&schema);
    let problem = |config: Value| manager.apply(None, &config, "one", false, NOW).unwrap_err().to_string();
    let failed = "failed to create typed patch object (/t; g/v1, Kind=Thing): ";
    assert_eq!(problem(thing(json!({"c": 1}))), format!("{failed}.spec.c: field not declared in schema"));
    assert_eq!(
        problem(thing(json!({"a": "x"}))),
        format!("{failed}.spec.a: expected numeric (int or float), got string")
    );
    assert_eq!(
        problem(thing(json!({"map": [{"v": 1}]}))),
        format!(
            "{failed}.spec.map: element 0: associative list with keys has an element that omits all key fields [\"k\"] \
             (and doesn't have default values for any key fields)"
        )
    );
    assert_eq!(
        problem(thing(json!({"map": [{"k": "a"}, {"k": "a"}]}))),
        format!("{failed}.spec.map: duplicate entries for key [k=\"a\"]")
    );
    assert_eq!(
        problem(json!({"apiVersion": "g/v2", "kind": "Thing"})),
        "invalid object type: g/v2, Kind=Thing"
    );
}

#[test]
fn times_come_back_when_nothing_else_changes() {
    let entry = |time: &str| json!([{"manager": "m", "time": time}]);
    let mut old = thing(json!({"a": 1}));
    old["metadata"]["managedFields"] = entry(THEN);
    let mut new = old.clone();
    new["metadata"]["managedFields"] = entry(NOW);
    let mut changed = new.clone();
    keep_times(&mut new, &old);
    assert_eq!(new, old);
    changed["spec"]["a"] = 2.into();
    keep_times(&mut changed, &old);
    assert_eq!(changed["metadata"]["managedFields"], entry(NOW));
}

fn specs() -> impl Strategy<Value = Value> {
    let number = || prop::option::of(0..3_i64);
    let set = prop::option::of(prop::sample::subsequence(vec!["x", "y", "z"], 0..3));
    let map = prop::option::of((prop::sample::subsequence(vec!["p", "q", "r"], 0..3), number()));
    (number(), number(), set, map).prop_map(|(a, b, set, map)| {
        let mut spec = json!({});
        for (name, value) in [("a", a), ("b", b)] {
            if let Some(value) = value {
                spec[name] = value.into();
            }
        }
        if let Some(set) = set {
            spec["set"] = json!(set);
        }
        if let Some((keys, number)) = map {
            let item = |key: &&str| match number {
                Some(number) => json!({"k": key, "v": number}),
                None => json!({"k": key}),
            };
            spec["map"] = keys.iter().map(item).collect();
        }
        spec
    })
}

proptest! {
    /// Whoever applies alone gets exactly what is applied, whatever was applied before.
    #[test]
    fn the_only_manager_decides(first in specs(), second in specs()) {
        let schema = schema();
        let manager = manager(&schema);
        let object = manager.apply(None, &thing(first), "one", false, THEN).unwrap();
        let twice = manager.apply(Some(&object), &thing(second.clone()), "one", false, NOW).unwrap();
        let fresh = manager.apply(None, &thing(second), "one", false, NOW).unwrap();
        prop_assert_eq!(fields(&twice, "one"), fields(&fresh, "one"));
        for (name, value) in fresh["spec"].as_object().unwrap() {
            let is_empty = value.as_array().is_some_and(Vec::is_empty);
            prop_assert!(is_empty || twice["spec"][name] == *value);
        }
        for (name, value) in twice["spec"].as_object().into_iter().flatten() {
            // An empty list belongs to nobody.
            let is_nothing = value.is_null() || value.as_array().is_some_and(Vec::is_empty);
            prop_assert!(fresh["spec"].get(name) == Some(value) || is_nothing);
        }
    }

    /// Applying again changes nothing, and what is applied with force is there.
    #[test]
    fn apply_is_idempotent_and_force_wins(first in specs(), second in specs()) {
        let schema = schema();
        let manager = manager(&schema);
        let object = manager.apply(None, &thing(first.clone()), "one", false, THEN).unwrap();
        let forced = manager.apply(Some(&object), &thing(second.clone()), "two", true, NOW).unwrap();
        let again = manager.apply(Some(&forced), &thing(second.clone()), "two", false, NOW).unwrap();
        prop_assert_eq!(&again, &forced);
        for name in ["a", "b"] {
            if let Some(value) = second.get(name) {
                prop_assert_eq!(&forced["spec"][name], value);
            } else {
                prop_assert_eq!(forced["spec"].get(name), first.get(name));
            }
        }
    }
}
