//! Cluster, control plane and operator together: what a fleet's owner runs.

use std::process::Command;

use anyhow::{Context as _, Result};

use crate::cluster::Cluster;
use crate::command;
use crate::control_plane::ControlPlane;
use crate::kubectl::Kubectl;
use crate::operator::Operator;
use crate::run_dir::RunDir;
use crate::tools;

/// A running stack. Fields are dropped in this order: whoever depends on another goes first.
#[derive(Debug)]
pub struct Stack {
    /// The operator between the two others.
    pub operator: Operator,
    /// App Mesh's API and the proxies' configuration.
    pub control_plane: ControlPlane,
    /// The Kubernetes API with Fleetmesh's kinds.
    pub cluster: Cluster,
    /// kubectl as the cluster's admin.
    pub kubectl: Kubectl,
}

impl Stack {
    /// Starts all three, with files in `run`.
    ///
    /// # Errors
    /// A part does not become ready.
    pub async fn start(run: &RunDir) -> Result<Self> {
        Self::start_with(run, &[]).await
    }

    /// The same with more arguments of `fleetmesh operator`.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_with(run: &RunDir, operator: &[&str]) -> Result<Self> {
        Self::start_in(run, operator, &[]).await
    }

    /// The same with more variables in the operator's environment, for example where AWS's services are.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_in(run: &RunDir, operator: &[&str], environment: &[(&str, &str)]) -> Result<Self> {
        Self::around(ControlPlane::start(run).await?, run, operator, environment).await
    }

    /// The same around a control plane that runs.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn around(
        control_plane: ControlPlane,
        run: &RunDir,
        operator: &[&str],
        environment: &[(&str, &str)],
    ) -> Result<Self> {
        let endpoint = control_plane.endpoint();
        Self::behind(control_plane, &endpoint, run, operator, environment).await
    }

    /// The same, whose operator finds the control plane at `app_mesh`, a proxy's address.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn behind(
        control_plane: ControlPlane,
        app_mesh: &str,
        run: &RunDir,
        operator: &[&str],
        environment: &[(&str, &str)],
    ) -> Result<Self> {
        let cluster = Cluster::start(run).await?;
        let kubectl = cluster.kubectl()?;
        install_crds(&kubectl, run).await?;
        let kubeconfig = cluster.admin_kubeconfig();
        let operator = Operator::start_in(&kubeconfig, app_mesh, operator, environment, run).await?;
        Ok(Self { operator, control_plane, cluster, kubectl })
    }
}

/// Installs Fleetmesh's kinds, as `fleetmesh crds | kubectl apply` does, and awaits that the API serves them.
///
/// # Errors
/// `fleetmesh` is not built, or the API refuses a kind.
pub async fn install_crds(kubectl: &Kubectl, run: &RunDir) -> Result<()> {
    let mut print = Command::new(tools::fleetmesh()?);
    print.arg("crds");
    let file = run.join("crds.yaml");
    std::fs::write(&file, command::run(print).await.context("cannot print the kinds")?)?;
    let file = file.display().to_string();
    // A client-side apply would copy each kind into an annotation, which some are too large for.
    kubectl.run(&["apply", "--server-side", "-f", &file]).await?;
    kubectl.run(&["wait", "--for=condition=Established", "--timeout=60s", "-f", &file]).await?;
    Ok(())
}
