//! Whether a proxy may stream a virtual node: whom its connection proved, and for how long that holds.
//!
//! Statuses are App Mesh's own: 7 (PERMISSION_DENIED) for a node that the certificate does not name, 16
//! (UNAUTHENTICATED) for a missing, bad or expired certificate.

use std::time::{Duration, SystemTime};

use fleetmesh_model::ResourceId;
use tonic::Status;

use crate::tls::Caller;

/// How often it is looked at whether a caller may still stream. A clock that was set forward counts after at most this.
const LOOK: Duration = Duration::from_secs(5);

/// Whether the caller proved to be anybody at all.
///
/// # Errors
/// Status 16, with what was wrong.
pub fn proven(caller: &Caller, now: SystemTime) -> Result<(), Status> {
    match caller {
        Caller::Local => Ok(()),
        Caller::Unproven(reason) => Err(Status::unauthenticated(reason)),
        Caller::Certified(certificate) if certificate.not_after < now => {
            Err(Status::unauthenticated("the client certificate has expired"))
        }
        Caller::Certified(_) => Ok(()),
    }
}

/// Whether the caller may stream `node`.
///
/// # Errors
/// Status 16 as of [`proven`]; 7 when the caller is somebody who may not.
pub fn admit(caller: &Caller, node: &ResourceId, now: SystemTime) -> Result<(), Status> {
    proven(caller, now)?;
    match caller {
        Caller::Certified(certificate) if !certificate.nodes.contains(node) => {
            Err(Status::permission_denied(format!(
                "the client certificate does not name {node}; it names {}",
                listed(certificate.nodes.iter())
            )))
        }
        Caller::Local | Caller::Unproven(_) | Caller::Certified(_) => Ok(()),
    }
}

fn listed<'a>(nodes: impl Iterator<Item = &'a ResourceId>) -> String {
    let names: Vec<String> = nodes.map(ToString::to_string).collect();
    if names.is_empty() { "no virtual node of this control plane".into() } else { names.join(", ") }
}

/// Waits until the caller may no longer stream `node`, and answers the status that the stream ends with. It never ends
/// for a caller of this host.
pub async fn withdrawn(caller: &Caller, node: &ResourceId) -> Status {
    let Caller::Certified(certificate) = caller else { return std::future::pending().await };
    loop {
        let now = SystemTime::now();
        if let Err(status) = admit(caller, node, now) {
            return status;
        }
        let left = certificate.not_after.duration_since(now).unwrap_or_default();
        // A little later than its end, which is the last moment that it is valid.
        tokio::time::sleep(LOOK.min(left + Duration::from_millis(1))).await;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use super::*;
    use crate::testing::node;
    use crate::tls::Certificate;

    fn certified(nodes: &[&str], not_after: SystemTime) -> Caller {
        let nodes: BTreeSet<_> = nodes.iter().map(|name| node(name)).collect();
        Caller::Certified(Arc::new(Certificate { nodes, not_after }))
    }

    #[test]
    fn a_caller_streams_what_it_proved_and_is_told_why_not() {
        let now = SystemTime::now();
        let (soon, past) = (now + Duration::from_secs(1), now - Duration::from_secs(1));
        let code = |caller: &Caller, name: &str| match admit(caller, &node(name), now) {
            Ok(()) => 0,
            Err(status) => i32::from(status.code()),
        };
        assert_eq!(code(&Caller::Local, "a"), 0);
        assert_eq!(code(&Caller::Unproven("no client certificate was sent".into()), "a"), 16);
        assert_eq!(code(&certified(&["a", "b"], soon), "a"), 0);
        assert_eq!(code(&certified(&["a", "b"], soon), "c"), 7);
        assert_eq!(code(&certified(&["a"], past), "a"), 16, "expired counts before the name");
        assert_eq!(code(&certified(&["a"], past), "c"), 16);
    }

    #[tokio::test]
    async fn a_right_ends_with_the_certificate() {
        let caller = certified(&["a"], SystemTime::now() + Duration::from_millis(50));
        let status = withdrawn(&caller, &node("a")).await;
        assert_eq!(i32::from(status.code()), 16, "{status}");
    }
}
