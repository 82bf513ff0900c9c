//! Required references exist. Pure.

use fleetmesh_model::{Reference, ResourceId, Spec};

use crate::refusal::Refusal;
use crate::view::MeshView;

/// Refuses a spec that names something that must exist and does not.
pub fn exist(mesh: &MeshView, id: &ResourceId, spec: &Spec) -> Result<(), Refusal> {
    let missing = |reference: &Reference| reference.required && mesh.get(&reference.target).is_none();
    match spec.references(id).into_iter().find(missing) {
        None => Ok(()),
        Some(Reference { path: None, target, .. }) => Err(absent(&target)),
        Some(Reference { path: Some(path), target, .. }) => {
            Err(Refusal::not_found(format!("{path}: {}; create it first", absent(&target).message)))
        }
    }
}

/// The refusal for a resource that does not exist.
pub fn absent(id: &ResourceId) -> Refusal {
    let (kind, name) = (id.kind(), id.name());
    let message = match id.parent() {
        None => format!("{kind} {name:?} does not exist"),
        Some(parent) => format!("{kind} {name:?} does not exist in {parent}"),
    };
    Refusal::not_found(message)
}
