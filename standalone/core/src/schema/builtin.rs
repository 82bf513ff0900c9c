//! The built-in kinds that this API serves.

mod data;
mod events;
mod rules;
mod types;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use base64::Engine as _;
use serde_json::{Map, Value, json};

use super::shape::Schema;
use super::typed::{TypeMismatch, coerce};
use types::whole;

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
    /// `authentication.k8s.io/v1` SelfSubjectReview.
    SelfSubjectReview,
    /// `authorization.k8s.io/v1` SelfSubjectAccessReview.
    SelfSubjectAccessReview,
    /// `authorization.k8s.io/v1` SelfSubjectRulesReview.
    SelfSubjectRulesReview,
}

impl BuiltinKind {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Namespace,
        Self::Event,
        Self::EventsEvent,
        Self::Lease,
        Self::ConfigMap,
        Self::Secret,
        Self::ServiceAccount,
        Self::SelfSubjectReview,
        Self::SelfSubjectAccessReview,
        Self::SelfSubjectRulesReview,
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
            Self::SelfSubjectReview => "authentication.k8s.io/v1",
            Self::SelfSubjectAccessReview | Self::SelfSubjectRulesReview => "authorization.k8s.io/v1",
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
            Self::SelfSubjectReview => "SelfSubjectReview",
            Self::SelfSubjectAccessReview => "SelfSubjectAccessReview",
            Self::SelfSubjectRulesReview => "SelfSubjectRulesReview",
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
            Self::SelfSubjectReview => json!({"status": {"userInfo": {}}}),
            Self::SelfSubjectAccessReview => json!({"spec": {}, "status": {"allowed": false}}),
            Self::SelfSubjectRulesReview => json!({"spec": {},
                "status": {"resourceRules": null, "nonResourceRules": null, "incomplete": false}}),
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
