//! Grants: the tag of a virtual node that lists the IAM roles whose instances may run it. Pure, but for looking at the
//! newest state. A grant is looked at when an instance joins and while it streams, so that taking one away ends streams.

use fleetmesh_model::ResourceId;

use crate::view::Views;

/// The tag: ARNs of IAM roles, separated by spaces.
pub const TAG: &str = "fleetmesh.dev/proxy-principals";
/// What the name of a role in a certificate begins with.
const ROLE: &str = "urn:fleetmesh:role:";
/// What the name of a session in a certificate begins with.
const SESSION: &str = "urn:fleetmesh:session:";

/// Who joined: a session of an IAM role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// The partition, for example `aws`.
    pub partition: String,
    /// The account.
    pub account: String,
    /// The role's name, without its path, which STS does not tell. It is unique in its account.
    pub role: String,
    /// The session's name: the id of the instance, for the role of an instance profile.
    pub session: String,
}

impl Joined {
    /// Reads the ARN of a caller as STS tells it: `arn:PARTITION:sts::ACCOUNT:assumed-role/ROLE/SESSION`.
    ///
    /// # Errors
    /// In words: the caller is no session of a role.
    pub fn parse(caller: &str) -> Result<Self, String> {
        let parts: Vec<&str> = caller.splitn(6, ':').collect();
        let names: Vec<&str> = parts.last().map(|name| name.split('/').collect()).unwrap_or_default();
        let plain = |text: &str| {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte);
            !text.is_empty() && text.bytes().all(allowed)
        };
        match (parts.as_slice(), names.as_slice()) {
            (["arn", partition, "sts", _, account, _], ["assumed-role", role, session])
                if [*partition, *account, *role, *session].into_iter().all(plain) =>
            {
                let own = |text: &&str| (**text).to_owned();
                Ok(Self {
                    partition: own(partition),
                    account: own(account),
                    role: own(role),
                    session: own(session),
                })
            }
            _ => Err(format!("{caller} is no session of an IAM role: give the instance a role")),
        }
    }

    /// The role's ARN, without a path.
    pub fn role_arn(&self) -> String {
        let Self { partition, account, role, session: _ } = self;
        format!("arn:{partition}:iam::{account}:role/{role}")
    }

    /// What a certificate says of it.
    pub fn uris(&self) -> Vec<String> {
        vec![format!("{ROLE}{}", self.role_arn()), format!("{SESSION}{}", self.session)]
    }

    /// Reads what a certificate says; none in one that was not got by joining.
    pub fn of<'a>(uris: impl Iterator<Item = &'a str>) -> Option<Self> {
        let (mut session, mut role) = (None, None);
        for uri in uris {
            session = session.or_else(|| uri.strip_prefix(SESSION));
            role = role.or_else(|| uri.strip_prefix(ROLE));
        }
        let (partition, account, role) = parse_role(role?)?;
        Some(Self { partition, account, role, session: session?.to_owned() })
    }

    fn is(&self, role: &str) -> bool {
        let Self { partition, account, role: name, session: _ } = self;
        parse_role(role) == Some((partition.clone(), account.clone(), name.clone()))
    }
}

/// Partition, account and name of a role's ARN.
fn parse_role(arn: &str) -> Option<(String, String, String)> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let &["arn", partition, "iam", "", account, resource] = parts.as_slice() else { return None };
    let name = resource.strip_prefix("role/")?.rsplit('/').next()?;
    Some((partition.to_owned(), account.to_owned(), name.to_owned()))
}

/// Whether `node` grants itself to the role of `joined`.
///
/// # Errors
/// In words: it does not, and how it would.
pub fn check(views: &dyn Views, node: &ResourceId, joined: &Joined) -> Result<(), String> {
    let view = views.mesh(node.mesh_name());
    let tags = view.as_ref().and_then(|view| view.get(node)).map(|record| &record.tags);
    let granted = tags.and_then(|tags| tags.get(TAG)).map_or("", String::as_str);
    if granted.split_whitespace().any(|role| joined.is(role)) {
        return Ok(());
    }
    Err(format!("{node} is not granted to {}: list that role's ARN in its tag {TAG}", joined.role_arn()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALLER: &str = "arn:aws:sts::123456789012:assumed-role/apps-serviceB/i-0123456789abcdef0";

    #[test]
    fn a_session_of_a_role_is_read_and_anybody_else_is_not() {
        let joined = Joined::parse(CALLER).expect("a session");
        assert_eq!(joined.role_arn(), "arn:aws:iam::123456789012:role/apps-serviceB");
        assert_eq!(Joined::of(joined.uris().iter().map(String::as_str)).as_ref(), Some(&joined));
        for role in [
            "arn:aws:iam::123456789012:role/apps-serviceB",
            "arn:aws:iam::123456789012:role/a/b/apps-serviceB",
        ] {
            assert!(joined.is(role), "{role}");
        }
        for role in [
            "arn:aws:iam::999999999999:role/apps-serviceB",
            "arn:aws-cn:iam::123456789012:role/apps-serviceB",
            "arn:aws:iam::123456789012:role/other",
            "arn:aws:iam::123456789012:user/apps-serviceB",
            "apps-serviceB",
        ] {
            assert!(!joined.is(role), "{role}");
        }
        for caller in [
            "arn:aws:iam::123456789012:user/x",
            "arn:aws:sts::1:assumed-role/a",
            "arn:aws:sts::1:assumed-role/a/b/c",
            "arn:aws:sts::1:assumed-role//b",
            "",
        ] {
            assert!(Joined::parse(caller).is_err(), "{caller}");
        }
    }
}
