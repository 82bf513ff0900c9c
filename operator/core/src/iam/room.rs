//! How many roles nodes may have: an account has a quota of roles, 1,000 by default, and every node can ask for one. Pure.

use fleetmesh_crds::Reason;

use crate::condition::Finding;

/// How many roles there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoleLimits {
    /// Of all nodes of the cluster together.
    pub roles: usize,
    /// Of the nodes of a namespace.
    pub roles_per_namespace: usize,
}

impl Default for RoleLimits {
    fn default() -> Self {
        Self { roles: 500, roles_per_namespace: 100 }
    }
}

impl RoleLimits {
    /// Why one more role may not be made, when the other nodes have `roles` of them, and those of its `namespace` have `inside`;
    /// `None` when there is room.
    pub fn refuse(&self, namespace: &str, roles: usize, inside: usize) -> Option<Finding> {
        let (text, flag) = if inside >= self.roles_per_namespace {
            let text = format!(
                "the nodes of namespace {namespace} have {inside} IAM roles, and the operator allows {}",
                self.roles_per_namespace
            );
            (text, "--iam-max-roles-per-namespace")
        } else if roles >= self.roles {
            (
                format!("nodes have {roles} IAM roles, and the operator allows {}", self.roles),
                "--iam-max-roles",
            )
        } else {
            return None;
        };
        let way_out = format!(
            "Remove iam from a node that does not need it, or let an admin raise {flag}; it continues automatically then. What exists stays"
        );
        Some(Finding::fails(Reason::LimitExceeded, format!("{text}. {way_out}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_ends_before_the_account_does() {
        let limits = RoleLimits { roles: 5, roles_per_namespace: 2 };
        for (roles, inside, words) in [
            (0, 0, None),
            (4, 1, None),
            (4, 2, Some("--iam-max-roles-per-namespace")),
            (5, 2, Some("--iam-max-roles-per-namespace")),
            (5, 0, Some("--iam-max-roles;")),
            (9, 1, Some("--iam-max-roles;")),
        ] {
            let message = limits.refuse("evil", roles, inside).map(|finding| finding.message);
            let fits = match (&message, words) {
                (None, None) => true,
                (Some(message), Some(words)) => {
                    message.contains(words) && message.contains("What exists stays")
                }
                _ => false,
            };
            assert!(fits, "{roles} {inside}: {message:?}");
        }
    }
}
