//! A bed for a mesh of real proxies: instances, DNS, a control plane, and what tests do with them. Everything panics
//! when it fails, because nothing here is under test itself.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use fleetmesh_model::ResourceId;
use fleetmesh_testbed::app::client::AppAnswer;
use fleetmesh_testbed::app::{self, AppLoad, LoadOptions, Protocol, Server};
use fleetmesh_testbed::control_plane::ControlPlane;
use fleetmesh_testbed::dns::{self, Zone};
use fleetmesh_testbed::envoy::{self, Envoy, UID};
use fleetmesh_testbed::netns::{NetnsInstance, Network};
use fleetmesh_testbed::process::Process;
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::{command, tools, wait};
use fleetmesh_tests::app_mesh::AppMeshRequests;
use serde_json::Value;

use crate::spec::MESH;

/// How long anything may take on a busy machine.
pub const LIMIT: Duration = Duration::from_secs(60);
/// What names of virtual services resolve to: nobody is there, so that an answer can only come through the proxy.
pub const NOWHERE: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 250);

/// Everything but the members of the mesh. Fields are dropped in this order.
pub struct Bed {
    /// Whether proxies ask for the state of the world, as those of AWS's image do.
    pub state_of_the_world: bool,
    dns: Option<Process>,
    network: Network,
    pub control_plane: ControlPlane,
    pub api: AppMeshRequests,
    pub run: RunDir,
}

/// An instance that is a member of the mesh.
pub struct MeshMember {
    pub envoy: Envoy,
    pub servers: Vec<Server>,
    pub instance: NetnsInstance,
}

impl Bed {
    /// A control plane without any mesh, and an instance of each name.
    pub async fn start<const N: usize>(name: &str, instances: [&str; N]) -> (Self, [NetnsInstance; N]) {
        let run = RunDir::new(name).unwrap();
        let control_plane = ControlPlane::start(&run).await.unwrap();
        Self::around(control_plane, run, instances).await
    }

    /// The same around a control plane that runs already, with its files in `run`.
    pub async fn around<const N: usize>(
        control_plane: ControlPlane,
        run: RunDir,
        instances: [&str; N],
    ) -> (Self, [NetnsInstance; N]) {
        let mut network = Network::new(&run).await.unwrap();
        let mut made = Vec::new();
        for name in instances {
            made.push(network.instance(name, &run).await.unwrap());
        }
        let api = AppMeshRequests::new(&control_plane.endpoint());
        let bed = Self { state_of_the_world: false, dns: None, network, control_plane, api, run };
        (bed, made.try_into().unwrap())
    }

    /// Starts DNS: `NAME.apps.local` of each instance is its IPv4 address, each name of `services` is [`NOWHERE`].
    pub async fn names(&mut self, instances: &[&NetnsInstance], services: &[&str]) {
        let own = instances.iter().map(|instance| (host(instance), IpAddr::from(instance.ipv4())));
        let services = services.iter().map(|name| ((*name).to_owned(), IpAddr::from(NOWHERE)));
        self.zone(&own.chain(services).collect::<Vec<_>>()).await;
    }

    /// Starts DNS with these names of `apps.local`.
    pub async fn zone(&mut self, records: &[(String, IpAddr)]) {
        let mut zone = Zone::default();
        for (name, address) in records {
            zone.add(name, *address);
        }
        self.dns = Some(dns::start(&self.network, "apps.local", &zone, &self.run).await.unwrap());
    }

    /// Makes every object, a referent before what refers to it.
    pub async fn create(&self, objects: &[(ResourceId, Value)]) {
        for (id, spec) in objects {
            self.api.create(id, spec).await.unwrap();
        }
    }

    /// Makes `instance` a proxy of the virtual node of its own name: Envoy, interception, the applications on their
    /// ports. Each application calls itself as the instance. Awaits that Envoy serves.
    pub async fn join(&self, instance: NetnsInstance, apps: &[(Protocol, u16)]) -> MeshMember {
        self.join_with(instance, apps, &[]).await
    }

    /// The same with more arguments of `fleetmesh proxy intercept enable`.
    pub async fn join_with(
        &self,
        instance: NetnsInstance,
        apps: &[(Protocol, u16)],
        extra: &[&str],
    ) -> MeshMember {
        let bootstrap = self.bootstrap(&instance).await;
        self.join_as(instance, apps, extra, &bootstrap).await
    }

    /// The same with Envoy's own bound for the programs of regular expressions, as with any bootstrap but ours: the last
    /// thing that is stored and that an Envoy may refuse in a route.
    pub async fn join_with_small_regexes(
        &self,
        instance: NetnsInstance,
        apps: &[(Protocol, u16)],
    ) -> MeshMember {
        let ours = self.bootstrap(&instance).await;
        let other =
            ours.replace("re2.max_program_size.error_level: 1000", "re2.max_program_size.error_level: 100");
        assert_ne!(ours, other, "the bound of our bootstrap");
        self.join_as(instance, apps, &[], &other).await
    }

    async fn bootstrap(&self, instance: &NetnsInstance) -> String {
        self.bootstrap_of(&ResourceId::virtual_node(MESH, instance.name())).await
    }

    async fn bootstrap_of(&self, resource: &ResourceId) -> String {
        let socket = format!("unix:{}", self.control_plane.ads_socket().display());
        let ours = envoy::bootstrap(&resource.to_string(), &socket, None).await.unwrap();
        if self.state_of_the_world { envoy::state_of_the_world(&ours) } else { ours }
    }

    async fn join_as(
        &self,
        instance: NetnsInstance,
        apps: &[(Protocol, u16)],
        extra: &[&str],
        bootstrap: &str,
    ) -> MeshMember {
        let mut envoy = Envoy::start_with(bootstrap, &instance, &self.run).unwrap();
        let ports: Vec<String> = apps.iter().map(|(_, port)| port.to_string()).collect();
        let mut enable = instance.command(tools::fleetmesh().unwrap());
        enable.args(["proxy", "intercept", "enable", "--ignore-uid", &UID.to_string()]);
        enable.args(["--app-ports", &ports.join(",")]).args(extra);
        command::run(enable).await.unwrap();
        let mut servers = Vec::new();
        for (protocol, port) in apps {
            let server = Server::start(instance.name(), *protocol, *port, &instance, &self.run).await;
            servers.push(server.unwrap());
        }
        envoy.ready(&instance, LIMIT).await.unwrap();
        MeshMember { envoy, servers, instance }
    }

    /// Makes `instance` a proxy of the virtual gateway of its own name: Envoy alone, without interception. Awaits that it
    /// serves.
    pub async fn join_gateway(&self, instance: NetnsInstance) -> MeshMember {
        let bootstrap = self.bootstrap_of(&ResourceId::virtual_gateway(MESH, instance.name())).await;
        let mut envoy = Envoy::start_with(&bootstrap, &instance, &self.run).unwrap();
        envoy.ready(&instance, LIMIT).await.unwrap();
        MeshMember { envoy, servers: Vec::new(), instance }
    }

    /// What the distribution says about `id`.
    pub async fn status(&self, id: &ResourceId) -> Option<Value> {
        let mut answer = self.control_plane.distribution(MESH).await.unwrap();
        let Value::Array(objects) = answer["objects"].take() else { panic!("no objects in {answer}") };
        objects.into_iter().find(|object| object["resource"] == id.to_string())
    }

    /// Awaits that the newest version of `id` runs on exactly `proxies` proxies.
    pub async fn runs_on(&self, id: &ResourceId, proxies: usize) {
        let what = format!("{proxies} proxies run {id}");
        wait::until(&what, LIMIT, async || {
            let status = self.status(id).await.unwrap_or_default();
            let runs = status["proxies"] == proxies && status["acknowledged"] == proxies;
            anyhow::ensure!(runs, "the distribution says {status}");
            Ok(Some(()))
        })
        .await
        .unwrap();
    }

    /// Replaces the spec of `id` and awaits that exactly `proxies` proxies run it.
    pub async fn update(&self, id: &ResourceId, spec: &Value, proxies: usize) {
        self.api.update(id, spec).await.unwrap();
        self.runs_on(id, proxies).await;
    }
}

impl MeshMember {
    /// Sends a GET from this instance.
    pub async fn get(&self, protocol: Protocol, url: &str) -> AppAnswer {
        self.send(protocol, url, &[]).await
    }

    /// Sends a request from this instance; `extra` are more arguments of `fleetmesh-testbed app get`.
    pub async fn send(&self, protocol: Protocol, url: &str, extra: &[&str]) -> AppAnswer {
        app::get(&self.instance, protocol, url, extra)
            .await
            .unwrap_or_else(|error| panic!("{url} {extra:?}: {error:#}"))
    }

    /// Starts sending at a steady rate from this instance.
    pub async fn load(&self, bed: &Bed, options: &LoadOptions, phase: &str) -> AppLoad {
        AppLoad::start(options, phase, &self.instance, &bed.run).await.unwrap()
    }

    /// The counter or gauge `name` of the proxy; 0 when it has none.
    pub async fn stat(&self, name: &str) -> u64 {
        self.envoy.stat(&self.instance, name).await.unwrap().unwrap_or_default()
    }

    /// The names of the clusters that the control plane gave the proxy, in order.
    pub async fn clusters(&self) -> Vec<String> {
        let body = envoy::admin(&self.instance, "/config_dump?resource=dynamic_active_clusters").await;
        names(&body.unwrap().body, "/cluster/name")
    }

    /// The names of the clusters that the proxy knows of but cannot use yet.
    pub async fn warming_clusters(&self) -> Vec<String> {
        let body = envoy::admin(&self.instance, "/config_dump?resource=dynamic_warming_clusters").await;
        names(&body.unwrap().body, "/cluster/name")
    }
}

fn names(dump: &str, pointer: &str) -> Vec<String> {
    let dump: Value = serde_json::from_str(dump).unwrap();
    let configs = dump["configs"].as_array().into_iter().flatten();
    let mut names: Vec<String> =
        configs.map(|config| config.pointer(pointer).unwrap().as_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

/// The DNS name of an instance.
pub fn host(instance: &NetnsInstance) -> String {
    format!("{}.apps.local", instance.name())
}
