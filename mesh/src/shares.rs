//! Which accounts may work in which meshes beside their owners, as AWS Resource Access Manager's resource shares say it for App
//! Mesh. Pure.

use std::collections::{BTreeMap, BTreeSet};

use fleetmesh_model::{Account, MeshName};
use serde::{Deserialize, Serialize};

use crate::identity::Identity;

/// One mesh and the accounts that it is shared with, as the file of `--mesh-shares` has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MeshShare {
    /// The 12 digits of the account that owns the mesh.
    pub mesh_owner: String,
    /// The name of the mesh, which need not exist yet.
    pub mesh_name: String,
    /// The 12 digits of each account that it is shared with.
    pub accounts: BTreeSet<String>,
}

/// Which meshes are shared with whom. Nothing is, unless it is said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shares(BTreeMap<MeshName, BTreeSet<Account>>);

impl Shares {
    /// Those of a list, in which a mesh may be named more than once.
    ///
    /// # Errors
    /// In words: an account that is not served.
    pub fn new(shares: &[MeshShare], identity: &Identity) -> Result<Self, String> {
        let served = |digits: &String| {
            let unknown = || format!("{digits:?} is no account that is served: give it with --account-id");
            identity.account(digits).ok_or_else(unknown)
        };
        let mut all: BTreeMap<MeshName, BTreeSet<Account>> = BTreeMap::new();
        for MeshShare { mesh_owner, mesh_name, accounts } in shares {
            let mesh = MeshName::new(served(mesh_owner)?, mesh_name);
            let accounts = accounts.iter().map(served).collect::<Result<BTreeSet<_>, _>>()?;
            all.entry(mesh).or_default().extend(accounts);
        }
        Ok(Self(all))
    }

    /// Whether `account` may work in `mesh`: it owns the mesh, or the mesh is shared with it.
    pub fn admit(&self, mesh: &MeshName, account: Account) -> bool {
        mesh.owner() == account || self.0.get(mesh).is_some_and(|accounts| accounts.contains(&account))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mesh_is_shared_with_whom_it_says_and_none_else_is() {
        let others = ["444455556666", "777788889999"].map(|id| id.parse().expect("an account"));
        let identity = Identity { others: others.into(), ..Identity::default() };
        let [second, third] = others.map(Account::Other);
        let share = |owner: &str, with: &[&str]| MeshShare {
            mesh_owner: owner.into(),
            mesh_name: "apps".into(),
            accounts: with.iter().map(|id| (*id).to_owned()).collect(),
        };
        let shares = Shares::new(&[share("444455556666", &["111122223333"])], &identity).expect("shares");
        let (apps, others) = (MeshName::from("apps"), MeshName::new(second, "apps"));
        for (mesh, account, admitted) in [
            (&others, second, true),
            (&others, Account::First, true),
            (&others, third, false),
            (&apps, Account::First, true),
            (&apps, second, false),
            (&MeshName::new(second, "Apps"), Account::First, false),
        ] {
            assert_eq!(shares.admit(mesh, account), admitted, "{mesh} {account:?}");
            assert_eq!(Shares::default().admit(mesh, account), mesh.owner() == account);
        }
        for (owner, with) in [("1", "111122223333"), ("111122223333", "222233334444")] {
            let error = Shares::new(&[share(owner, &[with])], &identity).expect_err("refused");
            assert!(error.contains("is no account that is served"), "{error}");
        }
    }
}
