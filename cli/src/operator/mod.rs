//! `fleetmesh operator`: runs an operator with the configuration from its flags, and its health pages.

mod args;
mod joining;

use std::io::{self, Write};

use anyhow::anyhow;
use fleetmesh_operator::cloud::AppMeshApi;
use fleetmesh_operator::write_hook::WriteHooks;
use fleetmesh_operator::{KubernetesApi, Operator};
use tokio_util::sync::CancellationToken;

pub use args::OperatorArgs;
#[cfg(feature = "standalone")]
pub use joining::{FleetProxyArgs, JoinError};

/// Runs until `shutdown`, then ends the reconciles under way and returns. Prints the address of the health pages as the first
/// line on standard output: scripts read it to learn the port. An API server or endpoint that does not answer is waited for.
///
/// # Errors
/// The configuration is unusable: no cluster, or an address that is taken. Or the operator stopped by itself.
pub async fn run(args: OperatorArgs, shutdown: CancellationToken) -> anyhow::Result<()> {
    let address = args.health_listen;
    let pages = fleetmesh_health::bind(address)
        .await
        .map_err(|error| anyhow!("cannot listen on {address} (--health-listen): {error}"))?;
    writeln!(io::stdout(), "{}", pages.address)
        .map_err(|error| anyhow!("cannot print the address on standard output: {error}"))?;
    let config = args.config()?;
    let kubernetes = KubernetesApi::of(args.kubeconfig.as_deref(), args.context.as_deref()).await?;
    let app_mesh = AppMeshApi::of(&args.endpoint()).await?;
    let operator = Operator::new(config, &kubernetes, app_mesh, WriteHooks::default())?;
    let operator = operator.looking_out(&kubernetes, args.lease())?;
    operator.serve_health(pages, &shutdown);
    Ok(operator.run(shutdown).await?)
}
