//! The API of `fleetmesh standalone` without its operator and control plane: for tests that start, stop and kill each by itself.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use fleetmesh_standalone::{StandaloneConfig, bind};
use tokio_util::sync::CancellationToken;

/// `fleetmesh-test-api DIR ADDRESS`: prints the API's URL once connections are taken, and serves until it is killed.
#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let data_dir: PathBuf = arguments.next().context("give a data directory")?.into();
    let listen: SocketAddr = arguments.next().context("give an address")?.parse()?;
    let bound = bind(StandaloneConfig { listen, ..StandaloneConfig::new(data_dir) }).await?;
    println!("https://{}", bound.address);
    bound.serve(CancellationToken::new()).await?;
    Ok(())
}
