//! The parts of the scenario, running: the stack, moto in the place of AWS, three instances with their proxies, and the edge.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use super::edge::{Edge, EdgeInstances};
use super::member::{Admission, Membership};
use super::{INSTANCES, LIMIT, MESH, Observer, STAGES, ScenarioOptions};
use crate::control_plane::ControlPlane;
use crate::dns::{self, Zone};
use crate::host::{Host, HostOptions};
use crate::join::{self, JoinAddress};
use crate::launch::Launch;
use crate::metadata::MetadataService;
use crate::moto::{self, Moto};
use crate::netns::Network;
use crate::process::Process;
use crate::run_dir::RunDir;
use crate::stack::Stack;
use crate::wait;

/// The whole scenario, running. Fields are dropped in this order.
#[derive(Debug)]
pub struct ScenarioWorld {
    /// serviceA, serviceB and serviceBv2.
    pub hosts: Vec<Host>,
    _memberships: Vec<Membership>,
    /// The gateway and its client.
    pub edge: Edge,
    _dns: Process,
    _network: Network,
    /// What a fleet's owner runs.
    pub stack: Stack,
    _admission: Admission,
}

impl ScenarioWorld {
    /// Starts it all, with the samples of the first stage applied and every object Ready.
    ///
    /// # Errors
    /// A part does not start, or the samples do not become Ready.
    pub async fn start(options: &ScenarioOptions, run: &RunDir, observer: &mut dyn Observer) -> Result<Self> {
        observer.step("starting etcd, kube-apiserver, control plane, operator, and moto in the place of AWS");
        let moto = Moto::start(run).await?;
        observer.step("fleetmesh iam boundary: the permissions boundary of the nodes' roles, as a policy of the account");
        moto.boundary().await?;
        let operator = Launch::with(["--iam-permissions-boundary", moto::BOUNDARY])
            .envs([("AWS_ENDPOINT_URL", moto.endpoint())]);
        let mut address = JoinAddress::new(run).await?;
        let control_plane = ControlPlane::launch(run, address.launch(&moto)).await?;
        let stack = Stack::builder().control_plane(control_plane).operator(operator).start(run).await?;
        observer.step("making three instances: network namespaces with Envoy, interception and application");
        let mut network = Network::new(run).await?;
        address.open(&network)?;
        let metadata = MetadataService::start(&network, run).await?;
        let admission = Admission { address, metadata, moto };
        apply(&stack, &options.samples, "getting-started", observer).await?;
        // Names mean something before anybody asks: Envoy remembers for seconds that one did not.
        let mut instances = Vec::new();
        let mut zone = Zone::default();
        zone.add(join::HOST, Network::GATEWAY);
        for (node, name, _) in INSTANCES {
            let instance = network.instance(node, run).await?;
            zone.add(name, instance.ipv4()).add(name, instance.ipv6());
            instances.push(instance);
        }
        let edge = EdgeInstances::make(&mut network, &mut zone, run).await?;
        let dns = dns::start(&network, "apps.local", &zone, run).await?;
        let launched = launched(&stack, &admission.moto, &options.samples, observer).await?;
        observer.step(
            "each joins by its role, and its proxy gets its configuration and a certificate of the mesh",
        );
        let (mut hosts, mut memberships) = (Vec::new(), Vec::new());
        for ((instance, (node, _, backend)), (id, role)) in instances.into_iter().zip(INSTANCES).zip(launched)
        {
            let options = HostOptions::new(MESH, node, backend);
            let membership = admission.admit(&instance, &options.resource, (&id, &role), run).await?;
            let bootstrap = membership.bootstrap(&options.resource).await?;
            hosts.push(Host::start_with(instance, &options, &bootstrap, run).await?);
            memberships.push(membership);
        }
        for host in &mut hosts {
            host.ready().await?;
        }
        apply(&stack, &options.samples, STAGES[0].folder, observer).await?;
        apply(&stack, &options.samples, "gateway", observer).await?;
        let edge = edge.start(&stack, &admission, run, observer).await?;
        let world = Self {
            hosts,
            _memberships: memberships,
            edge,
            _dns: dns,
            _network: network,
            stack,
            _admission: admission,
        };
        let wait = ["wait", "--for=condition=Ready", "--timeout=60s"];
        world.stack.kubectl.run(&[&wait[..], &["fleetmesh", "--all", "--namespace", MESH]].concat()).await?;
        Ok(world)
    }
}

/// The nodes with identities and fleets, in the order of [`INSTANCES`]: sample and name of the resource.
const FLEETS: [(&str, &str); 3] = [
    ("07-virtual-node-service-a.yaml", "service-a"),
    ("03-virtual-node-service-b.yaml", "service-b"),
    ("06-virtual-node-service-b-v2.yaml", "service-b-v2"),
];

/// Gives the nodes their identities and fleets and prints what was made for them in AWS; returns the ids of the instances that
/// the three hosts stand for, and the ARNs of their roles.
async fn launched(
    stack: &Stack,
    moto: &Moto,
    samples: &Path,
    observer: &mut dyn Observer,
) -> Result<Vec<(String, String)>> {
    observer.step(
        "kubectl apply -f the class and the virtual nodes of samples/fleet: identities and instances in AWS",
    );
    stack.kubectl.apply(&samples.join("fleet/01-fleet-class.yaml")).await?;
    for (file, _) in FLEETS {
        stack.kubectl.apply(&samples.join("fleet").join(file)).await?;
    }
    let mut launched = Vec::new();
    for (_, node) in FLEETS {
        let what = format!("an instance is launched for {node}");
        let status = wait::until(&what, LIMIT, async || {
            let object = stack.kubectl.json(&["get", "virtualnode", node, "--namespace", MESH]).await?;
            let status = &object["status"];
            ensure!(status["fleet"]["instances"][0]["state"] == "running", "its status: {status}");
            Ok(Some(status.clone()))
        })
        .await?;
        let text = |value: &serde_json::Value| value.as_str().map(ToOwned::to_owned);
        let id = text(&status["fleet"]["instances"][0]["id"]).context("an instance has an id")?;
        let role = text(&status["iam"]["roleArn"]).context("a node has a role")?;
        let name = role.rsplit('/').next().unwrap_or_default();
        let attached = moto.aws(&["iam", "list-attached-role-policies", "--role-name", name]).await?;
        let policies = attached["AttachedPolicies"].as_array().map_or(0, Vec::len);
        observer.step(&format!("  {node}: {id} with role {name}, {policies} policies"));
        launched.push((id, role));
    }
    Ok(launched)
}

pub(super) async fn apply(
    stack: &Stack,
    samples: &Path,
    folder: &str,
    observer: &mut dyn Observer,
) -> Result<()> {
    observer.step(&format!("kubectl apply -R -f samples/{folder}"));
    stack.kubectl.apply(&samples.join(folder)).await.map(drop)
}
