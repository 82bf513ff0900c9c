//! Whose a resource is: what an account may do to it in a mesh of its own, and in one that another account shares with it. That
//! the mesh is shared at all is looked at before ([`Shares`](crate::shares::Shares)). Pure.
//!
//! Source: App Mesh's user guide, "Working with shared meshes".

use fleetmesh_model::{Account, Kind, ResourceId};

use crate::refusal::{Class, Refusal};
use crate::view::{MeshView, Record};

/// Whether `caller` may make `id`, in `mesh` if that exists, which it owns or which is shared with it. Whoever made a virtual router makes its
/// routes: a route of another account could take all of its requests.
///
/// # Errors
/// Forbidden, with who may.
pub fn may_create(mesh: Option<&MeshView>, id: &ResourceId, caller: Account) -> Result<(), Refusal> {
    let owner = id.mesh_name().owner();
    if caller != owner && !id.kind().info().by_consumers {
        let words = id.kind().info().words;
        return Err(forbidden(format!(
            "{id}: only the account that owns a mesh makes a {words} of it, not one that it is shared with"
        )));
    }
    let parent = id.parent().filter(|parent| parent.kind() != Kind::Mesh);
    match mesh.zip(parent).and_then(|(mesh, parent)| mesh.get(&parent)) {
        Some(parent) if parent.owner != caller => Err(forbidden(format!(
            "{id}: {} was made by another account, which alone makes something in it; make one of your own",
            parent.id
        ))),
        _ => Ok(()),
    }
}

/// Whether `caller` may update and tag a resource.
///
/// # Errors
/// Forbidden: another account made it.
pub fn may_change(record: &Record, caller: Account) -> Result<(), Refusal> {
    if record.owner == caller {
        return Ok(());
    }
    let id = &record.id;
    Err(forbidden(format!("{id} was made by another account, and only that one changes and tags it")))
}

/// Whether `caller` may delete a resource.
///
/// # Errors
/// Forbidden: another account made it, and the mesh is not the caller's.
pub fn may_delete(record: &Record, caller: Account) -> Result<(), Refusal> {
    let id = &record.id;
    if record.owner == caller || id.mesh_name().owner() == caller {
        return Ok(());
    }
    Err(forbidden(format!("{id} was made by another account; only that one and the mesh's owner delete it")))
}

fn forbidden(message: String) -> Refusal {
    Refusal::new(Class::Forbidden, message)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::testing::{record, view};

    /// In a mesh of the first account, what each account may create, change and delete.
    #[test]
    fn an_account_changes_what_it_made_and_the_owner_of_the_mesh_deletes_what_anybody_made() {
        let consumer = Account::Other("444455556666".parse().expect("an account"));
        let third = Account::Other("777788889999".parse().expect("an account"));
        let made = |by| {
            let record = record("virtualRouter/r", &json!({}), 1);
            Record { owner: by, ..Record::clone(&record) }
        };
        for (by, caller, changes, deletes) in [
            (Account::First, Account::First, true, true),
            (Account::First, consumer, false, false),
            (consumer, Account::First, false, true),
            (consumer, consumer, true, true),
            (consumer, third, false, false),
        ] {
            let router = made(by);
            assert_eq!(may_change(&router, caller).is_ok(), changes, "{by:?} {caller:?}");
            assert_eq!(may_delete(&router, caller).is_ok(), deletes, "{by:?} {caller:?}");
            let mut mesh = view(&[]);
            mesh.resources.insert(router.id.clone(), Arc::new(router));
            let route = ResourceId::route("apps", "r", "x");
            assert_eq!(may_create(Some(&mesh), &route, caller).is_ok(), by == caller, "{by:?} {caller:?}");
            let owned = may_create(None, &ResourceId::mesh("new"), caller);
            assert_eq!(owned.is_ok(), caller == Account::First, "a mesh in another account");
            for kind in Kind::ALL.into_iter().filter(|kind| kind.info().parent == Some(Kind::Mesh)) {
                let id = fleetmesh_model::Collection::of(kind, Some(&ResourceId::mesh("apps")));
                let id = id.expect("a collection").member("new");
                let may = caller == Account::First || kind.info().by_consumers;
                assert_eq!(may_create(Some(&mesh), &id, caller).is_ok(), may, "{id} {caller:?}");
            }
        }
        let refused = may_change(&made(Account::First), consumer).expect_err("refused");
        assert_eq!(refused.class, Class::Forbidden);
        assert!(refused.message.starts_with("mesh/apps/virtualRouter/r was made by another account"));
    }
}
