use std::sync::LazyLock;

use proptest::prelude::{any, proptest};
use serde_json::{Value, json};

use super::{LabelSelector, Selector};
use crate::resource::{Resource, Resources};
use crate::store::{Key, Stored};

/// What is served, made once: definitions take their time.
static RESOURCES: LazyLock<Resources> = LazyLock::new(|| Resources::new(&fleetmesh_crds::all()));

fn resource(group: &str, version: &str, plural: &str) -> Resource {
    RESOURCES.get(group, version, plural).expect(plural).as_ref().clone()
}

fn labels(selector: &str, labels: &Value) -> bool {
    LabelSelector::parse(selector).expect(selector).matches(labels)
}

fn wrong(selector: &str) -> String {
    LabelSelector::parse(selector).expect_err(selector).to_string()
}

#[test]
fn labels_are_compared_and_looked_for() {
    let own = json!({ "app": "web", "tier": "2", "empty": "" });
    for selector in [
        "",
        "app",
        "!other",
        "app=web",
        "app==web",
        "app!=api",
        "other!=x",
        "app in (api, web)",
        "app notin (api)",
        "other notin (x)",
        "empty=",
        "empty in ()",
        "empty in (,x)",
        "tier>1",
        "tier<3",
        "app=web,tier=2",
        " app = web ",
    ] {
        assert!(labels(selector, &own), "{selector}");
    }
    for selector in [
        "other",
        "!app",
        "app=api",
        "other=web",
        "app!=web",
        "app in (api)",
        "app notin (web)",
        "tier>2",
        "tier<2",
        "app>1",
        "other>1",
        "app=web,tier=3",
        "!app=web,app",
    ] {
        let parsed = LabelSelector::parse(selector);
        assert!(!parsed.is_ok_and(|selector| selector.matches(&own)), "{selector}");
    }
    assert!(labels("!app", &Value::Null), "an object without labels");
    assert!(!labels("app", &Value::Null));
    assert!(labels("in in (in)", &json!({ "in": "in" })), "words that are operators elsewhere");
}

#[test]
fn what_is_wrong_with_a_label_selector_is_said_in_the_api_servers_words() {
    for (selector, message) in [
        ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("=", "found '=', expected: !, identifier, or 'end of string'"),
        ("app in web", "unable to parse requirement: found 'web' expected: '('"),
        ("app in (web", "unable to parse requirement: found '', expected: ',' or ')'"),
        ("app=web,", "found '', expected: identifier after ','"),
        ("!", "unable to parse requirement: found '', expected: identifier"),
        ("a=b c", "found 'c', expected: ',' or 'end of string'"),
        (
            "n>x",
            "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, the value must be an integer",
        ),
    ] {
        assert_eq!(wrong(selector), message, "{selector}");
    }
    assert!(
        wrong("a/b/c")
            .starts_with("unable to parse requirement: <nil>: Invalid value: \"a/b/c\": a valid label key ")
    );
    assert!(wrong("/a").contains(": prefix part must be non-empty"));
    assert!(
        wrong("a=-b")
            .contains("values[0][a]: Invalid value: \"-b\": a valid label must be an empty string or")
    );
    assert!(
        wrong("a in (-b,c-)")
            .starts_with("unable to parse requirement: [values[0][a]: Invalid value: \"-b\": ")
    );
    assert!(wrong(&format!("a={}", "x".repeat(64))).contains("must be no more than 63 bytes"));
}

#[test]
fn fields_are_compared() {
    let secrets = resource("", "v1", "secrets");
    let object = json!({ "metadata": { "name": "a,b", "namespace": "n" }, "type": "Opaque" });
    let matches = |fields: &str| Selector::parse(&secrets, "", fields).expect(fields).matches(&object);
    assert!(matches(r"metadata.name=a\,b"));
    assert!(matches("metadata.namespace==n,type!=other,"));
    assert!(!matches("metadata.name!=a\\,b"));
    assert!(!matches("type=other"));
    let selector = Selector::parse(&secrets, "", r"type=Opaque,metadata.name=a\,b").expect("a selector");
    assert_eq!(selector.name(), Some("a,b"));
    assert_eq!(Selector::parse(&secrets, "", "metadata.name!=a").expect("a selector").name(), None);
    assert!(Selector::parse(&secrets, "", "").expect("a selector").is_empty());
    assert!(!selector.is_empty());
}

#[test]
fn events_are_selected_alike_in_both_versions() {
    let old = json!({ "involvedObject": { "name": "shop" }, "source": { "component": "c" }, "reportingComponent": "r" });
    let new = json!({ "regarding": { "name": "shop" }, "deprecatedSource": { "component": "c" }, "reportingController": "r" });
    let (core, events) = (resource("", "v1", "events"), resource("events.k8s.io", "v1", "events"));
    for object in [&old, &new] {
        let matches = |resource: &Resource, fields: &str| {
            Selector::parse(resource, "", fields).expect(fields).matches(object)
        };
        assert!(matches(&core, "involvedObject.name=shop,source=c,reportingComponent=r"));
        assert!(matches(&events, "regarding.name=shop,reportingController=r"));
        assert!(!matches(&core, "involvedObject.name=other"));
    }
}

#[test]
fn other_fields_are_refused_in_the_words_of_each_kind() {
    let say = |group: &str, version: &str, plural: &str, fields: &str| {
        Selector::parse(&resource(group, version, plural), "", fields).map_err(|error| error.to_string())
    };
    let unsupported = |field: &str| Err(format!("field label not supported: {field}"));
    assert_eq!(say("fleetmesh.dev", "v1alpha1", "virtualnodes", "spec.x=1"), unsupported("spec.x"));
    assert!(say("fleetmesh.dev", "v1alpha1", "virtualnodes", "metadata.namespace=n").is_ok());
    assert_eq!(
        say("fleetmesh.dev", "v1alpha1", "meshes", "metadata.namespace=n"),
        unsupported("metadata.namespace")
    );
    assert_eq!(say("", "v1", "events", "regarding.name=n"), unsupported("regarding.name"));
    let known = "\"spec.x\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\"";
    assert_eq!(say("", "v1", "configmaps", "spec.x=1"), Err(known.to_owned()));
    let read = |fields| say("", "v1", "secrets", fields);
    assert_eq!(read("type"), Err("invalid selector: 'type'; can't understand 'type'".to_owned()));
    assert_eq!(read(r"type=a\b"), Err(r"invalid field selector: invalid escape sequence: \b".to_owned()));
    assert_eq!(read("type=a\\"), Err("invalid field selector: invalid escape sequence: \\".to_owned()));
    assert_eq!(read("type=a=b"), Err("invalid field selector: unescaped character in value: 61".to_owned()));
}

proptest! {
    /// Whatever a client sends, it is a selector or an error.
    #[test]
    fn no_text_brings_it_down(text in any::<String>(), symbols in "[a-c=!<>(), \\\\./]{0,24}") {
        let secrets = resource("", "v1", "secrets");
        let object = json!({ "metadata": { "name": "a", "labels": { "a": "b" } } });
        for text in [text, symbols] {
            for (labels, fields) in [(text.as_str(), ""), ("", text.as_str())] {
                if let Ok(selector) = Selector::parse(&secrets, labels, fields) {
                    selector.matches(&object);
                }
            }
        }
    }
}

#[test]
fn a_stored_object_is_read_only_for_fields_that_are_not_in_its_key() {
    let secrets = resource("", "v1", "secrets");
    let object = json!({"metadata": {"name": "a", "namespace": "n", "labels": {"x": "y"}}, "type": "Opaque"});
    let stored = Stored::new(Key::new(&secrets.store, "n", "a"), object.clone(), 1);
    for (labels, fields, is_read) in [
        ("", "", false),
        ("x=y", "", false),
        ("x!=y", "type=Opaque", false),
        ("x in (y)", "metadata.name=a,metadata.namespace=n", false),
        ("", "metadata.name=b,type=Opaque", false),
        ("", "metadata.name!=a", false),
        ("x", "metadata.name=a,type=Opaque", true),
        ("", "type=other", true),
    ] {
        let selector = Selector::parse(&secrets, labels, fields).expect(fields);
        let mut was_read = false;
        let is_meant = selector.selects(&stored, || {
            was_read = true;
            object.clone()
        });
        assert_eq!((is_meant, was_read), (selector.matches(&object), is_read), "{labels} {fields}");
    }
}
