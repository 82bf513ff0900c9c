//! Rules, evaluated.

use serde_json::json;

use super::*;

fn rules(schema: Value) -> Rules {
    Rules::new(&Schema::parse(&schema).unwrap()).unwrap()
}

fn messages(rules: &Rules, object: &Value, old: Option<&Value>) -> Vec<String> {
    rules.evaluate(object, old).errors.iter().map(ToString::to_string).collect()
}

fn with_rule(json_type: &str, rule: Value) -> Rules {
    let mut schema =
        json!({"type": json_type, "items": {"type": "string"}, "x-kubernetes-validations": [rule]});
    if json_type == "object" {
        schema["properties"] =
            json!({"a": {"type": "integer"}, "x": {"type": "string"}, "n": {"type": "number"}});
    }
    rules(json!({"type": "object", "properties": {"spec": schema}}))
}

#[test]
fn a_rule_says_its_message_and_the_value() {
    let rule = json!({"rule": "self.size() < 3", "message": " too long "});
    let text = with_rule("string", rule.clone());
    assert_eq!(messages(&text, &json!({"spec": "abc"}), None), ["spec: Invalid value: \"abc\": too long"]);
    let list = with_rule("array", rule);
    let broken = json!({"spec": ["a", "b", "c"]});
    assert_eq!(messages(&list, &broken, None), ["spec: Invalid value: too long"]);
    assert!(
        messages(&list, &json!({"spec": []}), None).is_empty()
            && messages(&list, &json!({}), None).is_empty()
    );
    let unnamed = with_rule("string", json!({"rule": "false"}));
    assert_eq!(
        messages(&unnamed, &json!({"spec": "a"}), None),
        ["spec: Invalid value: \"a\": failed rule: false"]
    );
}

#[test]
fn expressions_reasons_and_paths() {
    let expressed = with_rule(
        "object",
        json!({"rule": "self.a < 1", "messageExpression": "'a is ' + string(self.a)", "fieldPath": ".a",
            "reason": "FieldValueForbidden"}),
    );
    assert_eq!(messages(&expressed, &json!({"spec": {"a": 2}}), None), ["spec.a: Forbidden: a is 2"]);
    let failing =
        with_rule("object", json!({"rule": "false", "messageExpression": "self.x", "message": "m"}));
    assert_eq!(messages(&failing, &json!({"spec": {}}), None), ["spec: Invalid value: m"]);
    let required =
        with_rule("object", json!({"rule": "has(self.x)", "reason": "FieldValueRequired", "message": "m"}));
    assert_eq!(messages(&required, &json!({"spec": {}}), None), ["spec: Required value: m"]);
}

#[test]
fn numbers_have_the_type_of_their_schema() {
    let rule = with_rule("object", json!({"rule": "self.n >= 0.5 && self.a == 1"}));
    assert!(messages(&rule, &json!({"spec": {"n": 1, "a": 1}}), None).is_empty());
}

#[test]
fn transition_rules_need_an_old_value() {
    let rule = with_rule("object", json!({"rule": "self.x == oldSelf.x", "message": "x never changes"}));
    let new = json!({"spec": {"x": "b"}});
    assert!(messages(&rule, &new, None).is_empty());
    assert!(messages(&rule, &new, Some(&json!({}))).is_empty());
    assert_eq!(
        messages(&rule, &new, Some(&json!({"spec": {"x": "a"}}))),
        ["spec: Invalid value: x never changes"]
    );
    let optional = with_rule(
        "object",
        json!({"rule": "!oldSelf.hasValue() || self.x == oldSelf.value().x", "optionalOldSelf": true, "message": "m"}),
    );
    assert!(messages(&optional, &new, None).is_empty());
    assert_eq!(messages(&optional, &new, Some(&json!({"spec": {"x": "a"}}))), ["spec: Invalid value: m"]);
    let literal = with_rule("object", json!({"rule": "self.x != 'oldSelf'", "message": "m"}));
    assert_eq!(messages(&literal, &json!({"spec": {"x": "oldSelf"}}), None), ["spec: Invalid value: m"]);
}

#[test]
fn what_stays_broken_as_it_was_is_left_out() {
    let rule = with_rule("object", json!({"rule": "self.a < 1", "message": "m"}));
    let old = json!({"spec": {"a": 2}});
    let verdict = rule.evaluate(&old.clone(), Some(&old));
    assert!(verdict.errors.is_empty());
    assert_eq!(verdict.warnings, ["spec: Invalid value: m"]);
    assert_eq!(messages(&rule, &json!({"spec": {"a": 3}}), Some(&old)).len(), 1);
}

#[test]
fn items_of_maps_continue_by_their_key() {
    let rules = rules(json!({"type": "object", "properties": {"list": {"type": "array",
        "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"],
        "items": {"type": "object", "properties": {"k": {"type": "string"}, "v": {"type": "integer"}},
            "x-kubernetes-validations": [{"rule": "self.v >= oldSelf.v", "message": "v never shrinks"}]}}}}));
    let old = json!({"list": [{"k": "a", "v": 1}, {"k": "b", "v": 2}]});
    let new = json!({"list": [{"k": "c", "v": 0}, {"k": "b", "v": 1}, {"k": "a", "v": 1}]});
    assert_eq!(messages(&rules, &new, Some(&old)), ["list[1]: Invalid value: v never shrinks"]);
}

#[test]
fn rules_see_the_names_of_the_object() {
    let rules = rules(json!({"type": "object",
        "x-kubernetes-validations": [{"rule": "self.metadata.name == 'a' && self.kind == 'K'", "message": "m"}]}));
    let object = |name: &str| json!({"kind": "K", "metadata": {"name": name, "labels": {}}});
    assert!(messages(&rules, &object("a"), None).is_empty());
    assert_eq!(messages(&rules, &object("b"), None), ["<nil>: Invalid value: m"]);
}

#[test]
fn patterns_are_those_of_re2() {
    let rule = with_rule("string", json!({"rule": r#"self.matches(r"^\w+$")"#, "message": "m"}));
    assert!(messages(&rule, &json!({"spec": "a_1"}), None).is_empty());
    assert_eq!(messages(&rule, &json!({"spec": "é"}), None).len(), 1);
    let valid =
        with_rule("string", json!({"rule": "''.matches(self) in [true, false]", "message": "no pattern"}));
    assert!(messages(&valid, &json!({"spec": "a+"}), None).is_empty());
    let broken = messages(&valid, &json!({"spec": "("}), None);
    assert!(broken[0].ends_with("evaluating rule: no pattern"), "{broken:?}");
}

#[test]
fn what_does_not_compile_is_named() {
    let broken = with_rule("string", json!({"rule": "self +"}));
    let error = broken.compile().unwrap_err().to_string();
    assert!(error.starts_with("the rule at .spec does not compile: "), "{error}");
    assert_eq!(messages(&broken, &json!({"spec": "a"}), None).len(), 1);
    let shape = Schema::parse(&json!({"x-kubernetes-validations": [{"message": "m"}]})).unwrap();
    assert!(matches!(Rules::new(&shape), Err(RulesError::Shape { .. })));
}

/// The definitions of this product: all rules compile, and each that a sample reaches is evaluated without an error.
#[test]
fn all_rules_of_our_definitions_compile() {
    let mut count = 0;
    for definition in fleetmesh_crds::definition::all() {
        let json = serde_json::to_value(&definition).unwrap();
        let schema = &json["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        let rules = Rules::new(&Schema::parse(schema).unwrap()).unwrap();
        rules.compile().unwrap();
        count += rules.count();
    }
    assert!(count > 200, "only {count} rules were found");
}
