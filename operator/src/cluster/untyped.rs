//! Resources of every kind as the API server sent them. No I/O.
//!
//! kube's watcher and requests are generic over the type of a resource. With one type for all kinds they are compiled once
//! instead of once for each kind, and the reading of our kinds stays in `fleetmesh-core`.

use std::borrow::Cow;

use fleetmesh_core::ObjectKey;
use fleetmesh_model::Kind;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::core::{ApiResource, DynamicResourceScope};
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// A resource of any kind: its metadata, and all of it as JSON.
#[derive(Clone, Debug)]
pub(super) struct Untyped {
    metadata: ObjectMeta,
    value: Value,
}

impl Untyped {
    /// The key of a resource of `kind`.
    pub(super) fn key(&self, kind: Kind) -> ObjectKey {
        let ObjectMeta { namespace, name, .. } = &self.metadata;
        ObjectKey { kind, namespace: namespace.clone(), name: name.clone().unwrap_or_default() }
    }

    /// All of it as JSON.
    pub(super) fn into_value(self) -> Value {
        self.value
    }

    /// The same as a type of its kind.
    ///
    /// # Errors
    /// A member has another type than `K` says.
    pub(super) fn typed<K: DeserializeOwned>(self) -> serde_json::Result<K> {
        serde_json::from_value(self.value)
    }
}

impl<'de> Deserialize<'de> for Untyped {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let metadata = match value.get("metadata") {
            Some(metadata) => ObjectMeta::deserialize(metadata).map_err(D::Error::custom)?,
            None => ObjectMeta::default(),
        };
        Ok(Self { metadata, value })
    }
}

impl Resource for Untyped {
    type DynamicType = ApiResource;
    type Scope = DynamicResourceScope;

    fn kind(resource: &ApiResource) -> Cow<'_, str> {
        resource.kind.as_str().into()
    }

    fn group(resource: &ApiResource) -> Cow<'_, str> {
        resource.group.as_str().into()
    }

    fn version(resource: &ApiResource) -> Cow<'_, str> {
        resource.version.as_str().into()
    }

    fn api_version(resource: &ApiResource) -> Cow<'_, str> {
        resource.api_version.as_str().into()
    }

    fn plural(resource: &ApiResource) -> Cow<'_, str> {
        resource.plural.as_str().into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}
