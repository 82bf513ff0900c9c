//! Many rollouts at once: what they cost, and how far decisions are behind.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use fleetmesh_testbed::proxies::{ProxyFleet, Traffic};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;

use super::states::{self, Left, between};
use super::{DEADLINE, OPERATOR, Sizes, objects, progress};
use crate::objects::MESH;
use crate::recorder::RecordedCall;
use crate::statistics::Percentiles;
use crate::world::BenchWorld;
use crate::{kubernetes, usage};

/// The steps, in percent.
const STEPS: [i32; 3] = [25, 50, 100];
/// Parallel clients that make the objects.
const CLIENTS: usize = 16;

/// What was measured.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// Steps that were left, the last ones included.
    pub steps: usize,
    /// From the first change of a spec to the last promotion.
    pub seconds: f64,
    /// CPU seconds of the operator over that time.
    pub operator_cpu_seconds: f64,
    /// The operator's greatest resident size since its start, in MB (10^6 bytes).
    pub operator_peak_rss_mb: f64,
    /// From the time that a step was over to the decision to leave it.
    pub decision_delay_ms: Percentiles,
    /// To the write to the App Mesh endpoint that follows from it.
    pub write_delay_ms: Percentiles,
    /// App Mesh reads for each step.
    pub reads_per_step: f64,
    /// App Mesh writes for each step: besides the steps themselves the new node is made known, and the old one let go.
    pub writes_per_step: f64,
}

/// Rolls all routes out.
///
/// # Errors
/// A part does not start, or the rollouts do not end as they should.
pub async fn run(sizes: &Sizes) -> Result<Figures> {
    let mut world = BenchWorld::start_with(&OPERATOR).await?;
    let objects = objects::services(sizes.routes, &canary(sizes.step_seconds));
    let count = objects.len() + 1;
    progress(&format!("creating {} objects", objects.len()));
    kubernetes::create_all(&world.kubeconfig, objects, CLIENTS).await?;
    kubernetes::all_ready(&world.client, count, DEADLINE).await?;
    let callers: Vec<String> = (0..objects::callers(sizes.routes)).map(objects::caller).collect();
    let ads = world.control_plane.ads_address().parse().context("the ADS address")?;
    let traffic: Arc<Traffic> = Arc::default();
    let _proxies = ProxyFleet::connect_reporting(ads, MESH, &callers, &traffic).await?;
    kubernetes::all_ready(&world.client, count, DEADLINE).await?;
    progress(&format!("{} rollouts, {} s a step", sizes.routes, sizes.step_seconds));
    world.calls.take();
    let (cpu, start) = (usage::of(world.operator.process().id())?.cpu, std::time::Instant::now());
    let length = Duration::from_secs(sizes.step_seconds * (2 + STEPS.len() as u64));
    let watching =
        tokio::spawn(states::until_promoted(world.client.clone(), sizes.routes, length + DEADLINE));
    release(&world, sizes).await?;
    let left = watching.await??;
    let (took, used) = (start.elapsed(), usage::of(world.operator.process().id())?);
    let calls = world.calls.take();
    let writes = calls.iter().filter(|call| call.write).count();
    let per_step = |calls: usize| calls as f64 / left.len() as f64;
    Ok(Figures {
        steps: left.len(),
        seconds: took.as_secs_f64(),
        operator_cpu_seconds: used.cpu.saturating_sub(cpu).as_secs_f64(),
        operator_peak_rss_mb: used.peak_rss as f64 / 1e6,
        decision_delay_ms: Percentiles::of(&delays(&left, |one| Some(one.decided))),
        write_delay_ms: Percentiles::of(&written(&left, &calls)),
        reads_per_step: per_step(calls.len() - writes),
        writes_per_step: per_step(writes),
    })
}

/// Judged four times a step by what the callers' proxies report.
fn canary(step_seconds: u64) -> serde_json::Value {
    let pause = format!("{step_seconds}s");
    let steps = STEPS.map(|weight| json!({ "setWeight": weight, "pause": { "duration": pause } }));
    json!({
        "steps": steps,
        "analysis": { "interval": format!("{}s", (step_seconds / 4).max(2)) },
        "drain": { "timeoutSeconds": 60 },
    })
}

/// Changes all specs, evenly over the length of a step.
async fn release(world: &BenchWorld, sizes: &Sizes) -> Result<()> {
    let apart = Duration::from_secs(sizes.step_seconds) / u32::try_from(sizes.routes)?;
    let mut due = tokio::time::interval(apart.max(Duration::from_millis(1)));
    for index in 0..sizes.routes {
        due.tick().await;
        kubernetes::merge(&world.client, "Route", &objects::route_name(index), &objects::release(index))
            .await?;
    }
    Ok(())
}

fn delays(left: &[Left], until: impl Fn(&Left) -> Option<Timestamp>) -> Vec<Duration> {
    left.iter().filter_map(|one| Some(between(one.due, until(one)?))).collect()
}

/// How long after a step was over the weights of the next one were written. The last step is followed by no weights.
fn written(left: &[Left], calls: &[RecordedCall]) -> Vec<Duration> {
    let mut writes: HashMap<&str, Vec<Timestamp>> = HashMap::new();
    for call in calls.iter().filter(|call| call.write) {
        writes.entry(call.name()).or_default().push(call.when);
    }
    delays(left, |one| {
        let of_route = writes.get(one.route.as_str()).filter(|_| !one.last)?;
        of_route.iter().find(|at| **at >= one.decided).copied()
    })
}
