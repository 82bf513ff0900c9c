//! Patches, by example and by law.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::schema::{BuiltinKind, builtin};

fn patched(object: Value, patch: Value) -> Value {
    json_patch(&object, &patch).unwrap()
}

fn problem(object: Value, patch: Value) -> String {
    let error = json_patch(&object, &patch).unwrap_err();
    assert!(matches!(error, PatchError::Unprocessable(_)), "{error:?}");
    error.to_string()
}

#[test]
fn json_operations() {
    let object = json!({"a": {"b": [1, 2, 3]}, "x/y": {"~": 1}});
    assert_eq!(
        patched(
            object.clone(),
            json!([
                {"op": "add", "path": "/a/b/1", "value": 9},
                {"op": "add", "path": "/a/b/-", "value": 4},
                {"op": "remove", "path": "/a/b/-1"},
                {"op": "replace", "path": "/x~1y/~0", "value": 2},
                {"op": "move", "from": "/a/b/0", "path": "/first"},
                {"op": "copy", "from": "/a/b", "path": "/copy"},
                {"op": "test", "path": "/copy/0", "value": 9},
                {"op": "test", "path": "/absent", "value": null},
            ])
        ),
        json!({"a": {"b": [9, 2, 3]}, "copy": [9, 2, 3], "first": 1, "x/y": {"~": 2}})
    );
    assert_eq!(patched(json!({}), json!([{"op": "replace", "path": "/a", "value": 1}])), json!({"a": 1}));
    assert_eq!(patched(json!({}), json!([{"op": "add", "path": "/a"}])), json!({"a": null}));
    assert_eq!(patched(json!({"a": 1}), json!([{"op": "replace", "path": "", "value": {}}])), json!({}));
}

#[test]
fn json_operations_that_do_not_apply() {
    let object = json!({"a": {"b": [1]}, "s": "text"});
    for (patch, message) in [
        (
            json!({"op": "remove", "path": "/c"}),
            "error in remove for path: '/c': Unable to remove nonexistent key: c: missing value",
        ),
        (
            json!({"op": "add", "path": "/c/d", "value": 1}),
            "add operation does not apply: doc is missing path: \"/c/d\": missing value",
        ),
        (
            json!({"op": "add", "path": "/s/d", "value": 1}),
            "add operation does not apply: doc is missing path: \"/s/d\": missing value",
        ),
        (
            json!({"op": "add", "path": "/a/b/3", "value": 1}),
            "error in add for path: '/a/b/3': Unable to access invalid index: 3: invalid index referenced",
        ),
        (
            json!({"op": "replace", "path": "/a/b/1", "value": 1}),
            "replace operation does not apply: doc is missing key: /a/b/1: missing value",
        ),
        (json!({"op": "test", "path": "/a/b", "value": [2]}), "testing value /a/b failed: test failed"),
        (json!({"op": "increment", "path": "/a"}), "Unexpected kind: increment"),
        (json!({"op": "add"}), "operation missing path field: missing value"),
        (
            json!({"op": "add", "path": "", "value": 1}),
            "add operation does not apply: doc is missing path: \"\": missing value",
        ),
    ] {
        assert_eq!(problem(object.clone(), json!([patch])), message);
    }
}

#[test]
fn json_patches_are_lists_of_operations() {
    assert_eq!(
        json_patch(&json!({}), &json!({})).unwrap_err(),
        PatchError::BadRequest(
            "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp".to_owned()
        )
    );
    assert_eq!(
        unknown_members(
            &json!([{"op": "test", "path": "/a"}, {"op": "add", "path": "/b", "value": 1, "more": 2}])
        ),
        ["json patch unknown field \"[1].more\""]
    );
    let many = Value::Array(vec![json!({"op": "test", "path": "/a"}); MAX_OPERATIONS + 1]);
    assert_eq!(json_patch(&json!({}), &many).unwrap_err(), PatchError::TooManyOperations(MAX_OPERATIONS + 1));
}

#[test]
fn copies_of_copies_are_bounded() {
    let double = json!({"op": "copy", "from": "/a", "path": "/a/-"});
    let error = json_patch(&json!({"a": ["0123456789"]}), &Value::Array(vec![double; 64])).unwrap_err();
    assert!(
        matches!(&error, PatchError::Unprocessable(problem) if problem.starts_with("Unable to complete the copy"))
    );
}

#[test]
fn a_patch_cannot_nest_without_end() {
    let deeper = json!({"op": "copy", "from": "/a", "path": "/a/b"});
    let error = json_patch(&json!({"a": {}}), &Value::Array(vec![deeper; 500])).unwrap_err();
    assert!(error.to_string().ends_with("the result has more than 128 levels"), "{error}");
    let deep = (0..100).fold(json!({}), |inside, _| json!({"a": inside}));
    let deeper = json!([{"op": "replace", "path": "/a".repeat(60), "value": deep}]);
    let error = json_patch(&deep, &deeper).unwrap_err();
    assert!(error.to_string().ends_with("the result has more than 128 levels"), "{error}");
}

/// The examples of RFC 7396, appendix A, with an object on both sides.
#[test]
fn merge_patches() {
    for (object, patch, expected) in [
        (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
        (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
        (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
        (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
        (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
        (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
        (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
        (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
        (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
    ] {
        assert_eq!(merge_patch(&object, &patch).unwrap(), expected);
    }
    assert!(matches!(merge_patch(&json!({}), &json!([])), Err(PatchError::BadRequest(_))));
}

fn strategic(kind: BuiltinKind, object: Value, patch: Value) -> Result<Value, PatchError> {
    strategic_merge_patch(&object, &patch, builtin(kind))
}

#[test]
fn strategic_patches_merge_lists_by_their_key() {
    let account = json!({"secrets": [{"name": "a"}, {"name": "b", "kind": "x"}, {"name": "c"}],
        "imagePullSecrets": [{"name": "p"}]});
    assert_eq!(
        strategic(
            BuiltinKind::ServiceAccount,
            account.clone(),
            json!({
            "secrets": [{"name": "d"}, {"name": "b", "kind": "y"}, {"name": "a", "$patch": "delete"}],
            "imagePullSecrets": [{"name": "q"}]})
        )
        .unwrap(),
        json!({"secrets": [{"name": "d"}, {"name": "b", "kind": "y"}, {"name": "c"}], "imagePullSecrets": [{"name": "q"}]})
    );
    assert_eq!(
        strategic(BuiltinKind::ServiceAccount, account.clone(), json!({
            "$setElementOrder/secrets": [{"name": "c"}, {"name": "a"}], "secrets": [{"name": "a", "kind": "z"}]}))
        .unwrap()["secrets"],
        json!([{"name": "b", "kind": "x"}, {"name": "c"}, {"name": "a", "kind": "z"}])
    );
    assert_eq!(
        strategic(
            BuiltinKind::ServiceAccount,
            account.clone(),
            json!({"secrets": [{"$patch": "replace"}, {"name": "n"}]})
        )
        .unwrap()["secrets"],
        json!([{"name": "n"}])
    );
    let no_key =
        strategic(BuiltinKind::ServiceAccount, account, json!({"secrets": [{"kind": "x"}]})).unwrap_err();
    assert!(no_key.to_string().ends_with("does not contain declared merge key: name"), "{no_key}");
}

#[test]
fn strategic_patches_of_scalars_and_maps() {
    let object = json!({"metadata": {"finalizers": ["a", "b"], "labels": {"x": "1", "y": "2"}}});
    let patch = json!({"metadata": {"finalizers": ["c", "a"], "$deleteFromPrimitiveList/finalizers": ["b"],
        "labels": {"x": null, "z": "3"}}});
    let merged = strategic(BuiltinKind::ConfigMap, object.clone(), patch).unwrap();
    assert_eq!(merged["metadata"]["labels"], json!({"y": "2", "z": "3"}));
    let mut finalizers = merged["metadata"]["finalizers"].as_array().unwrap().clone();
    finalizers.sort_by_key(Value::to_string);
    assert_eq!(finalizers, [json!("a"), json!("c")]);
    let replaced = strategic(
        BuiltinKind::ConfigMap,
        object.clone(),
        json!({"metadata": {"labels": {"$patch": "replace", "k": "v"}}}),
    );
    assert_eq!(replaced.unwrap()["metadata"]["labels"], json!({"k": "v"}));
    let retained = strategic(
        BuiltinKind::ConfigMap,
        object.clone(),
        json!({"metadata": {"labels": {"$retainKeys": ["y", "w"], "w": "4"}}}),
    );
    assert_eq!(retained.unwrap()["metadata"]["labels"], json!({"y": "2", "w": "4"}));
    let wrong = strategic(
        BuiltinKind::ConfigMap,
        object,
        json!({"metadata": {"labels": {"$retainKeys": ["y"], "w": "4"}}}),
    );
    assert_eq!(wrong.unwrap_err(), PatchError::BadRequest("invalid patch format of retainKeys".to_owned()));
}

#[test]
fn strategic_patches_leave_out_nulls_and_directives_of_what_is_new() {
    let patch = json!({"metadata": {"annotations": {"a": null, "b": "c"}}, "data": {"$patch": "delete"}});
    assert_eq!(
        strategic(BuiltinKind::ConfigMap, json!({}), patch).unwrap(),
        json!({"metadata": {"annotations": {"b": "c"}}})
    );
}

fn documents() -> impl Strategy<Value = Value> {
    let leaf =
        prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::Bool), (0..9_i64).prop_map(Value::from)];
    let value = leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::Array),
            prop::collection::btree_map("[a-d]", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    });
    prop::collection::btree_map("[a-d]", value, 0..4)
        .prop_map(|members| Value::Object(members.into_iter().collect()))
}

proptest! {
    /// A merge patch is idempotent, and what it says without nulls is there afterwards.
    #[test]
    fn merge_patch_is_idempotent(object in documents(), patch in documents()) {
        let once = merge_patch(&object, &patch).unwrap();
        prop_assert_eq!(&merge_patch(&once, &patch).unwrap(), &once);
    }

    /// Ours is the crate json-patch's result wherever both apply: it is a second implementation of the RFC.
    #[test]
    fn json_patch_is_that_of_the_rfc(object in documents(), key in "[a-d]", value in documents(), at in 0..3_usize) {
        for patch in [
            json!([{"op": "add", "path": format!("/{key}"), "value": value}]),
            json!([{"op": "remove", "path": format!("/{key}")}]),
            json!([{"op": "add", "path": format!("/{key}/{at}"), "value": value}]),
            json!([{"op": "remove", "path": format!("/{key}/{at}")}]),
            json!([{"op": "move", "from": format!("/{key}"), "path": "/new"}]),
            json!([{"op": "test", "path": format!("/{key}"), "value": value}]),
        ] {
            let mut theirs = object.clone();
            let operations: json_patch::Patch = serde_json::from_value(patch.clone()).unwrap();
            if json_patch::patch(&mut theirs, &operations).is_ok() {
                prop_assert_eq!(json_patch(&object, &patch).unwrap(), theirs);
            }
        }
    }

    /// A strategic patch of maps alone is a merge patch.
    #[test]
    fn strategic_patch_of_maps_is_a_merge_patch(
        object in prop::collection::btree_map("[a-d]", "[x-z]", 0..4),
        patch in prop::collection::btree_map("[a-d]", prop::option::of("[x-z]"), 0..4),
    ) {
        let (object, patch) = (json!({"data": object}), json!({"data": patch}));
        let strategic = strategic_merge_patch(&object, &patch, builtin(BuiltinKind::ConfigMap)).unwrap();
        prop_assert_eq!(strategic, merge_patch(&object, &patch).unwrap());
    }
}
