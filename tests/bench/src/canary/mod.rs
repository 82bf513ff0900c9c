//! The canary benchmark: many rollouts at once, an abort under many proxies, many routes with `canary` that rest. The
//! proxies are simulated ([`fleetmesh_testbed::proxies`]).

mod abort;
mod idle;
mod objects;
mod report;
mod rollouts;
mod states;

use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;
use serde::Serialize;

pub use report::CanaryReport;

/// How long any phase may take beyond its own length.
const DEADLINE: Duration = Duration::from_secs(600);
/// What the operator compares by itself must not hide what rollouts ask for.
const OPERATOR: [&str; 2] = ["--drift-interval", "1h"];

/// How much of everything; smaller numbers are for trying the benchmark, not for figures.
#[derive(Args, Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sizes {
    /// Routes in rollout at once; 0 leaves them out
    #[arg(long, default_value_t = 1000)]
    pub routes: usize,
    /// How long each of the three steps of these rollouts lasts, in seconds; they begin evenly spread over as long
    #[arg(long, default_value_t = 60)]
    pub step_seconds: u64,
    /// Simulated proxies that acknowledge aborts; 0 leaves these out
    #[arg(long, default_value_t = 1000)]
    pub proxies: usize,
    /// Aborts
    #[arg(long, default_value_t = 20)]
    pub aborts: usize,
    /// Routes with canary that rest; 0 leaves them out
    #[arg(long, default_value_t = 10_000)]
    pub idle: usize,
    /// For how long they are watched, in seconds
    #[arg(long, default_value_t = 300)]
    pub idle_seconds: u64,
}

/// Runs all phases, each on a cluster of its own.
///
/// # Errors
/// A part does not start, or a phase does not end in time.
pub async fn run(sizes: Sizes) -> Result<CanaryReport> {
    let rollouts = match sizes.routes {
        0 => None,
        _ => Some(rollouts::run(&sizes).await.context("rollouts")?),
    };
    let aborts = match sizes.proxies {
        0 => None,
        _ => Some(abort::run(&sizes).await.context("aborts")?),
    };
    let idle = match sizes.idle {
        0 => None,
        _ => Some(idle::run(&sizes).await.context("idle routes")?),
    };
    Ok(CanaryReport { sizes, rollouts, aborts, idle })
}

fn progress(what: &str) {
    eprintln!("bench canary: {what}");
}
