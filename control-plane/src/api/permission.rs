//! Which permission an operation needs: the policy of the key that signed a request is checked before the store is read. A key for
//! one mesh may not list meshes, just as an IAM policy for one mesh does not allow `appmesh:ListMeshes`. Pure.

use fleetmesh_mesh::identity::Identity;
use fleetmesh_mesh::refusal::Refusal;
use fleetmesh_model::{Collection, Kind, ResourceId};

use super::operation::Operation;
use super::query::Query;
use crate::rights::{Access, Rights};

/// Checks `rights` for `operation`. What is created is in the body: see [`check_create`].
///
/// # Errors
/// `AccessDeniedException`, or a malformed `resourceArn`.
pub fn check(
    rights: &Rights,
    operation: &Operation,
    query: &Query,
    identity: &Identity,
) -> Result<(), Refusal> {
    let verb = operation.verb();
    let on = |access, id: &ResourceId, action: String| {
        rights.check(access, Some(id.mesh_name()), &action, &identity.arn(id))
    };
    match operation {
        Operation::Create(collection) => match collection.parent() {
            Some(parent) => on(Access::Write, &parent, action(verb, collection.kind())),
            None => Ok(()),
        },
        Operation::Describe(id) => on(Access::Read, id, action(verb, id.kind())),
        Operation::Update(id) | Operation::Delete(id) => on(Access::Write, id, action(verb, id.kind())),
        Operation::List(collection) => list(rights, collection, identity),
        Operation::ListTagsForResource => {
            on(Access::Read, &query.resource(identity)?, format!("appmesh:{verb}"))
        }
        Operation::TagResource | Operation::UntagResource => {
            on(Access::Write, &query.resource(identity)?, format!("appmesh:{verb}"))
        }
    }
}

/// Checks `rights` for the creation of `id`.
///
/// # Errors
/// `AccessDeniedException`.
pub fn check_create(rights: &Rights, id: &ResourceId, identity: &Identity) -> Result<(), Refusal> {
    rights.check(Access::Write, Some(id.mesh_name()), &action("Create", id.kind()), &identity.arn(id))
}

fn list(rights: &Rights, collection: &Collection, identity: &Identity) -> Result<(), Refusal> {
    let plural = format!("appmesh:List{}", collection.kind().info().plural);
    match collection.parent() {
        None => rights.check(Access::Read, None, &plural, "*"),
        Some(parent) => rights.check(Access::Read, Some(parent.mesh_name()), &plural, &identity.arn(&parent)),
    }
}

fn action(verb: &str, kind: Kind) -> String {
    format!("appmesh:{verb}{kind}")
}
