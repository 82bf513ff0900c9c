//! `fleetmesh control-plane`: runs a control plane with the configuration from its flags.

mod args;
mod command;
#[cfg(feature = "aws")]
mod instances;
mod share;

use std::io::{self, Write};
use std::sync::Arc;

use anyhow::anyhow;
use fleetmesh_control_plane::bind;
use fleetmesh_control_plane::join::Instances;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use args::ControlPlaneArgs;
pub use args::IdentityArgs;
pub use command::ControlPlaneCommand;
pub use share::share;

/// Runs until `shutdown`, then ends what is under way and returns. Prints the address of each listener on standard output, one a
/// line, once all of them are served.
///
/// # Errors
/// It could not start, or stopped by itself.
pub async fn serve(args: ControlPlaneArgs, shutdown: CancellationToken) -> anyhow::Result<()> {
    open_as_many_files_as_allowed();
    let instances = instances(&args)?;
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

/// Who asks EC2 about instances, where that is wanted.
#[cfg(feature = "aws")]
fn instances(args: &ControlPlaneArgs) -> anyhow::Result<Option<Arc<dyn Instances>>> {
    Ok(args.verify_instances.then(|| instances::of(args.identity.region.clone())))
}

/// The same in a program that cannot.
#[cfg(not(feature = "aws"))]
fn instances(args: &ControlPlaneArgs) -> anyhow::Result<Option<Arc<dyn Instances>>> {
    anyhow::ensure!(
        !args.verify_instances,
        "--verify-instances: this program was built without EC2's client (the feature `aws`)"
    );
    Ok(None)
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
fn open_as_many_files_as_allowed() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}
