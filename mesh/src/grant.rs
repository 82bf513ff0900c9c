//! Grants: the tag of a virtual node that lists the IAM roles whose instances may run it. Pure. A grant is checked when an instance
//! joins and while it streams, so that removing one ends streams.

use fleetmesh_api::tags::PROXY_PRINCIPALS_TAG as TAG;
use fleetmesh_model::ResourceId;
use fleetmesh_model::tag::Tags;

/// What the name of a role in a certificate begins with.
const ROLE: &str = "urn:fleetmesh:role:";
/// What the unique id of a role in a certificate begins with.
const ROLE_ID: &str = "urn:fleetmesh:role-id:";
/// What the name of a session in a certificate begins with.
const SESSION: &str = "urn:fleetmesh:session:";

/// Who signed a request, in the words of STS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StsCaller {
    /// The ARN.
    pub arn: String,
    /// The user id: of a session of a role, the role's unique id, a colon and the session's name.
    pub user_id: String,
}

/// Who joined: a session of an IAM role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// The partition, for example `aws`.
    pub partition: String,
    /// The account.
    pub account: String,
    /// The role's name, without its path, which STS does not return. It is unique in its account.
    pub role: String,
    /// The role's unique id: a role that is made again under the same name has another. None in a certificate of an older
    /// control plane.
    pub role_id: Option<String>,
    /// The session's name: the id of the instance, for the role of an instance profile.
    pub session: String,
}

impl Joined {
    /// Reads what STS returns about a caller: the ARN `arn:PARTITION:sts::ACCOUNT:assumed-role/ROLE/SESSION` and the user id
    /// `ROLE-ID:SESSION`.
    ///
    /// # Errors
    /// In words: the caller is no session of a role.
    pub fn parse(caller: &StsCaller) -> Result<Self, String> {
        let StsCaller { arn, user_id } = caller;
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        let names: Vec<&str> = parts.last().map(|name| name.split('/').collect()).unwrap_or_default();
        let plain = |text: &str| {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte);
            !text.is_empty() && text.bytes().all(allowed)
        };
        let own = |text: &str| text.to_owned();
        match (parts.as_slice(), names.as_slice(), user_id.split_once(':')) {
            (
                &["arn", partition, "sts", "", account, _],
                &["assumed-role", role, session],
                Some((role_id, of)),
            ) if [partition, account, role, session].into_iter().all(plain)
                && is_unique_id(role_id)
                && of == session =>
            {
                Ok(Self {
                    partition: own(partition),
                    account: own(account),
                    role: own(role),
                    role_id: Some(own(role_id)),
                    session: own(session),
                })
            }
            _ => Err(format!("{arn} is no session of an IAM role: give the instance a role")),
        }
    }

    /// The role's ARN, without a path.
    pub fn role_arn(&self) -> String {
        let Self { partition, account, role, .. } = self;
        format!("arn:{partition}:iam::{account}:role/{role}")
    }

    /// The instance, when the session is named as EC2 names those of instance profiles. It is what the role's trust policy
    /// makes of it: who may assume the role in other ways names the session as he likes.
    pub fn instance(&self) -> Option<&str> {
        is_instance_id(&self.session).then_some(self.session.as_str())
    }

    /// What a certificate says of it.
    pub fn uris(&self) -> Vec<String> {
        let id = self.role_id.iter().map(|id| format!("{ROLE_ID}{id}"));
        let rest = [format!("{ROLE}{}", self.role_arn()), format!("{SESSION}{}", self.session)];
        rest.into_iter().chain(id).collect()
    }

    /// Reads what a certificate says; none in one that was not got by joining.
    pub fn of<'a>(uris: impl Iterator<Item = &'a str>) -> Option<Self> {
        let (mut session, mut role, mut role_id) = (None, None, None);
        for uri in uris {
            session = session.or_else(|| uri.strip_prefix(SESSION));
            role = role.or_else(|| uri.strip_prefix(ROLE));
            role_id = role_id.or_else(|| uri.strip_prefix(ROLE_ID));
        }
        let Principal { partition, account, name, .. } = Principal::parse(role?)?;
        let own = |text: &str| text.to_owned();
        Some(Self {
            partition: own(partition),
            account: own(account),
            role: own(name),
            role_id: role_id.map(own),
            session: own(session?),
        })
    }

    /// Whether it is the role with the name of `principal`.
    fn is_named(&self, principal: &Principal<'_>) -> bool {
        let Principal { partition, account, name, unique_id: _ } = *principal;
        (self.partition.as_str(), self.account.as_str(), self.role.as_str()) == (partition, account, name)
    }
}

/// Whether `text` is an instance's id as EC2 gives them: `i-` and 8 to 17 hexadecimal digits.
pub fn is_instance_id(text: &str) -> bool {
    let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.strip_prefix("i-").is_some_and(|id| (8..=17).contains(&id.len()) && id.bytes().all(hex))
}

/// Whether `text` may be the unique id of a role, such as `AROAEXAMPLEID0123456`.
fn is_unique_id(text: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
    text.starts_with("AROA") && (16..=128).contains(&text.len()) && text.bytes().all(legal)
}

/// One entry of the tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Principal<'a> {
    partition: &'a str,
    account: &'a str,
    name: &'a str,
    unique_id: Option<&'a str>,
}

impl<'a> Principal<'a> {
    fn parse(entry: &'a str) -> Option<Self> {
        let parts: Vec<&str> = entry.splitn(6, ':').collect();
        let &["arn", partition, "iam", "", account, resource] = parts.as_slice() else { return None };
        let name = resource.strip_prefix("role/")?.rsplit('/').next()?;
        let (name, unique_id) = name.split_once(':').map_or((name, None), |(name, id)| (name, Some(id)));
        Some(Self { partition, account, name, unique_id })
    }
}

/// Whether `node`, which has these tags if it exists, grants itself to the role of `joined`.
///
/// # Errors
/// In words: it does not, and how it might.
pub fn check(node: &ResourceId, tags: Option<&Tags>, joined: &Joined) -> Result<(), String> {
    let granted = tags.and_then(|tags| tags.get(TAG)).map_or("", String::as_str);
    let entries = granted.split_whitespace().filter_map(Principal::parse);
    let of_that_name: Vec<Principal<'_>> = entries.filter(|entry| joined.is_named(entry)).collect();
    if of_that_name.is_empty() {
        let role = joined.role_arn();
        return Err(format!("{node} is not granted to {role}: list that role's ARN in its tag {TAG}"));
    }
    // Who lists a role by its id and by its name alone, as the operator does for control planes of before, means the id.
    let with_id = of_that_name.iter().find(|entry| entry.unique_id.is_some());
    let same = |entry: &Principal<'_>| match (entry.unique_id, &joined.role_id) {
        (Some(listed), Some(id)) => listed == id,
        (None, Some(_)) => with_id.is_none(),
        // An older control plane did not write it into the certificate.
        (_, None) => true,
    };
    if of_that_name.iter().any(same) {
        return Ok(());
    }
    Err(format!(
        "{node} is granted to the role {} with the unique id {:.128}, and this one has {}: it was made again, so list ARN:ID of the new one in the tag {TAG}",
        joined.role_arn(),
        with_id.and_then(|entry| entry.unique_id).unwrap_or_default(),
        joined.role_id.as_deref().unwrap_or_default()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::testing::{node, session, tagged};

    const ID: &str = "AROAIOSFODNN7EXAMPLE";
    const INSTANCE: &str = "i-0123456789abcdef0";

    fn caller(arn: &str, user_id: &str) -> StsCaller {
        StsCaller { arn: arn.into(), user_id: user_id.into() }
    }

    #[test]
    fn a_session_of_a_role_is_read_and_anybody_else_is_not() {
        let joined = session(INSTANCE);
        assert_eq!(joined.role_arn(), "arn:aws:iam::123456789012:role/apps-serviceB");
        assert_eq!(joined.role_id.as_deref(), Some(ID));
        assert_eq!(Joined::of(joined.uris().iter().map(String::as_str)).as_ref(), Some(&joined));
        let older = Joined { role_id: None, ..joined };
        assert_eq!(Joined::of(older.uris().iter().map(String::as_str)).as_ref(), Some(&older));
        for (arn, user_id) in [
            ("arn:aws:iam::123456789012:user/x", "AIDAIOSFODNN7EXAMPLE"),
            ("arn:aws:sts::1:assumed-role/a", "AROAIOSFODNN7EXAMPLE:a"),
            ("arn:aws:sts::1:assumed-role/a/b/c", "AROAIOSFODNN7EXAMPLE:b"),
            ("arn:aws:sts::1:assumed-role//b", "AROAIOSFODNN7EXAMPLE:b"),
            ("arn:aws:sts:us-east-1:1:assumed-role/a/b", "AROAIOSFODNN7EXAMPLE:b"),
            ("arn:aws:sts::1:assumed-role/a/b", "AROAIOSFODNN7EXAMPLE:c"),
            ("arn:aws:sts::1:assumed-role/a/b", "AROAIOSFODNN7EXAMPLE"),
            ("arn:aws:sts::1:assumed-role/a/b", "AIDAIOSFODNN7EXAMPLE:b"),
            ("arn:aws:sts::1:assumed-role/a/b", "AROA\u{fffd}IOSFODNN7EXAMPLE:b"),
            ("arn:aws:sts::1:assumed-role/a/b", ""),
            ("", ""),
        ] {
            assert!(Joined::parse(&caller(arn, user_id)).is_err(), "{arn} {user_id}");
        }
    }

    #[test]
    fn only_what_ec2_calls_an_instance_is_one() {
        for id in ["i-01234567", INSTANCE] {
            assert_eq!(session(id).instance(), Some(id));
        }
        for name in [
            "i-0123456",
            "i-0123456789abcdef01",
            "i-0123456789ABCDEF0",
            "i-0123456g",
            "I-01234567",
            "xi-01234567",
            "i-01234567.x",
            "i-01234567@evil",
            "mi-01234567",
            "botocore-session-1",
            "i-",
        ] {
            assert_eq!(session(name).instance(), None, "{name}");
        }
    }

    #[test]
    fn a_role_is_granted_by_its_name_and_where_it_is_listed_by_its_unique_id() {
        let granted = |tag: &str| {
            let view = tagged("a", TAG, tag);
            check(&node("a"), view.get(&node("a")).map(|record| &record.tags), &session(INSTANCE))
        };
        let arn = "arn:aws:iam::123456789012:role/apps-serviceB";
        for tag in [
            arn.to_owned(),
            "arn:aws:iam::123456789012:role/a/b/apps-serviceB".into(),
            format!("{arn}:{ID}"),
            format!("arn:aws:iam::123456789012:role/a:b/apps-serviceB:{ID}"),
            format!("{arn}:AROAOTHER00000000000 {arn}:{ID}"),
            format!("arn:aws:iam::123456789012:role/a/apps-serviceB {arn}:{ID}"),
            format!("{arn} arn:aws:iam::123456789012:role/other:AROAOTHER00000000000"),
        ] {
            assert_eq!(granted(&tag), Ok(()), "{tag}");
        }
        for tag in [
            "arn:aws:iam::999999999999:role/apps-serviceB",
            "arn:aws-cn:iam::123456789012:role/apps-serviceB",
            "arn:aws:iam::123456789012:role/other",
            "arn:aws:iam::123456789012:user/apps-serviceB",
            "apps-serviceB",
            "",
        ] {
            assert!(granted(tag).expect_err(tag).contains("is not granted to"), "{tag}");
        }
        for tag in [
            format!("{arn}:AROAOTHER00000000000"),
            format!("{arn}:{ID}X"),
            format!("{arn}:"),
            format!("{arn} {arn}:AROAOTHER00000000000"),
            format!("{arn}:AROAOTHER00000000000 arn:aws:iam::123456789012:role/a/apps-serviceB"),
        ] {
            assert!(granted(&tag).expect_err(&tag).contains("it was made again"), "{tag}");
        }
        let older = Joined { role_id: None, ..session(INSTANCE) };
        let tags = Tags::from([(TAG.to_owned(), format!("{arn}:{ID}"))]);
        assert_eq!(check(&node("a"), Some(&tags), &older), Ok(()), "its certificate ends within a day");
    }
}
