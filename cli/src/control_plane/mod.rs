//! `fleetmesh control-plane`: runs a control plane with the configuration from its flags.

mod args;
mod command;
#[cfg(feature = "aws")]
mod instances;
mod joining;
mod share;

use std::io::{self, Write};

use anyhow::anyhow;
use fleetmesh_control_plane::bind;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use args::ControlPlaneArgs;
pub use args::IdentityArgs;
pub use command::ControlPlaneCommand;
#[cfg(feature = "standalone")]
pub use joining::JoiningArgs;
pub use joining::instances;
pub use share::share;

/// Runs until `shutdown`, then ends what is under way and returns. Prints the address of each listener on standard output, one a
/// line, once all of them are served.
///
/// # Errors
/// It could not start, or stopped by itself.
pub async fn serve(args: ControlPlaneArgs, shutdown: CancellationToken) -> anyhow::Result<()> {
    open_as_many_files_as_allowed();
    let instances = instances(&args.joining, &args.identity.region)?;
    let bound = bind(args.config(instances, &Handle::current())).await?;
    let (addresses, opened, stop) = (bound.addresses.clone(), bound.opened(), shutdown.child_token());
    let mut serving = Box::pin(bound.serve(stop.clone()));
    let printed = tokio::select! {
        ended = &mut serving => return Ok(ended?),
        () = opened => print(addresses.all()),
    };
    if printed.is_err() {
        stop.cancel();
    }
    serving.await?;
    printed.map_err(|error| anyhow!("cannot print the addresses on standard output: {error}"))
}

fn print<'a>(addresses: impl Iterator<Item = &'a str>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for address in addresses {
        writeln!(out, "{address}")?;
    }
    out.flush()
}

/// Each connection is a file, and the usual 1,024 are few for a fleet that connects again; what the system allows at most is
/// more. It is the process's limit, so it is no library's to change.
pub fn open_as_many_files_as_allowed() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}
