//! What every object has: its metadata, and times.

use jiff::Timestamp;
use k8s_pb::apimachinery::pkg::apis::meta::v1::{
    CreateOptions, DeleteOptions, FieldSelectorRequirement, FieldsV1, LabelSelectorRequirement,
    ManagedFieldsEntry, MicroTime, ObjectMeta, OwnerReference, PatchOptions, Preconditions, Time,
    UpdateOptions,
};
use serde_json::Value;

use super::Cause;
use super::members::{Members, ToJson};

impl ToJson for ObjectMeta {
    fn to_json(self) -> Result<Value, Cause> {
        // An object that nobody has stored yet has no time of creation, which is absent and not null.
        let created = self.creation_timestamp.filter(|time| !is_zero(time.seconds, time.nanos));
        Members::default()
            .text("name", self.name)
            .text("generateName", self.generate_name)
            .text("namespace", self.namespace)
            .text("selfLink", self.self_link)
            .text("uid", self.uid)
            .text("resourceVersion", self.resource_version)
            .number("generation", self.generation)
            .message("creationTimestamp", created)
            .message("deletionTimestamp", self.deletion_timestamp)
            .pointer("deletionGracePeriodSeconds", self.deletion_grace_period_seconds)
            .text_map("labels", self.labels)
            .text_map("annotations", self.annotations)
            .list("ownerReferences", self.owner_references)
            .texts("finalizers", self.finalizers)
            .list("managedFields", self.managed_fields)
            .finish()
    }
}

impl ToJson for OwnerReference {
    fn to_json(self) -> Result<Value, Cause> {
        Members::default()
            .required("apiVersion", self.api_version)
            .required("kind", self.kind)
            .required("name", self.name)
            .required("uid", self.uid)
            .pointer("controller", self.controller)
            .pointer("blockOwnerDeletion", self.block_owner_deletion)
            .finish()
    }
}

impl ToJson for ManagedFieldsEntry {
    fn to_json(self) -> Result<Value, Cause> {
        Members::default()
            .text("manager", self.manager)
            .text("operation", self.operation)
            .text("apiVersion", self.api_version)
            .message("time", self.time)
            .text("fieldsType", self.fields_type)
            .message("fieldsV1", self.fields_v1)
            .text("subresource", self.subresource)
            .finish()
    }
}

impl ToJson for FieldsV1 {
    /// Its bytes are JSON already.
    fn to_json(self) -> Result<Value, Cause> {
        let raw = self.raw.unwrap_or_default();
        if raw.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&raw).map_err(|error| Cause::Malformed(format!("fieldsV1: {error}")))
    }
}

impl ToJson for Time {
    /// In whole seconds: the API server drops the rest.
    fn to_json(self) -> Result<Value, Cause> {
        if is_zero(self.seconds, self.nanos) {
            return Ok(Value::Null);
        }
        let time = Timestamp::from_second(self.seconds.unwrap_or_default());
        written(time.map(|time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()))
    }
}

impl ToJson for MicroTime {
    /// In microseconds, all six digits of them.
    fn to_json(self) -> Result<Value, Cause> {
        if is_zero(self.seconds, self.nanos) {
            return Ok(Value::Null);
        }
        let nanos = self.nanos.unwrap_or_default();
        let time = Timestamp::new(self.seconds.unwrap_or_default(), nanos - nanos % 1000);
        written(time.map(|time| time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()))
    }
}

/// Whether a time is none: Go writes its zero time as a message without fields, while 1970 has them.
fn is_zero(seconds: Option<i64>, nanos: Option<i32>) -> bool {
    seconds.is_none() && nanos.is_none()
}

/// RFC 3339 has years of four digits, as Go insists.
fn written(time: Result<String, jiff::Error>) -> Result<Value, Cause> {
    match time {
        Ok(time) if !time.starts_with('-') => Ok(time.into()),
        Ok(time) => Err(Cause::Malformed(format!("the year of {time} is not in 0 to 9999"))),
        Err(error) => Err(Cause::Malformed(error.to_string())),
    }
}

impl ToJson for DeleteOptions {
    fn to_json(self) -> Result<Value, Cause> {
        Members::default()
            .pointer("gracePeriodSeconds", self.grace_period_seconds)
            .message("preconditions", self.preconditions)
            .pointer("orphanDependents", self.orphan_dependents)
            .pointer("propagationPolicy", self.propagation_policy)
            .texts("dryRun", self.dry_run)
            .pointer(
                "ignoreStoreReadErrorWithClusterBreakingPotential",
                self.ignore_store_read_error_with_cluster_breaking_potential,
            )
            .finish()
    }
}

impl ToJson for Preconditions {
    fn to_json(self) -> Result<Value, Cause> {
        Members::default().pointer("uid", self.uid).pointer("resourceVersion", self.resource_version).finish()
    }
}

impl ToJson for CreateOptions {
    fn to_json(self) -> Result<Value, Cause> {
        Members::default()
            .texts("dryRun", self.dry_run)
            .text("fieldManager", self.field_manager)
            .text("fieldValidation", self.field_validation)
            .finish()
    }
}

impl ToJson for UpdateOptions {
    fn to_json(self) -> Result<Value, Cause> {
        Members::default()
            .texts("dryRun", self.dry_run)
            .text("fieldManager", self.field_manager)
            .text("fieldValidation", self.field_validation)
            .finish()
    }
}

impl ToJson for PatchOptions {
    fn to_json(self) -> Result<Value, Cause> {
        Members::default()
            .texts("dryRun", self.dry_run)
            .pointer("force", self.force)
            .text("fieldManager", self.field_manager)
            .text("fieldValidation", self.field_validation)
            .finish()
    }
}

impl ToJson for LabelSelectorRequirement {
    fn to_json(self) -> Result<Value, Cause> {
        Members::default()
            .required("key", self.key)
            .required("operator", self.operator)
            .texts("values", self.values)
            .finish()
    }
}

impl ToJson for FieldSelectorRequirement {
    fn to_json(self) -> Result<Value, Cause> {
        Members::default()
            .required("key", self.key)
            .required("operator", self.operator)
            .texts("values", self.values)
            .finish()
    }
}
