//! The benchmark of the Kubernetes-style API: `fleetmesh standalone` and kube-apiserver with etcd do the same in one run, one after the
//! other, each alone on the machine. Both await that what they acknowledge is on disk.
//!
//! Writes, reads and watchers are of ConfigMaps, which no operator works on.

mod load;
mod report;
mod side;

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clap::Args;
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::standalone::Standalone;
use fleetmesh_testbed::tools;
use serde::Serialize;

use crate::kubernetes;
use crate::objects::{self, ObjectCounts};
use crate::statistics::{Percentiles, millis};
use crate::world::BenchWorld;
pub use report::ApiReport;
use side::Side;

/// How long any phase may take.
const DEADLINE: Duration = Duration::from_secs(300);
/// The objects of samples/getting-started that become Ready.
const SAMPLES: usize = 8;

/// How much is done.
#[derive(Args, Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiSizes {
    /// Objects that one client makes, changes and reads
    #[arg(long, default_value_t = 300)]
    pub alone: usize,
    /// Objects that are there when memory is looked at the second time; sixteen clients make the rest
    #[arg(long, default_value_t = 1000)]
    pub few: usize,
    /// The same the third time
    #[arg(long, default_value_t = 10_000)]
    pub many: usize,
    /// Watchers
    #[arg(long, default_value_t = 100)]
    pub watchers: usize,
    /// Changes that they see
    #[arg(long, default_value_t = 50)]
    pub changes: usize,
}

/// What one of the two did.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Measured {
    /// From the start of the process until it is ready, in milliseconds.
    pub ready_ms: f64,
    /// Resident size with no objects, with few and with many, in MB (10^6 bytes).
    pub rss_mb: [f64; 3],
    /// Creates, updates and reads a second of one client.
    pub alone: [f64; 3],
    /// The same of sixteen clients.
    pub together: [f64; 3],
    /// From the answer to a change until a watcher has it.
    pub watch_ms: Percentiles,
    /// The data directory with many objects, in MB (10^6 bytes).
    pub disk_mb: f64,
    /// From the end of `kubectl apply` of the first samples until all are Ready, with an operator and a control plane, in milliseconds.
    pub apply_to_ready_ms: f64,
}

/// Measures both.
///
/// # Errors
/// A part does not start, or a phase does not end in time.
pub async fn run(sizes: ApiSizes) -> Result<ApiReport> {
    let standalone = measure(Side::standalone().await?, sizes).await.context("standalone")?;
    let kubernetes = measure(Side::kubernetes().await?, sizes).await.context("kube-apiserver")?;
    let objects_per_second = bulk().await.context("objects until Ready")?;
    Ok(ApiReport { sizes, standalone, kubernetes, objects_per_second })
}

async fn measure(side: Side, sizes: ApiSizes) -> Result<Measured> {
    let (ready_ms, rest) = (millis(side.ready), side.rss_mb()?);
    let load = load::Load::prepare(&side, sizes).await?;
    progress(side.name, "one client");
    let alone = load.alone().await?;
    progress(side.name, "sixteen clients");
    let together = load.together().await?;
    let few = side.rss_mb()?;
    progress(side.name, "watchers");
    let watch_ms = Percentiles::of(&load.watched().await?);
    progress(side.name, "many objects");
    load.fill().await?;
    let (many, disk_mb) = (side.rss_mb()?, side.disk_mb()?);
    progress(side.name, "samples");
    let apply_to_ready_ms = millis(samples(side).await?);
    let rss_mb = [rest, few, many];
    Ok(Measured { ready_ms, rss_mb, alone, together, watch_ms, disk_mb, apply_to_ready_ms })
}

/// How long the first samples take to be Ready after they are applied, at one of a kind that has nothing else to do.
async fn samples(side: Side) -> Result<Duration> {
    let is_standalone = side.is_standalone();
    drop(side);
    let folder = tools::workspace_dir()?.join("samples/getting-started");
    if is_standalone {
        let run = RunDir::new("bench-samples")?;
        let standalone = Standalone::start(&run).await?;
        standalone.kubectl()?.apply(&folder).await?;
        let applied = Instant::now();
        let client = kubernetes::client(&standalone.kubeconfig()).await?;
        let ready = kubernetes::all_ready_in(&client, "apps", SAMPLES, DEADLINE).await?;
        return Ok(ready.saturating_duration_since(applied));
    }
    let world = BenchWorld::start().await?;
    world.cluster.kubectl()?.apply(&folder).await?;
    let applied = Instant::now();
    // The mesh of the benchmark is one more.
    let ready = kubernetes::all_ready_in(&world.client, "apps", SAMPLES + 1, DEADLINE).await?;
    Ok(ready.saturating_duration_since(applied))
}

/// App Mesh objects a second that standalone brings until all are Ready, as `bench reconcile` counts them.
async fn bulk() -> Result<f64> {
    progress("standalone", "1500 objects until all are Ready");
    let run = RunDir::new("bench-bulk")?;
    let standalone = Standalone::start(&run).await?;
    let kubeconfig = standalone.kubeconfig();
    let client = kubernetes::client(&kubeconfig).await?;
    kubernetes::create_namespace(&client).await?;
    kubernetes::create_all(&kubeconfig, vec![objects::mesh()], 1).await?;
    let counts = ObjectCounts { nodes: 500, routers: 250, callers: 100 };
    let start = Instant::now();
    kubernetes::create_all(&kubeconfig, objects::objects(counts), load::CLIENTS).await?;
    let ready = kubernetes::all_ready(&client, counts.total() + 1, DEADLINE).await?;
    Ok(counts.total() as f64 / ready.duration_since(start).as_secs_f64())
}

fn progress(side: &str, what: &str) {
    eprintln!("bench api: {side}: {what}");
}
