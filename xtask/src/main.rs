//! Developer commands: `cargo xtask setup | demo | test | fuzz | deny | crds | image | bench`.
//!
//! Compiles quickly, because it is the first thing a newcomer builds: what needs more than arguments, child processes and
//! progress is a program of its own (`demo/`, `image/`, the benchmarks, the fuzz targets), compiled when it is asked for.

mod cargo;
mod demo;
mod deny;
mod fuzz;
mod image;
mod setup;
mod step;
mod suites;
mod test;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

/// Developer commands of Fleetmesh.
#[derive(Parser)]
#[command(bin_name = "cargo xtask", version)]
enum XtaskCommand {
    /// Install what tests and the demo need into the target directory; the other commands do it by themselves.
    Setup,
    /// Run the scenario with real Envoys: YAML in, requests split 100/0, 75/25, 0/100.
    Demo(demo::DemoArgs),
    /// Run every test: unit, golden, property and black-box.
    Test(test::TestArgs),
    /// Feed parsers of what strangers send with inputs that were never meant: ten seconds each, or as long as you like.
    Fuzz(fuzz::FuzzArgs),
    /// Check the dependencies: bans, licences, sources, and advisories where their database can be fetched.
    Deny,
    /// Write what is generated from the types of the kinds: crds/yaml, the chart's copies and their reference.
    Crds,
    /// Make the container image, and its bill of materials; no Docker needed.
    Image(image::ImageArgs),
    /// Measure something on real parts, in a release build; `bench help` lists what.
    Bench {
        /// The benchmark and its options.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        arguments: Vec<String>,
    },
}

fn main() -> ExitCode {
    match run(XtaskCommand::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: XtaskCommand) -> Result<ExitCode> {
    match command {
        XtaskCommand::Setup => setup::run().map(|()| ExitCode::SUCCESS),
        XtaskCommand::Demo(arguments) => demo::run(&arguments),
        XtaskCommand::Test(arguments) => test::run(&arguments),
        XtaskCommand::Fuzz(arguments) => fuzz::run(&arguments),
        XtaskCommand::Deny => deny::run(),
        XtaskCommand::Image(arguments) => image::run(&arguments),
        XtaskCommand::Crds => {
            // Its argument is the root of the repository, where cargo::run runs it.
            cargo::run(&[
                "run",
                "--quiet",
                "--package",
                "fleetmesh-crds",
                "--bin",
                "fleetmesh-crds",
                "--",
                ".",
            ])?;
            Ok(ExitCode::SUCCESS)
        }
        XtaskCommand::Bench { arguments } => bench(&arguments),
    }
}

/// A benchmark starts the release build of `fleetmesh` that lies beside its own program.
fn bench(arguments: &[String]) -> Result<ExitCode> {
    setup::run()?;
    cargo::run(&["build", "--release", "--package", "fleetmesh"])?;
    let mut command = cargo::command(&["run", "--release", "--package", "fleetmesh-bench", "--"])?;
    command.args(arguments);
    cargo::status(command).map(|()| ExitCode::SUCCESS)
}
