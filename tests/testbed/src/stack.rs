//! Cluster, control plane and operator together: what a fleet's owner runs.

use std::process::Command;

use anyhow::{Context as _, Result};

use crate::cluster::Cluster;
use crate::command;
use crate::control_plane::ControlPlane;
use crate::kubectl::Kubectl;
use crate::launch::Launch;
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
        Self::builder().start(run).await
    }

    /// A stack whose parts differ from those of [`Self::start`].
    #[must_use]
    pub fn builder() -> StackBuilder {
        StackBuilder::default()
    }
}

/// What a stack is made of.
#[derive(Debug, Default)]
pub struct StackBuilder {
    control_plane: Option<ControlPlane>,
    app_mesh: Option<String>,
    operator: Launch,
}

impl StackBuilder {
    /// Around a control plane that runs.
    #[must_use]
    pub fn control_plane(self, control_plane: ControlPlane) -> Self {
        Self { control_plane: Some(control_plane), ..self }
    }

    /// The operator finds the control plane at `endpoint`, a proxy's address.
    #[must_use]
    pub fn app_mesh(self, endpoint: &str) -> Self {
        Self { app_mesh: Some(endpoint.to_owned()), ..self }
    }

    /// How the operator is started.
    #[must_use]
    pub fn operator(self, operator: Launch) -> Self {
        Self { operator, ..self }
    }

    /// Starts what does not run yet, with files in `run`.
    ///
    /// # Errors
    /// A part does not become ready.
    pub async fn start(self, run: &RunDir) -> Result<Stack> {
        let Self { control_plane, app_mesh, operator } = self;
        let control_plane = match control_plane {
            Some(control_plane) => control_plane,
            None => ControlPlane::start(run).await?,
        };
        let app_mesh = app_mesh.unwrap_or_else(|| control_plane.endpoint());
        let cluster = Cluster::start(run).await?;
        let kubectl = cluster.kubectl()?;
        install_crds(&kubectl, run).await?;
        let operator = Operator::launch(&cluster.admin_kubeconfig(), &app_mesh, run, operator).await?;
        Ok(Stack { operator, control_plane, cluster, kubectl })
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
