//! The real parts a benchmark runs on: etcd, kube-apiserver, control plane, operator, and the recorder in between.

use std::path::PathBuf;

use anyhow::{Context, Result};
use fleetmesh_testbed::cluster::Cluster;
use fleetmesh_testbed::control_plane::ControlPlane;
use fleetmesh_testbed::launch::Launch;
use fleetmesh_testbed::operator::Operator;
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::tools;
use kube::Client;

use crate::recorder::{self, Calls};
use crate::{kubernetes, objects};

/// Everything running, the mesh and the namespace there, nothing else.
pub struct BenchWorld {
    /// The operator.
    pub operator: Operator,
    /// The control plane.
    pub control_plane: ControlPlane,
    /// What the operator calls.
    pub calls: Calls,
    /// The administrator's kubeconfig.
    pub kubeconfig: PathBuf,
    /// A client of the administrator's.
    pub client: Client,
    /// The cluster.
    pub cluster: Cluster,
    /// Files of this run; last, so that it goes last.
    pub run: RunDir,
}

impl BenchWorld {
    /// Starts it all.
    ///
    /// # Errors
    /// When a tool is missing or does not start.
    pub async fn start() -> Result<Self> {
        Self::start_with(&[]).await
    }

    /// The same with more arguments of `fleetmesh operator`.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_with(operator: &[&str]) -> Result<Self> {
        let run = RunDir::new("bench")?;
        let cluster = cluster(&run).await?;
        let control_plane = ControlPlane::start(&run).await?;
        let upstream =
            control_plane.endpoint().trim_start_matches("http://").parse().context("the endpoint")?;
        let (address, calls) = recorder::start(upstream).await?;
        let kubeconfig = cluster.admin_kubeconfig();
        let operator =
            Operator::launch(&kubeconfig, &format!("http://{address}"), &run, Launch::with(operator)).await?;
        let client = kubernetes::client(&kubeconfig).await?;
        kubernetes::create_namespace(&client).await?;
        kubernetes::create_all(&kubeconfig, vec![objects::mesh()], 1).await?;
        kubernetes::all_ready(&client, 1, std::time::Duration::from_secs(30)).await?;
        calls.take();
        Ok(Self { operator, control_plane, calls, kubeconfig, client, cluster, run })
    }
}

/// A cluster that knows our kinds, and nobody who uses it.
///
/// # Errors
/// When a tool is missing or does not start.
pub async fn cluster(run: &RunDir) -> Result<Cluster> {
    let cluster = Cluster::start(run).await?;
    let kubectl = cluster.kubectl()?;
    kubectl.apply(&tools::workspace_dir()?.join("crds/yaml")).await?;
    kubectl.run(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=30s"]).await?;
    Ok(cluster)
}
