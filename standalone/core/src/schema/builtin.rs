//! The built-in kinds that this API serves.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use base64::Engine as _;
use serde_json::{Map, Value, json};

use super::metadata;
use super::shape::Schema;
use super::typed::{TypeMismatch, coerce};

/// A kind of Kubernetes' own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BuiltinKind {
    /// `v1` Namespace.
    Namespace,
    /// `v1` Event.
    Event,
    /// `events.k8s.io/v1` Event.
    EventsEvent,
    /// `coordination.k8s.io/v1` Lease.
    Lease,
    /// `v1` ConfigMap.
    ConfigMap,
    /// `v1` Secret.
    Secret,
    /// `v1` ServiceAccount.
    ServiceAccount,
}

impl BuiltinKind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Namespace,
        Self::Event,
        Self::EventsEvent,
        Self::Lease,
        Self::ConfigMap,
        Self::Secret,
        Self::ServiceAccount,
    ];

    /// The kind with this `apiVersion` and `kind`.
    #[must_use]
    pub fn of(api_version: &str, kind: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.api_version() == api_version && one.kind() == kind)
    }

    /// `apiVersion` of its objects.
    #[must_use]
    pub fn api_version(self) -> &'static str {
        match self {
            Self::EventsEvent => "events.k8s.io/v1",
            Self::Lease => "coordination.k8s.io/v1",
            Self::Namespace | Self::Event | Self::ConfigMap | Self::Secret | Self::ServiceAccount => "v1",
        }
    }

    /// `kind` of its objects.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self {
            Self::Namespace => "Namespace",
            Self::Event | Self::EventsEvent => "Event",
            Self::Lease => "Lease",
            Self::ConfigMap => "ConfigMap",
            Self::Secret => "Secret",
            Self::ServiceAccount => "ServiceAccount",
        }
    }

    /// The members that each object has, whatever a request says: structs, and values that Go's encoder does not leave out.
    #[must_use]
    pub fn empty(self) -> Value {
        let mut object = match self {
            Self::Namespace => json!({"spec": {}, "status": {}}),
            Self::Event => {
                json!({"involvedObject": {}, "source": {}, "firstTimestamp": null, "lastTimestamp": null,
                "eventTime": null, "reportingComponent": "", "reportingInstance": ""})
            }
            Self::EventsEvent => json!({"eventTime": null, "regarding": {}, "deprecatedSource": {},
                "deprecatedFirstTimestamp": null, "deprecatedLastTimestamp": null}),
            Self::Lease => json!({"spec": {}}),
            Self::ConfigMap | Self::Secret | Self::ServiceAccount => json!({}),
        };
        object["apiVersion"] = self.api_version().into();
        object["kind"] = self.kind().into();
        object["metadata"] = json!({});
        object
    }

    /// What becomes of an object of a request before anything decides on it. Returns the paths of unknown fields.
    ///
    /// # Errors
    /// A member has the wrong type.
    pub fn normalize(self, object: &mut Value) -> Result<Vec<String>, TypeMismatch> {
        let unknown = coerce(object, builtin(self), self.kind(), "")?;
        if let Value::Object(members) = object {
            self.complete(members);
        }
        Ok(unknown)
    }

    /// What the storage of the kind makes of an object before it is validated: a service account keeps the names of its secrets
    /// alone.
    pub fn prepare(self, object: &mut Value) {
        let secrets = object.get_mut("secrets").filter(|_| self == Self::ServiceAccount);
        for secret in secrets.and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(members) = secret.as_object_mut() {
                members.retain(|name, _| name == "name");
            }
        }
    }

    fn complete(self, members: &mut Map<String, Value>) {
        if let Value::Object(always) = self.empty() {
            for (name, value) in always {
                members.entry(name).or_insert(value);
            }
        }
        match self {
            Self::Secret => complete_secret(members),
            Self::Namespace => {
                let Some(metadata) = members.get_mut("metadata").and_then(Value::as_object_mut) else {
                    return;
                };
                let Some(name) = metadata.get("name").filter(|name| name.as_str() != Some("")).cloned()
                else {
                    return;
                };
                let labels = metadata.entry("labels").or_insert_with(|| json!({}));
                if let Some(labels) = labels.as_object_mut() {
                    labels.insert("kubernetes.io/metadata.name".to_owned(), name);
                }
            }
            _ => {}
        }
    }
}

/// `stringData` goes into `data`, and the type is Opaque when none is said.
fn complete_secret(members: &mut Map<String, Value>) {
    members.entry("type").or_insert_with(|| "Opaque".into());
    let Some(Value::Object(texts)) = members.remove("stringData") else { return };
    let data = members.entry("data").or_insert_with(|| json!({}));
    let Some(data) = data.as_object_mut() else { return };
    for (name, text) in texts {
        let bytes = text.as_str().unwrap_or_default();
        data.insert(name, base64::engine::general_purpose::STANDARD.encode(bytes).into());
    }
}

/// The schema of whole objects of `kind`.
#[must_use]
pub fn builtin(kind: BuiltinKind) -> &'static Schema {
    static SCHEMAS: LazyLock<BTreeMap<BuiltinKind, Schema>> = LazyLock::new(|| {
        let parsed = |kind| (kind, Schema::parse(&whole(kind)).unwrap_or_default());
        BuiltinKind::ALL.into_iter().map(parsed).collect()
    });
    static NONE: LazyLock<Schema> = LazyLock::new(Schema::default);
    SCHEMAS.get(&kind).unwrap_or(&NONE)
}

fn whole(kind: BuiltinKind) -> Value {
    let mut properties = match kind {
        BuiltinKind::Namespace => namespace(),
        BuiltinKind::Event => event(),
        BuiltinKind::EventsEvent => events_event(),
        BuiltinKind::Lease => json!({"spec": lease_spec()}),
        BuiltinKind::ConfigMap => {
            json!({"data": map_of(string()), "binaryData": map_of(bytes()), "immutable": pointer("boolean")})
        }
        BuiltinKind::Secret => {
            json!({"data": map_of(bytes()), "stringData": map_of(string()), "type": string(),
            "immutable": pointer("boolean")})
        }
        BuiltinKind::ServiceAccount => service_account(),
    };
    properties["apiVersion"] = string();
    properties["kind"] = string();
    properties["metadata"] = metadata::json();
    json!({"type": "object", "properties": properties})
}

fn string() -> Value {
    json!({"type": "string"})
}

fn bytes() -> Value {
    json!({"type": "string", "format": "byte"})
}

fn time() -> Value {
    json!({"type": "string", "format": "date-time", "nullable": true})
}

fn int32() -> Value {
    json!({"type": "integer", "format": "int32"})
}

/// A value whose zero is kept.
fn pointer(json_type: &str) -> Value {
    json!({"type": json_type, "nullable": true})
}

fn map_of(each: Value) -> Value {
    json!({"type": "object", "additionalProperties": each})
}

fn namespace() -> Value {
    json!({
        "spec": {"type": "object", "properties": {"finalizers": {
            "type": "array", "x-kubernetes-list-type": "atomic", "items": string()}}},
        "status": {"type": "object", "properties": {
            "phase": string(),
            "conditions": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"],
                "x-kubernetes-patch-strategy": "merge", "x-kubernetes-patch-merge-key": "type", "items": {
                "type": "object", "required": ["type", "status"], "properties": {"type": string(), "status": string(),
                    "lastTransitionTime": time(), "reason": string(), "message": string()}}}}},
    })
}

fn object_reference() -> Value {
    let names = ["apiVersion", "fieldPath", "kind", "name", "namespace", "resourceVersion", "uid"];
    let properties: Map<String, Value> = names.into_iter().map(|name| (name.to_owned(), string())).collect();
    json!({"type": "object", "x-kubernetes-map-type": "atomic", "properties": properties})
}

fn event_source() -> Value {
    json!({"type": "object", "properties": {"component": string(), "host": string()}})
}

fn event_series() -> Value {
    json!({"type": "object", "nullable": true, "properties": {"count": int32(), "lastObservedTime": time()}})
}

fn related() -> Value {
    let mut reference = object_reference();
    reference["nullable"] = true.into();
    reference
}

fn event() -> Value {
    json!({"action": string(), "count": int32(), "eventTime": time(), "firstTimestamp": time(), "lastTimestamp": time(),
        "involvedObject": object_reference(), "message": string(), "reason": string(), "related": related(),
        "reportingComponent": string(), "reportingInstance": string(), "series": event_series(),
        "source": event_source(), "type": string()})
}

fn events_event() -> Value {
    json!({"action": string(), "eventTime": time(), "note": string(), "reason": string(), "regarding": object_reference(),
        "related": related(), "reportingController": string(), "reportingInstance": string(),
        "series": event_series(), "type": string(), "deprecatedCount": int32(),
        "deprecatedFirstTimestamp": time(), "deprecatedLastTimestamp": time(), "deprecatedSource": event_source()})
}

fn lease_spec() -> Value {
    let seconds = || json!({"type": "integer", "format": "int32", "nullable": true});
    json!({"type": "object", "properties": {"acquireTime": time(), "holderIdentity": pointer("string"),
        "leaseDurationSeconds": seconds(), "leaseTransitions": seconds(), "preferredHolder": pointer("string"),
        "renewTime": time(), "strategy": pointer("string")}})
}

fn service_account() -> Value {
    json!({
        "automountServiceAccountToken": pointer("boolean"),
        "imagePullSecrets": {"type": "array", "x-kubernetes-list-type": "atomic",
            "items": {"type": "object", "x-kubernetes-map-type": "atomic", "properties": {"name": string()}}},
        "secrets": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
            "x-kubernetes-patch-strategy": "merge", "x-kubernetes-patch-merge-key": "name", "items": object_reference()},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_have_schemas() {
        for kind in BuiltinKind::ALL {
            assert!(Schema::parse(&whole(kind)).is_ok() && builtin(kind).properties.len() > 3, "{kind:?}");
            assert_eq!(BuiltinKind::of(kind.api_version(), kind.kind()), Some(kind));
        }
        assert_eq!(BuiltinKind::of("v1", "Pod"), None);
    }

    #[test]
    fn a_secret_takes_its_texts_as_data() {
        let mut secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"},
            "data": {"a": "YQ==", "b": "YQ=="}, "stringData": {"b": "b"}, "immutable": false});
        assert!(BuiltinKind::Secret.normalize(&mut secret).unwrap().is_empty());
        assert_eq!(
            secret,
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "data": {"a": "YQ==", "b": "Yg=="},
                "type": "Opaque", "immutable": false})
        );
    }

    #[test]
    fn a_namespace_has_its_name_as_a_label() {
        let mut namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a", "labels": null},
            "spec": {"more": 1}});
        assert_eq!(BuiltinKind::Namespace.normalize(&mut namespace).unwrap(), ["spec.more"]);
        assert_eq!(namespace["metadata"]["labels"], json!({"kubernetes.io/metadata.name": "a"}));
        assert_eq!(namespace["status"], json!({}));
    }

    #[test]
    fn what_has_the_wrong_type_is_named() {
        let mut map = json!({"data": {"a": 1}});
        let mismatch = BuiltinKind::ConfigMap.normalize(&mut map).unwrap_err();
        assert_eq!(
            mismatch.to_string(),
            "json: cannot unmarshal number into Go struct field ConfigMap.data of type string"
        );
    }
}
