//! What is in use cannot be deleted. Pure.

use fleetmesh_model::{Kind, ResourceId};

use crate::refusal::{Class, Refusal};
use crate::view::MeshView;

/// Users that one message names at most; the rest are counted.
const NAMED: usize = 10;

/// Refuses to let go of `id` while something in `mesh` needs it: a mesh with anything in it, a router or
/// gateway with routes, a node, router or service that a route or service demands. Backends do not demand the service they name.
pub fn release(mesh: &MeshView, id: &ResourceId) -> Result<(), Refusal> {
    let uses = |user: &ResourceId| {
        if id.kind() == Kind::Mesh { user != id } else { may_demand(user, id) && demands(mesh, user, id) }
    };
    let users: Vec<&ResourceId> = mesh.resources.keys().filter(|user| uses(user)).collect();
    if users.is_empty() {
        return Ok(());
    }
    let named: Vec<String> = users.iter().take(NAMED).map(ToString::to_string).collect();
    let more = users.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let message = format!(
        "{id} is in use by {}{more}; delete {} first, or make {} stop using it",
        named.join(", "),
        if users.len() == 1 { "that" } else { "those" },
        if users.len() == 1 { "it" } else { "them" },
    );
    Err(Refusal::new(Class::ResourceInUse, message))
}

/// Whether things of the kind of `user` can need things of the kind of `id`, which says nothing of these two.
fn may_demand(user: &ResourceId, id: &ResourceId) -> bool {
    let info = user.kind().info();
    info.parent == Some(id.kind()) || info.requires.contains(&id.kind())
}

fn demands(mesh: &MeshView, user: &ResourceId, id: &ResourceId) -> bool {
    let Some(record) = mesh.get(user) else { return false };
    record.spec.references(user).iter().any(|reference| reference.required && reference.target == *id)
}
