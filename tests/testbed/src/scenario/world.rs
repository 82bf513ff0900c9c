//! The parts of the scenario, running: what a fleet's owner runs, what gives instances their roles, three instances with their
//! proxies, and the edge.

use std::path::Path;

use anyhow::{Context as _, Result};

use super::edge::{Edge, EdgeInstances};
use super::identities::{self, Identities};
use super::installation::Installation;
use super::member::{Admission, Membership};
use super::{INSTANCES, LIMIT, MESH, Observer, READY, STAGES, ScenarioOptions};
use crate::dns::{self, Zone};
use crate::host::{Host, HostOptions};
use crate::join::{self, JoinAddress};
use crate::metadata::MetadataService;
use crate::moto::Moto;
use crate::netns::{NetnsInstance, Network};
use crate::process::Process;
use crate::run_dir::RunDir;
use crate::wait;

/// The kinds of the scenario that have a namespace.
const KINDS: [&str; 6] =
    ["VirtualNode", "VirtualRouter", "Route", "VirtualService", "VirtualGateway", "GatewayRoute"];

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
    pub installation: Installation,
    _admission: Admission,
}

/// What instances are made in, and what knows them.
#[derive(Debug)]
struct Surroundings {
    network: Network,
    installation: Installation,
    admission: Admission,
}

impl ScenarioWorld {
    /// Starts it all, with the samples of the first stage applied and every object Ready.
    ///
    /// # Errors
    /// A part does not start, or the samples do not become Ready.
    pub async fn start(options: &ScenarioOptions, run: &RunDir, observer: &mut dyn Observer) -> Result<Self> {
        let Surroundings { mut network, installation, admission } =
            Surroundings::start(options, run, observer).await?;
        apply(&installation, &options.samples, "getting-started", observer).await?;
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
        let roles = roles(&installation, &admission.identities, &options.samples, observer).await?;
        observer.step(
            "each joins by its role, and its proxy gets its configuration and a certificate of the mesh",
        );
        let (hosts, memberships) = members(instances, &admission, roles, run).await?;
        apply(&installation, &options.samples, STAGES[0].folder, observer).await?;
        apply(&installation, &options.samples, "gateway", observer).await?;
        let edge = edge.start(&installation, &admission, run, observer).await?;
        let ready = async || installation.objects.all_ready(&KINDS, MESH).await.map(Some);
        wait::until("all objects are Ready", READY, ready).await?;
        Ok(Self {
            hosts,
            _memberships: memberships,
            edge,
            _dns: dns,
            _network: network,
            installation,
            _admission: admission,
        })
    }
}

impl Surroundings {
    async fn start(options: &ScenarioOptions, run: &RunDir, observer: &mut dyn Observer) -> Result<Self> {
        let moto = if options.aws { ", and moto in the place of AWS" } else { "" };
        observer.step(&format!("starting {}{moto}", options.api.parts()));
        let identities = Identities::start(options.aws, run, observer).await?;
        let mut address = JoinAddress::new(run).await?;
        let installation = Installation::start(options.api, &address, &identities, run).await?;
        observer.step("making three instances: network namespaces with Envoy, interception and application");
        let network = Network::new(run).await?;
        address.open(&network)?;
        let metadata = MetadataService::start(&network, run).await?;
        Ok(Self { network, installation, admission: Admission { address, metadata, identities } })
    }
}

/// Lets each instance join with the id and the role that it has, and awaits that its proxy serves.
async fn members(
    instances: Vec<NetnsInstance>,
    admission: &Admission,
    roles: Vec<(String, String)>,
    run: &RunDir,
) -> Result<(Vec<Host>, Vec<Membership>)> {
    let (mut hosts, mut memberships) = (Vec::new(), Vec::new());
    for ((instance, (node, _, backend)), (id, role)) in instances.into_iter().zip(INSTANCES).zip(roles) {
        let options = HostOptions::new(MESH, node, backend);
        let membership = admission.admit(&instance, &options.resource, (&id, &role), run).await?;
        let bootstrap = membership.bootstrap(&options.resource).await?;
        hosts.push(Host::start_with(instance, &options, &bootstrap, run).await?);
        memberships.push(membership);
    }
    for host in &mut hosts {
        host.ready().await?;
    }
    Ok((hosts, memberships))
}

/// The nodes with identities and fleets, in the order of [`INSTANCES`]: sample and name of the resource.
const FLEETS: [(&str, &str); 3] = [
    ("07-virtual-node-service-a.yaml", "service-a"),
    ("03-virtual-node-service-b.yaml", "service-b"),
    ("06-virtual-node-service-b-v2.yaml", "service-b-v2"),
];

/// The ids of the instances that the three hosts stand for, and the ARNs of their roles.
async fn roles(
    installation: &Installation,
    identities: &Identities,
    samples: &Path,
    observer: &mut dyn Observer,
) -> Result<Vec<(String, String)>> {
    match identities {
        Identities::Moto(moto) => launched(installation, moto, samples, observer).await,
        Identities::Sts(_) => granted(installation, observer).await,
    }
}

/// Grants each node to a role of its own.
async fn granted(installation: &Installation, observer: &mut dyn Observer) -> Result<Vec<(String, String)>> {
    observer.step(
        "aws appmesh tag-resource, for each virtual node: the role whose instances may run it (with --aws the operator makes it)",
    );
    let mut granted = Vec::new();
    for (number, (node, _, _)) in INSTANCES.into_iter().enumerate() {
        let resource = format!("mesh/{MESH}/virtualNode/{node}");
        let role = identities::grant(installation, &resource, &format!("{MESH}-{node}")).await?;
        granted.push((format!("i-{:017x}", number + 1), role));
    }
    Ok(granted)
}

/// Gives the nodes their identities and fleets and prints what was made for them in AWS.
async fn launched(
    installation: &Installation,
    moto: &Moto,
    samples: &Path,
    observer: &mut dyn Observer,
) -> Result<Vec<(String, String)>> {
    observer.step(
        "kubectl apply -f the class and the virtual nodes of samples/fleet: identities and instances in AWS",
    );
    let objects = &installation.objects;
    objects.apply(&samples.join("fleet/01-fleet-class.yaml")).await?;
    for (file, _) in FLEETS {
        objects.apply(&samples.join("fleet").join(file)).await?;
    }
    let mut launched = Vec::new();
    for (_, node) in FLEETS {
        let what = format!("an instance is launched for {node}");
        let status = wait::until(&what, LIMIT, async || {
            let object = objects.get("VirtualNode", MESH, node).await?;
            let status = &object["status"];
            identities::runs(status)?;
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
    installation: &Installation,
    samples: &Path,
    folder: &str,
    observer: &mut dyn Observer,
) -> Result<()> {
    observer.step(&format!("kubectl apply -R -f samples/{folder}"));
    installation.objects.apply(&samples.join(folder)).await
}
