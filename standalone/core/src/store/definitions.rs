//! CustomResourceDefinitions: those of this program are there, and stay as they are.

use serde_json::Value;

use super::metadata;
use crate::resource::Resource;
use crate::status::Status;

/// The store of definitions.
pub const DEFINITIONS: &str = "customresourcedefinitions.apiextensions.k8s.io";

const WAY_OUT: &str = "fleetmesh standalone serves the definitions that it was built with (`fleetmesh crds`) and no others: install the version of fleetmesh that has this one, or run the chart on Kubernetes";

/// Whether a definition may be stored in the place of `old`, or as a new one.
///
/// # Errors
/// 403, unless its spec is that of the definition which is there.
pub fn may_write(resource: &Resource, old: Option<&Value>, new: &Value) -> Result<(), Status> {
    if resource.store != DEFINITIONS || old.is_some_and(|old| old.get("spec") == new.get("spec")) {
        return Ok(());
    }
    let name = metadata::text(new, "name");
    Err(Status::forbidden(&resource.group, &resource.plural, name, WAY_OUT))
}

/// Whether an object of the resource may be deleted.
///
/// # Errors
/// 403 for a definition.
pub fn may_delete(resource: &Resource, name: &str) -> Result<(), Status> {
    if resource.store != DEFINITIONS {
        return Ok(());
    }
    Err(Status::forbidden(&resource.group, &resource.plural, name, WAY_OUT))
}
