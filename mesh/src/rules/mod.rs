//! Rules between objects, as pure functions of a mesh and the requested change. They run on the state that the change is committed
//! on, so what they checked holds for what is stored.

mod in_use;
mod owners;
mod ports;
mod references;
mod tags;

use fleetmesh_model::{ResourceId, Spec};

use crate::refusal::Refusal;
use crate::view::MeshView;

pub use owners::{may_change, may_create, may_delete};
pub use references::absent;
pub use tags::tag_count;

/// Whether `mesh` admits a resource `id` with `spec`, new or in the place of what it has.
///
/// # Errors
/// Not found when something it needs does not exist; a bad request when a port or protocol does not fit what it
/// refers to; a conflict when routes that exist would no longer fit it.
pub fn admit(mesh: &MeshView, id: &ResourceId, spec: &Spec) -> Result<(), Refusal> {
    references::exist(mesh, id, spec)?;
    match spec {
        Spec::Route(route) => ports::route_fits(mesh, id, route),
        Spec::VirtualRouter(router) => ports::routes_fit_router(mesh, id, router),
        Spec::VirtualNode(node) => ports::routes_fit_node(mesh, id, node),
        Spec::GatewayRoute(route) => ports::gateway_route_is_clear(mesh, id, route),
        Spec::Mesh(_) | Spec::VirtualService(_) | Spec::VirtualGateway(_) => Ok(()),
    }
}

/// Whether `mesh` lets go of `id`.
///
/// # Errors
/// Resource in use, naming those that use it.
pub fn release(mesh: &MeshView, id: &ResourceId) -> Result<(), Refusal> {
    in_use::release(mesh, id)
}
