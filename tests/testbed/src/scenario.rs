//! The scenario from end to end: three instances with real Envoys, samples applied with kubectl, requests under way
//! all the time. The demo shows it, a test asserts it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::app::tally::{Phase, Tally};
use crate::app::{Load, LoadOptions};
use crate::chi_square;
use crate::dns::{self, Zone};
use crate::host::{Backend, Host, HostOptions};
use crate::moto::Moto;
use crate::netns::Network;
use crate::process::Process;
use crate::run_dir::RunDir;
use crate::stack::Stack;
use crate::wait;

/// What the application of serviceA has always called.
const URL: &str = "http://serviceb.apps.local";
/// The mesh of the samples.
const MESH: &str = "apps";
/// Probability below which a split counts as wrong.
pub const SIGNIFICANCE: f64 = 0.001;
/// The fewest requests that a split is judged by.
pub const MIN_REQUESTS: u64 = 4000;
/// How long the requests of a stage, or a shift, may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(180);

/// A state of the mesh that requests are counted in.
#[derive(Debug, Clone, Copy)]
pub struct Stage {
    /// serviceB's percentage, a slash, serviceBv2's.
    pub name: &'static str,
    /// The folder of samples that brings it about.
    pub folder: &'static str,
    /// The weights of serviceB and serviceBv2.
    pub weights: [u32; 2],
}

/// The stages in their order.
pub const STAGES: [Stage; 3] = [
    Stage { name: "100/0", folder: "connect", weights: [100, 0] },
    Stage { name: "75/25", folder: "split-75-25", weights: [75, 25] },
    Stage { name: "0/100", folder: "shift-100", weights: [0, 100] },
];

/// Who answers: the two versions of the service.
pub const VERSIONS: [&str; 2] = ["serviceB", "serviceBv2"];

/// The instances: virtual node, DNS name, and what intercepts their traffic (both ways of doing it are shown).
const INSTANCES: [(&str, &str, Backend); 3] = [
    ("serviceA", "servicea.apps.local", Backend::Iptables),
    ("serviceB", "serviceB.apps.local", Backend::Nft),
    ("serviceBv2", "serviceBv2.apps.local", Backend::Iptables),
];

/// What the scenario is run with.
#[derive(Debug, Clone)]
pub struct Options {
    /// The folder with the samples.
    pub samples: PathBuf,
    /// Requests that each stage is judged by; at least [`MIN_REQUESTS`].
    pub requests: u64,
    /// Requests a second.
    pub rate: u32,
}

/// Is told what happens.
pub trait Observer {
    /// Something begins.
    fn step(&mut self, text: &str);
    /// A count of the phase that requests are now counted in, of which `wanted` answers are awaited (none in a shift).
    fn count(&mut self, phase: &Phase, wanted: Option<u64>);
    /// A stage has its verdict.
    fn verdict(&mut self, verdict: &Verdict);
}

/// How a stage went.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// The stage.
    pub stage: Stage,
    /// Answers of serviceB and serviceBv2.
    pub counts: [u64; 2],
    /// The probability of a deviation at least as large under the stage's weights.
    pub p_value: f64,
}

impl Verdict {
    fn of(stage: Stage, phase: &Phase) -> Result<Self> {
        let counts = VERSIONS.map(|version| phase.by(version));
        let others: Vec<&String> =
            phase.responders.keys().filter(|name| !VERSIONS.contains(&name.as_str())).collect();
        ensure!(others.is_empty(), "answers came from {others:?} as well");
        Ok(Self { stage, counts, p_value: chi_square::p_value(&counts, &stage.weights)? })
    }

    /// Whether the counts follow the weights.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.counts.iter().sum::<u64>() >= MIN_REQUESTS && self.p_value > SIGNIFICANCE
    }
}

/// How the scenario went.
#[derive(Debug, Clone)]
pub struct Report {
    /// The stages' verdicts.
    pub verdicts: Vec<Verdict>,
    /// Everything that was counted, shifts included.
    pub tally: Tally,
}

impl Report {
    /// Whether every split was as written and no request failed.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.verdicts.len() == STAGES.len()
            && self.verdicts.iter().all(Verdict::holds)
            && self.tally.failed() == 0
            && self.tally.phases.iter().all(|phase| phase.started == phase.answered())
    }
}

/// The whole scenario, running. Fields are dropped in this order.
struct World {
    hosts: Vec<Host>,
    _dns: Process,
    _network: Network,
    stack: Stack,
    _moto: Moto,
}

/// Runs the scenario with all files in `run`. Dropping the future ends and removes all it started.
///
/// # Errors
/// A part fails, or an expected state is not reached. A wrong split or a failed request is not an error but in the
/// report.
pub async fn run(options: &Options, run: &RunDir, observer: &mut dyn Observer) -> Result<Report> {
    ensure!(options.requests >= MIN_REQUESTS, "a split is judged by at least {MIN_REQUESTS} requests");
    let world = World::start(options, run, observer).await?;
    observer.step(&format!("serviceA sends {} requests a second to {URL}", options.rate));
    let load = LoadOptions { rate: options.rate, ..LoadOptions::new(URL) };
    let mut load = Load::start(&load, STAGES[0].name, &world.hosts[0].instance, run).await?;
    for (index, stage) in STAGES.into_iter().enumerate() {
        if index > 0 {
            world.shift(&mut load, stage, options, observer).await?;
        }
        count(&mut load, stage, options.requests, observer).await?;
    }
    let tally = load.finish().await?;
    // Requests under way when a stage was left are answered now, so the verdict is on all of them.
    let verdicts: Vec<Verdict> = STAGES
        .into_iter()
        .map(|stage| Verdict::of(stage, &tally.phase(stage.name)))
        .collect::<Result<_>>()?;
    verdicts.iter().for_each(|verdict| observer.verdict(verdict));
    Ok(Report { verdicts, tally })
}

impl World {
    async fn start(options: &Options, run: &RunDir, observer: &mut dyn Observer) -> Result<Self> {
        observer.step("starting etcd, kube-apiserver, control plane, operator, and moto in the place of AWS");
        let moto = Moto::start(run).await?;
        let environment = [("AWS_ENDPOINT_URL", moto.endpoint())];
        let environment = environment.each_ref().map(|(name, value)| (*name, value.as_str()));
        let stack = Stack::start_in(run, &[], &environment).await?;
        observer.step("making three instances: network namespaces with Envoy, interception and application");
        let mut network = Network::new(run).await?;
        let control_plane = format!("unix:{}", stack.control_plane.ads_socket().display());
        apply(&stack, &options.samples, "getting-started", observer).await?;
        // Names mean something before anybody asks: Envoy remembers for seconds that one did not.
        let mut instances = Vec::new();
        let mut zone = Zone::default();
        for (node, name, _) in INSTANCES {
            let instance = network.instance(node, run).await?;
            zone.add(name, instance.ipv4()).add(name, instance.ipv6());
            instances.push(instance);
        }
        let dns = dns::start(&network, "apps.local", &zone, run).await?;
        let mut hosts = Vec::new();
        let ids = launched(&stack, &moto, &options.samples, observer).await?;
        for ((instance, (node, _, backend)), id) in instances.into_iter().zip(INSTANCES).zip(ids) {
            let options = HostOptions { instance_id: Some(id), ..HostOptions::new(MESH, node, backend) };
            hosts.push(Host::start(instance, &options, &control_plane, run).await?);
        }
        for host in &mut hosts {
            host.ready().await?;
        }
        let world = Self { hosts, _dns: dns, _network: network, stack, _moto: moto };
        apply(&world.stack, &options.samples, STAGES[0].folder, observer).await?;
        let wait = ["wait", "--for=condition=Ready", "--timeout=60s"];
        world.stack.kubectl.run(&[&wait[..], &["fleetmesh", "--all", "--namespace", MESH]].concat()).await?;
        Ok(world)
    }

    /// Applies the samples of `stage` and awaits that the route says Ready for them, while requests go on.
    async fn shift(
        &self,
        load: &mut Load,
        stage: Stage,
        options: &Options,
        observer: &mut dyn Observer,
    ) -> Result<()> {
        load.phase(&format!("shift to {}", stage.name)).await?;
        apply(&self.stack, &options.samples, stage.folder, observer).await?;
        let wait = ["wait", "--for=condition=Ready", "--timeout=60s", "--namespace", MESH, "route/service-b"];
        self.stack.kubectl.run(&wait).await.context("the route does not become Ready")?;
        if let Some(phase) = load.tally()?.current() {
            observer.count(phase, None);
        }
        load.phase(stage.name).await
    }
}

/// The nodes with identities and fleets, in the order of [`INSTANCES`]: sample and name of the resource.
const FLEETS: [(&str, &str); 3] = [
    ("07-virtual-node-service-a.yaml", "service-a"),
    ("03-virtual-node-service-b.yaml", "service-b"),
    ("06-virtual-node-service-b-v2.yaml", "service-b-v2"),
];

/// Gives the nodes their identities and fleets and tells what was made for them in AWS; gives the ids of the instances,
/// whose roles the three hosts take.
async fn launched(
    stack: &Stack,
    moto: &Moto,
    samples: &Path,
    observer: &mut dyn Observer,
) -> Result<Vec<String>> {
    observer.step("kubectl apply -f the virtual nodes of samples/fleet: identities and instances in AWS");
    for (file, _) in FLEETS {
        stack.kubectl.apply(&samples.join("fleet").join(file)).await?;
    }
    let mut ids = Vec::new();
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
        ids.push(id);
    }
    Ok(ids)
}

async fn apply(stack: &Stack, samples: &Path, folder: &str, observer: &mut dyn Observer) -> Result<()> {
    observer.step(&format!("kubectl apply -R -f samples/{folder}"));
    stack.kubectl.apply(&samples.join(folder)).await.map(drop)
}

/// Awaits `wanted` answers of a stage.
async fn count(load: &mut Load, stage: Stage, wanted: u64, observer: &mut dyn Observer) -> Result<()> {
    let what = format!("{wanted} requests are answered at {}", stage.name);
    load.until(&what, LIMIT, |tally| {
        let phase = tally.phase(stage.name);
        observer.count(&phase, Some(wanted));
        phase.answered() + phase.failed() >= wanted
    })
    .await
    .map(drop)
}
