//! `fleetmesh standalone`: the embedded API, an operator and a control plane in this process.

mod args;

use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context as _, anyhow};
use fleetmesh_health::Health;
use fleetmesh_operator::cloud::AppMeshApi;
use fleetmesh_operator::write_hook::WriteHooks;
use fleetmesh_operator::{KubernetesApi, Operator};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::control_plane::{instances, open_as_many_files_as_allowed};

pub use args::StandaloneArgs;

/// The user that the operator is to the API.
const OPERATOR: &str = "system:serviceaccount:fleetmesh-system:fleetmesh-operator";

/// Runs until `shutdown`, then ends what is under way and returns. Prints on standard output, once all of it is served: the API's URL,
/// the variable that points kubectl at it, and the addresses of the control plane, one a line.
///
/// # Errors
/// It could not start, or one of the three stopped by itself.
pub async fn run(args: StandaloneArgs, shutdown: CancellationToken) -> anyhow::Result<()> {
    open_as_many_files_as_allowed();
    let instances = instances(&args.joining, &args.identity.region)?;
    // Each of them on a processor of its own: reading definitions and making keys is work, not waiting.
    let api = tokio::spawn(fleetmesh_standalone::bind(args.api()));
    let control_plane = fleetmesh_control_plane::bind(args.control_plane(instances, &Handle::current()));
    let (api, bound) = tokio::join!(api, control_plane);
    let (api, bound) = (api.context("the API could not start")??, bound?);
    let (health, addresses, opened) = (Health::default(), bound.addresses.clone(), bound.opened());
    let bound = bound.with_health(health.clone());
    let operator =
        operator(&args, &api, addresses.api.first().map(String::as_str)).await?.with_health(health);
    let lines = [format!("https://{}", api.address), variable(&api.kubeconfig)];
    let lines: Vec<String> = lines.into_iter().chain(addresses.all().map(str::to_owned)).collect();

    let manifests = args.manifests.as_deref().map(|folder| api.manifests(folder)).transpose()?;
    let stop = shutdown.child_token();
    // One that ends, for whatever reason, ends the others.
    let _ends = stop.clone().drop_guard();
    let serving = async { anyhow::Ok(api.serve(stop.clone()).await?) };
    let controlling = async { anyhow::Ok(bound.serve(stop.clone()).await?) };
    let reconciling = async { anyhow::Ok(operator.run(stop.clone()).await?) };
    let applying = async {
        if let Some(manifests) = manifests {
            manifests.run(stop.clone()).await;
        }
        anyhow::Ok(())
    };
    let printing = async {
        opened.await;
        print(&lines).context("cannot print the addresses on standard output")
    };
    tokio::try_join!(serving, controlling, reconciling, applying, printing)?;
    Ok(())
}

async fn operator(
    args: &StandaloneArgs,
    api: &fleetmesh_standalone::Bound,
    app_mesh: Option<&str>,
) -> anyhow::Result<Operator> {
    let app_mesh = app_mesh.ok_or_else(|| anyhow!("--app-mesh-listen: the operator needs an address"))?;
    anyhow::ensure!(
        !app_mesh.starts_with("unix:"),
        "--app-mesh-listen: the operator needs HOST:PORT on loopback as the first address"
    );
    let app_mesh = AppMeshApi::of(&args.app_mesh(format!("http://{app_mesh}"))).await?;
    let kubernetes = KubernetesApi::new(api.client(OPERATOR)).known_as(api.address.ip().to_string());
    Ok(Operator::new(args.operator()?, &kubernetes, app_mesh, WriteHooks::default())?)
}

/// The line for a shell.
fn variable(kubeconfig: &Path) -> String {
    let path = std::path::absolute(kubeconfig).unwrap_or_else(|_| kubeconfig.to_owned());
    format!("export KUBECONFIG={}", path.display())
}

fn print(lines: &[String]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for line in lines {
        writeln!(out, "{line}")?;
    }
    out.flush()
}
