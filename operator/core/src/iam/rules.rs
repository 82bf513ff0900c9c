//! What the account's admin allows the identities that resources ask for, from the operator's configuration: no resource can
//! change it. Pure.

use std::collections::BTreeSet;

use fleetmesh_crds::iam::DEFAULT_PATH;
use fleetmesh_crds::{Iam, IamStatus, Reason};
use fleetmesh_model::ResourceId;

use super::place::DEFAULT_PREFIX;
use super::{Desired, Place, RoleLimits, document};
use crate::condition::Finding;

/// The rules for identities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The ARN of the managed policy that bounds every role. Without it no role is made, changed or handed to an instance.
    pub permissions_boundary: Option<String>,
    /// The path of everything that is made; it begins and ends with a slash.
    pub path: String,
    /// What the names of roles must match; `*` and `?` are IAM's wildcards.
    pub role_names: String,
    /// The managed policies that may be attached, by ARN, beside those below the path; `None` for the one that pulls images
    /// from AWS's registry.
    pub managed_policies: Option<BTreeSet<String>>,
    /// Whether `adoptionPolicy: Adopt` takes over what is in IAM, too.
    pub adopt: bool,
    /// How many roles there may be.
    pub limits: RoleLimits,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            permissions_boundary: None,
            path: DEFAULT_PATH.to_owned(),
            role_names: "*".to_owned(),
            managed_policies: None,
            adopt: false,
            limits: RoleLimits::default(),
        }
    }
}

impl Rules {
    /// Whether a role may be called `name`.
    pub fn allow_name(&self, name: &str) -> bool {
        matches(self.role_names.as_bytes(), name.as_bytes())
    }

    /// Why the role of the virtual node `id` may not have the name that `iam` gives it; `None` when it may. Names that begin as
    /// those by default do are each node's own: whoever could take another node's would keep it from having an identity.
    pub fn refuse_name(&self, iam: &Iam, id: &ResourceId) -> Option<Finding> {
        let name = Place::name_of(iam, id);
        if !self.allow_name(&name) {
            return Some(name_not_allowed(&name, &self.role_names));
        }
        let own = Place::name_of(&Iam::default(), id);
        // In IAM a name is taken in every case.
        let begins =
            name.get(..DEFAULT_PREFIX.len()).is_some_and(|head| head.eq_ignore_ascii_case(DEFAULT_PREFIX));
        (begins && name != own).then(|| name_of_another(&name, &own))
    }

    /// Whether the managed policy `arn` may be attached to a role in `partition`.
    pub fn allow_policy(&self, arn: &str, partition: &str) -> bool {
        let listed = match &self.managed_policies {
            Some(policies) => policies.contains(arn),
            None => arn == document::image_pull_policy(partition),
        };
        listed || self.is_below_path(arn, partition)
    }

    /// Whether `arn` is a policy below the path, in an account: those of AWS's own are in none.
    fn is_below_path(&self, arn: &str, partition: &str) -> bool {
        let rest = arn.strip_prefix("arn:").and_then(|rest| rest.strip_prefix(partition));
        let Some((account, policy)) =
            rest.and_then(|rest| rest.strip_prefix(":iam::")).and_then(|rest| rest.split_once(":policy"))
        else {
            return false;
        };
        account.bytes().all(|byte| byte.is_ascii_digit()) && policy.starts_with(&self.path)
    }

    /// The policies that a role has when the resource names none.
    pub(super) fn default_policies(&self, partition: &str) -> Vec<String> {
        let pulls = document::image_pull_policy(partition);
        if self.allow_policy(&pulls, partition) { vec![pulls] } else { Vec::new() }
    }

    /// The instance profile that may be handed to instances: the one of an identity whose role was last seen bounded as the
    /// rules say, and without any policy that the operator attached and that is not `desired` any more: a class may have let
    /// that for other code. `status` and `attached` are what IAM showed, not what a resource's status says; `desired` is `None`
    /// when the rules do not allow what is asked for.
    pub fn handed<'a>(
        &self,
        status: Option<&'a IamStatus>,
        attached: &BTreeSet<String>,
        desired: Option<&Desired>,
    ) -> Option<&'a String> {
        let status = status?;
        let bounded =
            self.permissions_boundary.is_some() && status.permissions_boundary == self.permissions_boundary;
        let wanted = attached.iter().all(|arn| desired.is_some_and(|desired| desired.keeps(arn)));
        status.instance_profile_arn.as_ref().filter(|_| bounded && wanted)
    }
}

/// That no identity is made or changed without a boundary.
pub(super) fn boundary_required() -> Finding {
    Finding::fails(
        Reason::BoundaryRequired,
        "IAM roles need a permissions boundary, and the operator has none: print one with `fleetmesh iam boundary`, make a managed policy of it, and give the operator its ARN with --iam-permissions-boundary (operator.iam.permissionsBoundary in the chart). Until then nothing is written to IAM, no instance is launched, and what exists stays",
    )
}

/// That the role may not have this name.
pub(super) fn name_not_allowed(name: &str, pattern: &str) -> Finding {
    Finding::fails(
        Reason::NameNotAllowed,
        format!(
            "the operator allows names of roles that match {pattern} (--iam-role-names), and {name} does not: choose another in spec.iam.roleName"
        ),
    )
}

/// That the role may not have another node's name.
fn name_of_another(name: &str, own: &str) -> Finding {
    Finding::fails(
        Reason::NameNotAllowed,
        format!(
            "spec.iam.roleName is {name}: names that begin with {DEFAULT_PREFIX} are those that nodes have by default, and this node's is {own}. Remove roleName, or choose one that begins otherwise"
        ),
    )
}

/// That these policies may not be attached.
pub(super) fn policies_not_allowed(arns: &BTreeSet<String>, path: &str) -> Finding {
    let arns: Vec<&str> = arns.iter().map(String::as_str).collect();
    Finding::fails(
        Reason::PolicyNotAllowed,
        format!(
            "spec.iam.managedPolicyArns names {}, which the operator does not allow to attach: remove it, take a policy below the path {path}, or let an admin allow it with --iam-managed-policy, in the operator's flags and in those of `fleetmesh iam policy`",
            arns.join(", ")
        ),
    )
}

/// Whether `text` is what `pattern` describes: `*` stands for any characters, `?` for one. Linear in memory, at most the
/// product of both lengths in time.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let mut reach: Vec<bool> = std::iter::once(true).chain(text.iter().map(|_| false)).collect();
    for letter in pattern {
        let mut next = vec![false; reach.len()];
        let mut any = false;
        for (at, slot) in next.iter_mut().enumerate() {
            let before = at.checked_sub(1).is_some_and(|before| reach.get(before) == Some(&true));
            any |= reach.get(at) == Some(&true);
            *slot = match letter {
                b'*' => any,
                b'?' => before,
                letter => before && at.checked_sub(1).and_then(|before| text.get(before)) == Some(letter),
            };
        }
        reach = next;
    }
    reach.last() == Some(&true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_by_iams_wildcards() {
        for (pattern, name, allowed) in [
            ("*", "Admin", true),
            ("mesh-*", "mesh-apps-b", true),
            ("mesh-*", "Admin", false),
            ("mesh-*", "amesh-b", false),
            ("*-b", "mesh-apps-b", true),
            ("*-b", "mesh-apps-bb", false),
            ("m?sh-*-b", "mesh-apps-b", true),
            ("m?sh", "msh", false),
            ("", "", true),
            ("mesh.*", "meshx1", false),
        ] {
            let rules = Rules { role_names: pattern.to_owned(), ..Rules::default() };
            assert_eq!(rules.allow_name(name), allowed, "{pattern} {name}");
        }
    }

    #[test]
    fn policies_are_allowed_below_the_path_and_by_the_list_and_no_others() {
        let listed = |list: &[&str]| Rules {
            managed_policies: Some(list.iter().map(ToString::to_string).collect()),
            ..Rules::default()
        };
        let default = Rules::default();
        let registry = "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryReadOnly";
        let session = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore";
        for (rules, arn, allowed) in [
            (&default, registry, true),
            (&default, "arn:aws:iam::111122223333:policy/fleetmesh/extra", true),
            (&default, "arn:aws:iam::111122223333:policy/fleetmesh/deep/extra", true),
            (&default, "arn:aws:iam::aws:policy/AdministratorAccess", false),
            (&default, "arn:aws:iam::aws:policy/fleetmesh/x", false),
            (&default, "arn:aws:iam::111122223333:policy/extra", false),
            (&default, "arn:aws:iam::111122223333:policy/x/fleetmesh/extra", false),
            (&default, "arn:aws-cn:iam::111122223333:policy/fleetmesh/extra", false),
            (&default, "arn:aws-cn:iam::aws:policy/AmazonEC2ContainerRegistryReadOnly", false),
            (&default, session, false),
            (&listed(&[session]), session, true),
            (&listed(&[session]), registry, false),
        ] {
            assert_eq!(rules.allow_policy(arn, "aws"), allowed, "{arn}");
        }
        assert_eq!(default.default_policies("aws"), [registry]);
        assert!(listed(&[session]).default_policies("aws").is_empty());
    }

    #[test]
    fn a_profile_is_handed_out_only_while_its_role_is_bounded_as_wanted() {
        let status = |boundary: Option<&str>| IamStatus {
            instance_profile_arn: Some("profile".to_owned()),
            permissions_boundary: boundary.map(ToOwned::to_owned),
            ..IamStatus::default()
        };
        let rules = |boundary: Option<&str>| Rules {
            permissions_boundary: boundary.map(ToOwned::to_owned),
            ..Rules::default()
        };
        let none = BTreeSet::new();
        assert!(rules(Some("b")).handed(Some(&status(Some("b"))), &none, None).is_some());
        for (wanted, seen) in [(Some("b"), None), (Some("b"), Some("other")), (None, None), (None, Some("b"))]
        {
            assert_eq!(rules(wanted).handed(Some(&status(seen)), &none, None), None, "{wanted:?} {seen:?}");
        }
        assert_eq!(rules(Some("b")).handed(None, &none, None), None);
        let former = BTreeSet::from(["arn:aws:iam::111122223333:policy/fleetmesh/former".to_owned()]);
        assert_eq!(rules(Some("b")).handed(Some(&status(Some("b"))), &former, None), None, "wanted no more");
    }
}
