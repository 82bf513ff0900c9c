//! Who owns what after an upgrade whose definitions take a list as one value that was owned by its items, or by its items that was one value.

use super::*;

/// The schema, with `spec.atomic` as a list whose items are owned one by one.
fn granular() -> Schema {
    schema_with(&json!({"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"}))
}

#[test]
fn who_owns_parts_of_a_list_that_becomes_atomic_owns_all_of_it() {
    let (before, after) = (granular(), schema());
    let items = thing(json!({"atomic": ["x", "y"], "a": 1}));
    let object = manager(&before).apply(None, &items, "one", false, THEN).unwrap();
    let parts = json!({"f:spec": {"f:a": {}, "f:atomic": {"v:\"x\"": {}, "v:\"y\"": {}}}});
    assert_eq!(fields(&object, "one"), Some(&parts));
    let manager = manager(&after);
    let other = thing(json!({"atomic": ["z"]}));
    let conflict = manager.apply(Some(&object), &other, "two", false, NOW).unwrap_err();
    assert_eq!(conflict.to_string(), "Apply failed with 1 conflict: conflict with \"one\": .spec.atomic");
    let forced = manager.apply(Some(&object), &other, "two", true, NOW).unwrap();
    assert_eq!(forced["spec"], json!({"a": 1, "atomic": ["z"]}));
    assert_eq!(fields(&forced, "one"), Some(&json!({"f:spec": {"f:a": {}}})));
    // A write of something else leaves it with its owner.
    let mut new = object.clone();
    new["spec"]["b"] = 1.into();
    let updated = manager.update(Some(&object), new, "two", NOW);
    assert_eq!(fields(&updated, "one"), Some(&json!({"f:spec": {"f:a": {}, "f:atomic": {}}})));
    assert_eq!(fields(&updated, "two"), Some(&json!({"f:spec": {"f:b": {}}})));
}

/// As structured-merge-diff has it, which advises against such a change.
#[test]
fn a_list_that_becomes_granular_is_so_as_if_it_always_was() {
    let (before, after) = (schema(), granular());
    let items = thing(json!({"atomic": ["x", "y"]}));
    let object = manager(&before).apply(None, &items, "one", false, THEN).unwrap();
    let manager = manager(&after);
    let object = manager.apply(Some(&object), &thing(json!({"atomic": ["z"]})), "two", false, NOW).unwrap();
    assert_eq!(object["spec"], json!({"atomic": ["x", "y", "z"]}));
    let object = manager.apply(Some(&object), &thing(json!({"atomic": ["x"]})), "one", false, NOW).unwrap();
    assert_eq!(object["spec"], json!({"atomic": ["x", "y", "z"]}), "nobody owned y, so it stays");
    assert_eq!(fields(&object, "one"), Some(&json!({"f:spec": {"f:atomic": {"v:\"x\"": {}}}})));
}
