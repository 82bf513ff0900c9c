//! The bed: a stack, a caller with a real Envoy, two proxied versions of serviceB, and an instance for the versions of the
//! services of single cases. Everything panics when it fails, because nothing here is under test itself.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fleetmesh_operator::loads::LoadsClient;
use fleetmesh_testbed::app::{Protocol, Server};
use fleetmesh_testbed::control_plane::ControlPlane;
use fleetmesh_testbed::dns::{self, Zone};
use fleetmesh_testbed::envoy::{self, Envoy};
use fleetmesh_testbed::host::{Host, HostBackend, HostOptions, intercept};
use fleetmesh_testbed::launch::Launch;
use fleetmesh_testbed::netns::{NetnsInstance, Network};
use fleetmesh_testbed::operator::Operator;
use fleetmesh_testbed::process::Process;
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::scenario::MESH;
use fleetmesh_testbed::stack::Stack;
use fleetmesh_testbed::{tools, wait};
use serde_json::{Value, json};

use crate::journal::Journal;
use crate::reports::SentReports;
use crate::service::{self, SERVICES};
use crate::tale::Tale;

/// How long a state may take to come.
pub const SOON: Duration = Duration::from_secs(60);
/// How often proxies report here: a window of a second then holds several reports.
const REPORT: &str = "250ms";
/// How operators share the work here. Of one that is killed the lease has to end, and this is the shortest.
const LEADING: [&str; 5] =
    ["--leader-elect", "--leader-election-namespace", "default", "--leader-election-lease-duration", "3s"];
/// Who calls.
const CALLER: &str = "serviceA";
/// The versions of serviceB.
const VERSIONS: [(&str, HostBackend); 2] =
    [("serviceB", HostBackend::Nft), ("serviceBv2", HostBackend::Iptables)];

/// Everything but the versions of serviceB. Fields are dropped in this order.
pub struct CanaryBed {
    _proxy: Envoy,
    pub caller: NetnsInstance,
    /// Where the versions of the services of single cases run.
    pub versions: NetnsInstance,
    /// The way of the caller's load reports.
    pub reports: SentReports,
    _dns: Process,
    _network: Network,
    journal: Arc<Journal>,
    pub stack: Stack,
    pub run: RunDir,
}

impl CanaryBed {
    /// Starts it all: every resource is Ready, every route has all of its traffic at its first targets. Gives serviceB and
    /// serviceBv2 too.
    pub async fn start() -> (Self, [Host; 2]) {
        let run = RunDir::new("canary").unwrap();
        let reports = Launch::with(["--load-report-interval", REPORT]);
        let plane = ControlPlane::launch(&run, reports).await.unwrap();
        let builder = Stack::builder().control_plane(plane).operator(Launch::with(LEADING));
        let stack = builder.start(&run).await.unwrap();
        let journal = Arc::new(Journal::start(&stack.kubectl, &run).await);
        apply(&stack, &run).await;
        let mut network = Network::new(&run).await.unwrap();
        let caller = network.instance(CALLER, &run).await.unwrap();
        let versions = network.instance("versions", &run).await.unwrap();
        let hosts = VERSIONS.map(|(node, backend)| (node, backend));
        let mut instances = Vec::new();
        for (node, _) in hosts {
            instances.push(network.instance(node, &run).await.unwrap());
        }
        let dns = names(&network, &run, &versions, &instances).await;
        let socket = stack.control_plane.ads_socket();
        let reports = SentReports::start(run.join("reports.sock"), socket.clone()).unwrap();
        let socket = format!("unix:{}", socket.display());
        let mut proxy = call(&caller, &socket, &reports, &run).await;
        let mut started = Vec::new();
        for (instance, (node, backend)) in instances.into_iter().zip(hosts) {
            let options = HostOptions::new(MESH, node, backend);
            started.push(Host::start(instance, &options, &socket, &run).await.unwrap());
        }
        proxy.ready(&caller, SOON).await.unwrap();
        for host in &mut started {
            host.ready().await.unwrap();
        }
        let bed = Self {
            _proxy: proxy,
            caller,
            versions,
            reports,
            _dns: dns,
            _network: network,
            journal,
            stack,
            run,
        };
        let wait = ["wait", "--for=condition=Ready", "--timeout=60s", "fleetmesh", "--all", "-n", MESH];
        bed.stack.kubectl.run(&wait).await.unwrap();
        let Ok(hosts) = <[Host; 2]>::try_from(started) else { unreachable!("two were started") };
        (bed, hosts)
    }

    /// What becomes of a route from now on.
    pub fn tale(&self, route: &str) -> Tale {
        Tale::new(route, Arc::clone(&self.journal), self.stack.kubectl.clone(), &self.run)
    }

    /// The servers of a service of a single case, each named as its virtual node.
    pub async fn serve(&self, service: &service::ServedService) -> Vec<Server> {
        let mut servers = Vec::new();
        for (node, port) in service.nodes() {
            let server = Server::start(node, Protocol::Http2, port, &self.versions, &self.run).await;
            servers.push(server.unwrap());
        }
        servers
    }

    /// Another operator, which waits to lead; its files go to `run`.
    pub async fn another_operator(&self, run: &RunDir) -> Operator {
        let kubeconfig = self.stack.cluster.admin_kubeconfig();
        let endpoint = self.stack.control_plane.endpoint();
        Operator::launch(&kubeconfig, &endpoint, run, Launch::with(LEADING)).await.unwrap()
    }

    /// A resource of the mesh.
    pub async fn get(&self, kind: &str, name: &str) -> anyhow::Result<Value> {
        self.stack.kubectl.json(&["get", kind, name, "--namespace", MESH]).await
    }

    /// Waits until the proxies report no request to `node` in a window of `length` any more.
    pub async fn quiet(&self, node: &str, length: Duration) {
        let loads = LoadsClient::anonymous(self.stack.control_plane.endpoint());
        let none = wait::until("the last request is out of the window", SOON, async || {
            let loads = loads.fetch(MESH, length).await?;
            let load = loads.targets.get(node).copied().unwrap_or_default();
            Ok((load.succeeded + load.failed == 0).then_some(()))
        });
        none.await.unwrap();
    }
}

/// Applies the scenario of the samples, and the services of single cases.
async fn apply(stack: &Stack, run: &RunDir) {
    let samples = tools::workspace_dir().unwrap().join("samples");
    for folder in ["getting-started", "connect"] {
        stack.kubectl.apply(&samples.join(folder)).await.unwrap();
    }
    let mut items: Vec<Value> = SERVICES.iter().flat_map(service::ServedService::objects).collect();
    let names = SERVICES.iter().map(service::ServedService::host).chain(["serviceb.apps.local".to_owned()]);
    let backends: Vec<Value> =
        names.map(|name| json!({ "virtualService": { "virtualServiceName": name } })).collect();
    let path = samples.join("getting-started/07-virtual-node-service-a.yaml");
    let mut caller: Value = serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    caller["spec"]["backends"] = json!(backends);
    items.push(caller);
    let file = run.join("services.json");
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": items });
    std::fs::write(&file, list.to_string()).unwrap();
    stack.kubectl.apply(&file).await.unwrap();
}

/// DNS: the versions are where they are; names of services are nobody's, so that an answer can only come by the proxy.
async fn names(
    network: &Network,
    run: &RunDir,
    versions: &NetnsInstance,
    hosts: &[NetnsInstance],
) -> Process {
    let nowhere = std::net::Ipv4Addr::new(10, 77, 0, 250);
    let mut zone = Zone::default();
    zone.add("versions.apps.local", versions.ipv4());
    for host in hosts {
        zone.add(&format!("{}.apps.local", host.name()), host.ipv4());
    }
    for service in &SERVICES {
        zone.add(&service.host(), nowhere);
    }
    dns::start(network, "apps.local", &zone, run).await.unwrap()
}

/// The caller's proxy, whose load reports go by `reports` and everything else straight to the control plane.
async fn call(caller: &NetnsInstance, socket: &str, reports: &SentReports, run: &RunDir) -> Envoy {
    let resource = format!("mesh/{MESH}/virtualNode/{CALLER}");
    let text = envoy::bootstrap(&resource, socket, None).await.unwrap();
    let mut bootstrap: Value = serde_saphyr::from_str(&text).unwrap();
    by_itself(&mut bootstrap, reports.socket());
    let proxy = Envoy::start_with(&bootstrap.to_string(), caller, run).unwrap();
    intercept(caller, HostBackend::Iptables, 80, true).await.unwrap();
    proxy
}

/// Gives the load reports of a bootstrap a connection of their own, to `socket`.
fn by_itself(bootstrap: &mut Value, socket: &Path) {
    let clusters = bootstrap["static_resources"]["clusters"].as_array_mut().unwrap();
    let mut own = clusters[0].clone();
    own["name"] = json!("reports");
    own["load_assignment"]["cluster_name"] = json!("reports");
    own["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"] =
        json!({ "pipe": { "path": socket } });
    clusters.push(own);
    let service = &mut bootstrap["cluster_manager"]["load_stats_config"]["grpc_services"][0]["envoy_grpc"];
    assert!(service["cluster_name"].is_string(), "the bootstrap reports loads");
    service["cluster_name"] = json!("reports");
}
