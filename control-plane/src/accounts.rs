//! The accounts that are served, who of them calls, and which meshes each of them may see: its own, and those that are shared
//! with it. Every handler of a request asks here, so that what is not shared with an account does not exist for it.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use fleetmesh_mesh::identity::Identity;
use fleetmesh_mesh::refusal::{Class, Refusal};
use fleetmesh_mesh::rules::absent;
use fleetmesh_mesh::shares::{MeshShare, Shares};
use fleetmesh_model::{Account, MeshName, ResourceId};
use tokio_util::sync::CancellationToken;

use crate::reload::{self, FileError, Named};
use crate::rights::{Access, Rights};
use crate::views::Views;

/// The flag that names the file of shares.
const FLAG: &str = "--mesh-shares";

/// The accounts that are served. Clones share the shares.
#[derive(Clone, Debug)]
pub struct Accounts {
    identity: Arc<Identity>,
    shares: Arc<RwLock<Shares>>,
    file: Option<Named>,
}

impl Default for Accounts {
    fn default() -> Self {
        Self::new(Identity::default())
    }
}

impl Accounts {
    /// Those of `identity`, which share nothing.
    pub fn new(identity: Identity) -> Self {
        Self { identity: Arc::new(identity), shares: Arc::default(), file: None }
    }

    /// Those of `identity`, which share what `file` says.
    ///
    /// # Errors
    /// It cannot be read, is no list of shares, or names an account that is not served.
    pub fn read(identity: Identity, file: PathBuf) -> Result<Self, FileError> {
        let accounts = Self { file: Some(Named { flag: FLAG, path: file }), ..Self::new(identity) };
        accounts.load()?;
        Ok(accounts)
    }

    /// Reads the file again each time that it changes, until `shutdown`. A file that cannot be used leaves the shares as they
    /// were.
    pub async fn follow(self, shutdown: CancellationToken) {
        let files = self.file.iter().cloned().collect();
        reload::follow(files, || self.load(), shutdown).await;
    }

    fn load(&self) -> Result<(), FileError> {
        let Some(file) = &self.file else { return Ok(()) };
        let shares = serde_json::from_slice::<Vec<MeshShare>>(&file.read()?);
        let shares = shares.map_err(|error| file.error(format!("{error}; expected {EXAMPLE}")))?;
        let shares = Shares::new(&shares, &self.identity).map_err(|reason| file.error(reason))?;
        *self.shares.write().unwrap_or_else(PoisonError::into_inner) = shares;
        Ok(())
    }

    /// Who they are.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Whether there is more than one.
    pub fn are_several(&self) -> bool {
        !self.identity.others.is_empty()
    }

    /// The account that sent a request: the one of the key that signed it. Callers of this host act for the first.
    ///
    /// # Errors
    /// `AccessDeniedException`: the key is of an account that is not served.
    pub fn caller(&self, rights: &Rights) -> Result<Account, Refusal> {
        let Rights::Key(holder) = rights else { return Ok(Account::First) };
        let Some(id) = holder.policy.account else { return Ok(Account::First) };
        self.identity.account(&id.to_string()).ok_or_else(|| {
            let message = format!("{holder} is of account {id}, which this control plane does not serve");
            Refusal::new(Class::AccessDenied, message)
        })
    }

    /// Who owns the mesh that `caller` asks about: itself, unless it gives another `meshOwner`. An account that is not served
    /// owns meshes as far as this says, which then do not exist.
    ///
    /// # Errors
    /// A bad request when it is no account id; forbidden when there is one account only, and this is another.
    pub fn owner(&self, caller: Account, mesh_owner: Option<&str>) -> Result<Account, Refusal> {
        let Some(digits) = mesh_owner else { return Ok(caller) };
        if let Some(owner) = self.identity.account(digits) {
            return Ok(owner);
        }
        if digits.chars().count() == 12 && !self.are_several() {
            let account = &self.identity.account;
            let message =
                format!("meshOwner: this control plane serves account {account} only, not {digits}");
            return Err(Refusal::new(Class::Forbidden, message));
        }
        let malformed = || format!("meshOwner: {digits:?} is not an account id, which has 12 characters");
        self.identity.any_account(digits).map_err(|_| Refusal::bad_request(malformed()))
    }

    /// Whether the policy of the `caller` who sent a request gives `access` to `mesh`, or to the list of all meshes when there is none. A
    /// policy names the meshes of its key's own account; another account's mesh is `NAME@ACCOUNT` in it.
    ///
    /// # Errors
    /// As of [`Rights::check`].
    pub fn check(
        &self,
        rights: &Rights,
        caller: Account,
        access: Access,
        mesh: Option<&MeshName>,
        action: &str,
        resource: &str,
    ) -> Result<(), Refusal> {
        let known_as = mesh.map(|mesh| match mesh.owner() {
            owner if owner == caller => mesh.name().to_owned(),
            owner => format!("{}@{}", mesh.name(), self.identity.digits(owner)),
        });
        rights.check(access, known_as.as_deref(), action, resource)
    }

    /// Whether `mesh` is the caller's own or shared with it.
    ///
    /// # Errors
    /// Not found, in the words for a mesh that does not exist.
    pub fn see(&self, caller: Account, mesh: &MeshName) -> Result<(), Refusal> {
        match self.shared_with(mesh, caller) {
            true => Ok(()),
            false => Err(absent(&ResourceId::mesh(mesh))),
        }
    }

    /// The mesh called `name` that a request is about which is none of App Mesh's, after it was looked at whether who sent it may
    /// read that mesh.
    ///
    /// # Errors
    /// As of [`Self::caller`], [`Self::owner`] and [`Self::check`]; not found ([`absent_mesh`]) for a mesh that is neither the caller's own nor shared
    /// with it.
    pub fn readable(
        &self,
        rights: &Rights,
        mesh_owner: Option<&str>,
        name: &str,
        action: &str,
    ) -> Result<MeshName, Refusal> {
        let caller = self.caller(rights)?;
        let mesh = MeshName::new(self.owner(caller, mesh_owner)?, name);
        self.check(rights, caller, Access::Read, Some(&mesh), action, &ResourceId::mesh(&mesh).to_string())?;
        if !self.shared_with(&mesh, caller) {
            return Err(absent_mesh(&mesh));
        }
        Ok(mesh)
    }

    /// Whether proxies of `node` are configured: the account that made it owns the mesh, or has it shared with it still.
    ///
    /// # Errors
    /// In words: it has not.
    pub fn configures(&self, views: &dyn Views, node: &ResourceId) -> Result<(), String> {
        let mesh = node.mesh_name();
        let view = views.mesh(mesh);
        match view.as_ref().and_then(|view| view.get(node)) {
            Some(record) if !self.shared_with(mesh, record.owner) => Err(format!(
                "{node}: the mesh is not shared with account {}, which made it ({FLAG})",
                self.identity.digits(record.owner)
            )),
            _ => Ok(()),
        }
    }

    /// Whether `mesh` is of `account` or shared with it. Both have to be served.
    pub fn shared_with(&self, mesh: &MeshName, account: Account) -> bool {
        let served = self.identity.serves(mesh.owner()) && self.identity.serves(account);
        served && self.shares.read().unwrap_or_else(PoisonError::into_inner).admit(mesh, account)
    }
}

/// The refusal of [`Accounts::readable`] for a mesh that does not exist, or not for who asks.
pub fn absent_mesh(mesh: &MeshName) -> Refusal {
    Refusal::not_found(format!("the mesh {:?} does not exist", mesh.name()))
}

/// What the file of shares may hold.
const EXAMPLE: &str = r#"[{"meshOwner": "111122223333", "meshName": "apps", "accounts": ["444455556666"]}]"#;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use super::*;
    use crate::rights::{KeyHolder, KeyPolicy};

    fn identity() -> Identity {
        Identity { others: ["444455556666".parse().expect("an account")].into(), ..Identity::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn shares_that_change_are_read_again_and_bad_ones_change_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("shares.json");
        let other = identity().account("444455556666").expect("it is served");
        let write = |text: &str| fs::write(&file, text).expect("written");
        for (text, says) in [
            ("", "expected [{"),
            (r#"[{"meshOwner": "111122223333", "meshName": "apps"}]"#, "missing field `accounts`"),
            (r#"[{"meshName": "apps", "accounts": []}]"#, "missing field `meshOwner`"),
            (&EXAMPLE.replace("accounts", "account"), "unknown field `account`"),
            (&EXAMPLE.replace("444455556666", "777788889999"), "is no account that is served"),
        ] {
            write(text);
            let error = Accounts::read(identity(), file.clone()).expect_err(text).to_string();
            assert!(error.contains(says) && error.contains("--mesh-shares"), "{error}");
        }
        write("[]");
        let accounts = Accounts::read(identity(), file.clone()).expect("no shares");
        let (shutdown, mesh) = (CancellationToken::new(), MeshName::from("apps"));
        let following = accounts.clone().follow(shutdown.clone());
        let changing = async {
            for (text, shared) in [("[]", false), (EXAMPLE, true), ("[{}]", true), ("[]", false)] {
                write(text);
                tokio::time::sleep(Duration::from_secs(2)).await;
                assert_eq!(accounts.see(other, &mesh).is_ok(), shared, "{text}");
                assert!(accounts.see(Account::First, &mesh).is_ok());
            }
            shutdown.cancel();
        };
        tokio::join!(following, changing);
    }

    #[test]
    fn what_is_not_shared_is_absent_whether_the_account_is_served_or_not() {
        let accounts = Accounts::new(identity());
        let of = |digits: &str| accounts.owner(Account::First, Some(digits));
        assert_eq!(accounts.owner(Account::First, None), Ok(Account::First));
        assert_eq!(of("111122223333"), Ok(Account::First));
        let absences = ["444455556666", "777788889999"].map(|digits| {
            let mesh = MeshName::new(of(digits).expect("an account"), "apps");
            accounts.see(Account::First, &mesh).expect_err(digits)
        });
        assert_eq!(absences[0], absences[1]);
        assert_eq!(absences[0].class, Class::NotFound);
        for digits in ["1", "11112222333x", ""] {
            assert_eq!(of(digits).expect_err(digits).class, Class::BadRequest, "{digits}");
        }
        // The same for what is not App Mesh's own.
        let policy = KeyPolicy { account: "444455556666".parse().ok(), ..KeyPolicy::EVERYTHING };
        let key = Rights::Key(Arc::new(KeyHolder { id: "FMKYTEST".into(), name: String::new(), policy }));
        let readable = |owner: Option<&str>| accounts.readable(&key, owner, "apps", "fleetmesh:GetLoads");
        let other = accounts.caller(&key).expect("it is served");
        assert_eq!(readable(None), Ok(MeshName::new(other, "apps")));
        let absent = readable(Some("111122223333")).expect_err("not shared");
        assert_eq!(absent, absent_mesh(&"apps".into()));
        assert_eq!(
            accounts.readable(&Rights::Local, None, "apps", "fleetmesh:GetLoads"),
            Ok(MeshName::from("apps"))
        );
        // Nobody is an account that is not served, not even its owner.
        let stranger = of("777788889999").expect("an account");
        assert!(accounts.see(stranger, &MeshName::new(stranger, "apps")).is_err());
    }
}
