//! Isolation, checked with proxies that refuse whatever is bad, as Envoy does: in words that say nothing, or that quote it.

use std::collections::VecDeque;

use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::route::v3::route_match::PathSpecifier;
use envoy_types::pb::google::protobuf::Any;
use proptest::prelude::*;
use prost::Message;
use serde_json::{Value, json};

use super::*;
use crate::ads::isolation::part::configuration;
use crate::ads::stream::{Interest, Request, Send, Stream, StreamEvent, Unsettled, Variant};
use crate::cloud_map::Discovered;
use crate::snapshot::ResourceSet;
use crate::testing::{node, record, view};
use crate::view::MeshView;

mod cases;
mod crowd;
mod differing;
mod properties;

/// What a spec says: a number, and whether Envoy refuses it.
type Said = (u32, bool);

/// What is in force of a spec at a proxy: the number of its version, none when there is nothing.
type Runs = Option<u32>;

/// A mesh of services, each with a route and a node of its own, and what their specs say.
#[derive(Clone, Debug)]
struct Services {
    routes: Vec<Said>,
    nodes: Vec<Said>,
    revision: u32,
    view: MeshView,
}

fn word((number, bad): Said) -> String {
    format!("{}-{number}-end", if bad { "bad" } else { "good" })
}

fn route_of(said: Said, index: usize) -> Value {
    let action = json!({"weightedTargets": [{"virtualNode": format!("n{index}"), "weight": 1}]});
    json!({"http2Route": {"match": {"path": {"regex": format!("/{}", word(said))}}, "action": action}})
}

fn node_of(said: Said) -> Value {
    let listeners = json!([{"portMapping": {"port": 80, "protocol": "http2"}}]);
    json!({"listeners": listeners, "serviceDiscovery": {"dns": {"hostname": word(said)}}})
}

impl Services {
    fn new(count: usize) -> Self {
        let said = vec![(0, false); count];
        let mut objects: Vec<(String, Value)> = Vec::new();
        let mut backends = Vec::new();
        for index in 0..count {
            let port = 8000 + index % 2;
            let listeners = json!([{"portMapping": {"port": port, "protocol": "http2"}}]);
            objects.push((format!("virtualRouter/r{index}"), json!({"listeners": listeners})));
            objects.push((format!("virtualRouter/r{index}/route/x"), route_of((0, false), index)));
            objects.push((format!("virtualNode/n{index}"), node_of((0, false))));
            let provider = json!({"virtualRouter": {"virtualRouterName": format!("r{index}")}});
            objects.push((format!("virtualService/s{index}.local"), json!({"provider": provider})));
            let backend = json!({"virtualServiceName": format!("s{index}.local")});
            backends.push(json!({"virtualService": backend}));
        }
        objects.push(("virtualNode/client".into(), json!({"backends": backends})));
        let objects: Vec<(&str, Value)> =
            objects.iter().map(|(path, spec)| (path.as_str(), spec.clone())).collect();
        Self { routes: said.clone(), nodes: said, revision: 0, view: view(&objects) }
    }

    /// Puts what these say; none leaves a spec as it is.
    fn put(&mut self, change: &Change) {
        self.revision += 1;
        for index in 0..self.routes.len() {
            if let Some(bad) = change.routes.get(index).copied().flatten() {
                self.routes[index] = (self.revision, bad);
                let path = format!("virtualRouter/r{index}/route/x");
                self.commit(&path, &route_of(self.routes[index], index));
            }
            if let Some(bad) = change.nodes.get(index).copied().flatten() {
                self.nodes[index] = (self.revision, bad);
                self.commit(&format!("virtualNode/n{index}"), &node_of(self.nodes[index]));
            }
        }
    }

    fn commit(&mut self, path: &str, spec: &Value) {
        let record = record(path, spec, i64::from(self.revision) + 1);
        self.view.resources.insert(record.id.clone(), record);
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        Arc::new(Snapshot::build(&self.view, &Discovered::default(), &node("client")).expect("a snapshot"))
    }

    /// The objects that are bad now.
    fn bad(&self) -> BTreeSet<ResourceId> {
        let bad = |said: &[Said], id: fn(usize) -> ResourceId| -> Vec<ResourceId> {
            let all = said.iter().enumerate();
            all.filter(|(_, (_, bad))| *bad).map(|(index, _)| id(index)).collect()
        };
        let routes = bad(&self.routes, |index| ResourceId::route("apps", format!("r{index}"), "x"));
        let nodes = bad(&self.nodes, |index| node(&format!("n{index}")));
        routes.into_iter().chain(nodes).collect()
    }
}

/// What becomes of the specs, by service: `Some(true)` is bad.
#[derive(Clone, Debug)]
struct Change {
    routes: Vec<Option<bool>>,
    nodes: Vec<Option<bool>>,
}

const VARIANTS: [Variant; 2] = [Variant::StateOfTheWorld, Variant::Delta];

/// A proxy, its stream, and what is on the way to it.
struct Envoy {
    variant: Variant,
    stream: Stream,
    following: Following,
    runs: BTreeMap<ResourceType, BTreeMap<String, Arc<Resource>>>,
    accepted: BTreeMap<ResourceType, String>,
    /// In delta: the versions of the last answers that it accepted, of each resource.
    listed: BTreeMap<ResourceType, BTreeMap<String, String>>,
    nonces: BTreeMap<ResourceType, String>,
    inbox: VecDeque<Send>,
    /// Whether its words quote what it refuses.
    quotes: bool,
    /// Whether it is of a version that can read everything.
    tolerant: bool,
    /// The ports whose routes it subscribes to.
    ports: Vec<u16>,
    answers: usize,
}

impl Envoy {
    /// Its number among those of its node.
    fn number(&self) -> u64 {
        self.following.number()
    }

    /// What it says of the last answer of a type.
    fn request(&self, kind: ResourceType, error: Option<String>) -> Request {
        let nonce = self.nonces.get(&kind).cloned().unwrap_or_default();
        let interest = match self.variant {
            Variant::StateOfTheWorld => self.opening(kind),
            Variant::Delta => {
                Interest::Change { subscribe: Vec::new(), unsubscribe: Vec::new(), versions: BTreeMap::new() }
            }
        };
        Request { kind, nonce, error, interest }
    }

    /// What it says of a type when it connects.
    fn opening(&self, kind: ResourceType) -> Interest {
        let names = if kind == ResourceType::Route { routes_on(&self.ports) } else { Vec::new() };
        match self.variant {
            Variant::StateOfTheWorld => {
                let version = self.accepted.get(&kind).cloned().unwrap_or_default();
                Interest::Whole { version, names, recalled: ResourceSet::new() }
            }
            Variant::Delta => {
                let versions = self.listed.get(&kind).cloned().unwrap_or_default();
                Interest::Change { subscribe: names, unsubscribe: Vec::new(), versions }
            }
        }
    }

    /// Applies what is good of an answer; what it says of it.
    fn take(&mut self, answer: &Send) -> Request {
        self.answers += 1;
        let kind = answer.kind;
        self.nonces.insert(kind, answer.nonce.clone());
        let all = || answer.content.resources.values().cloned().collect();
        let resources: Vec<Arc<Resource>> =
            answer.changes.as_ref().map_or_else(all, |changes| changes.resources.clone());
        let runs = self.runs.entry(kind).or_default();
        let mut error = None;
        for resource in &resources {
            let is_bad = |word: &String| word.trim_start_matches('/').starts_with("bad") && !self.tolerant;
            match words(kind, resource).into_iter().find(is_bad) {
                Some(word) if self.quotes => error = Some(format!("cannot read {word}")),
                Some(_) => error = Some("no".to_owned()),
                None => _ = runs.insert(resource.name.clone(), Arc::clone(resource)),
            }
        }
        for removed in answer.changes.iter().flat_map(|changes| &changes.removed) {
            runs.remove(removed);
        }
        if error.is_none() {
            if kind.is_complete() && answer.changes.is_none() {
                runs.retain(|name, _| answer.content.resources.contains_key(name));
            }
            self.accepted.insert(kind, answer.content.version.clone());
            let listed = self.listed.entry(kind).or_default();
            listed.extend(resources.iter().map(|one| (one.name.clone(), one.version.clone())));
            for removed in answer.changes.iter().flat_map(|changes| &changes.removed) {
                listed.remove(removed);
            }
        }
        self.request(kind, error)
    }

    /// The numbers of what it runs of all routes.
    fn routes(&self, count: usize) -> Vec<Runs> {
        (0..count).map(|index| self.route(index)).collect()
    }

    /// The number of what it runs of a route.
    fn route(&self, index: usize) -> Runs {
        let routes = self.runs.get(&ResourceType::Route)?;
        let table = routes.get(&format!("rds_egress_http2_{}", 8000 + index % 2))?;
        let hosts = configuration(ResourceType::Route, table)?.virtual_hosts;
        let host = hosts.into_iter().find(|host| host.name == format!("s{index}.local"))?;
        number(&regexes(&host).pop()?)
    }

    /// The same of the cluster of a node; one that leads nowhere is none.
    fn cluster(&self, index: usize) -> Runs {
        let clusters = self.runs.get(&ResourceType::Cluster)?;
        number(
            words(ResourceType::Cluster, clusters.get(&format!("cds_egress_apps_n{index}_http2_80"))?)
                .first()?,
        )
    }
}

/// The names of the routes of these ports.
fn routes_on(ports: &[u16]) -> Vec<String> {
    ports.iter().map(|port| format!("rds_egress_http2_{port}")).collect()
}

fn number(word: &str) -> Runs {
    word.split('-').nth(1)?.parse().ok()
}

fn regexes(host: &envoy_types::pb::envoy::config::route::v3::VirtualHost) -> Vec<String> {
    let matches = host.routes.iter().filter_map(|route| route.r#match.as_ref()?.path_specifier.as_ref());
    let regexes = matches.filter_map(|path| match path {
        PathSpecifier::SafeRegex(regex) => Some(regex.regex.clone()),
        _ => None,
    });
    regexes.collect()
}

/// The words of specs in a resource.
fn words(kind: ResourceType, resource: &Resource) -> Vec<String> {
    match kind {
        ResourceType::Route => {
            let hosts = configuration(kind, resource).expect("routes").virtual_hosts;
            hosts.iter().flat_map(regexes).collect()
        }
        ResourceType::Cluster => {
            let any = Any::decode(resource.body().clone()).expect("an Any");
            let cluster = Cluster::decode(any.value.as_slice()).expect("a cluster");
            let text = format!("{:?}", cluster.load_assignment);
            let found = text.split('"').filter(|word| word.ends_with("-end"));
            found.map(str::to_owned).collect()
        }
        _ => Vec::new(),
    }
}

fn follow(isolation: &Isolation, number: u64) -> Following {
    Following::new(Offer::of(isolation), number)
}

/// A control plane and the proxies of one node.
struct World {
    services: Services,
    isolation: Isolation,
    envoys: Vec<Envoy>,
    /// How many streams there were.
    streams: u64,
    /// What should be in force of each route and each node.
    expected: (Vec<Runs>, Vec<Runs>),
}

impl World {
    fn new(variant: Variant, count: usize, envoys: &[bool]) -> Self {
        Self::mixed(&vec![variant; envoys.len()], count, envoys)
    }

    /// The same of proxies that each speak a variant of their own.
    fn mixed(variants: &[Variant], count: usize, envoys: &[bool]) -> Self {
        let services = Services::new(count);
        let isolation = Isolation::new(services.snapshot());
        let envoys = envoys.iter().zip(variants.iter().cycle()).map(|(quotes, variant)| Envoy {
            variant: *variant,
            stream: Stream::new(*variant, Arc::clone(isolation.served())),
            following: follow(&isolation, 0),
            runs: BTreeMap::new(),
            accepted: BTreeMap::new(),
            listed: BTreeMap::new(),
            nonces: BTreeMap::new(),
            inbox: VecDeque::new(),
            quotes: *quotes,
            tolerant: false,
            ports: vec![8000, 8001],
            answers: 0,
        });
        let envoys = envoys.collect::<Vec<_>>();
        let none = vec![None; count];
        let mut world = Self { services, isolation, envoys, streams: 0, expected: (none.clone(), none) };
        for index in 0..world.envoys.len() {
            world.connect(index, false);
        }
        world
    }

    /// Opens a stream; a proxy that starts anew has nothing.
    fn connect(&mut self, index: usize, keeps: bool) {
        let unsettled = self.envoys[index].stream.unsettled();
        self.connect_after(index, keeps, unsettled);
    }

    /// The same to a control plane that remembers this of its last stream.
    fn connect_after(&mut self, index: usize, keeps: bool, unsettled: Unsettled) {
        let envoy = &mut self.envoys[index];
        self.isolation.pass_over(envoy.number());
        self.streams += 1;
        envoy.following = follow(&self.isolation, self.streams);
        envoy.stream = Stream::new(envoy.variant, Arc::clone(envoy.following.target())).after(unsettled);
        envoy.nonces.clear();
        envoy.inbox.clear();
        if !keeps {
            envoy.runs.clear();
            envoy.accepted.clear();
            envoy.listed.clear();
        }
        for kind in [ResourceType::Cluster, ResourceType::Listener, ResourceType::Route] {
            let interest = self.envoys[index].opening(kind);
            self.request(index, Request { kind, nonce: String::new(), error: None, interest });
        }
    }

    /// The control plane starts anew: proxies connect again with what they have, but `anew`, which has nothing.
    fn restart(&mut self, anew: Option<usize>) {
        let memory = self.isolation.memory(&BTreeSet::new());
        self.isolation = Isolation::new(self.services.snapshot());
        if let Some(memory) = memory {
            self.isolation.remember(&memory).expect("it can be read");
        }
        for index in 0..self.envoys.len() {
            self.connect_after(index, anew != Some(index), Unsettled::new());
        }
    }

    fn request(&mut self, index: usize, request: Request) {
        let sends = self.envoys[index].stream.handle(StreamEvent::Request(request));
        self.envoys[index].inbox.extend(sends);
        for verdict in self.envoys[index].stream.take_verdicts() {
            self.envoys[index].following.note(&verdict);
            let standing = self.standing(index);
            self.isolation.judge(&verdict, standing);
        }
        self.publish();
    }

    fn standing(&self, index: usize) -> Standing {
        let mut others = self.envoys.iter().enumerate().filter(|(other, _)| *other != index);
        let others_refuse = others.any(|(_, envoy)| envoy.following.is_wary());
        let envoy = &self.envoys[index];
        Standing { proxy: envoy.number(), refuses: envoy.following.is_wary(), others_refuse }
    }

    /// Takes a proxy away.
    fn disconnect(&mut self, index: usize) -> Envoy {
        let envoy = self.envoys.remove(index);
        self.isolation.pass_over(envoy.number());
        envoy
    }

    fn publish(&mut self) {
        while (0..self.envoys.len()).any(|index| self.publish_to(index)) {}
    }

    /// Says whether others are to be sent something else because of that.
    fn publish_to(&mut self, index: usize) -> bool {
        let mut passed_over = false;
        self.envoys[index].following.turn(Offer::of(&self.isolation));
        loop {
            let standing = self.standing(index);
            let Envoy { stream, following, inbox, .. } = &mut self.envoys[index];
            if stream.is_current() {
                self.isolation.runs(stream.target(), standing);
                following.settle(&Arc::clone(stream.target()));
                if standing.refuses && !following.is_wary() {
                    passed_over |= self.isolation.pass_over(following.number());
                    following.turn(Offer::of(&self.isolation));
                }
            }
            following.note_held_up(stream.is_held_up());
            if stream.is_held_up() && following.is_tester() {
                passed_over |= self.isolation.pass_over(following.number());
                following.turn(Offer::of(&self.isolation));
            }
            let target = Arc::clone(following.target());
            if Arc::ptr_eq(&target, stream.target()) {
                if !following.is_tester() || stream.awaits() {
                    break;
                }
                passed_over |= self.isolation.pass_over(following.number());
                following.turn(Offer::of(&self.isolation));
                continue;
            }
            inbox.extend(stream.handle(StreamEvent::Target(target)));
        }
        passed_over
    }

    fn put(&mut self, change: &Change) {
        self.services.put(change);
        self.isolation.retarget(self.services.snapshot());
        self.publish();
    }

    /// Lets the proxies answer, in an order that `order` draws, until none has anything to say.
    fn settle(&mut self, order: &[u8]) {
        let mut turns = order.iter().copied().map(usize::from).chain(0..);
        let mut left = 5000;
        while self.envoys.iter().any(|envoy| !envoy.inbox.is_empty()) {
            let index = turns.next().unwrap_or_default() % self.envoys.len();
            if let Some(answer) = self.envoys[index].inbox.pop_front() {
                let request = self.envoys[index].take(&answer);
                self.request(index, request);
            }
            left -= 1;
            assert!(left > 0, "no end");
        }
        let said =
            [(&self.services.routes, &mut self.expected.0), (&self.services.nodes, &mut self.expected.1)];
        for (said, expected) in said {
            for ((number, bad), expected) in said.iter().zip(expected) {
                if !bad {
                    *expected = Some(*number);
                }
            }
        }
    }

    /// Whatever is good is in force everywhere, whatever is bad is as it last was, and that is what is reported.
    fn check(&self) -> Result<(), TestCaseError> {
        for envoy in &self.envoys {
            let all = 0..self.services.routes.len();
            let routes: Vec<Runs> = all.clone().map(|index| envoy.route(index)).collect();
            let nodes: Vec<Runs> = all.map(|index| envoy.cluster(index)).collect();
            prop_assert_eq!((&routes, &nodes), (&self.expected.0, &self.expected.1));
            prop_assert!(envoy.stream.is_current());
            prop_assert_eq!(envoy.stream.nacks().count(), 0);
            prop_assert_eq!(envoy.following.refuses(), !self.services.bad().is_empty());
        }
        prop_assert!(self.isolation.searching().is_empty());
        let blamed: BTreeSet<ResourceId> =
            self.isolation.rejections().into_iter().flat_map(|rejection| rejection.objects).collect();
        let bad = self.services.bad();
        prop_assert_eq!(&blamed, &bad);
        for (id, record) in &self.isolation.target().objects {
            prop_assert_eq!(self.isolation.served().contains(record), !bad.contains(id), "{}", id);
        }
        Ok(())
    }

    fn answers(&self) -> usize {
        self.envoys.iter().map(|envoy| envoy.answers).sum()
    }
}
