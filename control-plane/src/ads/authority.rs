//! Whether a proxy may stream a virtual node: the identity that its connection proved, and how long that is valid.
//!
//! Statuses are App Mesh's own: 7 (PERMISSION_DENIED) for a node that the certificate does not name, 16 (UNAUTHENTICATED) for a
//! missing, bad or expired certificate, or one whose CA is no longer trusted. 7 is also for a certificate from joining when the node
//! is no longer granted to that role, or when the proxy claims to run on another instance.

use std::time::{Duration, SystemTime};

use fleetmesh_model::ResourceId;
use tonic::Status;

use crate::accounts::Accounts;
use crate::join::{Denied, may_run};
use crate::tls::Caller;
use crate::views::Views;

/// How often it is looked at whether a caller may still stream: with the second until a file is read again, what is taken
/// away counts within 5 s. A clock that was set forward counts after at most this.
const LOOK: Duration = Duration::from_secs(3);

/// What decides who streams what.
#[derive(Clone, Copy)]
pub struct Gate<'a> {
    /// The meshes, with what their tags grant.
    pub views: &'a dyn Views,
    /// The instances that are let in no more.
    pub denied: &'a Denied,
    /// The accounts that are served, and what they share.
    pub accounts: &'a Accounts,
}

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

/// Whether the caller may stream `node`, by its certificate and by what the `gate` says.
///
/// # Errors
/// Status 16 as of [`proven`]; 7 when the caller is somebody who may not, or when the account that made the node has no part in
/// the mesh any more.
pub fn admit(gate: Gate<'_>, caller: &Caller, node: &ResourceId, now: SystemTime) -> Result<(), Status> {
    proven(caller, now)?;
    let shared = || gate.accounts.configures(gate.views, node).map_err(Status::permission_denied);
    let Caller::Certified(certificate) = caller else { return shared() };
    if !certificate.nodes.contains(node) {
        let names = listed(certificate.nodes.iter());
        let message = format!("the client certificate does not name {node}; it names {names}");
        return Err(Status::permission_denied(message));
    }
    // A caller that is certified for the node gets the reason; nobody else learns whose node it is.
    shared()?;
    match &certificate.joined {
        Some(joined) => may_run(gate.views, gate.denied, node, joined).map_err(Status::permission_denied),
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

/// Waits until the caller may no longer stream `node`, and answers the status that the stream ends with. For a caller of this
/// host that is when the node's account has no part in the mesh any more.
pub async fn withdrawn(gate: Gate<'_>, caller: &Caller, node: &ResourceId) -> Status {
    loop {
        let now = SystemTime::now();
        if let Err(status) = admit(gate, caller, node, now) {
            return status;
        }
        let Caller::Certified(certificate) = caller else {
            match gate.accounts.are_several() {
                true => tokio::time::sleep(LOOK).await,
                false => std::future::pending().await,
            }
            continue;
        };
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
    use fleetmesh_mesh::identity::Identity;
    use fleetmesh_mesh::testing::{node, tagged};
    use fleetmesh_model::Account;
    use tokio_util::sync::CancellationToken;

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
        let (denied, accounts) = (Denied::default(), Accounts::default());
        let gate = Gate { views: views.as_ref(), denied: &denied, accounts: &accounts };
        let code = |caller: &Caller, name: &str| match admit(gate, caller, &node(name), now) {
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
        let gate = Gate { views: views.as_ref(), ..gate };
        assert!(admit(gate, &joined(soon), &node("a"), now).is_ok());
        assert!(admit(gate, &joined(past), &node("a"), now).is_err());
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
        let (views, denied, accounts) = (granting(""), Denied::default(), Accounts::default());
        let gate = Gate { views: views.as_ref(), denied: &denied, accounts: &accounts };
        let status = withdrawn(gate, &caller, &node("a")).await;
        assert_eq!(i32::from(status.code()), 16, "{status}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_right_ends_with_the_trust_in_the_certificate() {
        let caller = certified(&["a"], SystemTime::now() + Duration::from_secs(3600));
        let Caller::Certified(certificate) = &caller else { panic!("it is") };
        let (views, denied, accounts) = (granting(""), Denied::default(), Accounts::default());
        let (gate, node) = (Gate { views: views.as_ref(), denied: &denied, accounts: &accounts }, node("a"));
        let mut ends = std::pin::pin!(withdrawn(gate, &caller, &node));
        assert!(tokio::time::timeout(LOOK * 10, ends.as_mut()).await.is_err(), "it lasts");
        certificate.distrusted.cancel();
        let status = tokio::time::timeout(Duration::ZERO, ends).await.expect("at once");
        assert_eq!(i32::from(status.code()), 16, "{status}");
    }

    /// App Mesh does not configure proxies of an account that a mesh is not shared with any more.
    #[tokio::test(start_paused = true)]
    async fn a_right_ends_with_the_share_of_who_made_the_node() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("shares");
        let share = r#"[{"meshOwner": "111122223333", "meshName": "apps", "accounts": ["444455556666"]}]"#;
        std::fs::write(&file, share).expect("written");
        let consumer = "444455556666".parse().expect("an account");
        let identity = Identity { others: [consumer].into(), ..Identity::default() };
        let accounts = Accounts::read(identity, file.clone()).expect("shares");
        let mut view = tagged("a", TAG, "");
        let record = view.resources.get_mut(&node("a")).expect("the node");
        Arc::make_mut(record).owner = Account::Other(consumer);
        let (views, denied, node) = (TestMeshes::new(view), Denied::default(), node("a"));
        let gate = Gate { views: views.as_ref(), denied: &denied, accounts: &accounts };
        let shutdown = CancellationToken::new();
        let following = accounts.clone().follow(shutdown.clone());
        let callers = [Caller::Local, certified(&["a"], SystemTime::now() + Duration::from_secs(3600))];
        let ending = async {
            for caller in &callers {
                let mut ends = std::pin::pin!(withdrawn(gate, caller, &node));
                assert!(tokio::time::timeout(LOOK * 10, ends.as_mut()).await.is_err(), "it lasts");
                std::fs::write(&file, "[]").expect("written");
                let status = tokio::time::timeout(LOOK * 2, ends).await.expect("soon");
                assert_eq!(i32::from(status.code()), 7, "{status}");
                assert!(status.message().contains("is not shared with account 444455556666"), "{status}");
                assert!(admit(gate, caller, &node, SystemTime::now()).is_err());
                std::fs::write(&file, share).expect("written");
                tokio::time::sleep(LOOK).await;
            }
            shutdown.cancel();
        };
        tokio::join!(following, ending);
    }
}
