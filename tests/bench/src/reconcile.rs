//! The reconcile benchmark: 1,500 objects made at once, made by kubectl, one weight changed, nothing changed.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use fleetmesh_testbed::proxies::ProxyFleet;
use fleetmesh_testbed::run_dir::RunDir;
use serde::Serialize;
use serde_json::json;

use crate::kubernetes::Written;
use crate::objects::{self, CHANGED_ROUTE, MESH, ObjectCounts};
use crate::statistics::{Percentiles, millis};
use crate::world::BenchWorld;
use crate::{kubernetes, usage, world};

/// Parallel clients of the API server.
const CLIENTS: usize = 16;
/// Changes of one weight.
const CHANGES: usize = 20;
/// Forced resyncs.
const RESYNCS: usize = 100;
/// How long any phase may take.
const DEADLINE: Duration = Duration::from_secs(300);

/// What was measured; all durations in milliseconds.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReconcileReport {
    /// App Mesh objects, the mesh not counted.
    pub objects: usize,
    /// From the first create to the last Ready.
    pub create_ms: f64,
    /// Objects a second over that time.
    pub objects_per_second: f64,
    /// Objects a second when the same clients make the same writes to an API server that nobody else uses.
    pub api_server_objects_per_second: f64,
    /// App Mesh calls per object over that time.
    pub calls_per_object: f64,
    /// CPU seconds of the operator over that time.
    pub operator_cpu_seconds: f64,
    /// The operator's greatest resident size since its start, in MB (10^6 bytes).
    pub operator_peak_rss_mb: f64,
    /// From the end of `kubectl apply` of the same objects to the last Ready.
    pub ready_after_apply_ms: f64,
    /// CPU seconds of the operator from the start of that `kubectl apply`.
    pub apply_operator_cpu_seconds: f64,
    /// From the API server's answer to a changed weight to the App Mesh write.
    pub change_to_write_ms: Percentiles,
    /// To the ACK of the last of the proxies.
    pub change_to_last_ack_ms: Percentiles,
    /// The most App Mesh reads and writes that one change cost.
    pub reads_per_change: usize,
    /// See `reads_per_change`.
    pub writes_per_change: usize,
    /// Simulated proxies.
    pub proxies: usize,
    /// App Mesh calls of all resyncs.
    pub resync_calls: usize,
    /// Writes among them.
    pub resync_writes: usize,
}

/// Runs all phases.
///
/// # Errors
/// When a part does not start, or a phase does not end in time.
pub async fn run(counts: ObjectCounts) -> Result<ReconcileReport> {
    let applied = apply(counts).await.context("kubectl apply")?;
    let alone = alone(counts, &applied.written).await.context("the API server alone")?;
    let mut world = BenchWorld::start().await?;
    let created = create(&mut world, counts).await.context("create")?;
    let changed = change(&world, counts).await.context("change weights")?;
    let (resync_calls, resync_writes) = resync(&world).await.context("resync")?;
    let peak_rss = usage::of(world.operator.process().id())?.peak_rss;
    Ok(ReconcileReport {
        objects: counts.total(),
        create_ms: millis(created.took),
        objects_per_second: counts.total() as f64 / created.took.as_secs_f64(),
        api_server_objects_per_second: counts.total() as f64 / alone.as_secs_f64(),
        calls_per_object: created.calls as f64 / counts.total() as f64,
        operator_cpu_seconds: created.cpu.as_secs_f64(),
        operator_peak_rss_mb: peak_rss as f64 / 1e6,
        ready_after_apply_ms: millis(applied.to_ready),
        apply_operator_cpu_seconds: applied.cpu.as_secs_f64(),
        change_to_write_ms: Percentiles::of(&changed.to_write),
        change_to_last_ack_ms: Percentiles::of(&changed.to_last_ack),
        reads_per_change: changed.reads,
        writes_per_change: changed.writes,
        proxies: counts.callers,
        resync_calls,
        resync_writes,
    })
}

struct Created {
    took: Duration,
    calls: usize,
    cpu: Duration,
}

async fn create(world: &mut BenchWorld, counts: ObjectCounts) -> Result<Created> {
    progress(&format!("creating {} objects with {CLIENTS} clients", counts.total()));
    let before = usage::of(world.operator.process().id())?.cpu;
    let start = Instant::now();
    kubernetes::create_all(&world.kubeconfig, objects::objects(counts), CLIENTS).await?;
    // Watching begins only now: a watch of every change would share the two cores with what is measured.
    let ready = kubernetes::all_ready(&world.client, counts.total() + 1, DEADLINE).await?;
    let took = ready.duration_since(start);
    let cpu = usage::of(world.operator.process().id())?.cpu.saturating_sub(before);
    Ok(Created { took, calls: world.calls.take().len(), cpu })
}

struct Applied {
    to_ready: Duration,
    cpu: Duration,
    /// What the operator wrote to each object.
    written: Written,
}

async fn apply(counts: ObjectCounts) -> Result<Applied> {
    let mut world = BenchWorld::start().await?;
    progress(&format!("kubectl apply of {} objects", counts.total()));
    let items = objects::objects(counts);
    let file = world.run.join("objects.json");
    std::fs::write(&file, json!({ "apiVersion": "v1", "kind": "List", "items": items }).to_string())?;
    let before = usage::of(world.operator.process().id())?.cpu;
    world.cluster.kubectl()?.apply(&file).await?;
    let applied = Instant::now();
    let ready = kubernetes::all_ready(&world.client, counts.total() + 1, DEADLINE).await?;
    let cpu = usage::of(world.operator.process().id())?.cpu.saturating_sub(before);
    let written = kubernetes::written(&world.client).await?;
    Ok(Applied { to_ready: ready.saturating_duration_since(applied), cpu, written })
}

/// How long the API server takes for the writes of [`create`], from as many clients: each object is created, and gets the
/// finalizer and the status that the operator wrote. There is neither an operator nor a control plane.
async fn alone(counts: ObjectCounts, written: &Written) -> Result<Duration> {
    let run = RunDir::new("bench-alone")?;
    let cluster = world::cluster(&run).await?;
    let kubeconfig = cluster.admin_kubeconfig();
    kubernetes::create_namespace(&kubernetes::client(&kubeconfig).await?).await?;
    progress(&format!("the same writes of {} objects to the API server alone", counts.total()));
    let start = Instant::now();
    kubernetes::write_all(&kubeconfig, objects::objects(counts), CLIENTS, written).await?;
    Ok(start.elapsed())
}

struct Changed {
    to_write: Vec<Duration>,
    to_last_ack: Vec<Duration>,
    reads: usize,
    writes: usize,
}

async fn change(world: &BenchWorld, counts: ObjectCounts) -> Result<Changed> {
    progress(&format!("{CHANGES} weight changes under {} proxies", counts.callers));
    let nodes: Vec<String> = (0..counts.callers).map(objects::node_name).collect();
    let ads = world.control_plane.ads_address().parse().context("the ADS address")?;
    let mut proxies = ProxyFleet::connect(ads, MESH, &nodes).await?;
    kubernetes::all_ready(&world.client, counts.total() + 1, DEADLINE).await?;
    let mut changed = Changed { to_write: Vec::new(), to_last_ack: Vec::new(), reads: 0, writes: 0 };
    for index in 1..=CHANGES {
        world.calls.take();
        let weights = json!([
            { "virtualNode": objects::node_name(0), "weight": 75 - index },
            { "virtualNode": objects::node_name(1), "weight": 25 + index },
        ]);
        let patch = json!({ "spec": { "http2Route": { "action": { "weightedTargets": weights } } } });
        let sent = Instant::now();
        let answered = kubernetes::merge(&world.client, "Route", CHANGED_ROUTE, &patch).await?;
        let last = proxies.all_since(Some(sent), DEADLINE).await?;
        kubernetes::all_ready(&world.client, counts.total() + 1, DEADLINE).await?;
        let calls = world.calls.take();
        let write = calls.iter().find(|call| call.write).context("the change was written")?;
        changed.to_write.push(write.at.saturating_duration_since(answered));
        changed.to_last_ack.push(last.saturating_duration_since(answered));
        let writes = calls.iter().filter(|call| call.write).count();
        changed.writes = changed.writes.max(writes);
        changed.reads = changed.reads.max(calls.len() - writes);
    }
    Ok(changed)
}

/// Forces reconciles as `kubectl annotate` does: the object changes, its meaning does not.
async fn resync(world: &BenchWorld) -> Result<(usize, usize)> {
    progress(&format!("{RESYNCS} forced resyncs"));
    world.calls.take();
    for index in 0..RESYNCS {
        let patch = json!({ "metadata": { "annotations": { "fleetmesh.dev/resync": index.to_string() } } });
        kubernetes::merge(&world.client, "Route", CHANGED_ROUTE, &patch).await?;
    }
    // A change that must be written comes last: once it is, every reconcile before it is over.
    let patch = json!({ "spec": { "http2Route": { "match": { "prefix": "/end" } } } });
    kubernetes::merge(&world.client, "Route", CHANGED_ROUTE, &patch).await?;
    let marker = |calls: &crate::recorder::Calls| calls.writes() > 0;
    fleetmesh_testbed::wait::until("the last change is written", DEADLINE, async || {
        Ok(marker(&world.calls).then_some(()))
    })
    .await?;
    let calls = world.calls.take();
    let writes = calls.iter().filter(|call| call.write).count();
    Ok((calls.len() - 1, writes - 1))
}

fn progress(what: &str) {
    eprintln!("bench reconcile: {what}");
}
