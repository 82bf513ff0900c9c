//! What the five kinds have in common, so that one generic path serves them all. Pure.

use std::fmt::Debug;

use fleetmesh_model::{Kind, ResourceId, Spec};
use kube_core::{CustomResourceExt, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::canary::Canary;
use crate::fleet::Fleet;
use crate::iam::Iam;
use crate::management::Management;
use crate::namespaces::{AllowedNamespaces, AllowedRoutes};
use crate::status::Status;

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
    /// The kind of the App Mesh object.
    const KIND: Kind;

    /// The member of `spec` that holds the object's own App Mesh name; absent, `metadata.name` is the name.
    const NAME_FIELD: &'static str;

    /// The identity of the App Mesh object. A resource without `metadata.name`, which the API server never gives out,
    /// has an empty name.
    fn resource_id(&self) -> ResourceId;

    /// The App Mesh request's `spec`, without what only Kubernetes has.
    fn app_mesh_spec(&self) -> Spec;

    /// The IAM identity of the instances; `None` for every kind but a virtual node.
    fn iam(&self) -> Option<&Iam> {
        None
    }

    /// The EC2 instances; `None` for every kind but a virtual node.
    fn fleet(&self) -> Option<&Fleet> {
        None
    }

    /// How a change of targets is rolled out; `None` for every kind but a route.
    fn canary(&self) -> Option<&Canary> {
        None
    }

    /// What the resource allows resources of other namespaces; nothing said by default.
    fn consent(&self) -> Consent {
        Consent::default()
    }

    /// Whether the App Mesh object is made elsewhere and must never be written to, tagged or deleted; meshes only.
    fn is_observed(&self) -> bool {
        false
    }

    /// The policies and tags.
    fn management(&self) -> &Management;

    /// The status; `None` before the first report.
    fn status(&self) -> Option<&Status>;

    /// The status, to be replaced.
    fn status_mut(&mut self) -> &mut Option<Status>;
}

/// What a resource says about resources of other namespaces.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Consent {
    /// Of a mesh: which namespaces may put resources into it; all when absent.
    pub namespaces: Option<AllowedNamespaces>,
    /// Of a virtual router: which namespaces may attach routes; its own when absent.
    pub routes: Option<AllowedRoutes>,
    /// Of a virtual node: which namespaces' routes may retire it; its own when absent.
    pub retirement: Option<AllowedRoutes>,
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

        fn status(&self) -> Option<&$crate::status::Status> {
            self.status.as_ref()
        }

        fn status_mut(&mut self) -> &mut Option<$crate::status::Status> {
            &mut self.status
        }
    };
}
pub(crate) use common_members;
