//! The command line for canaries: [`CanaryCommand`], offered by `fleetmesh canary` and, as kubectl's plugin, by
//! `kubectl fleetmesh canary`.
//!
//! Everything goes through the Kubernetes API with the person's own permissions (`rbac.yaml` lists them): `status` reads the Route, a
//! verb creates a RouteAction and waits for the operator's answer. `simulate` makes no calls: it runs the operator's own reducer on a
//! file.
//!
//! [`draw`], [`report`], [`action`] and [`simulate`] are pure; only [`cluster`], [`status`], [`verb`] and [`output`] do I/O.

use std::io;

pub mod action;
pub mod args;
pub mod cluster;
pub mod draw;
pub mod error;
pub mod output;
pub mod report;
pub mod simulate;
pub mod status;
pub mod verb;

pub use args::{CanaryCommand, PlaceArgs};
pub use error::Error;
pub use output::Output;

use fleetmesh_crds::Verb;

/// Runs `command` to its end and writes what it answers to `output`.
///
/// # Errors
/// It was not done; [`Error::exit_code`] is the exit status.
pub async fn run(command: CanaryCommand, output: &mut Output<'_>) -> Result<(), Error> {
    match command {
        CanaryCommand::Status(args) => status::run(args, output).await,
        CanaryCommand::Promote(args) => {
            let verb = if args.full { Verb::PromoteFull } else { Verb::Promote };
            verb::run(verb, &args.verb, output).await
        }
        CanaryCommand::Pause(args) => verb::run(Verb::Pause, &args, output).await,
        CanaryCommand::Resume(args) => verb::run(Verb::Resume, &args, output).await,
        CanaryCommand::SkipStep(args) => verb::run(Verb::SkipStep, &args, output).await,
        CanaryCommand::Abort(args) => verb::run(Verb::Abort, &args, output).await,
        CanaryCommand::Retry(args) => verb::run(Verb::Retry, &args, output).await,
        CanaryCommand::Simulate(args) => simulate::run(&args, output),
    }
}

/// Runs `command` to its end on a runtime of its own; standard output gets what it answers, in colours and live if it is
/// a terminal.
///
/// # Errors
/// As [`run`].
pub fn run_on_stdout(command: CanaryCommand) -> Result<(), Error> {
    // The one provider for the process; an error means that there is one already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::Runtime)?;
    let mut stdout = io::stdout().lock();
    let mut output = Output::stdout(&mut stdout);
    runtime.block_on(run(command, &mut output))
}
