//! `fleetmesh explain`: its flags, and what it prints. [`fleetmesh_operator::unserved`] asks.

use std::io::{self, Write};
#[cfg(feature = "client")]
use std::path::PathBuf;

use anyhow::{Context as _, anyhow};
use clap::{ArgGroup, Args};
use fleetmesh_api::distribution::ObjectStatus;
use fleetmesh_operator::AppMeshApi;
use fleetmesh_operator::cloud::CloudEndpoint;
use fleetmesh_operator::unserved::{explanation, served, subject};

use crate::endpoint::EndpointArgs;

/// Print what of a mesh is stored and not in force, and why, and what proxies reject.
///
/// Each line is a resource and what is to be known of it: the path of a member of its spec and the reason, or what proxies make
/// of it. Nothing is changed.
#[derive(Args, Clone, Debug)]
#[cfg_attr(feature = "client", command(group = one_of(&["app_mesh_endpoint", "data_dir"])))]
#[cfg_attr(not(feature = "client"), command(group = one_of(&["app_mesh_endpoint"])))]
pub struct ExplainArgs {
    /// The name of a mesh, or one resource as an ARN or its last part (mesh/apps/virtualNode/serviceB). NAME@ACCOUNT is
    /// a mesh that another account shares.
    #[arg(value_name = "RESOURCE")]
    resource: String,

    #[command(flatten)]
    app_mesh: EndpointArgs,

    /// The data directory of a `fleetmesh standalone`, whose App Mesh API is asked unless another is given.
    #[cfg(feature = "client")]
    #[arg(long, env = "FLEETMESH_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

impl ExplainArgs {
    /// The endpoint, which is given or that of the data directory.
    fn endpoint(&self) -> anyhow::Result<CloudEndpoint> {
        let endpoint = self.app_mesh.endpoint();
        #[cfg(feature = "client")]
        if let (None, Some(folder)) = (&endpoint.url, &self.data_dir) {
            let found = fleetmesh_client::addresses(folder).map_err(|error| {
                anyhow!("{error}: start it, or name another control plane with --app-mesh-endpoint URL")
            })?;
            let region = endpoint.region.or(Some(found.region));
            return Ok(CloudEndpoint { url: Some(found.app_mesh), region, ..endpoint });
        }
        Ok(endpoint)
    }
}

/// At least one of these names a control plane: AWS's App Mesh has nothing to explain.
fn one_of(names: &[&'static str]) -> ArgGroup {
    ArgGroup::new("control plane").args(names.iter().copied()).required(true).multiple(true)
}

/// Asks and prints.
///
/// # Errors
/// The control plane cannot be asked, or rejects the request.
pub async fn explain(args: ExplainArgs) -> anyhow::Result<()> {
    let text = &args.resource;
    let subject = subject(text).map_err(|reason| anyhow!(reason))?;
    let endpoint = args.endpoint()?;
    let api = AppMeshApi::of(&endpoint).await?;
    let control_plane = api.control_plane().context("--app-mesh-endpoint is no address")?;
    let objects = served(control_plane, &subject).await;
    let url = endpoint.url.unwrap_or_default();
    let objects = objects.map_err(|reason| anyhow!("cannot ask {url} about {text}: {reason}"))?;
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
