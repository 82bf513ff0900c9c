//! `fleetmesh explain`: its flags, and what it prints. [`fleetmesh_operator::unserved`] asks.

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::{Context as _, anyhow};
use clap::Args;
use fleetmesh_api::distribution::ObjectStatus;
use fleetmesh_operator::AppMeshApi;
use fleetmesh_operator::cloud::CloudEndpoint;
use fleetmesh_operator::unserved::{explanation, served, subject};

/// Print what of a mesh is stored and not in force, and why, and what proxies reject.
///
/// Each line is a resource and what is to be known of it: the path of a member of its spec and the reason, or what proxies make
/// of it. Nothing is changed.
#[derive(Args, Clone, Debug)]
pub struct ExplainArgs {
    /// The name of a mesh, or one resource as an ARN or its last part (mesh/apps/virtualNode/serviceB). NAME@ACCOUNT is
    /// a mesh that another account shares.
    #[arg(value_name = "RESOURCE")]
    resource: String,

    /// The address of the control plane's App Mesh API, for example http://127.0.0.1:9080.
    #[arg(long, env = "FLEETMESH_APP_MESH_ENDPOINT", value_name = "URL")]
    app_mesh_endpoint: String,

    /// The CA that vouches for that address (PEM), in place of those that this system trusts.
    #[arg(long, env = "FLEETMESH_APP_MESH_CA_FILE", value_name = "FILE")]
    app_mesh_ca_file: Option<PathBuf>,

    /// The access key for that address, as `fleetmesh control-plane keys create -o json` prints it; read access is enough.
    #[arg(long, env = "FLEETMESH_APP_MESH_ACCESS_KEY_FILE", value_name = "FILE")]
    app_mesh_access_key_file: Option<PathBuf>,

    /// The AWS region of the mesh; without it the AWS SDK's standard resolution, then us-west-2.
    #[arg(long, env = "FLEETMESH_REGION", value_name = "REGION")]
    region: Option<String>,
}

/// Asks and prints.
///
/// # Errors
/// The control plane cannot be asked, or rejects the request.
pub async fn explain(args: ExplainArgs) -> anyhow::Result<()> {
    let ExplainArgs { resource: text, app_mesh_endpoint, app_mesh_ca_file, app_mesh_access_key_file, region } =
        args;
    let subject = subject(&text).map_err(|reason| anyhow!(reason))?;
    let endpoint = CloudEndpoint {
        url: Some(app_mesh_endpoint.clone()),
        ca_file: app_mesh_ca_file,
        access_key_file: app_mesh_access_key_file,
        region,
        ..CloudEndpoint::default()
    };
    let api = AppMeshApi::of(&endpoint).await?;
    let control_plane = api.control_plane().context("--app-mesh-endpoint is no address")?;
    let objects = served(control_plane, &subject).await;
    let objects =
        objects.map_err(|reason| anyhow!("cannot ask {app_mesh_endpoint} about {text}: {reason}"))?;
    io::stdout().write_all(text_of(&objects, &subject.resource.path()).as_bytes())?;
    Ok(())
}

fn text_of(objects: &[ObjectStatus], resource: &str) -> String {
    let lines = objects.iter().flat_map(|object| {
        explanation(object).into_iter().map(|line| format!("{} {line}\n", object.resource))
    });
    let lines: String = lines.collect();
    if lines.is_empty() { format!("{resource}: all of it is in force\n") } else { lines }
}
