//! What is to be said of the App Mesh endpoint and of credentials. Pure.

use std::time::{Duration, SystemTime};

use fleetmesh_core::failure::Callee;
use fleetmesh_core::{Failure, FailureClass};
use fleetmesh_operator::cloud::{CredentialSource, EndpointList};

use super::check::Check;

/// The names of the checks.
pub const ENDPOINT: &str = "app-mesh";
pub const CREDENTIALS: &str = "credentials";
pub const CONTROL_PLANE: &str = "control-plane";
/// Credentials that end sooner are worth a word.
const SOON: Duration = Duration::from_secs(300);

/// What was seen of the endpoint.
#[derive(Clone, Debug)]
pub struct AppMeshFacts {
    /// What names it; empty when nothing does.
    pub source: String,
    /// Whether that is the data directory of a `fleetmesh standalone`: then it is that one's, and `source` its flag.
    pub is_standalone: bool,
    pub url: String,
    pub region: String,
    /// `None` when it was not asked.
    pub answer: Option<Result<EndpointList, Fault>>,
    /// `None` when they were not looked for.
    pub credentials: Option<Result<CredentialSource, String>>,
    /// What `/readyz` answers; `None` when it was not asked.
    pub ready: Option<Result<(u16, String), String>>,
}

/// Why there is no list.
#[derive(Clone, Debug)]
pub enum Fault {
    /// A flag, an address or a file is wrong, in words.
    Usage(String),
    /// Nothing serves the data directory, in words.
    Ended(String),
    /// As of every call.
    Call(Failure),
    /// There is no answer within the limit.
    Late(Duration),
}

/// Whether the address is one of AWS's, where App Mesh has ended.
pub fn is_aws(url: &str) -> bool {
    let url = without_user(url);
    let host = url.split("://").last().unwrap_or_default().split(['/', ':']).next().unwrap_or_default();
    let domains = ["amazonaws.com", "amazonaws.com.cn", "amazonaws.eu", "api.aws"];
    domains.iter().any(|domain| host == *domain || host.ends_with(&format!(".{domain}")))
}

/// An address without the user and the password that it may have.
pub fn without_user(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.rsplit('@').next().unwrap_or_default().to_owned();
    };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    format!("{scheme}://{}{path}", authority.rsplit('@').next().unwrap_or_default())
}

/// The checks of an endpoint; `now` is this host's clock.
pub fn checks(facts: &AppMeshFacts, now: SystemTime) -> Vec<Check> {
    vec![endpoint(facts), credentials(facts, now), control_plane(facts)]
}

fn endpoint(facts: &AppMeshFacts) -> Check {
    const START: &str = "fleetmesh control-plane --data-dir /var/lib/fleetmesh, and name it with --app-mesh-endpoint http://127.0.0.1:9080";
    let place = format!("{} in {} (of {})", facts.url, facts.region, facts.source);
    // Of one that serves both APIs, a second control plane would be another's.
    let start = if facts.is_standalone {
        format!("fleetmesh standalone {}, or systemctl restart fleetmesh", facts.source)
    } else {
        START.to_owned()
    };
    match &facts.answer {
        None if facts.source.is_empty() => {
            Check::skipped(ENDPOINT, "no endpoint is configured, and AWS ended its own on 2026-09-30", START)
        }
        None => Check::failed(ENDPOINT, format!("{place} is AWS's, which ended on 2026-09-30"), START),
        Some(Ok(list)) => {
            let whose = if list.is_fleetmesh {
                "a Fleetmesh control plane"
            } else {
                "an endpoint that is no Fleetmesh control plane"
            };
            Check::ok(ENDPOINT, format!("{place} answers: {whose}, meshes: {}", list.meshes))
        }
        Some(Err(Fault::Usage(reason))) => Check::failed(
            ENDPOINT,
            reason.clone(),
            "fleetmesh doctor --app-mesh-endpoint http://127.0.0.1:9080",
        ),
        Some(Err(Fault::Ended(reason))) => Check::failed(ENDPOINT, reason.clone(), start),
        Some(Err(Fault::Late(limit))) => {
            Check::failed(ENDPOINT, format!("{place} does not answer within {limit:?}"), start)
        }
        Some(Err(Fault::Call(failure))) => {
            let fix = match failure.class {
                FailureClass::Credentials | FailureClass::Denied => {
                    "fleetmesh control-plane keys create on the control plane's host, and its file as --app-mesh-access-key-file"
                }
                _ => &start,
            };
            let words = failure.in_words(Callee::AppMesh);
            // The operator's way out is not a person's.
            let words = words.split(". The operator keeps trying").next().unwrap_or_default();
            Check::failed(ENDPOINT, format!("{place}: {words}"), fix)
        }
    }
}

fn credentials(facts: &AppMeshFacts, now: SystemTime) -> Check {
    match &facts.credentials {
        None => Check::skipped(CREDENTIALS, "no endpoint is asked with them", ""),
        Some(Err(reason)) => {
            let fix = "aws configure, or AWS_PROFILE=NAME, or an instance profile on this host";
            Check::warning(CREDENTIALS, format!("none are found: {reason}"), fix)
        }
        Some(Ok(found)) => {
            let account = match &found.account {
                Some(account) => format!("account {account}"),
                None => "they name no account".to_owned(),
            };
            let place = format!("from {}, {account}", found.provider);
            let Some(expiry) = found.expiry else {
                return Check::ok(CREDENTIALS, format!("{place}, without an end"));
            };
            let fix = "aws sso login, or whatever gave them";
            match expiry.duration_since(now) {
                Err(_) => Check::failed(CREDENTIALS, format!("{place}: they have expired"), fix),
                Ok(left) if left < SOON => {
                    Check::warning(CREDENTIALS, format!("{place}: they expire in {} s", left.as_secs()), fix)
                }
                Ok(left) => {
                    Check::ok(CREDENTIALS, format!("{place}, for {} more minutes", left.as_secs() / 60))
                }
            }
        }
    }
}

fn control_plane(facts: &AppMeshFacts) -> Check {
    match &facts.ready {
        None => Check::skipped(CONTROL_PLANE, "no Fleetmesh control plane answers", ""),
        Some(Ok((200, _))) => Check::ok(CONTROL_PLANE, "ready"),
        Some(Ok((status, text))) => {
            let lines = text.lines().collect::<Vec<_>>().join("; ");
            Check::failed(
                CONTROL_PLANE,
                format!("/readyz answers {status}: {lines}"),
                "journalctl --unit fleetmesh --since -10min",
            )
        }
        Some(Err(reason)) => {
            Check::failed(CONTROL_PLANE, format!("/readyz: {reason}"), "systemctl restart fleetmesh")
        }
    }
}
