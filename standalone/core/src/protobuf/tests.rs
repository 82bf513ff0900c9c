use k8s_pb::api::core::v1::{ConfigMap, Namespace, NamespaceSpec, Secret};
use k8s_pb::apimachinery::pkg::apis::meta::v1::{
    DeleteOptions, FieldsV1, ManagedFieldsEntry, MicroTime, ObjectMeta, Preconditions, Time,
};
use k8s_pb::apimachinery::pkg::runtime::{TypeMeta, Unknown};
use proptest::prelude::{any, proptest};
use prost::Message;
use serde_json::{Value, json};

use super::members::ToJson as _;
use super::{Cause, decode};

fn enveloped(api_version: Option<&str>, kind: Option<&str>, message: &impl Message) -> Vec<u8> {
    let type_meta = TypeMeta { api_version: api_version.map(str::to_owned), kind: kind.map(str::to_owned) };
    let raw = Some(message.encode_to_vec());
    let unknown = Unknown { type_meta: Some(type_meta), raw, ..Unknown::default() };
    [b"k8s\0".as_slice(), &unknown.encode_to_vec()].concat()
}

fn named(name: &str) -> Option<ObjectMeta> {
    Some(ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() })
}

#[test]
fn what_kubectl_create_sends_is_the_object() {
    // Go writes a string that is not set as an empty one, and a time of creation that is not set as an empty message.
    let metadata = ObjectMeta {
        namespace: Some(String::new()),
        generation: Some(0),
        creation_timestamp: Some(Time::default()),
        ..named("shop").expect("metadata")
    };
    let namespace =
        Namespace { metadata: Some(metadata), spec: Some(NamespaceSpec::default()), ..Namespace::default() };
    let body = enveloped(Some("v1"), Some("Namespace"), &namespace);
    let expected = json!({
        "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "shop" }, "spec": {}, "status": {},
    });
    assert_eq!(decode(&body, ("v1", "Namespace")), Ok(expected));
}

#[test]
fn bytes_are_base64_and_maps_that_are_empty_are_absent() {
    let secret = Secret {
        metadata: named("s"),
        data: [("a".to_owned(), vec![0xff]), ("b".to_owned(), vec![])].into(),
        r#type: Some("Opaque".to_owned()),
        immutable: Some(false),
        ..Secret::default()
    };
    let decoded =
        decode(&enveloped(Some("v1"), Some("Secret"), &secret), ("v1", "Secret")).expect("a secret");
    assert_eq!(decoded["data"], json!({ "a": "/w==", "b": "" }));
    assert_eq!(decoded["immutable"], json!(false), "a pointer is written when it is set");
    assert_eq!(decoded.get("stringData"), None);
    let decoded =
        decode(&enveloped(Some("v1"), Some("ConfigMap"), &ConfigMap::default()), ("v1", "ConfigMap"));
    assert_eq!(decoded, Ok(json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": {} })));
}

#[test]
fn options_come_in_the_version_of_any_group() {
    let options = DeleteOptions {
        grace_period_seconds: Some(0),
        preconditions: Some(Preconditions { uid: Some("u".to_owned()), resource_version: None }),
        orphan_dependents: Some(false),
        propagation_policy: Some("Background".to_owned()),
        dry_run: vec!["All".to_owned()],
        ..DeleteOptions::default()
    };
    for version in ["v1", "meta.k8s.io/v1", "coordination.k8s.io/v1"] {
        let expected = json!({
            "apiVersion": version, "kind": "DeleteOptions", "gracePeriodSeconds": 0, "preconditions": { "uid": "u" },
            "orphanDependents": false, "propagationPolicy": "Background", "dryRun": ["All"],
        });
        let body = enveloped(Some(version), Some("DeleteOptions"), &options);
        assert_eq!(decode(&body, ("v1", "DeleteOptions")), Ok(expected));
    }
}

#[test]
fn the_path_says_what_the_envelope_leaves_out() {
    let expected = ("v1", "ConfigMap");
    let whole = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "c" } });
    let map = ConfigMap { metadata: named("c"), ..ConfigMap::default() };
    for (version, kind) in [(None, None), (Some(""), Some("")), (Some("v1"), None), (None, Some("ConfigMap"))]
    {
        assert_eq!(
            decode(&enveloped(version, kind, &map), expected).as_ref(),
            Ok(&whole),
            "{version:?} {kind:?}"
        );
    }
}

#[test]
fn what_is_no_object_says_why() {
    let malformed = |body: &[u8]| {
        let error = decode(body, ("v1", "Namespace")).expect_err("no object");
        (matches!(error.cause, Cause::Malformed(_)), error.read_as.is_some())
    };
    assert_eq!(malformed(b"k8s\0\xff\xff\xff"), (true, false), "the envelope");
    let wrong = Unknown { raw: Some(vec![0x0a, 0x05, 0x01]), ..Unknown::default() };
    assert_eq!(
        malformed(&[b"k8s\0".as_slice(), &wrong.encode_to_vec()].concat()),
        (true, true),
        "what is in it"
    );
    let say =
        |body: &[u8]| decode(body, ("v1", "Namespace")).map_err(|error| error.message("Namespace", body));
    let mesh = enveloped(Some("fleetmesh.dev/v1alpha1"), Some("Mesh"), &ConfigMap::default());
    let expected = "Mesh in version \"v1alpha1\" cannot be handled as a Namespace: no kind \"Mesh\" is registered for version \
                    \"fleetmesh.dev/v1alpha1\" in scheme \"pkg/runtime/scheme.go:111\"";
    assert_eq!(say(&mesh), Err(expected.to_owned()));
    let long = "the object provided is unrecognized (must be of type Namespace): provided data does not appear to be a protobuf \
                message, expected prefix [107 56 115 0] ({\"aaaaaaaaaaaaaaaaaaaaaaaaaaaa ...)";
    assert_eq!(say(b"{\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), Err(long.to_owned()));
}

#[test]
fn times_are_written_as_go_writes_them() {
    let time = |seconds, nanos| Time { seconds: Some(seconds), nanos: Some(nanos) }.to_json();
    let micro = |seconds, nanos| MicroTime { seconds: Some(seconds), nanos: Some(nanos) }.to_json();
    assert_eq!(time(0, 0), Ok(json!("1970-01-01T00:00:00Z")));
    assert_eq!(time(1_577_934_245, 999_999_999), Ok(json!("2020-01-02T03:04:05Z")), "no fractions");
    assert_eq!(micro(1_577_934_245, 123_456_789), Ok(json!("2020-01-02T03:04:05.123456Z")));
    assert_eq!(micro(1_577_934_245, 0), Ok(json!("2020-01-02T03:04:05.000000Z")));
    assert_eq!(Time::default().to_json(), Ok(Value::Null));
    assert_eq!(MicroTime::default().to_json(), Ok(Value::Null));
    for seconds in [i64::MIN, i64::MAX, -70_000_000_000, 300_000_000_000] {
        assert!(matches!(time(seconds, 0), Err(Cause::Malformed(_))), "{seconds}");
    }
    assert!(micro(0, i32::MIN).is_err() || micro(0, i32::MIN).is_ok(), "no panic");
}

#[test]
fn managed_fields_hold_json_or_the_body_is_malformed() {
    let entry = |raw: &[u8]| ManagedFieldsEntry {
        manager: Some("kubectl".to_owned()),
        fields_v1: Some(FieldsV1 { raw: Some(raw.to_vec()) }),
        ..ManagedFieldsEntry::default()
    };
    let written = entry(br#"{"f:data":{}}"#).to_json();
    assert_eq!(written, Ok(json!({ "manager": "kubectl", "fieldsV1": { "f:data": {} } })));
    assert!(matches!(entry(b"{").to_json(), Err(Cause::Malformed(text)) if text.starts_with("fieldsV1: ")));
}

proptest! {
    /// Whatever a client sends, it is an object or an error.
    #[test]
    fn no_body_brings_it_down(bytes in proptest::collection::vec(any::<u8>(), 0..200), kind in 0_usize..13) {
        const KINDS: [(&str, &str); 13] = [
            ("v1", "Namespace"), ("v1", "ConfigMap"), ("v1", "Secret"), ("v1", "ServiceAccount"), ("v1", "Event"),
            ("events.k8s.io/v1", "Event"), ("coordination.k8s.io/v1", "Lease"), ("v1", "DeleteOptions"),
            ("authorization.k8s.io/v1", "SelfSubjectAccessReview"), ("v1", "CreateOptions"),
            ("authorization.k8s.io/v1", "SelfSubjectRulesReview"), ("v1", "PatchOptions"),
            ("authentication.k8s.io/v1", "SelfSubjectReview"),
        ];
        let unknown = Unknown { raw: Some(bytes.clone()), ..Unknown::default() };
        for message in [bytes, unknown.encode_to_vec()] {
            if let Ok(object) = decode(&[b"k8s\0".as_slice(), &message].concat(), KINDS[kind]) {
                assert!(object["kind"].is_string());
            }
        }
    }
}
