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
        Distribution::Told { version: _, proxies, acknowledged, rejected, connected: _, unserved } => {
            if !rejected.is_empty() {
                Finding::fails(Reason::ProxyRejected, refused(*proxies, *acknowledged, rejected))
            } else if !unserved.is_empty() {
                let message = format!(
                    "the control plane stores but does not serve {}: proxies run the object without; remove it to be Ready",
                    unserved.join(", ")
                );
                Finding::fails(Reason::FieldNotServed, message)
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

/// How many refusals are told one by one.
const TOLD_REFUSALS: usize = 3;

fn refused(proxies: i32, acknowledged: i32, rejected: &[Rejection]) -> String {
    let words: Vec<String> = rejected
        .iter()
        .take(TOLD_REFUSALS)
        .map(|rejection| format!("{} says: {}", rejection.proxy, rejection.message))
        .collect();
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
