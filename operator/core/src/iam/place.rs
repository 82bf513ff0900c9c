//! Names, paths and ARNs in IAM. Pure.

use std::fmt;

use fleetmesh_crds::{Iam, IamStatus};
use fleetmesh_model::{Kind, ResourceId};
use sha2::{Digest, Sha256};

/// The longest name of a role; policies and instance profiles may have longer ones.
const MAX_NAME: usize = 64;
/// How many hexadecimal digits of a hash keep two shortened or changed names apart.
const HASH_DIGITS: usize = 8;

/// The path and the name that role, policy and instance profile share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The path; it begins and ends with a slash.
    pub path: String,
    /// The name, 1 to 64 characters.
    pub name: String,
}

impl Place {
    /// Where the identity of the virtual node or gateway `id` is to be: called as `iam` says, else `mesh-MESH-NODE` or
    /// `mesh-MESH-gateway-GATEWAY`, below `path`; where
    /// it was `reported` under that name it stays, whatever its path.
    /// Characters that IAM does not allow become dashes; then, and when the name is too long, a hash of the full name
    /// ends it. Two nodes whose names meet in spite of that (mesh `a-b` node `c`, mesh `a` node `b-c`) see each other's
    /// tags and say so.
    pub fn of(iam: &Iam, id: &ResourceId, path: &str, reported: Option<&Self>) -> Self {
        let name = Self::name_of(iam, id);
        match reported {
            Some(reported) if reported.name == name => reported.clone(),
            Some(_) | None => Self { path: path.to_owned(), name },
        }
    }

    /// The name of the identity of the virtual node or gateway `id`, as [`Place::of`] has it.
    pub fn name_of(iam: &Iam, id: &ResourceId) -> String {
        iam.role_name.clone().unwrap_or_else(|| default_name(id.mesh_name(), &own_name(id)))
    }

    /// Where the identity was when it was reported; `None` when nothing was.
    pub fn reported(status: &IamStatus) -> Option<Self> {
        let text = status.name.as_deref()?;
        let (path, name) = text.rsplit_once('/')?;
        Some(Self { path: format!("{path}/"), name: name.to_owned() })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.path, self.name)
    }
}

/// What a node or a gateway of its mesh is called where names of both are in one place.
pub fn own_name(id: &ResourceId) -> String {
    match id.kind() {
        Kind::VirtualGateway => format!("gateway-{}", id.name()),
        Kind::Mesh
        | Kind::VirtualNode
        | Kind::VirtualRouter
        | Kind::Route
        | Kind::VirtualService
        | Kind::GatewayRoute => id.name().to_owned(),
    }
}

/// What the names begin with that nodes have by default.
pub(super) const DEFAULT_PREFIX: &str = "mesh-";

fn default_name(mesh: &str, node: &str) -> String {
    let full = format!("{DEFAULT_PREFIX}{mesh}-{node}");
    let plain: String = full.chars().map(|letter| if is_allowed(letter) { letter } else { '-' }).collect();
    if plain == full && full.len() <= MAX_NAME {
        return full;
    }
    // The parts are hashed apart, because a replaced name may have been two others.
    let mut hash = Sha256::new();
    for part in [mesh, node] {
        hash.update(part.len().to_be_bytes());
        hash.update(part.as_bytes());
    }
    let kept: String = plain.chars().take(MAX_NAME - HASH_DIGITS - 1).collect();
    let hash = hex::encode(hash.finalize());
    format!("{kept}-{hash:.HASH_DIGITS$}")
}

/// What IAM allows in names of roles, policies and instance profiles.
fn is_allowed(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "_+=,.@-".contains(letter)
}

/// A partition and an account, as an ARN of IAM contains them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    partition: String,
    account: String,
}

impl Account {
    /// The account of an ARN `arn:PARTITION:iam::ACCOUNT:…`; `None` for another text.
    pub fn of(arn: &str) -> Option<Self> {
        let mut parts = arn.splitn(6, ':');
        let (prefix, partition, service) = (parts.next()?, parts.next()?, parts.next()?);
        let (_region, account) = (parts.next()?, parts.next()?);
        let (partition, account) = (partition.to_owned(), account.to_owned());
        (prefix == "arn" && service == "iam").then_some(Self { partition, account })
    }

    /// The account's 12 digits.
    pub fn id(&self) -> &str {
        &self.account
    }

    /// The ARN of the policy at `place`.
    pub fn policy(&self, place: &Place) -> String {
        self.arn("policy", place)
    }

    /// The ARN of the instance profile at `place`.
    pub fn instance_profile(&self, place: &Place) -> String {
        self.arn("instance-profile", place)
    }

    fn arn(&self, kind: &str, place: &Place) -> String {
        format!("arn:{}:iam::{}:{kind}{place}", self.partition, self.account)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_plain_name_stays_plain() {
        let gateway = ResourceId::virtual_gateway("apps", "serviceB");
        assert_eq!(Place::name_of(&Iam::default(), &gateway), "mesh-apps-gateway-serviceB");
        let id = ResourceId::virtual_node("apps", "serviceB");
        let place = Place::of(&Iam::default(), &id, "/fleetmesh/", None);
        assert_eq!(place.to_string(), "/fleetmesh/mesh-apps-serviceB");
        let elsewhere = Place { path: "/mesh/".to_owned(), ..place.clone() };
        assert_eq!(Place::of(&Iam::default(), &id, "/fleetmesh/", Some(&elsewhere)), elsewhere);
        let renamed = Iam { role_name: Some("other".to_owned()), ..Iam::default() };
        let renamed = Place::of(&renamed, &id, "/fleetmesh/", Some(&elsewhere));
        assert_eq!(renamed.to_string(), "/fleetmesh/other");
        let status = IamStatus { name: Some(place.to_string()), ..IamStatus::default() };
        assert_eq!(Place::reported(&status), Some(place.clone()));
        let account = Account::of("arn:aws-cn:iam::111122223333:role/fleetmesh/x").unwrap();
        assert_eq!(
            account.policy(&place),
            "arn:aws-cn:iam::111122223333:policy/fleetmesh/mesh-apps-serviceB"
        );
        assert_eq!(Account::of("arn:aws:appmesh:us-west-2:1:mesh/m"), None);
    }

    #[test]
    fn names_that_would_meet_are_kept_apart() {
        let mut seen = BTreeMap::new();
        let long = "n".repeat(70);
        for (mesh, node) in [
            ("apps", "a b"),
            ("apps", "a/b"),
            ("apps", "a-b"),
            ("apps", "a~b"),
            ("apps", &long),
            (&long, "x"),
        ] {
            let name = default_name(mesh, node);
            assert!(seen.insert(name.clone(), (mesh, node)).is_none(), "{name}");
        }
    }

    proptest! {
        #[test]
        fn every_default_name_is_one_of_iam(mesh in ".{1,255}", node in ".{1,255}") {
            let name = default_name(&mesh, &node);
            prop_assert!((1..=MAX_NAME).contains(&name.len()));
            prop_assert!(name.chars().all(is_allowed), "{}", name);
        }
    }
}
