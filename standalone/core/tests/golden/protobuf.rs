use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use fleetmesh_standalone_core::protobuf::decode;
use serde_json::Value;

use super::lines;

fn body(line: &Value) -> Vec<u8> {
    BASE64_STANDARD.decode(line["body"].as_str().expect("a body")).expect("base64")
}

/// The API server gives the rules of a user in no order.
fn with_rules_in_order(mut object: Value) -> Value {
    for rules in ["resourceRules", "nonResourceRules"] {
        if let Some(rules) = object.pointer_mut(&format!("/status/{rules}")).and_then(Value::as_array_mut) {
            rules.sort_by_key(Value::to_string);
        }
    }
    object
}

/// Each object once in protobuf and once in JSON, as the API server writes it.
#[test]
fn an_object_in_protobuf_is_the_same_in_json() {
    for line in lines(include_str!("data/protobuf.jsonl")) {
        let text = |name: &str| line["object"][name].as_str().expect("a type").to_owned();
        let object = decode(&body(&line), (&text("apiVersion"), &text("kind")));
        let object = object.unwrap_or_else(|error| panic!("{}: {error}", line["name"]));
        assert_eq!(
            with_rules_in_order(object),
            with_rules_in_order(line["object"].clone()),
            "{}",
            line["name"]
        );
    }
}

/// What the API server says of bodies that are wrong: the same, but for the words of Go's decoder.
#[test]
fn what_is_wrong_with_a_body_is_said_in_the_api_servers_words() {
    for line in lines(include_str!("data/protobuf-errors.jsonl")) {
        let bytes = body(&line);
        let deletion = line["method"] == "DELETE";
        let expected = if deletion { "DeleteOptions" } else { "Namespace" };
        let said = match decode(&bytes, ("v1", expected)) {
            Ok(_) => None,
            Err(error) if deletion => Some(error.to_string()),
            Err(error) => Some(error.message("Namespace", &bytes)),
        };
        let message = line["answer"]["message"].as_str().filter(|_| line["code"] == 400);
        let go = ["unexpected EOF", "proto: "].iter().find_map(|words| message?.find(words));
        match (message, go) {
            (Some(message), Some(end)) => {
                let said = said.unwrap_or_default();
                assert!(said.starts_with(message.get(..end).expect("a prefix")), "{line}: {said}");
            }
            _ => assert_eq!(said.as_deref(), message, "{line}"),
        }
    }
}
