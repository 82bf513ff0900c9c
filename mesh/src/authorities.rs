//! Private authorities of ACM (ACM PCA) that clients are to trust: which ones specs name, which of them are read, when, and what is known
//! of each. Pure.
//!
//! Whoever edits a client policy names an ARN of any account and region, and the control plane asks AWS for it. So a mesh has
//! [`MOST_OF_A_MESH`] at the most: those that were read stay, and of the others the oldest are first. One mesh takes nothing from another.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use fleetmesh_model::tls::{ClientPolicy, TlsValidationContextTrust};
use fleetmesh_model::{AccountId, Spec};
use jiff::Timestamp;

use crate::foreign::Foreign;
use crate::view::{MeshView, Record};

/// How many authorities are read for one mesh.
pub const MOST_OF_A_MESH: usize = 32;
/// How long it takes until an authority is asked for again that could not be read. Twice as long after each failure in a row.
const RETRY: Duration = Duration::from_secs(5);
/// How long it takes at the most: whoever is given the right does not wait long.
const LONGEST_RETRY: Duration = Duration::from_secs(5 * 60);
/// The most failures in a row that count.
const FAILURES: u32 = 16;
/// By how much a delay differs at random, as a part of it: what failed together is not asked for together again.
const SPREAD: f64 = 0.1;

/// What is known of one authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authority {
    /// Its certificate, in PEM, as of the last answer of ACM PCA.
    Certificate(Arc<str>),
    /// It was never read; why the last attempt failed.
    Failed(Arc<str>),
}

/// The authorities that client policies trust.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Those that are read.
    pub readable: BTreeSet<AuthorityArn>,
    /// Those that are not, by what policies name, and why.
    pub unreadable: BTreeMap<String, String>,
}

impl Wanted {
    /// Whether a policy names `arn`.
    pub fn contains(&self, arn: &str) -> bool {
        self.readable.contains(arn) || self.unreadable.contains_key(arn)
    }
}

/// The authorities that client policies of `meshes` trust; `was_read` says which of them were read already.
pub fn wanted<'a>(meshes: impl IntoIterator<Item = &'a MeshView>, was_read: impl Fn(&str) -> bool) -> Wanted {
    let mut wanted = Wanted::default();
    for mesh in meshes {
        let mut named: Vec<_> = oldest(mesh).into_iter().collect();
        named.sort_by_key(|(arn, since)| (!was_read(arn), *since));
        let mut count = 0;
        for (text, _) in named {
            match text.parse::<AuthorityArn>() {
                Ok(arn) if count < MOST_OF_A_MESH => {
                    count += 1;
                    wanted.readable.insert(arn);
                }
                Ok(_) => {
                    wanted.unreadable.insert(text.to_owned(), too_many());
                }
                Err(reason) => {
                    wanted.unreadable.insert(text.to_owned(), reason);
                }
            }
        }
    }
    // What is read for one mesh is known to all.
    let Wanted { readable, unreadable } = &mut wanted;
    unreadable.retain(|text, _| !readable.contains(text.as_str()));
    wanted
}

fn too_many() -> String {
    format!("the policies of this mesh name others already, and at most {MOST_OF_A_MESH} are read")
}

/// The authorities that a mesh names, each since when.
fn oldest(mesh: &MeshView) -> BTreeMap<&str, Timestamp> {
    let mut named = BTreeMap::new();
    for record in mesh.resources.values() {
        for arn in named_by(record) {
            let since = named.entry(arn).or_insert(record.last_updated_at);
            *since = record.last_updated_at.min(*since);
        }
    }
    named
}

/// The authorities that client policies of one record trust.
fn named_by(record: &Record) -> impl Iterator<Item = &str> {
    let (defaults, backends) = match &record.spec {
        Spec::VirtualNode(node) => (node.backend_defaults.as_ref(), Some(node.backends())),
        Spec::VirtualGateway(gateway) => (gateway.backend_defaults.as_ref(), None),
        Spec::Mesh(_)
        | Spec::VirtualRouter(_)
        | Spec::Route(_)
        | Spec::VirtualService(_)
        | Spec::GatewayRoute(_) => (None, None),
    };
    let defaults = defaults.and_then(|of_all| of_all.client_policy.as_ref());
    let backends = backends.into_iter().flatten().filter_map(|backend| backend.client_policy.as_ref());
    defaults.into_iter().chain(backends).flat_map(trusted).map(String::as_str)
}

fn trusted(policy: &ClientPolicy) -> &[String] {
    match policy.tls.as_ref().map(|tls| &tls.validation.trust) {
        Some(TlsValidationContextTrust::Acm(trust)) => &trust.certificate_authority_arns,
        Some(TlsValidationContextTrust::File(_) | TlsValidationContextTrust::Sds(_)) | None => &[],
    }
}

/// How long it takes until an authority is read again: `interval`, and after `failures` in a row less, the sooner the fewer they are.
/// `random` is from 0 to 1.
pub fn delay(interval: Duration, failures: u32, random: f64) -> Duration {
    let doublings = failures.clamp(1, FAILURES) - 1;
    let retry = RETRY.saturating_mul(2_u32.saturating_pow(doublings)).min(LONGEST_RETRY);
    let delay = if failures == 0 { interval } else { interval.min(retry) };
    delay.mul_f64(1.0 + SPREAD * (2.0 * random.clamp(0.0, 1.0) - 1.0))
}

/// The ARN of an authority: `arn:aws:acm-pca:REGION:ACCOUNT:certificate-authority/ID`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AuthorityArn(Arc<str>);

impl AuthorityArn {
    /// The region that the authority is in, where ACM PCA is asked: lower-case letters, digits and dashes.
    pub fn region(&self) -> &str {
        self.0.split(':').nth(3).unwrap_or_default()
    }

    /// The whole.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for AuthorityArn {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AuthorityArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for AuthorityArn {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // One of a region becomes a part of a host's name: nothing but a word gets there.
        let word = |text: &str| {
            let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            !text.is_empty() && text.len() <= 63 && text.bytes().all(legal)
        };
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        if let ["arn", partition, "acm-pca", region, account, resource] = parts[..] {
            let id = resource.strip_prefix("certificate-authority/").unwrap_or_default();
            if [partition, region, id].into_iter().all(word) && account.parse::<AccountId>().is_ok() {
                return Ok(Self(text.into()));
            }
        }
        Err(format!(
            "{} is no ARN of an authority, such as \
             arn:aws:acm-pca:us-west-2:111122223333:certificate-authority/11111111-2222-3333-4444-555555555555",
            Foreign(text)
        ))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::{record, view};

    fn arn(id: impl fmt::Display) -> String {
        format!("arn:aws:acm-pca:us-west-2:111122223333:certificate-authority/{id}")
    }

    fn policy(arns: &[String]) -> Value {
        json!({"clientPolicy": {"tls": {"validation": {"trust": {"acm": {"certificateAuthorityArns": arns}}}}}})
    }

    #[test]
    fn an_authority_is_named_by_its_arn_and_by_nothing_else() {
        let text = "arn:aws-cn:acm-pca:cn-north-1:111122223333:certificate-authority/1234-abcd";
        let arn: AuthorityArn = text.parse().expect("an ARN");
        assert_eq!((arn.as_str(), arn.region()), (text, "cn-north-1"));
        for text in [
            "",
            "arn:aws:acm:us-west-2:111122223333:certificate/x",
            "arn:aws:acm-pca:us-west-2:111122223333:certificate-authority/",
            "arn:aws:acm-pca:us-west-2:111122223333:certificate-authority/a/certificate/b",
            "arn:aws:acm-pca::111122223333:certificate-authority/a",
            "arn:aws:acm-pca:us-west-2.evil.example/:111122223333:certificate-authority/a",
            "arn:aws:acm-pca:us-west-2:1111:certificate-authority/a",
        ] {
            let error = text.parse::<AuthorityArn>().expect_err(text);
            assert!(error.contains("is no ARN of an authority"), "{error}");
        }
        let long = "x".repeat(2000).parse::<AuthorityArn>().expect_err("no ARN");
        assert!(long.len() < 500, "{long}");
    }

    #[test]
    fn those_of_all_client_policies_are_wanted_and_no_others() {
        let mut node = policy(&[arn("defaults")]);
        node = json!({"backendDefaults": node, "backends": [{"virtualService": policy(&[arn("a"), "x".to_owned()])}]});
        node["backends"][0]["virtualService"]["virtualServiceName"] = json!("v.local");
        let gateway = json!({"backendDefaults": policy(&[arn("gateway")]), "listeners": []});
        let mesh = view(&[("virtualNode/n", node), ("virtualGateway/g", gateway)]);
        let found = wanted([&mesh], |_| false);
        let readable: Vec<_> = found.readable.iter().map(AuthorityArn::as_str).collect();
        assert_eq!(readable, [arn("a"), arn("defaults"), arn("gateway")]);
        assert_eq!(found.unreadable.keys().collect::<Vec<_>>(), ["x"]);
        assert!(found.contains(&arn("gateway")) && found.contains("x") && !found.contains(&arn("b")));
    }

    #[test]
    fn whoever_names_many_takes_nothing_from_those_that_were_there_or_from_another_mesh() {
        let old = record("virtualNode/old", &json!({"backendDefaults": policy(&[arn("old")])}), 1);
        let mut mesh = view(&[]);
        mesh.resources.insert(old.id.clone(), old);
        let read = arn("z-read");
        for many in 0..2 * MOST_OF_A_MESH {
            let arn = if many == MOST_OF_A_MESH { arn("z-read") } else { arn(many) };
            let newer =
                record(&format!("virtualNode/n{many}"), &json!({"backendDefaults": policy(&[arn])}), 1);
            let mut newer = (*newer).clone();
            newer.last_updated_at = Timestamp::from_second(10).expect("a time");
            mesh.resources.insert(newer.id.clone(), Arc::new(newer));
        }
        let found = wanted([&mesh], |of| of == read);
        assert_eq!((found.readable.len(), found.unreadable.len()), (MOST_OF_A_MESH, MOST_OF_A_MESH + 1));
        assert!(
            found.readable.contains(arn("old").as_str()) && found.readable.contains(arn("z-read").as_str())
        );
        let (beyond, reason) = found.unreadable.first_key_value().expect("others");
        assert!(reason.contains("at most 32 are read"), "{reason}");
        let beyond = [beyond.clone()];
        let other = view(&[("virtualNode/n", json!({"backendDefaults": policy(&beyond)}))]);
        let found = wanted([&mesh, &other], |of| of == read);
        assert_eq!((found.readable.len(), found.unreadable.len()), (MOST_OF_A_MESH + 1, MOST_OF_A_MESH));
    }

    #[test]
    fn failures_double_the_delay_up_to_a_bound() {
        let hour = Duration::from_secs(3600);
        let seconds = |failures| delay(hour, failures, 0.5).as_secs();
        assert_eq!([0, 1, 2, 3, 6, 7, 200].map(seconds), [3600, 5, 10, 20, 160, 300, 300]);
        assert_eq!(delay(Duration::from_secs(1), 3, 0.5), Duration::from_secs(1));
        assert_eq!([0.0, 1.0, 7.0].map(|random| delay(hour, 0, random).as_secs()), [3240, 3960, 3960]);
    }
}
