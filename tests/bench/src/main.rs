//! `cargo xtask bench NAME`: what Fleetmesh costs and how fast it is, on real parts. A figure that misses its target is marked, and
//! ends the program with 1; the figures go to `docs/performance.md` with the machine and the date.

mod api;
mod canary;
mod distribution;
mod figure;
mod kubernetes;
mod objects;
mod reconcile;
mod recorder;
mod statistics;
mod table;
mod usage;
mod world;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand, ValueEnum};
use serde::Serialize;

use crate::figure::Figure;
use crate::objects::ObjectCounts;

/// What Fleetmesh costs and how fast it is.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    benchmark: Benchmark,
}

#[derive(Subcommand)]
enum Benchmark {
    /// 1,500 App Mesh objects: created, applied, one weight changed under simulated proxies, resynced
    Reconcile {
        /// Virtual nodes; at least two
        #[arg(long, default_value_t = 500)]
        nodes: usize,
        /// Virtual routers, each with two routes and a virtual service
        #[arg(long, default_value_t = 250)]
        routers: usize,
        /// Simulated proxies
        #[arg(long, default_value_t = 100)]
        proxies: usize,
        /// How to print the figures
        #[arg(long, short, value_enum, default_value_t = BenchOutput::Table)]
        output: BenchOutput,
    },
    /// 1,000 rollouts at once, aborts under 1,000 simulated proxies, 10,000 routes with canary that rest
    Canary {
        #[command(flatten)]
        sizes: canary::Sizes,
        /// How to print the figures
        #[arg(long, short, value_enum, default_value_t = BenchOutput::Table)]
        output: BenchOutput,
    },
    /// The API of `fleetmesh standalone` beside kube-apiserver with etcd: start, writes, reads, watchers, memory, disk
    Api {
        #[command(flatten)]
        sizes: api::ApiSizes,
        /// How to print the figures
        #[arg(long, short, value_enum, default_value_t = BenchOutput::Table)]
        output: BenchOutput,
    },
    /// What an acknowledgement costs the control plane in a mesh, in one twice as large and in one four times as large
    Distribution {
        #[command(flatten)]
        sizes: distribution::MeshSizes,
        /// How to print the figures
        #[arg(long, short, value_enum, default_value_t = BenchOutput::Table)]
        output: BenchOutput,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum BenchOutput {
    /// A Markdown table, as in docs/performance.md
    Table,
    /// JSON
    Json,
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    match Arguments::parse().benchmark {
        Benchmark::Reconcile { nodes, routers, proxies, output } => {
            let counts = ObjectCounts { nodes: nodes.max(2), routers, callers: proxies.min(nodes.max(2)) };
            let report = reconcile::run(counts).await?;
            print(output, &report, reconcile::ReconcileReport::table, &report.figures())
        }
        Benchmark::Canary { sizes, output } => {
            let report = canary::run(sizes).await?;
            print(output, &report, canary::CanaryReport::table, &report.figures())
        }
        Benchmark::Api { sizes, output } => {
            let report = api::run(sizes).await?;
            print(output, &report, api::ApiReport::table, &report.figures())
        }
        Benchmark::Distribution { sizes, output } => {
            let report = distribution::run(sizes).await?;
            print(output, &report, distribution::DistributionReport::table, &report.figures())
        }
    }
}

/// Prints a report; fails when one of its `figures` misses its target.
fn print<R: Serialize>(
    output: BenchOutput,
    report: &R,
    table: impl FnOnce(&R) -> String,
    figures: &[Figure],
) -> Result<ExitCode> {
    match output {
        BenchOutput::Json => println!("{}", serde_json::to_string_pretty(report)?),
        BenchOutput::Table => print!("{}", table(report)),
    }
    let missed = figure::missed(figures);
    if missed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("missed: {}", missed.join("; "));
    Ok(ExitCode::FAILURE)
}
