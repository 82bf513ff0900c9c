//! Bodies in Kubernetes' protobuf: one that is read is an object of the kind that was asked for, which its own JSON gives as the same.
//!
//! The first byte chooses the kind; the rest is the body.

use anyhow::Result;
use fleetmesh_standalone_core::resource::{Resource, Resources};
use fleetmesh_standalone_core::store::delete::DeleteOptions as Deletion;
use fleetmesh_standalone_core::{body, protobuf};
use k8s_pb::api::coordination::v1::{Lease, LeaseSpec};
use k8s_pb::api::core::v1::{
    ConfigMap, Event, EventSource, Namespace, NamespaceSpec, ObjectReference, Secret, ServiceAccount,
};
use k8s_pb::apimachinery::pkg::apis::meta::v1::{
    DeleteOptions, FieldsV1, ManagedFieldsEntry, MicroTime, ObjectMeta, OwnerReference, Preconditions, Time,
};
use k8s_pb::apimachinery::pkg::runtime::{TypeMeta, Unknown};
use prost::Message;

use super::super::Target;

/// The kinds by their numbers.
const KINDS: [(&str, &str); 11] = [
    ("v1", "Namespace"),
    ("v1", "ConfigMap"),
    ("v1", "Secret"),
    ("v1", "ServiceAccount"),
    ("v1", "Event"),
    ("coordination.k8s.io/v1", "Lease"),
    ("v1", "DeleteOptions"),
    ("events.k8s.io/v1", "Event"),
    ("authorization.k8s.io/v1", "SelfSubjectAccessReview"),
    ("authorization.k8s.io/v1", "SelfSubjectRulesReview"),
    ("authentication.k8s.io/v1", "SelfSubjectReview"),
];

/// See the module.
pub struct Bodies(Resources);

impl Bodies {
    /// Bodies for the resources that are served.
    pub fn new() -> Result<Self> {
        Ok(Self(Resources::new(&fleetmesh_crds::all())))
    }

    fn resource(&self, (api_version, kind): (&str, &str)) -> Option<&Resource> {
        let mut all = self.0.iter().map(AsRef::as_ref);
        all.find(|one| one.api_version() == api_version && one.kind == kind)
    }
}

fn metadata() -> Option<ObjectMeta> {
    let owner = OwnerReference {
        api_version: Some("v1".to_owned()),
        kind: Some("ConfigMap".to_owned()),
        name: Some("owner".to_owned()),
        uid: Some("8b1f".to_owned()),
        ..OwnerReference::default()
    };
    let managed = ManagedFieldsEntry {
        manager: Some("helm".to_owned()),
        operation: Some("Update".to_owned()),
        api_version: Some("v1".to_owned()),
        fields_type: Some("FieldsV1".to_owned()),
        fields_v1: Some(FieldsV1 { raw: Some(br#"{"f:data":{}}"#.to_vec()) }),
        time: Some(Time { seconds: Some(1_767_225_600), nanos: Some(0) }),
        ..ManagedFieldsEntry::default()
    };
    Some(ObjectMeta {
        name: Some("object".to_owned()),
        namespace: Some("default".to_owned()),
        labels: [("owner".to_owned(), "helm".to_owned())].into(),
        owner_references: vec![owner],
        managed_fields: vec![managed],
        ..ObjectMeta::default()
    })
}

/// The messages with the numbers of their kinds.
fn messages() -> Vec<(u8, Vec<u8>)> {
    let namespace = Namespace {
        metadata: metadata(),
        spec: Some(NamespaceSpec { finalizers: vec!["kubernetes".to_owned()] }),
        ..Namespace::default()
    };
    let map = ConfigMap {
        metadata: metadata(),
        data: [("a".to_owned(), "b".to_owned())].into(),
        binary_data: [("c".to_owned(), vec![0, 0xff])].into(),
        ..ConfigMap::default()
    };
    let secret = Secret {
        metadata: metadata(),
        data: [("release".to_owned(), b"H4sI".to_vec())].into(),
        r#type: Some("helm.sh/release.v1".to_owned()),
        ..Secret::default()
    };
    let account = ServiceAccount {
        metadata: metadata(),
        secrets: vec![ObjectReference { name: Some("token".to_owned()), ..ObjectReference::default() }],
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    };
    let event = Event {
        metadata: metadata(),
        involved_object: Some(ObjectReference { uid: Some("8b1f".to_owned()), ..ObjectReference::default() }),
        source: Some(EventSource { component: Some("fuzz".to_owned()), ..EventSource::default() }),
        count: Some(i32::MAX),
        event_time: Some(MicroTime { seconds: Some(-1), nanos: Some(999_999_999) }),
        ..Event::default()
    };
    let spec = LeaseSpec {
        holder_identity: Some("one".to_owned()),
        lease_duration_seconds: Some(15),
        renew_time: Some(MicroTime { seconds: Some(1_767_225_600), nanos: Some(1000) }),
        ..LeaseSpec::default()
    };
    let lease = Lease { metadata: metadata(), spec: Some(spec) };
    let options = DeleteOptions {
        preconditions: Some(Preconditions { uid: Some("8b1f".to_owned()), resource_version: None }),
        propagation_policy: Some("Background".to_owned()),
        dry_run: vec!["All".to_owned()],
        ..DeleteOptions::default()
    };
    let all = [
        namespace.encode_to_vec(),
        map.encode_to_vec(),
        secret.encode_to_vec(),
        account.encode_to_vec(),
        event.encode_to_vec(),
        lease.encode_to_vec(),
        options.encode_to_vec(),
    ];
    (0..).zip(all).collect()
}

impl Target for Bodies {
    fn name(&self) -> &'static str {
        "standalone-protobuf"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        let enveloped = |(number, raw): (u8, Vec<u8>)| {
            let (version, kind) = KINDS.get(usize::from(number)).copied().unwrap_or_default();
            let type_meta = TypeMeta { api_version: Some(version.to_owned()), kind: Some(kind.to_owned()) };
            let unknown = Unknown { type_meta: Some(type_meta), raw: Some(raw), ..Unknown::default() };
            [&[number], &b"k8s\0"[..], &unknown.encode_to_vec()].concat()
        };
        messages().into_iter().map(enveloped).collect()
    }

    fn words(&self) -> &'static [&'static [u8]] {
        &[
            b"k8s\0",
            b"\x0a\xff\xff\xff\xff\x0f",
            b"\x12\x00",
            b"\x0b",
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            b"\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
            b"{\"f:data\":{}}",
            b"{\"\":",
            b"ConfigMap",
            b"v1",
            b"\xc3\x28",
        ]
    }

    fn try_input(&self, input: &[u8]) -> Result<bool, String> {
        let Some((number, sent)) = input.split_first() else { return Ok(false) };
        let expected = KINDS.get(usize::from(*number) % KINDS.len()).copied().unwrap_or_default();
        let object = match protobuf::decode(sent, expected) {
            Ok(object) => object,
            Err(error) if error.message(expected.1, sent).is_empty() => return Err("no reason".to_owned()),
            Err(_) => return Ok(false),
        };
        if object["kind"] != expected.1 || !object["apiVersion"].is_string() {
            return Err(format!("{object} is no {}", expected.1));
        }
        let text = object.to_string();
        let Some(resource) = self.resource(expected) else {
            // The options of a deletion.
            return Ok(Deletion::read(&object).is_ok());
        };
        match body::json(text.as_bytes(), resource) {
            Ok(decoded) if decoded.value == object && decoded.duplicates.is_empty() => Ok(true),
            Ok(decoded) => Err(format!("{text} as JSON is {}", decoded.value)),
            // Of the same kind in another version, which is compared later.
            Err(_) if object["apiVersion"] != expected.0 => Ok(false),
            Err(status) => Err(format!("{text} as JSON: {}", status.message)),
        }
    }
}
