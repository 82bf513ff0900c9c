//! When callers of a node use the TLS that its listener begins to take.

use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::google::protobuf::Any;
use prost::Message;

use super::*;

const SERVED: &str = "cds_egress_apps_red_http2_8001";

/// `red` on 8001 with TLS in this mode, by a certificate from these files.
fn over_tls(mode: &str, file: &str) -> Value {
    let mut spec = server(&[8001]);
    let certificate = json!({"file": {"certificateChain": file, "privateKey": "/red.key"}});
    spec["listeners"][0]["tls"] = json!({"mode": mode, "certificate": certificate});
    spec
}

impl Moving {
    fn red_is(&mut self, spec: Value) {
        self.put(&[("virtualNode/red", spec)]);
    }

    /// All proxies of `red` run its port, and its TLS or not.
    fn runs_tls(&mut self, tls: bool) {
        self.red = Some(open(&[8001], if tls { &[8001] } else { &[] }));
        self.advance();
    }

    /// Whether callers use TLS with `red`.
    fn uses_tls(&self) -> bool {
        let snapshot = self.snapshot("client");
        let cluster = &snapshot.content(ResourceType::Cluster).resources[SERVED];
        let any = Any::decode(cluster.body().clone()).expect("an Any");
        Cluster::decode(any.value.as_slice()).expect("a cluster").transport_socket.is_some()
    }

    /// Whether the snapshot of callers has the newest version of `red`.
    fn has_newest(&self) -> bool {
        let snapshot = self.snapshot("client");
        let newest = snapshot.contains(self.view.get(&node("red")).expect("red"));
        assert_eq!(snapshot.is_delayed(), !newest);
        newest
    }
}

#[test]
fn callers_use_tls_when_the_nodes_proxies_run_it_however_long_that_takes() {
    let mut moving = Moving::new();
    moving.red_is(over_tls("PERMISSIVE", "/red.pem"));
    assert!(!moving.uses_tls() && !moving.has_newest());
    assert!(!moving.snapshot("red").is_delayed(), "its own proxies get it");
    moving.runs_tls(false);
    moving.pass(Duration::from_secs(3600));
    assert!(!moving.uses_tls(), "they rejected the certificate");
    assert_eq!(moving.handover.next(), None);
    // Whatever else changes is through.
    let mut slower = over_tls("PERMISSIVE", "/red.pem");
    slower["serviceDiscovery"]["dns"]["hostname"] = json!("newer.local");
    moving.red_is(slower);
    assert!(
        format!("{:?}", moving.snapshot("client").content(ResourceType::Cluster)).contains("newer.local")
    );
    assert!(!moving.uses_tls());
    moving.runs_tls(true);
    assert!(moving.uses_tls() && moving.has_newest());
    assert!(moving.handover.transition().is_same(&Transition::default()));
    // What was in use stays so, when a proxy is new and when all restart.
    moving.runs_tls(false);
    assert!(moving.uses_tls());
    moving.red_is(over_tls("PERMISSIVE", "/other.pem"));
    assert!(moving.uses_tls());
}

#[test]
fn a_port_that_takes_nothing_else_is_called_over_tls_at_once() {
    let mut moving = Moving::new();
    moving.red_is(over_tls("STRICT", "/red.pem"));
    assert!(moving.uses_tls() && moving.has_newest());
    moving.red_is(over_tls("PERMISSIVE", "/red.pem"));
    assert!(moving.uses_tls(), "it was in use");
    moving.red_is(server(&[8001]));
    assert!(!moving.uses_tls() && moving.has_newest());
    moving.red_is(over_tls("PERMISSIVE", "/red.pem"));
    assert!(!moving.uses_tls());
    moving.red_is(over_tls("STRICT", "/red.pem"));
    assert!(moving.uses_tls() && moving.has_newest());
}

#[test]
fn a_node_without_proxies_is_called_over_tls_at_once_and_one_that_loses_them_is_not() {
    let mut moving = Moving::new();
    moving.red_is(over_tls("PERMISSIVE", "/red.pem"));
    moving.red = None;
    moving.advance();
    assert!(!moving.uses_tls(), "those that come get the same file");
    moving.red_is(server(&[8001]));
    moving.red_is(over_tls("PERMISSIVE", "/red.pem"));
    assert!(moving.uses_tls());
}

/// A port that is new takes TLS by the same proxies that open it.
#[test]
fn a_port_that_is_new_waits_for_its_certificate_too() {
    let mut moving = Moving::new();
    let mut both = over_tls("PERMISSIVE", "/red.pem");
    both["listeners"][0]["portMapping"]["port"] = json!(8002);
    moving.put(&[("virtualNode/red", both), ("virtualRouter/one/route/all", route_to("red", 8002))]);
    moving.red = Some(open(&[8001, 8002], &[]));
    moving.advance();
    let clusters = moving.snapshot("client");
    let new = &clusters.content(ResourceType::Cluster).resources["cds_egress_apps_red_http2_8002"];
    let plain = |resource: &crate::snapshot::Resource| {
        let any = Any::decode(resource.body().clone()).expect("an Any");
        Cluster::decode(any.value.as_slice()).expect("a cluster").transport_socket.is_none()
    };
    assert!(plain(new));
    moving.red = Some(open(&[8001, 8002], &[8002]));
    moving.advance();
    let clusters = moving.snapshot("client");
    assert!(!plain(&clusters.content(ResourceType::Cluster).resources["cds_egress_apps_red_http2_8002"]));
}

#[test]
fn what_callers_did_before_a_restart_goes_on() {
    for (spec, plaintext) in [
        (over_tls("PERMISSIVE", "/red.pem"), true),
        (over_tls("STRICT", "/red.pem"), false),
        (server(&[8001]), true),
    ] {
        let mut moving = Moving::new();
        let takes_both = spec["listeners"][0]["tls"]["mode"] == "PERMISSIVE";
        moving.view = put(&moving.view, &[("virtualNode/red", spec)]);
        let known =
            BTreeMap::from([(node("red"), BTreeSet::from([8001])), (node("gone"), BTreeSet::from([1]))]);
        moving.handover = Handover::new(&"apps".into(), Arc::clone(&moving.view), known);
        // Its proxies come later than those of its callers.
        moving.red = None;
        moving.advance();
        assert_eq!(moving.uses_tls(), !plaintext);
        assert_eq!(moving.has_newest(), !takes_both);
        assert_eq!(moving.handover.transition().plaintext.len(), usize::from(takes_both));
        moving.runs_tls(false);
        assert_eq!(moving.uses_tls(), !plaintext);
        moving.runs_tls(true);
        assert_eq!(moving.uses_tls(), takes_both || !plaintext);
    }
}

/// A proxy runs TLS by a snapshot that has the listener and what that needs.
#[test]
fn a_snapshot_without_the_certificate_takes_no_tls() {
    let mut moving = Moving::new();
    moving.red_is(over_tls("PERMISSIVE", "/red.pem"));
    let whole = moving.snapshot("red");
    assert_eq!(Open::of(&whole), open(&[8001], &[8001]));
    for kind in [ResourceType::Secret, ResourceType::Listener] {
        let mut overlay = crate::snapshot::overlay::Overlay::default();
        overlay.contents.insert(kind, crate::snapshot::ResourceSet::new());
        assert_eq!(Open::of(&whole.overlaid(overlay)), open(&[8001], &[]), "{kind:?}");
    }
    // Certificates of the mesh's own come another way.
    let mut spec = over_tls("PERMISSIVE", "");
    spec["listeners"][0]["tls"]["certificate"] = json!({"sds": {"secretName": "fleetmesh"}});
    moving.red_is(spec);
    assert_eq!(Open::of(&moving.snapshot("red")), open(&[8001], &[8001]));
    moving.red_is(server(&[8001]));
    assert_eq!(Open::of(&moving.snapshot("red")), open(&[8001], &[]));
}

/// A caller's snapshot is made again when the wait ends, and others' are not.
#[test]
fn only_callers_get_another_snapshot_when_the_wait_ends() {
    let mut moving = Moving::new();
    moving.red_is(over_tls("PERMISSIVE", "/red.pem"));
    let names = ["client", "red", "blue"];
    let kept = names.map(|name| moving.snapshot(name));
    let unchanged = |moving: &Moving| {
        let during = |snapshot: &Snapshot| {
            snapshot.unchanged_during(&moving.view, moving.handover.transition(), &Discovered::default())
        };
        kept.iter().map(during).collect::<Vec<_>>()
    };
    assert_eq!(unchanged(&moving), [true, true, true]);
    moving.runs_tls(true);
    assert_eq!(unchanged(&moving), [false, true, true]);
}
