//! Whether the endpoint and the connected proxies have an object. Pure.

use fleetmesh_crds::{Proxies, Reason};

use crate::condition::Finding;
use crate::observed::{Distribution, Identity, Rejection};

/// What `Programmed` says about an object that the endpoint has in the state `identity`.
pub fn finding(identity: &Identity, distribution: &Distribution) -> Finding {
    let version = identity.version;
    let awaited = || {
        Finding::unknown(
            Reason::Pending,
            format!("the endpoint has version {version} and has not yet told about its proxies"),
        )
    };
    match distribution {
        Distribution::Untold => {
            Finding::holds(Reason::Programmed, format!("the endpoint has version {version}"))
        }
        Distribution::Awaited => awaited(),
        Distribution::Told { version: told, .. } if *told < version => awaited(),
        Distribution::Told {
            version: _,
            proxies,
            acknowledged,
            rejected,
            connected: _,
            unserved,
            callers: _,
        } => {
            if !rejected.is_empty() {
                Finding::fails(Reason::ProxyRejected, refused(*proxies, *acknowledged, rejected))
            } else if !unserved.is_empty() {
                Finding::fails(Reason::FieldNotServed, without(unserved))
            } else if acknowledged < proxies {
                let message = format!("{acknowledged} of {proxies} connected proxies run version {version}");
                Finding::fails(Reason::ProxiesPending, message)
            } else if *proxies == 0 {
                let message = format!("the endpoint has version {version}; no connected proxy needs it");
                Finding::holds(Reason::Programmed, message)
            } else {
                let message = format!("{acknowledged} of {proxies} connected proxies run version {version}");
                Finding::holds(Reason::Programmed, message)
            }
        }
    }
}

/// The proxies of the status, when they were told about this version.
pub fn proxies(identity: &Identity, distribution: &Distribution) -> Option<Proxies> {
    match distribution {
        Distribution::Told { version, proxies, acknowledged, .. } if *version >= identity.version => {
            Some(Proxies { connected: *proxies, programmed: *acknowledged })
        }
        Distribution::Told { .. } | Distribution::Untold | Distribution::Awaited => None,
    }
}

/// What proxies run the object without, and the way out: a bare path is of a member that nothing serves yet, a path with
/// a reason is of one that could be served.
fn without(unserved: &[String]) -> String {
    let (hindered, unknown): (Vec<&str>, Vec<&str>) =
        unserved.iter().map(String::as_str).partition(|one| one.contains(": "));
    let mut texts = Vec::new();
    if !unknown.is_empty() {
        let members = unknown.join(", ");
        texts.push(format!(
            "the control plane stores {members} and does not serve it: take it out to be Ready"
        ));
    }
    if !hindered.is_empty() {
        let reasons = hindered.join("; ");
        texts.push(format!("not served as things are: {reasons}. Mend what is said there to be Ready"));
    }
    format!("proxies run the object without a part of it; {}", texts.join("; "))
}

/// How many refusals are told one by one.
const TOLD_REFUSALS: usize = 3;

fn refused(proxies: i32, acknowledged: i32, rejected: &[Rejection]) -> String {
    let words: Vec<String> = rejected.iter().take(TOLD_REFUSALS).map(ToString::to_string).collect();
    let more = match rejected.len().saturating_sub(TOLD_REFUSALS) {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    format!(
        "{} of {proxies} connected proxies refused it and keep their last good configuration, {acknowledged} run it. {}{more}",
        rejected.len(),
        words.join("; "),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_be_served_is_to_be_mended_and_what_cannot_is_to_be_taken_out() {
        let tls = "spec.listeners[0].tls".to_owned();
        let undiscovered = "spec.serviceDiscovery.awsCloudMap: service \"b\" in namespace \"a\" was never discovered: ServiceNotFound: b".to_owned();
        let said = without(&[tls.clone(), undiscovered.clone()]);
        assert_eq!(
            said,
            format!(
                "proxies run the object without a part of it; the control plane stores {tls} and does not serve it: take it out to be Ready; not served as things are: {undiscovered}. Mend what is said there to be Ready"
            )
        );
        assert!(!without(&[undiscovered]).contains("take it out"));
        assert!(!without(&[tls]).contains("Mend"));
    }
}
