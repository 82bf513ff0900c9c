//! What is wrong, word for word.

use serde_json::json;

use super::*;

fn messages(schema: Value, value: Value) -> Vec<String> {
    let schema = Schema::parse(&schema).unwrap();
    validate(&value, &schema, "").iter().map(ToString::to_string).collect()
}

fn spec(property: Value, value: Value) -> Vec<String> {
    messages(json!({"properties": {"spec": {"properties": {"a": property}}}}), json!({"spec": {"a": value}}))
}

#[test]
fn types() {
    let wrong = [
        (json!({"type": "string"}), json!(1), "spec.a in body must be of type string: \"integer\""),
        (json!({"type": "integer"}), json!("1"), "spec.a in body must be of type integer: \"string\""),
        (json!({"type": "boolean"}), json!([]), "spec.a in body must be of type boolean: \"array\""),
        (json!({"type": "object"}), json!(null), "spec.a in body must be of type object: \"null\""),
        (json!({"type": "array"}), json!({}), "spec.a in body must be of type array: \"object\""),
    ];
    for (schema, value, message) in wrong {
        let found = message.rsplit(' ').next().unwrap_or_default();
        assert_eq!(spec(schema, value), [format!("spec.a: Invalid value: {found}: {message}")]);
    }
    assert_eq!(
        spec(json!({"type": "integer", "format": "int32"}), json!(true)),
        ["spec.a: Invalid value: \"\": spec.a in body must be of type int32: \"\""]
    );
    assert!(spec(json!({"type": "string", "nullable": true}), json!(null)).is_empty());
    assert!(spec(json!({"type": "number"}), json!(1)).is_empty());
    assert!(spec(json!({"type": "integer"}), json!(1.0)).is_empty());
    assert!(spec(json!({}), json!({"any": [1]})).is_empty());
}

#[test]
fn strings() {
    let schema = json!({"type": "string", "minLength": 2, "maxLength": 4, "pattern": "^[a-z]+$"});
    assert_eq!(spec(schema.clone(), json!("abcde")), ["spec.a: Too long: may not be more than 4 bytes"]);
    assert_eq!(
        spec(schema.clone(), json!("é")),
        ["spec.a: Invalid value: \"é\": spec.a in body should be at least 2 chars long"]
    );
    assert_eq!(
        spec(schema.clone(), json!("AB")),
        ["spec.a: Invalid value: \"AB\": spec.a in body should match '^[a-z]+$'"]
    );
    assert!(spec(schema, json!("ab")).is_empty());
    assert_eq!(
        spec(json!({"type": "string", "format": "date-time"}), json!("now")),
        ["spec.a: Invalid value: \"now\": spec.a in body must be of type date-time: \"now\""]
    );
    assert_eq!(
        spec(json!({"type": "string", "enum": ["A", "B"]}), json!("C")),
        ["spec.a: Unsupported value: \"C\": supported values: \"A\", \"B\""]
    );
}

#[test]
fn lists_and_maps() {
    let list = json!({"type": "array", "minItems": 1, "maxItems": 1, "uniqueItems": true, "items": {
        "type": "object", "required": ["b"], "properties": {"b": {"type": "string"}}}});
    assert_eq!(
        spec(list.clone(), json!([])),
        ["spec.a: Invalid value: 0: spec.a in body should have at least 1 items"]
    );
    assert_eq!(
        spec(list, json!([{}, {}])),
        [
            "spec.a[0].b: Required value",
            "spec.a[1].b: Required value",
            "spec.a: Too many: 2: must have at most 1 item",
            "spec.a: Invalid value: \"\": spec.a in body shouldn't contain duplicates",
        ]
    );
    let map = json!({"type": "object", "minProperties": 1, "maxProperties": 2,
        "additionalProperties": {"type": "string", "maxLength": 1}});
    assert_eq!(spec(map.clone(), json!({"k": "ab"})), ["spec.a.k: Too long: may not be more than 1 byte"]);
    assert_eq!(
        spec(map, json!({})),
        ["spec.a: Invalid value: 0: spec.a in body should have at least 1 properties"]
    );
    assert_eq!(
        spec(json!({"type": "object", "additionalProperties": false}), json!({"k": 1})),
        ["spec.a: Invalid value: \"k\": spec.a.k in body is a forbidden property"]
    );
}

#[test]
fn combinations() {
    let one = json!({"oneOf": [{"required": ["b"]}, {"required": ["c"]}]});
    assert_eq!(
        spec(one.clone(), json!({"b": 1, "c": 1})),
        [
            "<nil>: Invalid value: \"\": \"spec.a\" must validate one and only one schema (oneOf). Found 2 valid alternatives"
        ]
    );
    assert!(spec(one, json!({"b": 1})).is_empty());
    assert_eq!(
        spec(json!({"not": {"required": ["b"]}}), json!({"b": 1})),
        ["<nil>: Invalid value: \"\": \"spec.a\" must not validate the schema (not)"]
    );
    assert_eq!(spec(json!({"anyOf": [{"enum": [1]}, {"enum": [2]}]}), json!(3)).len(), 2);
    assert_eq!(spec(json!({"allOf": [{"enum": [1]}, {"enum": [2]}]}), json!(1)).len(), 2);
}

#[test]
fn the_status_alone_has_paths_of_its_own() {
    let schema = Schema::parse(&json!({"properties": {"stage": {"type": "string"}}})).unwrap();
    let errors = validate(&json!({"stage": 1}), &schema, "status");
    assert_eq!(
        errors[0].to_string(),
        "status.stage: Invalid value: \"integer\": stage in body must be of type string: \"integer\""
    );
}

#[test]
fn what_stays_as_it_was_is_left_out() {
    let schema = Schema::parse(&json!({"properties": {
        "a": {"type": "string", "maxLength": 1},
        "map": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"],
            "items": {"properties": {"v": {"type": "string"}}}},
        "list": {"type": "array", "items": {"type": "string"}}}}))
    .unwrap();
    let old = json!({"a": "long", "map": [{"k": 1, "v": 5}], "list": [1]});
    assert!(validate_update(&old.clone(), &old, &schema, "").is_empty());
    let new = json!({"a": "long", "map": [{"k": 2, "v": "x"}, {"k": 1, "v": 5}], "list": [1, 2]});
    let fields: Vec<String> =
        validate_update(&new, &old, &schema, "").into_iter().map(|error| error.field).collect();
    assert_eq!(fields, ["list[0]", "list[1]"], "lists that are no maps are compared as one");
}
