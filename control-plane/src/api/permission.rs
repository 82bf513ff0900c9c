//! Which permission an operation needs: the policy of the key that signed a request is checked before the store is read. A key for
//! one mesh may not list meshes, just as an IAM policy for one mesh does not allow `appmesh:ListMeshes`. Pure.

use fleetmesh_mesh::refusal::Refusal;
use fleetmesh_model::{Account, Collection, Kind, ResourceId};

use super::operation::Operation;
use super::query::Query;
use crate::accounts::Accounts;
use crate::rights::{Access, Rights};

/// Checks the `rights` of `caller` for `operation`. What is created is in the body: see [`check_create`].
///
/// # Errors
/// `AccessDeniedException`, or a malformed `resourceArn`.
pub fn check(
    rights: &Rights,
    caller: Account,
    operation: &Operation,
    query: &Query,
    accounts: &Accounts,
) -> Result<(), Refusal> {
    let (verb, identity) = (operation.verb(), accounts.identity());
    let on = |access, id: &ResourceId, action: String| {
        accounts.check(rights, caller, access, Some(id.mesh_name()), &action, &identity.arn(id))
    };
    match operation {
        Operation::Create(collection) => match collection.parent() {
            Some(parent) => on(Access::Write, &parent, action(verb, collection.kind())),
            None => Ok(()),
        },
        Operation::Describe(id) => on(Access::Read, id, action(verb, id.kind())),
        Operation::Update(id) | Operation::Delete(id) => on(Access::Write, id, action(verb, id.kind())),
        Operation::List(collection) => list(rights, caller, collection, accounts),
        Operation::ListTagsForResource => {
            on(Access::Read, &query.resource(identity)?, format!("appmesh:{verb}"))
        }
        Operation::TagResource | Operation::UntagResource => {
            on(Access::Write, &query.resource(identity)?, format!("appmesh:{verb}"))
        }
    }
}

/// Checks the `rights` of `caller` for the creation of `id`.
///
/// # Errors
/// `AccessDeniedException`.
pub fn check_create(
    rights: &Rights,
    caller: Account,
    id: &ResourceId,
    accounts: &Accounts,
) -> Result<(), Refusal> {
    let (action, arn) = (action("Create", id.kind()), accounts.identity().arn(id));
    accounts.check(rights, caller, Access::Write, Some(id.mesh_name()), &action, &arn)
}

fn list(
    rights: &Rights,
    caller: Account,
    collection: &Collection,
    accounts: &Accounts,
) -> Result<(), Refusal> {
    let plural = format!("appmesh:List{}", collection.kind().info().plural);
    match collection.parent() {
        None => accounts.check(rights, caller, Access::Read, None, &plural, "*"),
        Some(parent) => {
            let arn = accounts.identity().arn(&parent);
            accounts.check(rights, caller, Access::Read, Some(parent.mesh_name()), &plural, &arn)
        }
    }
}

fn action(verb: &str, kind: Kind) -> String {
    format!("appmesh:{verb}{kind}")
}
