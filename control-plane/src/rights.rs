//! The permissions of the sender of a request. The listener adds them to the request, and every handler checks them before it reads
//! or writes anything: a request without them is rejected. Pure.

use std::collections::BTreeSet;
use std::sync::Arc;

use fleetmesh_mesh::refusal::{Class, Refusal};
use fleetmesh_model::AccountId;
use http::Extensions;
use serde::{Deserialize, Serialize};

/// How much a key may do with what its policy covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// Describe and List, tags included, distribution and loads
    Read,
    /// The same, and Create, Update, Delete and tagging
    Write,
}

impl Access {
    /// The word that flags and files have for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// The policy of an access key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPolicy {
    /// The account that it acts for; the first that is served when it says none, as keys of before there were several.
    pub account: Option<AccountId>,
    /// The names of the meshes that it covers, at least one; none covers all meshes, and listing them. Another account's mesh
    /// is `NAME@ACCOUNT`.
    pub meshes: Option<BTreeSet<String>>,
    /// What it may do there.
    pub access: Access,
}

impl KeyPolicy {
    /// Everything of the first account, which is what keys of before there were policies may do.
    pub const EVERYTHING: Self = Self { account: None, meshes: None, access: Access::Write };
}

/// An access key that signed a request, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyHolder {
    /// The key's id.
    pub id: String,
    /// Its name; empty when it has none.
    pub name: String,
    /// What it may do.
    pub policy: KeyPolicy,
}

impl std::fmt::Display for KeyHolder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.name.as_str() {
            "" => write!(f, "access key {}", self.id),
            name => write!(f, "access key {} ({name:?})", self.id),
        }
    }
}

/// What the sender of a request may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rights {
    /// Everything of the first account: it came from this host, by a listener that asks nobody.
    Local,
    /// What the policy of the key says that signed it.
    Key(Arc<KeyHolder>),
}

impl Rights {
    /// The rights that the listener put into a request.
    ///
    /// # Errors
    /// There are none: a fault of this program, and no reason to let anybody in.
    pub fn of(extensions: &Extensions) -> Result<Self, Refusal> {
        let fault =
            || Refusal::new(Class::InternalServerError, "the listener did not say who sent the request");
        extensions.get::<Self>().cloned().ok_or_else(fault)
    }

    /// Whether `access` to `mesh`, or to the list of all meshes when there is none, is given. `action` and `resource` are
    /// what a refusal calls it, for example `appmesh:DescribeMesh` and an ARN.
    ///
    /// # Errors
    /// `AccessDeniedException`, which names the key and what it lacks. It does not depend on what exists.
    pub fn check(
        &self,
        access: Access,
        mesh: Option<&str>,
        action: &str,
        resource: &str,
    ) -> Result<(), Refusal> {
        let Self::Key(holder) = self else { return Ok(()) };
        let KeyPolicy { meshes, access: granted, account: _ } = &holder.policy;
        let lack = match (meshes, mesh) {
            (Some(meshes), Some(mesh)) if !meshes.contains(mesh) => {
                format!("its policy covers {}, not the mesh {mesh:?}", quoted(meshes))
            }
            (Some(meshes), None) => {
                format!(
                    "its policy covers {}, and listing meshes takes a key for all of them",
                    quoted(meshes)
                )
            }
            _ if access > *granted => "its policy gives read access, and this takes write access".to_owned(),
            _ => return Ok(()),
        };
        let message =
            format!("{holder} is not authorized to perform: {action} on resource: {resource}: {lack}");
        Err(Refusal::new(Class::AccessDenied, message))
    }
}

fn quoted(meshes: &BTreeSet<String>) -> String {
    let names: Vec<String> = meshes.iter().map(|name| format!("{name:?}")).collect();
    format!("the mesh{} {}", if names.len() == 1 { "" } else { "es" }, names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(meshes: &[&str], access: Access) -> Rights {
        let named = meshes.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        let policy = KeyPolicy { account: None, meshes: (!named.is_empty()).then_some(named), access };
        Rights::Key(Arc::new(KeyHolder { id: "FMKYONE".into(), name: "ci".into(), policy }))
    }

    #[test]
    fn a_policy_allows_its_meshes_and_its_access_and_nothing_else() {
        use Access::{Read, Write};
        for (rights, access, mesh, allowed) in [
            (Rights::Local, Write, None, true),
            (key(&[], Write), Write, Some("b"), true),
            (key(&[], Read), Read, None, true),
            (key(&[], Read), Write, Some("a"), false),
            (key(&["a"], Write), Write, Some("a"), true),
            (key(&["a"], Write), Read, Some("b"), false),
            (key(&["a"], Write), Read, Some("A"), false),
            (key(&["a"], Write), Read, None, false),
            (key(&["a"], Read), Write, Some("a"), false),
            (key(&["a", "b"], Read), Read, Some("b"), true),
        ] {
            let checked = rights.check(access, mesh, "appmesh:X", "arn");
            assert_eq!(checked.is_ok(), allowed, "{rights:?} {access:?} {mesh:?}: {checked:?}");
        }
        let refused = key(&["a"], Read).check(Read, Some("b"), "appmesh:DescribeMesh", "arn:b");
        assert_eq!(
            refused.expect_err("refused").to_string(),
            "AccessDeniedException: access key FMKYONE (\"ci\") is not authorized to perform: appmesh:DescribeMesh on \
             resource: arn:b: its policy covers the mesh \"a\", not the mesh \"b\""
        );
    }

    #[test]
    fn a_request_without_rights_has_none() {
        let refused = Rights::of(&Extensions::new()).expect_err("refused");
        assert_eq!(refused.class, Class::InternalServerError);
    }
}
