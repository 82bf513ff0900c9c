//! The steps in which ports move, and that callers use no port which is not there, whatever acknowledges first.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::cloud_map::Discovered;
use crate::snapshot::{ResourceType, Snapshot};
use crate::testing::{node, record, view};

mod properties;
mod tls;

const SERVICE: &str = "one.local";
const OTHER: &str = "two.local";

fn on(ports: &[i32]) -> Value {
    let listener = |port: &i32| json!({"portMapping": {"port": port, "protocol": "http2"}});
    ports.iter().map(listener).collect()
}

/// A node that listens on these ports.
fn server(ports: &[i32]) -> Value {
    json!({"listeners": on(ports), "serviceDiscovery": {"dns": {"hostname": "red.local"}}})
}

fn route_to(node: &str, port: i32) -> Value {
    let targets = json!([{"virtualNode": node, "port": port, "weight": 1}]);
    json!({"http2Route": {"match": {"prefix": "/"}, "action": {"weightedTargets": targets}}})
}

fn calling(services: &[&str]) -> Value {
    let backend = |name: &&str| json!({"virtualService": {"virtualServiceName": name}});
    json!({"backends": services.iter().map(backend).collect::<Vec<_>>()})
}

fn routed(router: &str) -> Value {
    json!({"provider": {"virtualRouter": {"virtualRouterName": router}}})
}

/// A mesh with two services: one is routed to `red` on 8001, the other to `blue` on 9001.
fn mesh() -> MeshView {
    let (one, two) = (format!("virtualService/{SERVICE}"), format!("virtualService/{OTHER}"));
    view(&[
        ("virtualNode/red", server(&[8001])),
        ("virtualNode/blue", server(&[9001])),
        ("virtualRouter/one", json!({"listeners": on(&[80])})),
        ("virtualRouter/two", json!({"listeners": on(&[80])})),
        ("virtualRouter/one/route/all", route_to("red", 8001)),
        ("virtualRouter/two/route/all", route_to("blue", 9001)),
        (&one, routed("one")),
        (&two, routed("two")),
        ("virtualNode/client", calling(&[SERVICE, OTHER])),
    ])
}

/// The same with these objects put.
fn put(view: &MeshView, objects: &[(&str, Value)]) -> Arc<MeshView> {
    let mut view = view.clone();
    view.revision += 1;
    for (path, spec) in objects {
        let record = record(path, spec, i64::try_from(view.revision).expect("a number"));
        view.resources.insert(record.id.clone(), record);
    }
    Arc::new(view)
}

fn open(ports: &[i32], tls: &[i32]) -> Open {
    Open { ports: ports.iter().copied().collect(), tls: tls.iter().copied().collect() }
}

/// One mesh, and what the proxies of `red` run; none of `blue` is connected.
struct Moving {
    handover: Handover,
    view: Arc<MeshView>,
    now: Instant,
    red: Option<Open>,
}

impl Moving {
    fn new() -> Self {
        let view = Arc::new(mesh());
        let handover = Handover::new(&"apps".into(), Arc::clone(&view), BTreeMap::new());
        Self { handover, view, now: Instant::now(), red: Some(open(&[8001], &[])) }
    }

    fn advance(&mut self) -> bool {
        let red = &self.red;
        self.handover.advance(self.now, &self.view, |id| red.clone().filter(|_| *id == node("red")))
    }

    fn put(&mut self, objects: &[(&str, Value)]) {
        self.view = put(&self.view, objects);
        self.advance();
    }

    /// Moves `red`, and the route with it.
    fn to(&mut self, port: i32) {
        self.put(&[
            ("virtualNode/red", server(&[port])),
            ("virtualRouter/one/route/all", route_to("red", port)),
        ]);
    }

    fn red_runs(&mut self, ports: &[i32]) {
        self.red = Some(open(ports, &[]));
        self.advance();
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.advance();
    }

    fn snapshot(&self, name: &str) -> Snapshot {
        let transition = self.handover.transition();
        Snapshot::build_during(&self.view, transition, &Discovered::default(), &node(name)).expect("the node")
    }

    /// The ports that the proxies of `red` are sent.
    fn served(&self) -> Vec<i32> {
        let snapshot = self.snapshot("red");
        let clusters = snapshot.content(ResourceType::Cluster).resources.keys();
        let mut ports: Vec<i32> = clusters
            .filter_map(|name| name.strip_prefix("cds_ingress_apps_red_http2_"))
            .map(|port| port.parse().expect("a port"))
            .collect();
        ports.sort_unstable();
        assert!(snapshot.ports.iter().eq(&ports));
        ports
    }

    /// The ports of `red` that its callers are sent.
    fn used(&self) -> Vec<i32> {
        let snapshot = self.snapshot("client");
        let clusters = snapshot.content(ResourceType::Cluster).resources.keys();
        let ports = clusters.filter_map(|name| name.strip_prefix("cds_egress_apps_red_http2_"));
        ports.map(|port| port.parse().expect("a port")).collect()
    }

    /// What `red` serves and what its callers use.
    fn both(&self) -> (Vec<i32>, Vec<i32>) {
        (self.served(), self.used())
    }
}

#[test]
fn a_port_that_moves_is_opened_then_used_and_closed_last() {
    let mut moving = Moving::new();
    moving.to(8002);
    assert_eq!(moving.both(), (vec![8001, 8002], vec![8001]));
    assert!(!moving.advance(), "nothing happened");
    moving.pass(Duration::from_millis(1900));
    assert_eq!(moving.both(), (vec![8001, 8002], vec![8001]));
    moving.red_runs(&[8001, 8002]);
    assert_eq!(moving.both(), (vec![8001, 8002], vec![8002]));
    assert_eq!(moving.handover.next(), Some(moving.now + CLOSING));
    moving.pass(CLOSING - Duration::from_millis(1));
    assert_eq!(moving.both(), (vec![8001, 8002], vec![8002]));
    moving.pass(Duration::from_millis(1));
    assert_eq!(moving.both(), (vec![8002], vec![8002]));
    assert_eq!(moving.handover.next(), None);
    assert!(moving.handover.transition().is_same(&Transition::default()));
}

#[test]
fn a_proxy_that_never_acknowledges_is_waited_for_within_the_bound() {
    let mut moving = Moving::new();
    moving.to(8002);
    assert_eq!(moving.handover.next(), Some(moving.now + OPENING));
    moving.pass(OPENING);
    assert_eq!(moving.both(), (vec![8001, 8002], vec![8002]));
}

/// However often the port changes meanwhile: the newest state is used no later than the first change's bound.
#[test]
fn further_moves_do_not_prolong_the_wait() {
    let mut moving = Moving::new();
    for port in 8002..8006 {
        moving.to(port);
        moving.pass(OPENING / 4);
    }
    assert_eq!(moving.used(), [8005]);
    assert_eq!(moving.served(), [8001, 8002, 8003, 8004, 8005]);
}

#[test]
fn a_proxy_that_is_gone_is_not_waited_for() {
    let mut moving = Moving::new();
    moving.to(8002);
    moving.red = None;
    assert!(moving.advance());
    assert_eq!(moving.both(), (vec![8002], vec![8002]));
}

#[test]
fn a_node_without_proxies_changes_at_once() {
    let mut moving = Moving::new();
    moving.red = None;
    moving.to(8002);
    assert_eq!(moving.both(), (vec![8002], vec![8002]));
}

#[test]
fn a_later_change_starts_from_what_is_served() {
    let mut moving = Moving::new();
    moving.to(8002);
    // Back, while callers are not there yet: nothing has to be opened.
    moving.to(8001);
    assert_eq!(moving.both(), (vec![8001, 8002], vec![8001]));
    // There again, and the proxies still do not run it.
    moving.to(8002);
    assert_eq!(moving.both(), (vec![8001, 8002], vec![8001]));
    moving.red_runs(&[8001, 8002]);
    assert_eq!(moving.both(), (vec![8001, 8002], vec![8002]));
    moving.to(8003);
    assert_eq!(moving.both(), (vec![8001, 8002, 8003], vec![8002]));
    moving.red_runs(&[8001, 8002, 8003]);
    assert_eq!(moving.both(), (vec![8001, 8002, 8003], vec![8003]));
    // What closes is still open.
    moving.to(8002);
    assert_eq!(moving.both(), (vec![8001, 8002, 8003], vec![8002]));
    moving.to(8003);
    moving.pass(CLOSING);
    assert_eq!(moving.both(), (vec![8003], vec![8003]));
}

#[test]
fn what_does_not_lead_to_the_port_does_not_wait() {
    let mut moving = Moving::new();
    moving.to(8002);
    moving.put(&[
        ("virtualNode/blue", server(&[9002])),
        ("virtualRouter/two/route/all", route_to("blue", 9002)),
    ]);
    moving.put(&[("virtualNode/client", calling(&[OTHER, SERVICE]))]);
    let snapshot = moving.snapshot("client");
    let clusters = &snapshot.content(ResourceType::Cluster).resources;
    assert!(clusters.contains_key("cds_egress_apps_blue_http2_9002"), "{:?}", clusters.keys());
    assert_eq!(moving.used(), [8001]);
    // What is in force of each object is what its callers have.
    let is_newest = |path: &str| {
        let id = ResourceId::parse(&format!("mesh/apps/{path}")).expect("a resource");
        snapshot.contains(moving.view.get(&id).expect("it exists"))
    };
    for path in ["virtualNode/client", "virtualNode/blue", "virtualRouter/two/route/all"] {
        assert!(is_newest(path), "{path}");
    }
    for path in ["virtualNode/red", "virtualRouter/one/route/all"] {
        assert!(!is_newest(path), "{path}");
    }
    assert!(snapshot.is_delayed());
    assert!(!moving.snapshot("red").is_delayed());
}

#[test]
fn a_change_of_no_port_changes_no_step() {
    let mut moving = Moving::new();
    let mut slower = server(&[8001]);
    slower["listeners"][0]["timeout"] = json!({"http2": {"idle": {"value": 1, "unit": "s"}}});
    moving.view = put(
        &moving.view,
        &[("virtualNode/red", slower), ("virtualRouter/one", json!({"listeners": on(&[80, 81])}))],
    );
    assert!(!moving.advance());
    assert_eq!(moving.handover.next(), None);
}

/// A port beside the others, to which nothing leads, and one that goes to which nothing led.
#[test]
fn a_port_that_nobody_calls_delays_no_caller() {
    let mut moving = Moving::new();
    moving.put(&[("virtualNode/red", server(&[8001, 8009]))]);
    assert!(moving.handover.transition().is_same(&Transition::default()));
    moving.put(&[("virtualNode/red", server(&[8001]))]);
    assert_eq!(moving.both(), (vec![8001, 8009], vec![8001]));
    moving.pass(CLOSING);
    assert_eq!(moving.both(), (vec![8001], vec![8001]));
}

#[test]
fn a_node_that_provides_a_service_itself_moves_alike() {
    let mut moving = Moving::new();
    let service = format!("virtualService/{SERVICE}");
    moving.put(&[(&service, json!({"provider": {"virtualNode": {"virtualNodeName": "red"}}}))]);
    moving.put(&[("virtualNode/red", server(&[8002]))]);
    assert_eq!(moving.both(), (vec![8001, 8002], vec![8001]));
    moving.red_runs(&[8001, 8002]);
    assert_eq!(moving.both(), (vec![8001, 8002], vec![8002]));
}

/// The router's port changes in the same commit, so the gateway route that names it has to stay as it was, too.
#[test]
fn a_gateway_keeps_the_route_that_fits_the_service() {
    let target = |port: i32| {
        let service = json!({"virtualService": {"virtualServiceName": SERVICE}, "port": port});
        json!({"http2Route": {"match": {"prefix": "/"}, "action": {"target": service}}})
    };
    let mut moving = Moving::new();
    moving.put(&[
        ("virtualGateway/edge", json!({"listeners": on(&[443])})),
        ("virtualGateway/edge/gatewayRoute/all", target(80)),
    ]);
    let edge = ResourceId::virtual_gateway("apps", "edge");
    let build = |moving: &Moving| {
        let transition = moving.handover.transition();
        Snapshot::build_during(&moving.view, transition, &Discovered::default(), &edge).expect("the gateway")
    };
    let before = build(&moving);
    moving.put(&[
        ("virtualNode/red", server(&[8002])),
        ("virtualRouter/one", json!({"listeners": on(&[81])})),
        ("virtualRouter/one/route/all", route_to("red", 8002)),
        ("virtualGateway/edge/gatewayRoute/all", target(81)),
    ]);
    let during = build(&moving);
    for kind in ResourceType::ALL {
        assert_eq!(during.content(kind).version, before.content(kind).version, "{kind:?}");
    }
    moving.red_runs(&[8001, 8002]);
    let after = build(&moving);
    let clusters = after.content(ResourceType::Cluster).resources.keys();
    assert!(clusters.eq(["cds_egress_apps_red_http2_8002"]));
}

#[test]
fn a_snapshot_is_made_again_when_its_transition_is_another_one() {
    let mut moving = Moving::new();
    let unchanged = |moving: &Moving, snapshot: &Snapshot| {
        snapshot.unchanged_during(&moving.view, moving.handover.transition(), &Discovered::default())
    };
    let mut kept: Vec<Snapshot> = ["client", "red", "blue"].map(|name| moving.snapshot(name)).into();
    let mut changes = |moving: &Moving| {
        let names = ["client", "red", "blue"];
        let changed = names.iter().zip(&mut kept).filter_map(|(name, kept)| {
            (!unchanged(moving, kept)).then(|| *kept = moving.snapshot(name)).map(|()| *name)
        });
        changed.collect::<Vec<_>>()
    };
    moving.to(8002);
    assert_eq!(changes(&moving), ["client", "red"]);
    moving.advance();
    assert!(changes(&moving).is_empty());
    moving.red_runs(&[8001, 8002]);
    assert_eq!(changes(&moving), ["client"]);
    moving.pass(CLOSING);
    assert_eq!(changes(&moving), ["red"]);
}

#[test]
fn a_port_is_open_when_all_run_it_and_none_may_have_been_sent_to_close_it() {
    let set = |ports: &[i32]| open(ports, &[]);
    let mut open = OpenPorts::new(set(&[1, 2]));
    assert_eq!(open.all(), None);
    let (one, two) = (open.connect(), open.connect());
    assert_eq!(open.all(), Some(set(&[])), "they have acknowledged nothing");
    assert!(open.run(one, &set(&[1, 2])));
    assert!(!open.run(one, &set(&[1, 2])), "no news");
    assert!(open.run(two, &set(&[1])));
    assert_eq!(open.all(), Some(set(&[1])));
    open.run(two, &set(&[1, 2]));
    open.want(set(&[1]));
    open.want(set(&[1, 2]));
    assert_eq!(open.all(), Some(set(&[1])), "2 may be closed before it is opened again");
    open.run(one, &set(&[1, 2]));
    open.disconnect(two);
    assert_eq!(open.all(), Some(set(&[1, 2])));
    assert!(!open.run(two, &set(&[1])), "it is gone");
}
