//! Many routes with `canary` that rest: what the operator asks for, and whether it grows.

use std::time::Duration;

use anyhow::Result;
use serde::Serialize;
use serde_json::json;

use super::{DEADLINE, OPERATOR, Sizes, objects, progress};
use crate::world::BenchWorld;
use crate::{kubernetes, usage};

/// Parallel clients that make the objects.
const CLIENTS: usize = 16;
/// Between two looks at the memory.
const LOOK: Duration = Duration::from_secs(5);
/// For how long the routes are left alone before they are watched: what their creation left behind goes.
const SETTLE: Duration = Duration::from_secs(30);

/// What was measured.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IdleFigures {
    /// App Mesh calls over the time.
    pub calls: usize,
    /// CPU of the operator, in percent of a core.
    pub operator_cpu_percent: f64,
    /// The operator's resident size at the beginning, in MB (10^6 bytes).
    pub rss_before_mb: f64,
    /// At the end.
    pub rss_after_mb: f64,
    /// The greatest of all looks.
    pub rss_most_mb: f64,
}

/// Watches them.
///
/// # Errors
/// A part does not start, or the routes do not become Ready.
pub async fn run(sizes: &Sizes) -> Result<IdleFigures> {
    let mut world = BenchWorld::start_with(&OPERATOR).await?;
    let objects = objects::resting(sizes.idle, &json!({}));
    let count = objects.len() + 1;
    progress(&format!("creating {} objects", objects.len()));
    kubernetes::create_all(&world.kubeconfig, objects, CLIENTS).await?;
    kubernetes::all_ready(&world.client, count, DEADLINE).await?;
    tokio::time::sleep(SETTLE).await;
    progress(&format!("watching {} routes that rest for {} s", sizes.idle, sizes.idle_seconds));
    world.calls.take();
    let operator = world.operator.process().id();
    let before = usage::of(operator)?;
    let (mut after, mut most) = (before, before.rss);
    let end = tokio::time::Instant::now() + Duration::from_secs(sizes.idle_seconds);
    while tokio::time::Instant::now() < end {
        tokio::time::sleep(LOOK).await;
        after = usage::of(operator)?;
        most = most.max(after.rss);
    }
    let cpu = after.cpu.saturating_sub(before.cpu).as_secs_f64();
    Ok(IdleFigures {
        calls: world.calls.take().len(),
        operator_cpu_percent: 100.0 * cpu / sizes.idle_seconds.max(1) as f64,
        rss_before_mb: before.rss as f64 / 1e6,
        rss_after_mb: after.rss as f64 / 1e6,
        rss_most_mb: most as f64 / 1e6,
    })
}
