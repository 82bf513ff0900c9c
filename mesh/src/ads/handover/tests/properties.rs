//! Random changes, deliveries and acknowledgements: what a caller may use is what the node's proxies serve for certain.

use super::*;

/// The longest that a proxy takes to acknowledge: callees less than [`OPENING`], callers less than [`CLOSING`].
const CALLEE: Duration = Duration::from_millis(400);
const CALLER: Duration = Duration::from_millis(2500);
/// No change is made while callers wait for longer than this, so that no bound passes.
const WAIT: Duration = Duration::from_millis(1000);
const TICK: Duration = Duration::from_millis(100);

#[derive(Clone, Debug)]
enum Event {
    /// The node listens on these ports, and what leads there follows; a second port is one that the route does not use.
    Move { blue: bool, port: i32, beside: Option<i32> },
    /// The first service leads to the other node.
    Switch,
    /// A proxy is sent what it is to run.
    Deliver(usize),
    /// A proxy acknowledges what it was sent last.
    Acknowledge(usize),
    /// So many tenths of a second pass.
    Pass(u8),
}

fn event() -> impl Strategy<Value = Event> {
    let port = 8001..8004;
    let beside = proptest::option::of(8001..8004);
    prop_oneof![
        3 => (any::<bool>(), port, beside).prop_map(|(blue, port, beside)| Event::Move { blue, port, beside }),
        1 => Just(Event::Switch),
        4 => (0..NODES.len()).prop_map(Event::Deliver),
        4 => (0..NODES.len()).prop_map(Event::Acknowledge),
        2 => (1..20_u8).prop_map(Event::Pass),
        1 => (40..70_u8).prop_map(Event::Pass),
    ]
}

/// Whose proxies there are; two of `red`.
const NODES: [&str; 5] = ["red", "red", "blue", "client", "client"];

struct Proxy {
    number: u64,
    node: &'static str,
    acknowledged: Arc<Snapshot>,
    /// What it was sent since, of which it may run any part.
    sent: Vec<Arc<Snapshot>>,
    behind: Option<Instant>,
}

struct Mesh {
    handover: Handover,
    view: Arc<MeshView>,
    start: Instant,
    now: Instant,
    waiting: Option<Instant>,
    wanted: BTreeMap<&'static str, Arc<Snapshot>>,
    open: BTreeMap<&'static str, OpenPorts>,
    proxies: Vec<Proxy>,
    /// The listeners of both nodes, and where the first service leads.
    red: Vec<i32>,
    blue: Vec<i32>,
    to_blue: bool,
}

impl Mesh {
    fn new() -> Self {
        let objects =
            [("virtualNode/blue", server(&[8001])), ("virtualRouter/two/route/all", route_to("blue", 8001))];
        let view = put(&mesh(), &objects);
        let now = Instant::now();
        let build = |name: &str| {
            Arc::new(Snapshot::build(&view, &Discovered::default(), &node(name)).expect("the node"))
        };
        let wanted: BTreeMap<&'static str, Arc<Snapshot>> =
            ["red", "blue", "client"].into_iter().map(|name| (name, build(name))).collect();
        let mut open: BTreeMap<&'static str, OpenPorts> =
            wanted.iter().map(|(name, snapshot)| (*name, OpenPorts::new(Open::of(snapshot)))).collect();
        let proxies = NODES.map(|node| {
            let (open, acknowledged) = (open.get_mut(node).expect("a node"), Arc::clone(&wanted[node]));
            let number = open.connect();
            open.run(number, &Open::of(&acknowledged));
            Proxy { number, node, acknowledged, sent: Vec::new(), behind: None }
        });
        Self {
            handover: Handover::new(&"apps".into(), Arc::clone(&view), BTreeMap::new()),
            view,
            start: now,
            now,
            waiting: None,
            wanted,
            open,
            proxies: proxies.into(),
            red: vec![8001],
            blue: vec![8001],
            to_blue: false,
        }
    }

    fn handle(&mut self, event: &Event) {
        match event {
            Event::Move { blue, port, beside } => {
                let ports = [*port].into_iter().chain(beside.filter(|beside| beside != port)).collect();
                *(if *blue { &mut self.blue } else { &mut self.red }) = ports;
                self.commit();
            }
            Event::Switch => {
                self.to_blue = !self.to_blue;
                self.commit();
            }
            Event::Deliver(proxy) => self.deliver(*proxy),
            Event::Acknowledge(proxy) => self.acknowledge(*proxy),
            Event::Pass(tenths) => (0..*tenths).for_each(|_| self.tick()),
        }
    }

    fn commit(&mut self) {
        if self.waiting.is_some_and(|since| self.now - since > WAIT) {
            return;
        }
        let first = if self.to_blue { ("blue", self.blue[0]) } else { ("red", self.red[0]) };
        self.view = put(
            &self.view,
            &[
                ("virtualNode/red", server(&self.red)),
                ("virtualNode/blue", server(&self.blue)),
                ("virtualRouter/one/route/all", route_to(first.0, first.1)),
                ("virtualRouter/two/route/all", route_to("blue", self.blue[0])),
            ],
        );
        self.advance();
    }

    fn advance(&mut self) {
        let open = &self.open;
        let find = |id: &ResourceId| open.get(id.name()).and_then(OpenPorts::all);
        self.handover.advance(self.now, &self.view, find);
        let transition = self.handover.transition();
        let delayed = !transition.delayed.is_empty();
        self.waiting = if delayed { self.waiting.or(Some(self.now)) } else { None };
        for (name, wanted) in &mut self.wanted {
            if !wanted.unchanged_during(&self.view, transition, &Discovered::default()) {
                let built =
                    Snapshot::build_during(&self.view, transition, &Discovered::default(), &node(name));
                *wanted = Arc::new(built.expect("the node"));
                self.open.get_mut(name).expect("a node").want(Open::of(wanted));
            }
        }
        for proxy in &mut self.proxies {
            let runs = proxy.sent.is_empty() && Arc::ptr_eq(&proxy.acknowledged, &self.wanted[proxy.node]);
            proxy.behind = if runs { None } else { proxy.behind.or(Some(self.now)) };
        }
    }

    fn deliver(&mut self, proxy: usize) {
        let proxy = &mut self.proxies[proxy];
        let wanted = &self.wanted[proxy.node];
        if !Arc::ptr_eq(proxy.sent.last().unwrap_or(&proxy.acknowledged), wanted) {
            proxy.sent.push(Arc::clone(wanted));
        }
    }

    fn acknowledge(&mut self, proxy: usize) {
        let proxy = &mut self.proxies[proxy];
        if let Some(last) = proxy.sent.pop() {
            proxy.sent.clear();
            let open = self.open.get_mut(proxy.node).expect("a node");
            open.run(proxy.number, &Open::of(&last));
            proxy.acknowledged = last;
            self.advance();
        }
    }

    fn tick(&mut self) {
        self.now += TICK;
        self.advance();
        for proxy in 0..self.proxies.len() {
            let longest = if self.proxies[proxy].node == "client" { CALLER } else { CALLEE };
            if self.proxies[proxy].behind.is_some_and(|since| self.now - since >= longest) {
                self.deliver(proxy);
                self.acknowledge(proxy);
            }
        }
    }

    /// No caller may use a port that a proxy of its node may not serve.
    fn check(&self) -> Result<(), TestCaseError> {
        let (callers, callees): (Vec<&Proxy>, Vec<&Proxy>) =
            self.proxies.iter().partition(|proxy| proxy.node == "client");
        for caller in callers {
            let snapshots = caller.sent.iter().chain([&caller.acknowledged]);
            for cluster in snapshots.flat_map(|snapshot| snapshot.targets.nodes.keys()) {
                let (name, port) =
                    cluster.trim_start_matches("cds_egress_apps_").split_once("_http2_").expect("a name");
                let port: i32 = port.parse().expect("a port");
                for callee in callees.iter().filter(|callee| callee.node == name) {
                    let mut may_run = callee.sent.iter().chain([&callee.acknowledged]);
                    prop_assert!(
                        may_run.all(|snapshot| snapshot.ports.contains(&port)),
                        "{name} on {port} after {:?}",
                        self.now - self.start
                    );
                }
            }
        }
        Ok(())
    }
}

proptest! {
    #[test]
    fn no_caller_uses_a_port_that_is_not_served(events in proptest::collection::vec(event(), 1..60)) {
        let mut mesh = Mesh::new();
        for event in &events {
            mesh.handle(event);
            mesh.check()?;
        }
        // It comes to rest in the newest state.
        (0..150).for_each(|_| mesh.tick());
        prop_assert!(mesh.handover.transition().is_same(&Transition::default()));
        prop_assert_eq!(mesh.handover.next(), None);
        for proxy in &mesh.proxies {
            let plain = Snapshot::build(&mesh.view, &Discovered::default(), &node(proxy.node)).expect("the node");
            prop_assert!(proxy.acknowledged.content(ResourceType::Cluster).version
                == plain.content(ResourceType::Cluster).version);
        }
    }
}
