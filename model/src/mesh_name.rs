//! Which mesh is meant: its name, and the account that owns it. Two accounts may each have a mesh of one name. Pure data.

use std::fmt;
use std::ops::Deref;

use crate::account::{Account, AccountId};

/// Which mesh is meant, among those of all accounts that a control plane serves. What is made from a name alone is a mesh of the
/// first account; what is made from another identity's mesh is in that very mesh.
///
/// As a `str` it is the name alone, for texts in which no other mesh can be meant. Two are equal when their owners are, too. It
/// displays as App Mesh's short form: `apps`, or `apps@444455556666` for another account's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MeshName {
    owner: Account,
    name: String,
}

impl MeshName {
    /// The mesh `name` of `owner`.
    pub fn new(owner: Account, name: impl Into<String>) -> Self {
        Self { owner, name: name.into() }
    }

    /// Who owns it.
    pub fn owner(&self) -> Account {
        self.owner
    }

    /// Its name, which says nothing of the owner.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name and the owner that App Mesh's short form of a shared mesh gives, `NAME@ACCOUNT`; `None` for any other name.
    pub fn split(text: &str) -> Option<(&str, AccountId)> {
        let (name, owner) = text.rsplit_once('@')?;
        let owner = owner.parse().ok()?;
        (!name.is_empty()).then_some((name, owner))
    }
}

impl Deref for MeshName {
    type Target = str;

    fn deref(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for MeshName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.owner {
            Account::First => f.write_str(&self.name),
            Account::Other(owner) => write!(f, "{}@{owner}", self.name),
        }
    }
}

impl From<String> for MeshName {
    fn from(name: String) -> Self {
        Self::new(Account::First, name)
    }
}

impl From<&str> for MeshName {
    fn from(name: &str) -> Self {
        Self::new(Account::First, name)
    }
}

impl From<&String> for MeshName {
    fn from(name: &String) -> Self {
        Self::new(Account::First, name)
    }
}

impl From<&Self> for MeshName {
    fn from(mesh: &Self) -> Self {
        mesh.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_form_names_the_owner_behind_the_last_at() {
        let owner = "444455556666".parse().expect("an account");
        assert_eq!(MeshName::split("apps@444455556666"), Some(("apps", owner)));
        assert_eq!(MeshName::split("a@b@444455556666"), Some(("a@b", owner)));
        for plain in ["apps", "apps@", "@444455556666", "apps@44445555666", "apps@444455556666 ", "apps@x"] {
            assert_eq!(MeshName::split(plain), None, "{plain}");
        }
        let mesh = MeshName::new(Account::Other(owner), "apps");
        assert_eq!((mesh.to_string().as_str(), &*mesh), ("apps@444455556666", "apps"));
        assert_ne!(mesh, MeshName::from("apps"));
    }
}
