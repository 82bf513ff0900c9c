//! What is kept equals what would be computed anew, whatever happened before; and an acknowledgement touches no more in a large mesh
//! than in a small one.

use std::cell::{Ref, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use fleetmesh_api::distribution::{DistributionAnswer, ObjectStatus, Token};
use fleetmesh_api::examples;
use fleetmesh_model::{Account, MeshName, ResourceId};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::scratch::statuses;
use super::{HolderVoice, NodeRejection, Progress, Proxies, Reading};
use crate::cloud_map::{Discovered, Discovery, ServiceName};
use crate::form::Forms;
use crate::holder::Holder;
use crate::snapshot::Snapshot;
use crate::testing::{node, record, view};
use crate::view::{MeshView, Record};

const NODES: [&str; 3] = ["a", "b", "c"];
const OBJECTS: [&str; 9] = [
    "virtualNode/a",
    "virtualNode/b",
    "virtualNode/c",
    "virtualService/s.local",
    "virtualService/t.local",
    "virtualRouter/r",
    "virtualRouter/r/route/x",
    "virtualRouter/r/route/y",
    "",
];

/// One of four specs of an object, most of which bear on others.
fn spec(path: &str, variant: usize) -> Value {
    let mapping = |port: u16, protocol: &str| json!({"portMapping": {"port": port, "protocol": protocol}});
    let backends: Vec<Value> = ["s.local", "S.local", "t.local"]
        .iter()
        .map(|name| json!({"virtualService": {"virtualServiceName": name}}))
        .collect();
    let cloud_map = json!({"awsCloudMap": {"namespaceName": "apps", "serviceName": "n"}});
    let dns = json!({"dns": {"hostname": "n.local"}});
    let route = |target: &str, member: &str| {
        let action = json!({"weightedTargets": [{"virtualNode": target, "weight": 1}, {"virtualNode": "b", "weight": 2}]});
        let matches = if member == "tcpRoute" { json!({}) } else { json!({"prefix": "/"}) };
        json!({member: {"action": action, "match": matches}})
    };
    match (path.split('/').next().unwrap_or_default(), variant) {
        ("virtualNode", 0) => json!({"listeners": [mapping(80, "http")], "serviceDiscovery": dns}),
        ("virtualNode", 1) => {
            json!({"listeners": [mapping(80, "tcp")], "serviceDiscovery": cloud_map, "backends": backends})
        }
        ("virtualNode", 2) => {
            json!({"listeners": [mapping(80, "http")], "serviceDiscovery": dns, "backends": backends})
        }
        ("virtualNode", _) => json!({"backends": backends}),
        ("virtualService", 0) => json!({"provider": {"virtualRouter": {"virtualRouterName": "r"}}}),
        ("virtualService", 1) => json!({"provider": {"virtualNode": {"virtualNodeName": "a"}}}),
        ("virtualService", 2) => json!({"provider": {"virtualNode": {"virtualNodeName": "c"}}}),
        ("virtualService", _) => json!({}),
        ("virtualRouter", variant) if path.contains("/route/") => match variant {
            0 => route("a", "httpRoute"),
            1 => route("c", "httpRoute"),
            2 => route("a", "tcpRoute"),
            _ => route("gone", "httpRoute"),
        },
        ("virtualRouter", 0 | 1) => json!({"listeners": [mapping(80, "http")]}),
        ("virtualRouter", _) => json!({"listeners": [mapping(80, "tcp")]}),
        (_, 0) => json!({}),
        (_, _) => json!({"egressFilter": {"type": "ALLOW_ALL"}}),
    }
}

/// Something that happens to a control plane. Numbers pick one of what there is.
#[derive(Clone, Debug)]
enum Op {
    Put(usize, usize),
    Delete(usize),
    Publish,
    Target(usize),
    Connect(usize, usize, usize),
    Disconnect(usize),
    Acknowledge(usize),
    AcknowledgeOld(usize, usize),
    Refuse(usize, usize),
    Report(usize, usize),
    ReportNoMore(usize),
    Keep(usize),
    Discover(usize),
    Read,
}

fn op() -> impl Strategy<Value = Op> {
    let any = 0..64_usize;
    prop_oneof![
        3 => (0..OBJECTS.len(), 0..4_usize).prop_map(|(object, variant)| Op::Put(object, variant)),
        1 => (0..OBJECTS.len() - 1).prop_map(Op::Delete),
        2 => Just(Op::Publish),
        2 => (0..NODES.len()).prop_map(Op::Target),
        3 => (0..NODES.len(), 0..3_usize, 0..3_usize)
            .prop_map(|(node, holder, instance)| Op::Connect(node, holder, instance)),
        1 => any.clone().prop_map(Op::Disconnect),
        4 => any.clone().prop_map(Op::Acknowledge),
        2 => (any.clone(), any.clone()).prop_map(|(proxy, old)| Op::AcknowledgeOld(proxy, old)),
        2 => (any.clone(), any.clone()).prop_map(|(proxy, objects)| Op::Refuse(proxy, objects)),
        1 => (0..NODES.len(), 0..3_usize).prop_map(|(node, holder)| Op::Report(node, holder)),
        1 => any.clone().prop_map(Op::ReportNoMore),
        1 => any.prop_map(Op::Keep),
        1 => (0..3_usize).prop_map(Op::Discover),
        4 => Just(Op::Read),
    ]
}

/// The distribution of the mesh `apps` to one reader.
struct Distribution {
    proxies: RefCell<Proxies>,
    reading: RefCell<Reading>,
}

impl Distribution {
    fn new() -> Rc<Self> {
        Rc::new(Self { proxies: RefCell::default(), reading: RefCell::new(Reading::new("this".into())) })
    }

    fn connect(
        this: &Rc<Self>,
        node: &ResourceId,
        holder: Option<Holder>,
        instance: Option<String>,
    ) -> Connected {
        let (stream, _) = this.proxies.borrow_mut().connect(node, holder, instance);
        Connected { distribution: Rc::clone(this), node: node.clone(), stream }
    }

    fn reports(
        this: &Rc<Self>,
        node: &ResourceId,
        holder: Option<Holder>,
        snapshot: Arc<Snapshot>,
    ) -> Reports {
        let voice = this.proxies.borrow_mut().reports(node, holder, snapshot);
        Reports { distribution: Rc::clone(this), node: node.clone(), voice }
    }

    fn target(&self, node: &ResourceId, target: Option<Arc<Snapshot>>) {
        self.proxies.borrow_mut().target(node, target);
    }

    fn read(
        &self,
        view: &Arc<MeshView>,
        discovered: &Discovered,
        after: Option<&Token>,
    ) -> DistributionAnswer {
        let mut reading = self.reading.borrow_mut();
        let changed = reading.enter(view, discovered);
        let statuses = self.proxies.borrow_mut().statuses(&"apps".into(), view, &reading, changed);
        reading.note(statuses);
        reading.answer("apps", after)
    }

    fn proxies(&self) -> Ref<'_, Proxies> {
        self.proxies.borrow()
    }
}

/// A connected proxy, as long as it lives.
struct Connected {
    distribution: Rc<Distribution>,
    node: ResourceId,
    stream: u64,
}

impl Connected {
    fn report(&self, progress: Progress) {
        self.distribution.proxies.borrow_mut().progress(&self.node, self.stream, progress);
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.distribution.proxies.borrow_mut().disconnect(&self.node, self.stream);
    }
}

/// A proxy that reports its load, as long as it lives.
struct Reports {
    distribution: Rc<Distribution>,
    node: ResourceId,
    voice: HolderVoice,
}

impl Drop for Reports {
    fn drop(&mut self) {
        self.distribution.proxies.borrow_mut().reports_no_more(&self.node, self.voice);
    }
}

/// One of two holders of certificates, or none.
fn holder(which: usize) -> Option<Holder> {
    [[1; 32], [2; 32]].get(which).copied()
}

fn service() -> ServiceName {
    ServiceName { namespace_name: "apps".into(), service_name: "n".into() }
}

struct ReportingProxy {
    connected: Connected,
    node: ResourceId,
    progress: Progress,
}

/// A distribution, and what happened around it.
struct DistributionWorld {
    distribution: Rc<Distribution>,
    newest: MeshView,
    view: Arc<MeshView>,
    discovered: Discovered,
    proxies: Vec<ReportingProxy>,
    reports: Vec<Reports>,
    snapshots: Vec<Arc<Snapshot>>,
    /// What a reader knows that was given only what changed.
    known: BTreeMap<String, ObjectStatus>,
    token: Option<Token>,
}

impl DistributionWorld {
    fn new() -> Self {
        let newest = view(&[]);
        Self {
            distribution: Distribution::new(),
            view: Arc::new(newest.clone()),
            newest,
            discovered: Discovered::default(),
            proxies: Vec::new(),
            reports: Vec::new(),
            snapshots: Vec::new(),
            known: BTreeMap::new(),
            token: None,
        }
    }

    fn snapshot(&mut self, id: &ResourceId) -> Option<Arc<Snapshot>> {
        let snapshot = Arc::new(Snapshot::build(&self.newest, &self.discovered, id)?);
        self.snapshots.push(Arc::clone(&snapshot));
        Some(snapshot)
    }

    fn target_of(&self, id: &ResourceId) -> Option<Arc<Snapshot>> {
        let proxies = self.distribution.proxies();
        let mut nodes = proxies.meshes.get(&"apps".into())?.nodes();
        nodes.find(|(of, _)| *of == id).and_then(|(_, node)| node.target.clone())
    }

    fn happen(&mut self, op: &Op) {
        match *op {
            Op::Put(object, variant) => {
                let next = self.newest.revision as i64 + 1;
                let record = record(OBJECTS[object], &spec(OBJECTS[object], variant), next);
                self.newest.resources.insert(record.id.clone(), record);
                self.newest.revision += 1;
            }
            Op::Delete(object) => {
                let id = ResourceId::parse(&format!("mesh/apps/{}", OBJECTS[object])).expect("a resource");
                self.newest.resources.remove(&id);
                self.newest.revision += 1;
            }
            Op::Publish => self.view = Arc::new(self.newest.clone()),
            Op::Target(of) => {
                let target = self.snapshot(&node(NODES[of]));
                self.distribution.target(&node(NODES[of]), target);
            }
            Op::Connect(of, who, instance) => {
                let instance = ["i-1", "i-2"].get(instance).map(|name| (*name).to_owned());
                let node = node(NODES[of]);
                let connected = Distribution::connect(&self.distribution, &node, holder(who), instance);
                self.proxies.push(ReportingProxy { connected, node, progress: Progress::default() });
            }
            Op::Disconnect(proxy) => {
                if !self.proxies.is_empty() {
                    self.proxies.remove(proxy % self.proxies.len());
                }
            }
            Op::Acknowledge(_) | Op::AcknowledgeOld(..) | Op::Refuse(..) => self.answer(op),
            Op::Report(of, who) => {
                let id = node(NODES[of]);
                if let Some(snapshot) = self.snapshot(&id) {
                    let reports = Distribution::reports(&self.distribution, &id, holder(who), snapshot);
                    self.reports.push(reports);
                }
            }
            Op::ReportNoMore(one) => {
                if !self.reports.is_empty() {
                    self.reports.remove(one % self.reports.len());
                }
            }
            Op::Keep(which) => {
                let followed = |id: &ResourceId| {
                    let connected = self.proxies.iter().any(|proxy| proxy.node == *id);
                    connected || NODES.iter().position(|name| node(name) == *id) == Some(which % 4)
                };
                self.distribution.proxies.borrow_mut().keep(followed);
            }
            Op::Discover(outcome) => {
                let outcome = match outcome {
                    0 => Some(Discovery::Failed("throttled".into())),
                    1 => Some(Discovery::Instances(Arc::default())),
                    _ => None,
                };
                self.discovered = outcome.map(|outcome| (service(), outcome)).into_iter().collect();
            }
            Op::Read => self.read(),
        }
    }

    /// A proxy answers.
    fn answer(&mut self, op: &Op) {
        let (Op::Acknowledge(proxy) | Op::AcknowledgeOld(proxy, _) | Op::Refuse(proxy, _)) = *op else {
            return;
        };
        let count = self.proxies.len();
        if count == 0 {
            return;
        }
        let target = self.target_of(&self.proxies[proxy % count].node);
        let ReportingProxy { connected, progress, .. } = &mut self.proxies[proxy % count];
        match *op {
            Op::AcknowledgeOld(_, old) if !self.snapshots.is_empty() => {
                progress.acknowledged = Some(Arc::clone(&self.snapshots[old % self.snapshots.len()]));
            }
            Op::Refuse(_, objects) => {
                let blamed = |bits: usize| -> BTreeSet<ResourceId> {
                    let ids = OBJECTS.iter().enumerate().filter(|(index, _)| bits >> index & 1 == 1);
                    let resource = |path: &str| format!("mesh/apps/{path}").trim_end_matches('/').to_owned();
                    ids.map(|(_, path)| ResourceId::parse(&resource(path)).expect("a resource")).collect()
                };
                let rejection =
                    |bits, message: &str| NodeRejection { objects: blamed(bits), message: message.into() };
                progress.rejections = vec![rejection(objects, "no"), rejection(objects * 5, "no, either")];
            }
            _ => {
                progress.acknowledged = target;
                progress.rejections.clear();
            }
        }
        connected.report(progress.clone());
    }

    /// Reads everything, and what changed, and compares both with what is worked out anew.
    fn read(&mut self) {
        let read = |after: Option<&Token>| -> DistributionAnswer {
            self.distribution.read(&self.view, &self.discovered, after)
        };
        let (all, news) = (read(None), read(self.token.as_ref()));
        let proxies = self.distribution.proxies();
        let tally = proxies.meshes.get(&"apps".into()).expect("the mesh");
        let nodes: BTreeMap<_, _> = tally.nodes().collect();
        let anew = statuses(&self.view, &self.discovered, nodes.into_iter());
        assert_eq!(all.objects, anew.into_values().collect::<Vec<_>>());
        if news.complete {
            self.known.clear();
        }
        for gone in &news.removed {
            self.known.remove(gone);
        }
        let entered = news.objects.into_iter().map(|status| (status.resource.clone(), status));
        self.known.extend(entered);
        self.token = Some(news.token);
        let known: BTreeMap<_, _> =
            all.objects.into_iter().map(|status| (status.resource.clone(), status)).collect();
        assert_eq!(self.known, known, "a reader of changes knows the same");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_is_kept_is_what_would_be_worked_out_anew(ops in proptest::collection::vec(op(), 1..60)) {
        let mut world = DistributionWorld::new();
        for op in ops.iter().chain([&Op::Read, &Op::Publish, &Op::Read]) {
            world.happen(op);
        }
    }
}

/// A mesh of so many nodes with one proxy each, everything acknowledged and read.
fn mesh_of(nodes: usize) -> (Rc<Distribution>, Arc<MeshView>, Vec<Connected>) {
    let names: Vec<String> = (0..nodes).map(|number| format!("virtualNode/n{number}")).collect();
    let objects: Vec<(&str, Value)> =
        names.iter().map(|name| (name.as_str(), spec("virtualNode", 0))).collect();
    let view = Arc::new(view(&objects));
    let distribution = Distribution::new();
    let proxies = (0..nodes).map(|number| {
        let id = node(&format!("n{number}"));
        let target = Arc::new(Snapshot::build(&view, &Discovered::default(), &id).expect("a snapshot"));
        distribution.target(&id, Some(Arc::clone(&target)));
        let proxy = Distribution::connect(&distribution, &id, None, Some(format!("i-{number}")));
        proxy.report(Progress { acknowledged: Some(target), rejections: Vec::new() });
        proxy
    });
    let proxies = proxies.collect();
    distribution.read(&view, &Discovered::default(), None);
    (distribution, view, proxies)
}

#[test]
fn an_acknowledgement_touches_what_its_node_uses_whatever_the_size_of_the_mesh() {
    for nodes in [4, 64] {
        let (distribution, view, proxies) = mesh_of(nodes);
        let token = distribution.read(&view, &Discovered::default(), None).token;
        proxies[3].report(Progress::default());
        let touched = distribution.proxies().meshes[&"apps".into()].touched().clone();
        let expected = BTreeSet::from([ResourceId::mesh("apps"), node("n3")]);
        assert_eq!(touched, expected, "of {nodes} nodes");
        let news = distribution.read(&view, &Discovered::default(), Some(&token));
        assert_eq!((news.complete, news.objects.len()), (false, 2));
    }
}

/// The distribution of a mesh with the node `a`, what its proxies are to run, and what they ran before.
fn of_one_node() -> (Rc<Distribution>, Arc<MeshView>, [Arc<Snapshot>; 2]) {
    let object = |revision| record("virtualNode/a", &spec("virtualNode", 0), revision);
    let snapshots = [1, 2].map(|revision| {
        let mut view = view(&[]);
        let object = object(revision);
        view.resources.insert(object.id.clone(), object);
        (Arc::new(Snapshot::build(&view, &Discovered::default(), &node("a")).expect("a snapshot")), view)
    });
    let [(former, _), (present, view)] = snapshots;
    let distribution = Distribution::new();
    distribution.target(&node("a"), Some(Arc::clone(&present)));
    (distribution, Arc::new(view), [former, present])
}

/// Of node `a`: its proxies, those that run it, and the streams that are reported to refuse it.
fn said(distribution: &Distribution, view: &Arc<MeshView>) -> (i32, i32, Vec<String>) {
    let answer = distribution.read(view, &Discovered::default(), None);
    let status = answer.objects.iter().find(|status| status.resource == node("a").to_string()).expect("a");
    let refusing =
        status.rejected.iter().map(|one| one.proxy.rsplit('#').next().expect("a number").to_owned());
    (status.proxies, status.acknowledged, refusing.collect())
}

/// Four streams of one certificate were two proxies and more, as many as it takes to stop another team's release.
#[test]
fn all_streams_of_one_holder_count_as_one_proxy() {
    let (distribution, view, [former, present]) = of_one_node();
    let open = |holder: Option<Holder>| Distribution::connect(&distribution, &node("a"), holder, None);
    let refusing = |acknowledged: Option<&Arc<Snapshot>>| Progress {
        acknowledged: acknowledged.cloned(),
        rejections: vec![NodeRejection { objects: BTreeSet::from([node("a")]), message: "no".into() }],
    };
    let runs = || Progress { acknowledged: Some(Arc::clone(&present)), rejections: Vec::new() };
    let [mine, theirs] = [Some([1; 32]), Some([2; 32])];
    let proxy = open(theirs);
    proxy.report(runs());
    let attack = [mine; 4].map(open);
    assert_eq!(said(&distribution, &view), (2, 1, vec![]), "silent");
    attack.iter().for_each(|stream| stream.report(refusing(Some(&former))));
    let (proxies, acknowledged, refusals) = said(&distribution, &view);
    assert_eq!((proxies, acknowledged, refusals.len()), (2, 1, 1), "a refusal is reported once");
    // Nor by streams that report a load and get no configuration.
    let reports = [mine; 4]
        .map(|holder| Distribution::reports(&distribution, &node("a"), holder, Arc::clone(&present)));
    assert_eq!(said(&distribution, &view).0, 2);
    drop(reports);
    // The farthest of them counts: neither a refusal nor silence takes back what another runs.
    attack[2].report(runs());
    assert_eq!(said(&distribution, &view), (2, 2, vec![]));
    let late = open(mine);
    assert_eq!(said(&distribution, &view), (2, 2, vec![]));
    // That they lag is reported: they may still send requests with their old configuration.
    let lagging = || {
        let answer = distribution.read(&view, &Discovered::default(), None);
        answer.objects.iter().find(|status| status.resource == node("a").to_string()).expect("a").lagging
    };
    assert_eq!(lagging(), 4);
    attack[3].report(runs());
    assert_eq!((said(&distribution, &view), lagging()), ((2, 2, vec![]), 3));
    // As long as it is there.
    let [first, second, third, fourth] = attack;
    drop((third, fourth, late));
    let (proxies, acknowledged, refusals) = said(&distribution, &view);
    assert_eq!((proxies, acknowledged, refusals.len()), (2, 1, 1));
    drop((first, second));
    assert_eq!(said(&distribution, &view), (1, 1, vec![]));
}

/// Who reports first after a restart of this process, or runs its proxies on this host, is as many as there are.
#[test]
fn streams_without_a_certificate_count_each_by_itself() {
    let (distribution, view, [_, present]) = of_one_node();
    let report = |holder| Distribution::reports(&distribution, &node("a"), holder, Arc::clone(&present));
    let reports = [None, None, Some([1; 32]), Some([1; 32])].map(report);
    assert_eq!(said(&distribution, &view).0, 3);
    let proxies = [None, None, None, Some([1; 32])]
        .map(|holder| Distribution::connect(&distribution, &node("a"), holder, None));
    assert_eq!(said(&distribution, &view).0, 4);
    drop(proxies);
    assert_eq!(said(&distribution, &view).0, 3);
    drop(reports);
    assert_eq!(said(&distribution, &view).0, 0);
}

/// A mesh in which serviceA and serviceC call serviceB, part of which is not served.
fn of_the_example() -> MeshView {
    let check = json!({"healthyThreshold": 2, "intervalMillis": 5000, "protocol": "grpc", "timeoutMillis": 2000, "unhealthyThreshold": 2});
    let listener = json!({"portMapping": {"port": 80, "protocol": "http"}});
    let checked = json!({"portMapping": {"port": 80, "protocol": "http"}, "healthCheck": check});
    let name = "serviceb.apps.local";
    let calls = json!({"backends": [{"virtualService": {"virtualServiceName": name}}]});
    let action = json!({"weightedTargets": [{"virtualNode": "serviceB", "weight": 1}]});
    let cloud_map = json!({"awsCloudMap": {"namespaceName": "apps", "serviceName": "n"}});
    let mut view = view(&[
        ("virtualNode/serviceA", calls.clone()),
        ("virtualNode/serviceC", calls),
        ("virtualNode/x", json!({})),
        ("virtualNode/serviceB", json!({"listeners": [checked], "serviceDiscovery": cloud_map})),
        ("virtualRouter/serviceB", json!({"listeners": [listener]})),
        (
            "virtualService/serviceb.apps.local",
            json!({"provider": {"virtualRouter": {"virtualRouterName": "serviceB"}}}),
        ),
    ]);
    let route = json!({"httpRoute": {"action": action, "match": {"prefix": "/"}}});
    let route = record("virtualRouter/serviceB/route/serviceB", &route, 3);
    view.resources.insert(route.id.clone(), route);
    view
}

/// The very bytes that the operator's tests read.
#[test]
fn the_contract_s_example_is_answered() {
    let mut view = of_the_example();
    let discovered: Discovered =
        [(service(), Discovery::Failed("ServiceNotFound".into()))].into_iter().collect();
    let distribution = Distribution::new();
    let token = distribution.read(&Arc::new(view.clone()), &discovered, None).token;
    view.resources.remove(&node("x"));
    view.revision += 1;
    let connect = |name: &str, who: usize, instance: Option<&str>| {
        let instance = instance.map(str::to_owned);
        Distribution::connect(&distribution, &node(name), holder(who), instance)
    };
    let target = |name: &str| {
        let target = Arc::new(Snapshot::build(&view, &discovered, &node(name)).expect("a snapshot"));
        distribution.target(&node(name), Some(Arc::clone(&target)));
        target
    };
    let runs = |target: Arc<Snapshot>| Progress { acknowledged: Some(target), rejections: Vec::new() };
    target("serviceA");
    let refusing = connect("serviceA", 2, None);
    let blamed = BTreeSet::from([ResourceId::route("apps", "serviceB", "serviceB")]);
    let rejection = NodeRejection { objects: blamed, message: "bad regex".into() };
    refusing.report(Progress { acknowledged: None, rejections: vec![rejection] });
    let own = connect("serviceB", 0, Some("i-0123456789abcdef0"));
    own.report(runs(target("serviceB")));
    let other = connect("serviceC", 1, None);
    other.report(runs(target("serviceC")));
    let lagging = [1, 1, 1].map(|who| connect("serviceC", who, None));
    let answer = distribution.read(&Arc::new(view.clone()), &discovered, Some(&token));
    drop(lagging);
    assert_eq!(serde_json::to_string(&answer).expect("JSON"), examples::DISTRIBUTION);
}

/// Whoever reads knows whose mesh it is: an operator of another account looks for the resource parts of its own ARNs.
#[test]
fn a_mesh_of_another_account_is_reported_by_the_resource_parts_of_its_arns() {
    let owner = Account::Other("444455556666".parse().expect("an account"));
    let theirs = |record: &Arc<Record>, version| {
        let id = record.id.clone().owned_by(owner);
        (id.clone(), Arc::new(Record { id, owner, version, ..Record::clone(record) }))
    };
    let all = view(&[("virtualNode/a", spec("virtualNode/a", 0))]);
    let resources = all.resources.values().map(|record| theirs(record, 1)).collect();
    let (mut reading, mut proxies) = (Reading::new("this".into()), Proxies::default());
    let mesh = MeshName::new(owner, "apps");
    let mut read = |view: MeshView, after: Option<&Token>| {
        let view = Arc::new(view);
        let changed = reading.enter(&view, &Discovered::default());
        let statuses = proxies.statuses(&mesh, &view, &reading, changed);
        reading.note(statuses);
        reading.answer(mesh.name(), after)
    };
    let mut view = MeshView { revision: 1, forms: Forms::default(), resources };
    let first = read(view.clone(), None);
    let named: Vec<&str> = first.objects.iter().map(|object| &*object.resource).collect();
    assert_eq!(named, ["mesh/apps", "mesh/apps/virtualNode/a"]);
    view.revision = 2;
    view.resources.remove(&node("a").owned_by(owner)).expect("the node");
    assert_eq!(read(view, Some(&first.token)).removed, ["mesh/apps/virtualNode/a"]);
}
