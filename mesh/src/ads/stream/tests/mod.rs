//! The stream's guarantees in both variants of the protocol, checked against a model of a proxy under random orders, NACKs and
//! reconnects.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::cloud_map::Discovered;
use crate::snapshot::Resource;
use crate::testing::{node, view};
use crate::view::MeshView;
use proxy::StreamProxy;

mod delta;
mod endpoints;
mod proxy;
mod secrets;

const VARIANTS: [Variant; 2] = [Variant::StateOfTheWorld, Variant::Delta];
const KINDS: [ResourceType; 3] = [ResourceType::Cluster, ResourceType::Listener, ResourceType::Route];

/// One mesh: per service its protocol and which of four nodes it goes to.
#[derive(Clone, Debug)]
struct Shape {
    services: Vec<(bool, u8)>,
    logged: bool,
}

fn shape() -> impl Strategy<Value = Shape> {
    let services = prop::collection::vec((any::<bool>(), 0u8..16), 0..4);
    (services, any::<bool>()).prop_map(|(services, logged)| Shape { services, logged })
}

fn mesh(shape: &Shape, host: &str) -> MeshView {
    let mut objects: Vec<(String, Value)> = Vec::new();
    for target in 0..4 {
        let listeners = json!([{"portMapping": {"port": 80, "protocol": "http2"}}, {"portMapping": {"port": 90, "protocol": "tcp"}}]);
        let spec = json!({"listeners": listeners, "serviceDiscovery": {"dns": {"hostname": format!("{host}{target}.local")}}});
        objects.push((format!("virtualNode/n{target}"), spec));
    }
    for (index, (tcp, targets)) in shape.services.iter().enumerate() {
        let (protocol, member, port) =
            if *tcp { ("tcp", "tcpRoute", 90) } else { ("http2", "http2Route", 80) };
        let listen =
            json!({"listeners": [{"portMapping": {"port": 8000 + index % 3, "protocol": protocol}}]});
        objects.push((format!("virtualRouter/r{index}"), listen));
        let chosen = (0..4).filter(|bit| (targets >> bit) & 1 == 1);
        // A route to other hosts is another one.
        let least = if host == "host" { 1 } else { 11 };
        let weighted: Vec<Value> = chosen
            .map(|bit| json!({"virtualNode": format!("n{bit}"), "weight": least + bit, "port": port}))
            .collect();
        if !weighted.is_empty() {
            let matcher = if *tcp { json!({}) } else { json!({"prefix": "/"}) };
            let route = json!({member: {"action": {"weightedTargets": weighted}, "match": matcher}});
            objects.push((format!("virtualRouter/r{index}/route/x"), route));
        }
        let provider = json!({"provider": {"virtualRouter": {"virtualRouterName": format!("r{index}")}}});
        objects.push((format!("virtualService/s{index}.local"), provider));
    }
    let backends: Vec<Value> = (0..shape.services.len())
        .map(|index| json!({"virtualService": {"virtualServiceName": format!("s{index}.local")}}))
        .collect();
    let mut client = json!({"backends": backends});
    if shape.logged {
        client["logging"] = json!({"accessLog": {"file": {"path": format!("/tmp/{host}.log")}}});
    }
    objects.push(("virtualNode/client".to_owned(), client));
    let objects: Vec<(&str, Value)> =
        objects.iter().map(|(path, spec)| (path.as_str(), spec.clone())).collect();
    view(&objects)
}

fn snapshot(view: &MeshView) -> Arc<Snapshot> {
    Arc::new(Snapshot::build(view, &Discovered::default(), &node("client")).expect("the node exists"))
}

#[derive(Clone, Debug)]
enum StreamStep {
    /// The proxy handles the next answer; the bits say what it refuses.
    Answer(u8),
    /// The server handles the next request.
    Request,
    Target(Shape),
    Overdue,
    /// The stream breaks and the proxy connects again.
    Reconnect,
    /// The control plane starts anew, and remembers nothing.
    Restart,
}

fn step() -> impl Strategy<Value = StreamStep> {
    prop_oneof![
        6 => Just(StreamStep::Answer(0)),
        1 => any::<u8>().prop_map(StreamStep::Answer),
        7 => Just(StreamStep::Request),
        2 => shape().prop_map(StreamStep::Target),
        1 => Just(StreamStep::Overdue),
        1 => Just(StreamStep::Reconnect),
        1 => Just(StreamStep::Restart),
    ]
}

/// Both ends and what is under way between them.
struct StreamWorld {
    variant: Variant,
    view: MeshView,
    stream: Stream,
    proxy: StreamProxy,
    answers: VecDeque<Send>,
    requests: VecDeque<Request>,
}

impl StreamWorld {
    fn new(variant: Variant, shape: &Shape) -> Self {
        let view = mesh(shape, "host");
        let stream = Stream::new(variant, snapshot(&view));
        let mut proxy = StreamProxy::new(variant);
        let requests = proxy.reconnect(&view).into();
        Self { variant, view, stream, proxy, answers: VecDeque::new(), requests }
    }

    /// The proxy connects again to a control plane that remembers this of it.
    fn reopen(&mut self, unsettled: Unsettled) {
        self.stream = Stream::new(self.variant, snapshot(&self.view)).after(unsettled);
        self.answers.clear();
        // These come in one burst, and anything else after them.
        for opening in self.proxy.reconnect(&self.view) {
            let sends = self.stream.handle(StreamEvent::Request(opening));
            self.answers.extend(sends);
        }
        self.requests.clear();
    }

    fn take(&mut self, step: StreamStep) -> Result<(), TestCaseError> {
        let event = match step {
            StreamStep::Answer(refuse) => {
                if let Some(answer) = self.answers.pop_front() {
                    self.requests.extend(self.proxy.answer(answer, refuse));
                }
                return self.proxy.check();
            }
            StreamStep::Reconnect => {
                self.reopen(self.stream.unsettled());
                return Ok(());
            }
            StreamStep::Restart => {
                // In delta a proxy says nothing of what it took from an answer that it refused: that it still has it is what a
                // restart at that very moment cannot know, so here one waits until that is settled.
                let delta = self.variant == Variant::Delta;
                self.reopen(if delta { self.stream.unsettled() } else { Unsettled::new() });
                return Ok(());
            }
            StreamStep::Request => match self.requests.pop_front() {
                Some(request) => StreamEvent::Request(request),
                None => return Ok(()),
            },
            StreamStep::Target(shape) => {
                self.view = mesh(&shape, "host");
                StreamEvent::Target(snapshot(&self.view))
            }
            StreamStep::Overdue => StreamEvent::Overdue,
        };
        let overdue = matches!(event, StreamEvent::Overdue);
        let owed = self.stream.awaits() && !overdue;
        let sends = self.stream.handle(event);
        prop_assert!(sends.len() <= 1 || !owed, "more than one type at a time");
        self.answers.extend(sends);
        Ok(())
    }

    /// Lets both ends talk until nobody has anything to say; how many answers that took.
    fn settle(&mut self) -> Result<usize, TestCaseError> {
        let mut answers = 0;
        while !self.answers.is_empty() || !self.requests.is_empty() {
            while !self.requests.is_empty() {
                self.take(StreamStep::Request)?;
            }
            answers += self.answers.len();
            prop_assert!(answers < 100, "no end");
            while !self.answers.is_empty() {
                self.take(StreamStep::Answer(0))?;
            }
        }
        Ok(answers)
    }

    /// The proxy runs exactly the target.
    fn assert_converged(&self) -> Result<(), TestCaseError> {
        prop_assert!(self.stream.is_current());
        for kind in KINDS {
            let versions = |set: Vec<&Arc<Resource>>| -> BTreeMap<String, String> {
                set.into_iter().map(|one| (one.name.clone(), one.version.clone())).collect()
            };
            let target = versions(self.stream.target().content(kind).resources.values().collect());
            prop_assert_eq!(versions(self.proxy.running(kind).collect()), target, "{:?}", kind);
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn nothing_dangles_and_everything_converges(
        variant in prop::sample::select(VARIANTS.to_vec()),
        first in shape(), steps in prop::collection::vec(step(), 0..60), last in shape()
    ) {
        let mut world = StreamWorld::new(variant, &first);
        for step in steps {
            world.take(step)?;
        }
        // Nothing of the last target was refused before: its hosts, log and weights are new.
        let mut last = Shape { logged: true, ..last };
        last.services.push((false, 0b1000));
        world.view = mesh(&last, "fresh");
        let target = snapshot(&world.view);
        let sends = world.stream.handle(StreamEvent::Target(target));
        world.answers.extend(sends);
        world.settle()?;
        world.assert_converged()?;
        prop_assert_eq!(world.stream.unsettled(), Unsettled::new());
        world.reopen(Unsettled::new());
        prop_assert_eq!(world.settle()?, 0, "a reconnect to what the proxy runs pushes nothing");
        world.assert_converged()?;
    }
}

fn weights(targets: u8) -> Shape {
    Shape { services: vec![(false, targets)], logged: false }
}

/// A proxy that runs `shape` and has nothing left to say.
fn settled(variant: Variant, shape: &Shape) -> StreamWorld {
    let mut world = StreamWorld::new(variant, shape);
    world.settle().expect("it settles");
    world.assert_converged().expect("it runs the target");
    world
}

#[test]
fn a_target_that_moves_adds_first_and_removes_last() {
    for variant in VARIANTS {
        let mut world = settled(variant, &weights(0b0001));
        world.view = mesh(&weights(0b0010), "host");
        let target = snapshot(&world.view);
        world.answers.extend(world.stream.handle(StreamEvent::Target(target)));
        let mut seen = Vec::new();
        while let Some(answer) = world.answers.front() {
            seen.push((answer.kind, answer.content.resources.len()));
            world.take(StreamStep::Answer(0)).expect("nothing dangles");
            while !world.requests.is_empty() {
                world.take(StreamStep::Request).expect("one at a time");
            }
        }
        use ResourceType::{Cluster, Route};
        // The passthrough cluster, and both nodes' until the routes have moved.
        assert_eq!(seen, [(Cluster, 3), (Route, 1), (Cluster, 2)]);
    }
}

#[test]
fn a_refused_answer_is_not_sent_again_and_its_text_stands_until_the_target_changes() {
    for variant in VARIANTS {
        let mut world = settled(variant, &weights(0b0001));
        let push = |world: &mut StreamWorld, shape: &Shape| {
            world.view = mesh(shape, "host");
            let target = snapshot(&world.view);
            world.answers.extend(world.stream.handle(StreamEvent::Target(target)));
        };
        push(&mut world, &weights(0b0011));
        world.take(StreamStep::Answer(0)).expect("clusters are taken");
        world.take(StreamStep::Request).expect("and acknowledged");
        world.take(StreamStep::Answer(0xff)).expect("routes are refused");
        world.take(StreamStep::Request).expect("and that is reported");
        assert!(world.answers.is_empty(), "{:?}", world.answers);
        let nacks: Vec<_> = world.stream.nacks().map(|nack| (nack.kind, &*nack.message)).collect();
        assert_eq!(nacks, [(ResourceType::Route, "refused")]);
        assert!(!world.stream.is_current());
        // The same input: nothing is sent.
        push(&mut world, &weights(0b0011));
        assert!(world.answers.is_empty());
        // Back to what it had: the parts that it may have taken are taken back.
        push(&mut world, &weights(0b0001));
        world.settle().expect("it settles");
        assert_eq!(world.stream.nacks().count(), 0);
        world.assert_converged().expect("it runs the old target");
    }
}

/// What a change made to be reported or searched for is not reported or searched for again when a proxy repeats itself.
#[test]
fn requests_that_say_nothing_new_count_as_no_change() {
    for variant in VARIANTS {
        let mut world = settled(variant, &weights(0b0001));
        let before = world.stream.changes();
        let request = |world: &StreamWorld, kind, nonce: &str, error: Option<&str>| {
            let request = world.proxy.request(kind, error.map(str::to_owned));
            StreamEvent::Request(Request { nonce: nonce.to_owned(), ..request })
        };
        for kind in KINDS {
            let last = world.proxy.nonces[&kind].clone();
            for (nonce, error) in
                [("zzz", None), ("zzz", Some("no")), ("", None), (&last, None), (&last, Some("no"))]
            {
                let event = request(&world, kind, nonce, error);
                assert!(world.stream.handle(event).is_empty());
            }
        }
        assert_eq!(world.stream.changes(), before);
        assert_eq!(world.stream.nacks().count(), 0);
        let target = snapshot(&mesh(&weights(0b0011), "host"));
        world.stream.handle(StreamEvent::Target(target));
        assert_eq!(world.stream.changes(), before + 1);
    }
}

#[test]
fn a_stale_nonce_changes_nothing() {
    for variant in VARIANTS {
        let mut world = settled(variant, &weights(0b0001));
        let stale =
            Request { nonce: "999".into(), ..world.proxy.request(ResourceType::Cluster, Some("no".into())) };
        assert!(world.stream.handle(StreamEvent::Request(stale)).is_empty());
        assert!(world.stream.is_current());
    }
}

#[test]
fn a_restart_while_routes_are_refused_keeps_the_clusters_that_the_last_good_ones_need() {
    for variant in VARIANTS {
        let mut world = settled(variant, &weights(0b0011));
        world.view = mesh(&weights(0b0100), "host");
        let target = snapshot(&world.view);
        world.answers.extend(world.stream.handle(StreamEvent::Target(target)));
        for refuse in [0, 0xff] {
            world.take(StreamStep::Answer(refuse)).expect("nothing dangles");
            world.take(StreamStep::Request).expect("one at a time");
        }
        world.reopen(Unsettled::new());
        let mut refused = 0;
        while !world.answers.is_empty() || !world.requests.is_empty() {
            while !world.requests.is_empty() {
                world.take(StreamStep::Request).expect("one at a time");
            }
            if let Some(answer) = world.answers.front() {
                let routes = answer.kind == ResourceType::Route;
                refused += usize::from(routes);
                world.take(StreamStep::Answer(if routes { 0xff } else { 0 })).expect("nothing dangles");
            }
        }
        assert_eq!(refused, 1, "what is refused is sent once per stream");
        world.proxy.check().expect("the last good routes have their clusters");
    }
}

#[test]
fn an_acknowledgement_that_is_long_overdue_holds_up_nothing_that_does_not_depend_on_it() {
    for variant in VARIANTS {
        let mut world =
            settled(variant, &Shape { services: vec![(false, 0b0001), (false, 0b0010)], logged: false });
        // A new cluster that does not get warm, so its answer is not acknowledged.
        world.view = mesh(&Shape { services: vec![(false, 0b0101), (false, 0b0010)], logged: false }, "host");
        let target = snapshot(&world.view);
        let sent = world.stream.handle(StreamEvent::Target(target));
        assert_eq!(sent.len(), 1);
        // Then a change that needs no new cluster.
        world.view = mesh(&Shape { services: vec![(false, 0b0001), (false, 0b0011)], logged: false }, "host");
        let target = snapshot(&world.view);
        assert!(world.stream.handle(StreamEvent::Target(target)).is_empty(), "one type at a time");
        let sent = world.stream.handle(StreamEvent::Overdue);
        assert!(
            sent.iter().any(|send| send.kind == ResourceType::Cluster || send.kind == ResourceType::Route)
        );
    }
}

#[test]
fn an_answer_beyond_grpcs_limit_is_refused_here_and_says_so() {
    for variant in VARIANTS {
        let long = "x".repeat(250);
        let mut objects: Vec<(String, Value)> = vec![(
            "virtualRouter/r".into(),
            json!({"listeners": [{"portMapping": {"port": 80, "protocol": "http2"}}]}),
        )];
        let header = |index: usize| json!({"name": format!("h{index}"), "match": {"exact": long}});
        let headers: Vec<Value> = (0..10).map(header).collect();
        for index in 0..2000 {
            let matcher = json!({"prefix": format!("/{index}"), "headers": headers});
            let action = json!({"weightedTargets": [{"virtualNode": "n", "weight": 1}]});
            let route = json!({"http2Route": {"action": action, "match": matcher}});
            objects.push((format!("virtualRouter/r/route/x{index}"), route));
        }
        let listener = json!([{"portMapping": {"port": 80, "protocol": "http2"}}]);
        objects.push((
            "virtualNode/n".into(),
            json!({"listeners": listener, "serviceDiscovery": {"dns": {"hostname": "n"}}}),
        ));
        objects.push((
            "virtualService/s".into(),
            json!({"provider": {"virtualRouter": {"virtualRouterName": "r"}}}),
        ));
        objects.push((
            "virtualNode/client".into(),
            json!({"backends": [{"virtualService": {"virtualServiceName": "s"}}]}),
        ));
        let objects: Vec<(&str, Value)> =
            objects.iter().map(|(path, spec)| (path.as_str(), spec.clone())).collect();
        let view = view(&objects);
        let mut world = settled(variant, &weights(0));
        world.view = view;
        let target = snapshot(&world.view);
        world.answers.extend(world.stream.handle(StreamEvent::Target(target)));
        world.settle().expect("the other types go on");
        let messages: Vec<_> = world.stream.nacks().map(|nack| nack.message.clone()).collect();
        assert_eq!(messages.len(), 1);
        assert!(messages[0].contains("more than the 4194304 that gRPC clients accept"), "{messages:?}");
    }
}
