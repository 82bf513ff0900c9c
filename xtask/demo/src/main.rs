//! What `cargo xtask demo` runs: the scenario with real parts, live. Everything it needs is installed and built by then, and it
//! runs as root, be it of a user namespace.

mod view;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::scenario::{self, MIN_REQUESTS, ScenarioApi, ScenarioOptions};
use fleetmesh_testbed::tools;
use tokio::signal::unix::{SignalKind, signal};

/// The exit status of a program that a signal ended, by custom: 128 and the signal's number.
const INTERRUPTED: u8 = 130;

/// Run the scenario with real Envoys: YAML in, requests split 100/0, 75/25, 0/100.
#[derive(Parser)]
#[command(bin_name = "cargo xtask demo", version)]
struct DemoArgs {
    /// Requests that each split is judged by.
    #[arg(long, default_value_t = MIN_REQUESTS, value_parser = clap::value_parser!(u64).range(MIN_REQUESTS..))]
    requests: u64,
    /// Requests that serviceA sends in a second.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rate: u32,
    /// Show IAM identities and EC2 fleets as well, with moto in the place of AWS.
    #[arg(long)]
    aws: bool,
}

fn main() -> ExitCode {
    match run(&DemoArgs::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &DemoArgs) -> Result<ExitCode> {
    let options = ScenarioOptions {
        samples: tools::workspace_dir()?.join("samples"),
        requests: arguments.requests,
        rate: arguments.rate,
        canaries: true,
        api: ScenarioApi::Standalone,
        aws: arguments.aws,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(until_stopped(&options))
}

/// Runs the scenario to its end or to the first signal. Either way everything it made is gone on return: it belongs
/// to the future, and goes with it.
async fn until_stopped(options: &ScenarioOptions) -> Result<ExitCode> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let run = RunDir::new("demo")?;
    let mut view = view::View::new();
    view.title(run.path());
    let report = tokio::select! {
        report = scenario::run(options, &run, &mut view) => Some(report),
        _ = interrupt.recv() => None,
        _ = terminate.recv() => None,
        _ = hang_up.recv() => None,
    };
    let Some(report) = report else {
        view.note("interrupted; everything the demo made is removed");
        return Ok(ExitCode::from(INTERRUPTED));
    };
    let report = report.inspect_err(|_| view.note("failed; everything the demo made is removed"))?;
    view.summary(&report);
    Ok(if report.passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
