//! `cargo xtask demo`: builds the programs of the demo and runs it.

use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result};
use fleetmesh_tools::{tools, userns};

use crate::cargo;
use crate::setup::{self, Tools};

/// The programs of the demo. With xtask among them, dependencies get the features that they have in a build of the
/// whole workspace, so that `cargo xtask test` does not compile them again.
const BUILD: &[&str] = &[
    "build",
    "--package=fleetmesh",
    "--package=fleetmesh-testbed",
    "--package=fleetmesh-demo",
    "--package=xtask",
    // All that is shown, and not the clients of EC2, IAM and Cloud Map, which take minutes to compile.
    "--no-default-features",
    "--features=fleetmesh/proxy,fleetmesh/standalone",
];

/// What `--aws` shows as well.
const AWS: &str = "--features=fleetmesh/aws";

/// What `cargo xtask demo` takes.
#[derive(clap::Args)]
pub struct DemoArgs {
    /// Requests that each split is judged by: 4,000 or more, 4,000 by default.
    #[arg(long)]
    requests: Option<u64>,
    /// Requests that serviceA sends in a second: 1,000 by default, 10,000 at most.
    #[arg(long)]
    rate: Option<u32>,
    /// Show IAM identities and EC2 fleets as well, with moto in the place of AWS; takes minutes more to build, once.
    #[arg(long)]
    aws: bool,
}

/// Sets up, builds and runs the scenario; without root, inside a user namespace.
///
/// # Errors
/// Something cannot be set up, built or started.
pub fn run(arguments: &DemoArgs) -> Result<ExitCode> {
    if !userns::entered() {
        let (tools, more) = if arguments.aws { (Tools::Python, Some(AWS)) } else { (Tools::Envoy, None) };
        setup::beside(tools, || cargo::run(&[BUILD, more.as_slice()].concat()))?;
        if !userns::is_root() {
            userns::can_become_root().context("the demo makes network namespaces")?;
            println!("not root: the demo runs as root of a user namespace");
            return Err(userns::become_root());
        }
    }
    let mut demo = Command::new(tools::target_dir()?.join("debug/fleetmesh-demo"));
    demo.args(arguments.requests.iter().flat_map(|requests| ["--requests".to_owned(), requests.to_string()]));
    demo.args(arguments.rate.iter().flat_map(|rate| ["--rate".to_owned(), rate.to_string()]));
    demo.args(arguments.aws.then_some("--aws"));
    cargo::replace(demo)
}
