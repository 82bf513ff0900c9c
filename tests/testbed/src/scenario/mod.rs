//! The scenario from end to end: three instances with real Envoys and a gateway, which all join by their roles, samples applied
//! as kubectl does, requests from inside and outside of the mesh under way all the time. The demo shows it, a test asserts it.

pub mod canary;
mod edge;
mod identities;
mod installation;
mod loads;
mod member;
pub mod mutual_tls;
mod world;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::app::tally::{LoadPhase, Tally};
use crate::chi_square;
use crate::host::HostBackend;
use crate::run_dir::RunDir;
use crate::{objects, wait};

use canary::Canaries;
pub use installation::{Installation, ScenarioApi};
use loads::Loads;
use mutual_tls::MutualTls;
pub use world::ScenarioWorld;
use world::apply;

/// What the application of serviceA has always called.
pub const URL: &str = "http://serviceb.apps.local";
/// What clients outside of the mesh call: the gateway, which leads them to the same service.
pub const OUTSIDE_URL: &str = "http://edge.apps.local:8088/";
/// The mesh of the samples, and their namespace.
pub const MESH: &str = "apps";
/// Probability below which a split counts as wrong.
pub const SIGNIFICANCE: f64 = 0.001;
/// The fewest requests that a split is judged by.
pub const MIN_REQUESTS: u64 = 4000;
/// How long the requests of a stage, or a shift, may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(180);
/// How long objects may take to become Ready.
const READY: Duration = Duration::from_secs(60);

/// A state of the mesh that requests are counted in.
#[derive(Debug, Clone, Copy)]
pub struct ScenarioStage {
    /// serviceB's percentage, a slash, serviceBv2's.
    pub name: &'static str,
    /// The folder of samples that brings it about.
    pub folder: &'static str,
    /// The weights of serviceB and serviceBv2.
    pub weights: [u32; 2],
}

/// The stages in their order.
pub const STAGES: [ScenarioStage; 3] = [
    ScenarioStage { name: "100/0", folder: "connect", weights: [100, 0] },
    ScenarioStage { name: "75/25", folder: "split-75-25", weights: [75, 25] },
    ScenarioStage { name: "0/100", folder: "shift-100", weights: [0, 100] },
];

/// Who answers: the two versions of the service.
pub const VERSIONS: [&str; 2] = ["serviceB", "serviceBv2"];

/// The instances: virtual node, DNS name, and what intercepts their traffic (both ways of doing it are shown).
const INSTANCES: [(&str, &str, HostBackend); 3] = [
    ("serviceA", "servicea.apps.local", HostBackend::Iptables),
    ("serviceB", "serviceB.apps.local", HostBackend::Nft),
    ("serviceBv2", "serviceBv2.apps.local", HostBackend::Iptables),
];

/// What the scenario is run with.
#[derive(Debug, Clone)]
pub struct ScenarioOptions {
    /// The folder with the samples.
    pub samples: PathBuf,
    /// Requests that each stage is judged by; at least [`MIN_REQUESTS`].
    pub requests: u64,
    /// Requests a second.
    pub rate: u32,
    /// Whether canaries follow, when TLS is on.
    pub canaries: bool,
    /// Where the objects are.
    pub api: ScenarioApi,
    /// Whether the operator makes identities and fleets, with moto in the place of AWS.
    pub aws: bool,
}

/// Is notified of what happens.
pub trait Observer {
    /// Something begins.
    fn step(&mut self, text: &str);
    /// A count of the phase that requests are now counted in, of which `wanted` answers are awaited (none in a shift).
    fn count(&mut self, phase: &LoadPhase, wanted: Option<u64>);
    /// A stage has its verdict.
    fn verdict(&mut self, verdict: &ScenarioVerdict);
}

/// How a stage went.
#[derive(Debug, Clone)]
pub struct ScenarioVerdict {
    /// The stage.
    pub stage: ScenarioStage,
    /// Answers of serviceB and serviceBv2.
    pub counts: [u64; 2],
    /// The probability of a deviation at least as large under the stage's weights.
    pub p_value: f64,
}

impl ScenarioVerdict {
    fn of(stage: ScenarioStage, phase: &LoadPhase) -> Result<Self> {
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
pub struct ScenarioReport {
    /// The stages' verdicts.
    pub verdicts: Vec<ScenarioVerdict>,
    /// What became of connections between proxies when the whole mesh turned TLS on.
    pub mutual_tls: MutualTls,
    /// How the canaries went, if there were any.
    pub canaries: Option<Canaries>,
    /// Everything that was counted, shifts included.
    pub tally: Tally,
    /// The same for clients outside of the mesh, who come through the gateway.
    pub outside: Tally,
}

impl ScenarioReport {
    /// Whether every split was as written and no request failed.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.verdicts.len() == STAGES.len()
            && self.verdicts.iter().all(ScenarioVerdict::holds)
            && self.mutual_tls.passed()
            && self.canaries.as_ref().is_none_or(Canaries::passed)
            && self.failed() == 0
            && self.outside_follows()
            && [&self.tally, &self.outside]
                .iter()
                .flat_map(|tally| &tally.phases)
                .all(|phase| phase.started == phase.answered() + phase.failed())
    }

    /// Whether the gateway led clients to the versions that have a weight, and to no other.
    fn outside_follows(&self) -> bool {
        STAGES.iter().all(|stage| {
            let phase = self.outside.phase(stage.name);
            let weights = VERSIONS.iter().zip(stage.weights);
            phase.answered() > 0
                && weights.into_iter().all(|(version, weight)| (phase.by(version) > 0) == (weight > 0))
        })
    }
}

impl ScenarioReport {
    /// Requests that failed and should not have: a bad release fails some.
    #[must_use]
    pub fn failed(&self) -> u64 {
        let unexpected = |tally: &Tally| tally.failed() - tally.phase(canary::BAD).failed();
        unexpected(&self.tally) + unexpected(&self.outside)
    }
}

/// Runs the scenario with all files in `run`. Dropping the future ends and removes all it started.
///
/// # Errors
/// A part fails, or an expected state is not reached. A wrong split or a failed request is not an error but in the
/// report.
pub async fn run(
    options: &ScenarioOptions,
    run: &RunDir,
    observer: &mut dyn Observer,
) -> Result<ScenarioReport> {
    ensure!(options.requests >= MIN_REQUESTS, "a split is judged by at least {MIN_REQUESTS} requests");
    let mut world = ScenarioWorld::start(options, run, observer).await?;
    let mut load = Loads::start(&world, options.rate, run, observer).await?;
    for (index, stage) in STAGES.into_iter().enumerate() {
        if index > 0 {
            world.shift(&mut load, stage, options, observer).await?;
        }
        count(&mut load, stage, options.requests, observer).await?;
    }
    let mutual_tls = mutual_tls::run(&world, &mut load, options, observer).await?;
    let canaries = match options.canaries {
        true => Some(canary::run(&mut world, &mut load, &options.samples, run, observer).await?),
        false => None,
    };
    let (tally, outside) = load.finish().await?;
    // Requests under way when a stage was left are answered now, so the verdict is on all of them.
    let verdicts: Vec<ScenarioVerdict> = STAGES
        .into_iter()
        .map(|stage| ScenarioVerdict::of(stage, &tally.phase(stage.name)))
        .collect::<Result<_>>()?;
    verdicts.iter().for_each(|verdict| observer.verdict(verdict));
    Ok(ScenarioReport { verdicts, mutual_tls, canaries, tally, outside })
}

impl ScenarioWorld {
    /// Applies the samples of `stage` and awaits that the route says Ready for them, while requests go on.
    async fn shift(
        &self,
        load: &mut Loads,
        stage: ScenarioStage,
        options: &ScenarioOptions,
        observer: &mut dyn Observer,
    ) -> Result<()> {
        load.phase(&format!("shift to {}", stage.name)).await?;
        apply(&self.installation, &options.samples, stage.folder, observer).await?;
        wait::until("the route is Ready", READY, async || {
            objects::ready("Route", &self.installation.objects.get("Route", MESH, "service-b").await?)
                .map(Some)
        })
        .await?;
        if let Some(phase) = load.inside.tally()?.current() {
            observer.count(phase, None);
        }
        load.phase(stage.name).await
    }
}

/// Awaits `wanted` answers of a stage.
async fn count(
    load: &mut Loads,
    stage: ScenarioStage,
    wanted: u64,
    observer: &mut dyn Observer,
) -> Result<()> {
    let what = format!("{wanted} requests are answered at {}", stage.name);
    load.inside
        .until(&what, LIMIT, |tally| {
            let phase = tally.phase(stage.name);
            observer.count(&phase, Some(wanted));
            phase.answered() + phase.failed() >= wanted
        })
        .await
        .map(drop)
}
