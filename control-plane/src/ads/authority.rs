//! Whether a proxy may stream a virtual node: the identity that its connection proved, and how long that is valid.
//!
//! Statuses are App Mesh's own: 7 (PERMISSION_DENIED) for a node that the certificate does not name, 16 (UNAUTHENTICATED) for a
//! missing, bad or expired certificate, or one whose CA is no longer trusted. 7 is also for a certificate from joining when the node
//! is no longer granted to that role, or when the proxy claims to run on another instance.

use std::time::{Duration, SystemTime};

use fleetmesh_model::ResourceId;
use tonic::Status;

use crate::join::{Denied, may_run};
use crate::tls::Caller;
use crate::views::Views;

/// How often it is looked at whether a caller may still stream: with the second until a file is read again, what is taken
/// away counts within 5 s. A clock that was set forward counts after at most this.
const LOOK: Duration = Duration::from_secs(3);

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
        Caller::Certified(certificate) if certificate.distrusted.is_cancelled() => {
            Err(Status::unauthenticated(
                "the client certificate was not signed by a CA of --ca-cert as it is now",
            ))
        }
        Caller::Certified(_) => Ok(()),
    }
}

/// Whether the caller may stream `node`, by its certificate, by what `views` grant and by who is `denied`.
///
/// # Errors
/// Status 16 as of [`proven`]; 7 when the caller is somebody who may not.
pub fn admit(
    views: &dyn Views,
    denied: &Denied,
    caller: &Caller,
    node: &ResourceId,
    now: SystemTime,
) -> Result<(), Status> {
    proven(caller, now)?;
    let Caller::Certified(certificate) = caller else { return Ok(()) };
    if !certificate.nodes.contains(node) {
        let names = listed(certificate.nodes.iter());
        let message = format!("the client certificate does not name {node}; it names {names}");
        return Err(Status::permission_denied(message));
    }
    match &certificate.joined {
        Some(joined) => may_run(views, denied, node, joined).map_err(Status::permission_denied),
        None => Ok(()),
    }
}

/// The instance that the caller's certificate is bound to, if it is, or else the one that the proxy `named`.
///
/// # Errors
/// Status 7 when the proxy named another.
pub fn instance(caller: &Caller, named: Option<String>) -> Result<Option<String>, Status> {
    let Caller::Certified(certificate) = caller else { return Ok(named) };
    let Some(joined) = &certificate.joined else { return Ok(named) };
    let proven = joined.instance();
    match named {
        Some(named) if Some(named.as_str()) != proven => Err(Status::permission_denied(format!(
            "the client certificate is for {}, and the proxy says that it runs on {named:.64}",
            proven.map_or_else(
                || format!("the session {}, which is no instance", joined.session),
                |instance| format!("the instance {instance}")
            )
        ))),
        _ => Ok(proven.map(str::to_owned)),
    }
}

fn listed<'a>(nodes: impl Iterator<Item = &'a ResourceId>) -> String {
    let names: Vec<String> = nodes.map(ToString::to_string).collect();
    if names.is_empty() { "no virtual node of this control plane".into() } else { names.join(", ") }
}

/// Waits until the caller may no longer stream `node`, and answers the status that the stream ends with. It never ends
/// for a caller of this host.
pub async fn withdrawn(views: &dyn Views, denied: &Denied, caller: &Caller, node: &ResourceId) -> Status {
    let Caller::Certified(certificate) = caller else { return std::future::pending().await };
    loop {
        let now = SystemTime::now();
        if let Err(status) = admit(views, denied, caller, node, now) {
            return status;
        }
        let left = certificate.not_after.duration_since(now).unwrap_or_default();
        // A little later than its end, which is the last moment that it is valid.
        let look = tokio::time::sleep(LOOK.min(left + Duration::from_millis(1)));
        certificate.distrusted.run_until_cancelled(look).await;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use fleetmesh_api::tags::PROXY_PRINCIPALS_TAG as TAG;
    use fleetmesh_mesh::testing::{node, tagged};

    use super::*;
    use crate::testing::TestMeshes;
    use crate::tls::Certificate;

    fn certificate(nodes: &[&str], not_after: SystemTime) -> Certificate {
        let nodes: BTreeSet<_> = nodes.iter().map(|name| node(name)).collect();
        Certificate { nodes, not_after, holder: [0; 32], joined: None, distrusted: Default::default() }
    }

    fn certified(nodes: &[&str], not_after: SystemTime) -> Caller {
        Caller::Certified(Arc::new(certificate(nodes, not_after)))
    }

    fn session(name: &str, not_after: SystemTime) -> Caller {
        let joined = Some(fleetmesh_mesh::testing::session(name));
        Caller::Certified(Arc::new(Certificate { joined, ..certificate(&["a"], not_after) }))
    }

    fn joined(not_after: SystemTime) -> Caller {
        session("i-01234567", not_after)
    }

    /// A mesh whose node `a` has this tag.
    fn granting(roles: &str) -> Arc<TestMeshes> {
        TestMeshes::new(tagged("a", TAG, roles))
    }

    #[test]
    fn a_caller_streams_what_it_proved_and_learns_why_not() {
        let now = SystemTime::now();
        let (soon, past) = (now + Duration::from_secs(1), now - Duration::from_secs(1));
        let views = granting("");
        let code = |caller: &Caller, name: &str| match admit(
            views.as_ref(),
            &Denied::default(),
            caller,
            &node(name),
            now,
        ) {
            Ok(()) => 0,
            Err(status) => i32::from(status.code()),
        };
        assert_eq!(code(&Caller::Local, "a"), 0);
        assert_eq!(code(&Caller::Unproven("no client certificate was sent".into()), "a"), 16);
        assert_eq!(code(&certified(&["a", "b"], soon), "a"), 0);
        assert_eq!(code(&certified(&["a", "b"], soon), "c"), 7);
        assert_eq!(code(&certified(&["a"], past), "a"), 16, "expired counts before the name");
        assert_eq!(code(&certified(&["a"], past), "c"), 16);
        assert_eq!(code(&joined(soon), "a"), 7, "it is granted to nobody");
        let views =
            granting("arn:aws:iam::123456789012:role/other arn:aws:iam::123456789012:role/x/apps-serviceB");
        assert!(admit(views.as_ref(), &Denied::default(), &joined(soon), &node("a"), now).is_ok());
        assert!(admit(views.as_ref(), &Denied::default(), &joined(past), &node("a"), now).is_err());
    }

    #[test]
    fn whoever_joined_is_the_instance_that_joined() {
        let (now, named) = (SystemTime::now(), |id: &str| Some(id.to_owned()));
        assert_eq!(instance(&Caller::Local, named("i-9")).expect("anything"), named("i-9"));
        assert_eq!(instance(&joined(now), named("i-01234567")).expect("itself"), named("i-01234567"));
        assert_eq!(instance(&joined(now), None).expect("itself"), named("i-01234567"));
        assert_eq!(i32::from(instance(&joined(now), named("i-9")).expect_err("another").code()), 7);
        // A session with another name proves no instance: its proxy cannot become one by saying so.
        let person = session("somebody", now);
        assert_eq!(instance(&person, None).expect("nobody"), None);
        for name in ["i-01234567", "somebody"] {
            let status = instance(&person, named(name)).expect_err("not proven");
            assert_eq!(i32::from(status.code()), 7, "{status}");
        }
    }

    #[tokio::test]
    async fn a_right_ends_with_the_certificate() {
        let caller = certified(&["a"], SystemTime::now() + Duration::from_millis(50));
        let status = withdrawn(granting("").as_ref(), &Denied::default(), &caller, &node("a")).await;
        assert_eq!(i32::from(status.code()), 16, "{status}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_right_ends_with_the_trust_in_the_certificate() {
        let caller = certified(&["a"], SystemTime::now() + Duration::from_secs(3600));
        let Caller::Certified(certificate) = &caller else { panic!("it is") };
        let (views, denied, node) = (granting(""), Denied::default(), node("a"));
        let mut ends = std::pin::pin!(withdrawn(views.as_ref(), &denied, &caller, &node));
        assert!(tokio::time::timeout(LOOK * 10, ends.as_mut()).await.is_err(), "it lasts");
        certificate.distrusted.cancel();
        let status = tokio::time::timeout(Duration::ZERO, ends).await.expect("at once");
        assert_eq!(i32::from(status.code()), 16, "{status}");
    }
}
