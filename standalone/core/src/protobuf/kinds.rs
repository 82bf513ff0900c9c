//! The kinds that are served here and have a message: which one is of which type, and its JSON.

use k8s_pb::api::authentication::v1::SelfSubjectReview;
use k8s_pb::api::authorization::v1::{SelfSubjectAccessReview, SelfSubjectRulesReview};
use k8s_pb::api::coordination::v1::{Lease, LeaseSpec};
use k8s_pb::api::core::v1::{
    ConfigMap, Event, EventSeries, EventSource, LocalObjectReference, Namespace, NamespaceCondition,
    NamespaceSpec, NamespaceStatus, ObjectReference, Secret, ServiceAccount,
};
use k8s_pb::api::events::v1 as events;
use k8s_pb::apimachinery::pkg::apis::meta::v1::{CreateOptions, DeleteOptions, PatchOptions, UpdateOptions};
use prost::Message;
use serde_json::Value;

use super::Cause;
use super::members::{Members, ToJson};

/// The object of the type `api_version`, `kind` in `raw`, without these two.
pub(super) fn decode(api_version: &str, kind: &str, raw: &[u8]) -> Result<Value, Cause> {
    match (api_version, kind) {
        ("v1", "Namespace") => read::<Namespace>(raw),
        ("v1", "ConfigMap") => read::<ConfigMap>(raw),
        ("v1", "Secret") => read::<Secret>(raw),
        ("v1", "ServiceAccount") => read::<ServiceAccount>(raw),
        ("v1", "Event") => read::<Event>(raw),
        ("events.k8s.io/v1", "Event") => read::<events::Event>(raw),
        ("coordination.k8s.io/v1", "Lease") => read::<Lease>(raw),
        ("authorization.k8s.io/v1", "SelfSubjectAccessReview") => read::<SelfSubjectAccessReview>(raw),
        ("authorization.k8s.io/v1", "SelfSubjectRulesReview") => read::<SelfSubjectRulesReview>(raw),
        ("authentication.k8s.io/v1", "SelfSubjectReview") => read::<SelfSubjectReview>(raw),
        // A client sends options in the version of the group that it calls.
        (_, "DeleteOptions") => read::<DeleteOptions>(raw),
        (_, "CreateOptions") => read::<CreateOptions>(raw),
        (_, "UpdateOptions") => read::<UpdateOptions>(raw),
        (_, "PatchOptions") => read::<PatchOptions>(raw),
        _ => Err(Cause::Unregistered { api_version: api_version.to_owned(), kind: kind.to_owned() }),
    }
}

/// Whether objects of this type have a message here.
pub(super) fn is_known(api_version: &str, kind: &str) -> bool {
    !matches!(decode(api_version, kind, &[]), Err(Cause::Unregistered { .. }))
}

/// Whether a kind is that of a request's options, which are in every group.
pub(super) fn is_options(kind: &str) -> bool {
    matches!(kind, "DeleteOptions" | "CreateOptions" | "UpdateOptions" | "PatchOptions")
}

fn read<M: Message + Default + ToJson>(raw: &[u8]) -> Result<Value, Cause> {
    M::decode(raw)?.to_json()
}

impl ToJson for Namespace {
    fn to_json(self) -> Result<Value, Cause> {
        Members::default()
            .object("metadata", self.metadata)
            .object("spec", self.spec)
            .object("status", self.status)
            .finish()
    }
}

impl ToJson for NamespaceSpec {
    fn to_json(self) -> Result<Value, Cause> {
        Members::default().texts("finalizers", self.finalizers).finish()
    }
}

impl ToJson for NamespaceStatus {
    fn to_json(self) -> Result<Value, Cause> {
        Members::default().text("phase", self.phase).list("conditions", self.conditions).finish()
    }
}

impl ToJson for NamespaceCondition {
    fn to_json(self) -> Result<Value, Cause> {
        Members::default()
            .required("type", self.r#type)
            .required("status", self.status)
            .object("lastTransitionTime", self.last_transition_time)
            .text("reason", self.reason)
            .text("message", self.message)
            .finish()
    }
}

impl ToJson for ConfigMap {
    fn to_json(self) -> Result<Value, Cause> {
        Members::default()
            .object("metadata", self.metadata)
            .pointer("immutable", self.immutable)
            .text_map("data", self.data)
            .bytes_map("binaryData", self.binary_data)
            .finish()
    }
}

impl ToJson for Secret {
    fn to_json(self) -> Result<Value, Cause> {
        Members::default()
            .object("metadata", self.metadata)
            .pointer("immutable", self.immutable)
            .bytes_map("data", self.data)
            .text_map("stringData", self.string_data)
            .text("type", self.r#type)
            .finish()
    }
}

impl ToJson for ServiceAccount {
    fn to_json(self) -> Result<Value, Cause> {
        Members::default()
            .object("metadata", self.metadata)
            .list("secrets", self.secrets)
            .list("imagePullSecrets", self.image_pull_secrets)
            .pointer("automountServiceAccountToken", self.automount_service_account_token)
            .finish()
    }
}

impl ToJson for ObjectReference {
    fn to_json(self) -> Result<Value, Cause> {
        Members::default()
            .text("kind", self.kind)
            .text("namespace", self.namespace)
            .text("name", self.name)
            .text("uid", self.uid)
            .text("apiVersion", self.api_version)
            .text("resourceVersion", self.resource_version)
            .text("fieldPath", self.field_path)
            .finish()
    }
}

impl ToJson for LocalObjectReference {
    fn to_json(self) -> Result<Value, Cause> {
        Members::default().text("name", self.name).finish()
    }
}

impl ToJson for Event {
    fn to_json(self) -> Result<Value, Cause> {
        Members::default()
            .object("metadata", self.metadata)
            .object("involvedObject", self.involved_object)
            .text("reason", self.reason)
            .text("message", self.message)
            .object("source", self.source)
            .object("firstTimestamp", self.first_timestamp)
            .object("lastTimestamp", self.last_timestamp)
            .number("count", self.count.map(i64::from))
            .text("type", self.r#type)
            .object("eventTime", self.event_time)
            .message("series", self.series)
            .text("action", self.action)
            .message("related", self.related)
            .required("reportingComponent", self.reporting_component)
            .required("reportingInstance", self.reporting_instance)
            .finish()
    }
}

impl ToJson for EventSource {
    fn to_json(self) -> Result<Value, Cause> {
        Members::default().text("component", self.component).text("host", self.host).finish()
    }
}

impl ToJson for EventSeries {
    fn to_json(self) -> Result<Value, Cause> {
        Members::default()
            .number("count", self.count.map(i64::from))
            .object("lastObservedTime", self.last_observed_time)
            .finish()
    }
}

impl ToJson for events::Event {
    fn to_json(self) -> Result<Value, Cause> {
        Members::default()
            .object("metadata", self.metadata)
            .object("eventTime", self.event_time)
            .message("series", self.series)
            .text("reportingController", self.reporting_controller)
            .text("reportingInstance", self.reporting_instance)
            .text("action", self.action)
            .text("reason", self.reason)
            .object("regarding", self.regarding)
            .message("related", self.related)
            .text("note", self.note)
            .text("type", self.r#type)
            .object("deprecatedSource", self.deprecated_source)
            .object("deprecatedFirstTimestamp", self.deprecated_first_timestamp)
            .object("deprecatedLastTimestamp", self.deprecated_last_timestamp)
            .number("deprecatedCount", self.deprecated_count.map(i64::from))
            .finish()
    }
}

impl ToJson for events::EventSeries {
    fn to_json(self) -> Result<Value, Cause> {
        Members::default()
            .pointer("count", Some(self.count.unwrap_or_default()))
            .object("lastObservedTime", self.last_observed_time)
            .finish()
    }
}

impl ToJson for Lease {
    fn to_json(self) -> Result<Value, Cause> {
        Members::default().object("metadata", self.metadata).object("spec", self.spec).finish()
    }
}

impl ToJson for LeaseSpec {
    fn to_json(self) -> Result<Value, Cause> {
        Members::default()
            .pointer("holderIdentity", self.holder_identity)
            .pointer("leaseDurationSeconds", self.lease_duration_seconds)
            .message("acquireTime", self.acquire_time)
            .message("renewTime", self.renew_time)
            .pointer("leaseTransitions", self.lease_transitions)
            .pointer("strategy", self.strategy)
            .pointer("preferredHolder", self.preferred_holder)
            .finish()
    }
}
