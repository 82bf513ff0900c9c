//! How identities are written in rows. Those in meshes of the first account are the resource parts of their ARNs, as they always
//! were: `mesh/apps/virtualNode/serviceB`. Those of another account begin with it: `account/444455556666/mesh/apps/…`, which is no
//! name of the first's, because no stored name has a slash. Pure.

use fleetmesh_model::{Account, MeshName, ResourceId};

/// `id`, as rows have it.
pub fn stored(id: &ResourceId) -> String {
    match id.mesh_name().owner() {
        Account::First => id.path(),
        Account::Other(owner) => format!("account/{owner}/{}", id.path()),
    }
}

/// What [`stored`] wrote.
///
/// # Errors
/// In words: it did not write this.
pub fn parse(text: &str) -> Result<ResourceId, String> {
    let Some(rest) = text.strip_prefix("account/") else { return ResourceId::parse(text) };
    let (owner, path) = rest.split_once('/').ok_or_else(|| format!("{text:?} names no resource"))?;
    Ok(ResourceId::parse(path)?.owned_by(Account::Other(owner.parse()?)))
}

/// `mesh`, as the rows of what lies in it have it: the name alone for the first account's. No row has a name with a slash, but a
/// request may: that is in no row's place, and in none of another account.
pub fn mesh(mesh: &MeshName) -> String {
    match mesh.owner() {
        Account::First if mesh.contains('/') => format!("/{}", mesh.name()),
        Account::First => mesh.name().to_owned(),
        Account::Other(_) => stored(&ResourceId::mesh(mesh)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_the_first_account_are_as_they_were_and_no_other_accounts_look_like_them() {
        let other = Account::Other("444455556666".parse().expect("an account"));
        let id = ResourceId::route("apps", "r", "x");
        assert_eq!(stored(&id), "mesh/apps/virtualRouter/r/route/x");
        let others = id.clone().owned_by(other);
        assert_eq!(stored(&others), "account/444455556666/mesh/apps/virtualRouter/r/route/x");
        // A mesh of the first account may be called like the short form of another's.
        let called = ResourceId::route("apps@444455556666", "r", "x");
        for id in [&id, &others, &called] {
            assert_eq!(parse(&stored(id)).as_ref(), Ok(id));
        }
        assert_eq!(mesh(id.mesh_name()), "apps");
        assert_eq!(mesh(others.mesh_name()), "account/444455556666/mesh/apps");
        let posing = MeshName::from("account/444455556666/mesh/apps");
        assert_ne!(mesh(&posing), mesh(others.mesh_name()), "by its name");
        for text in ["account/1/mesh/apps", "account/444455556666", "account/444455556666/", "account/x"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
