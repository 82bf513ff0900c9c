//! What the kinds have in common, so that one generic path serves them all. Pure.

use std::fmt::Debug;

use fleetmesh_model::{Kind, ResourceId, Spec};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceColumnDefinition;
use kube_core::{CustomResourceExt, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::extension::Extension;
use crate::management::Management;
use crate::status::{KindStatus, Status};

/// A custom resource that stands for one App Mesh object.
pub trait MeshResource:
    Resource<DynamicType = ()>
    + CustomResourceExt
    + Clone
    + Debug
    + PartialEq
    + DeserializeOwned
    + Serialize
    + Send
    + Sync
    + 'static
{
    /// The kind of the App Mesh object. The member of `spec` that has its name is the kind's; absent, `metadata.name` is the
    /// name.
    const KIND: Kind;

    /// Whether resources of the kind can roll changes out.
    const ROLLS_OUT: bool;

    /// What only this kind reports.
    type Own: Default + Into<KindStatus>;

    /// The identity of the App Mesh object. A resource without `metadata.name`, which the API server never gives out,
    /// has an empty name.
    fn resource_id(&self) -> ResourceId;

    /// The App Mesh request's `spec`, without what only Kubernetes has.
    fn app_mesh_spec(&self) -> Spec;

    /// What the resource says beside the App Mesh object.
    fn extension(&self) -> Extension;

    /// The columns that `kubectl get` prints before those of every kind, left to right; what has little room appears with
    /// `-o wide`.
    fn columns() -> Vec<CustomResourceColumnDefinition>;

    /// The policies and tags.
    fn management(&self) -> &Management;

    /// The status; `None` before the first report.
    fn status(&self) -> Option<Status>;

    /// The status, to be replaced.
    fn status_mut(&mut self) -> &mut Option<Status<Self::Own>>;
}

/// The name in effect: `own` when set, else `metadata.name`.
pub(crate) fn effective_name<K: Resource>(own: Option<&String>, resource: &K) -> String {
    own.or(resource.meta().name.as_ref()).cloned().unwrap_or_default()
}

/// Implements the members of [`MeshResource`] that only follow the names of fields.
macro_rules! common_members {
    () => {
        fn management(&self) -> &$crate::management::Management {
            &self.spec.management
        }

        fn status(&self) -> Option<$crate::status::Status> {
            self.status.clone().map($crate::status::Status::of_any_kind)
        }

        fn status_mut(&mut self) -> &mut Option<$crate::status::Status<Self::Own>> {
            &mut self.status
        }
    };
}
pub(crate) use common_members;
