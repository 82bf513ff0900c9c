//! `fleetmesh standalone`: the embedded API, an operator and a control plane in this process.

mod args;

use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context as _, anyhow};
use fleetmesh_health::Health;
use fleetmesh_operator::cloud::AppMeshApi;
use fleetmesh_operator::write_hook::WriteHooks;
use fleetmesh_operator::{KubernetesApi, Operator};
use fleetmesh_standalone::addresses::{Addresses, announce};
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
    let app_mesh = app_mesh(addresses.api.first().map(String::as_str))?;
    let operator = operator(&args, &api, app_mesh.clone()).await?.with_health(health);
    let addresses = Addresses {
        process: std::process::id(),
        kubernetes_api: format!("https://{}", api.address),
        app_mesh,
        region: args.identity.region.clone(),
        control_plane: addresses.all().map(str::to_owned).collect(),
    };
    let export = variable(&api.kubeconfig);

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
        let announced = announce(&args.data_dir, &addresses)?;
        print(&addresses, &export).context("cannot print the addresses on standard output")?;
        // Until the end, however that comes.
        stop.cancelled().await;
        drop(announced);
        anyhow::Ok(())
    };
    tokio::try_join!(serving, controlling, reconciling, applying, printing)?;
    Ok(())
}

/// The URL that the operator, and other commands on this host, ask.
fn app_mesh(address: Option<&str>) -> anyhow::Result<String> {
    let address = address.ok_or_else(|| anyhow!("--app-mesh-listen: the operator needs an address"))?;
    anyhow::ensure!(
        !address.starts_with("unix:"),
        "--app-mesh-listen: the operator needs HOST:PORT on loopback as the first address"
    );
    Ok(format!("http://{address}"))
}

async fn operator(
    args: &StandaloneArgs,
    api: &fleetmesh_standalone::Bound,
    app_mesh: String,
) -> anyhow::Result<Operator> {
    let app_mesh = AppMeshApi::of(&args.app_mesh(app_mesh)).await?;
    let kubernetes = KubernetesApi::new(api.client(OPERATOR)).known_as(api.address.ip().to_string());
    Ok(Operator::new(args.operator()?, &kubernetes, app_mesh, WriteHooks::default())?)
}

/// The line for a shell.
fn variable(kubeconfig: &Path) -> String {
    let path = std::path::absolute(kubeconfig).unwrap_or_else(|_| kubeconfig.to_owned());
    format!("export KUBECONFIG={}", path.display())
}

fn print(addresses: &Addresses, export: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let lines = [addresses.kubernetes_api.as_str(), export].into_iter();
    for line in lines.chain(addresses.control_plane.iter().map(String::as_str)) {
        writeln!(out, "{line}")?;
    }
    out.flush()
}
