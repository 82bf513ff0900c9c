//! A cluster, a control plane, and lanes on them.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use fleetmesh_operator::cloud::CloudEndpoint;
use fleetmesh_operator::write_hook::WriteHooks;
use fleetmesh_operator::{AppMeshApi, KubernetesApi, Operator, OperatorConfig};
use fleetmesh_testbed::cluster::Cluster;
use fleetmesh_testbed::control_plane::ControlPlane;
use fleetmesh_testbed::launch::Launch;
use fleetmesh_testbed::moto::BOUNDARY;
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::{fleet_class, stack};
use fleetmesh_tests::objects::client;
use kube::Client;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use serde_json::Value;

use crate::objects::CrashKind;
use crate::scope::CrashScope;

/// Who writes what a user would.
const USER: &str = "crash-test";

pub struct CrashBed {
    client: Client,
    // Dropped last: who depends on them goes first.
    pub control_plane: ControlPlane,
    cluster: Cluster,
    run: RunDir,
}

/// A namespace and a mesh of the same name, and who works there: one operator life after another.
pub struct CrashLane {
    /// The name of all that is the lane's.
    pub name: String,
    pub client: Client,
    /// The App Mesh endpoint.
    pub endpoint: String,
    /// What the operators are made of.
    pub making: OperatorMaking,
    _scope: CrashScope,
}

/// Makes operators within this process, all with the same configuration between the same two APIs.
#[derive(Clone)]
pub struct OperatorMaking {
    pub config: OperatorConfig,
    kubeconfig: PathBuf,
    endpoint: String,
}

impl OperatorMaking {
    /// One more, whose writes ask `hooks`.
    pub async fn operator(&self, hooks: WriteHooks) -> Result<Operator> {
        let kubernetes = KubernetesApi::of(Some(&self.kubeconfig), None).await?;
        let endpoint = CloudEndpoint { url: Some(self.endpoint.clone()), ..CloudEndpoint::default() };
        let app_mesh = AppMeshApi::of(&endpoint).await?;
        Ok(Operator::new(self.config.clone(), &kubernetes, app_mesh, hooks)?)
    }
}

impl CrashBed {
    /// Starts a cluster with our kinds and a control plane with `arguments` besides.
    pub async fn start(name: &str, arguments: &[&str]) -> Result<Self> {
        let run = RunDir::new(name)?;
        let (cluster, control_plane) =
            tokio::try_join!(Cluster::start(&run), ControlPlane::launch(&run, Launch::with(arguments)))?;
        let kubectl = cluster.kubectl()?;
        stack::install_crds(&kubectl, &run).await?;
        fleet_class::apply_default(&kubectl, &run, &Value::Null).await?;
        let client = client(&cluster.admin_kubeconfig()).await?;
        Ok(Self { client, control_plane, cluster, run })
    }

    /// Makes `count` lanes.
    pub async fn lanes(&self, count: usize) -> Result<Vec<CrashLane>> {
        let mut lanes = Vec::new();
        for index in 0..count {
            lanes.push(self.lane(&format!("lane-{index:02}"), &self.control_plane.endpoint()).await?);
        }
        Ok(lanes)
    }

    /// Makes a lane whose operators find the control plane at `endpoint`.
    pub async fn lane(&self, name: &str, endpoint: &str) -> Result<CrashLane> {
        self.cluster.kubectl()?.run(&["create", "namespace", name]).await?;
        let scope = CrashScope::open(self.client.clone(), name).await?;
        let kubeconfig = self.run.join(format!("{name}.kubeconfig"));
        std::fs::write(&kubeconfig, scope.kubeconfig().to_string())?;
        let (client, endpoint) = (self.client.clone(), endpoint.to_owned());
        let config = OperatorConfig::default();
        let making = OperatorMaking { config, kubeconfig, endpoint: endpoint.clone() };
        Ok(CrashLane { name: name.to_owned(), client, endpoint, making, _scope: scope })
    }
}

impl CrashLane {
    /// Lets operators look at everything every second: AWS notifies nobody of what it does by itself.
    pub fn look_often(&mut self) {
        self.making.config.drift_interval = Duration::from_secs(1);
    }

    /// Lets operators make identities: bounded, and with the policies of this suite.
    pub fn make_identities(&mut self) {
        let policy = |name: &str| format!("arn:aws:iam::aws:policy/{name}");
        let iam = &mut self.making.config.iam;
        iam.permissions_boundary = Some(BOUNDARY.to_owned());
        let policies = ["AmazonEC2ContainerRegistryReadOnly", "AmazonSSMManagedInstanceCore"].map(policy);
        iam.managed_policies = Some(policies.into());
    }

    /// The lane's objects of a kind; of a mesh all, because meshes are in no namespace.
    pub fn api(&self, kind: &CrashKind) -> Api<DynamicObject> {
        match kind.namespaced {
            true => Api::namespaced_with(self.client.clone(), &self.name, &kind.api),
            false => Api::all_with(self.client.clone(), &kind.api),
        }
    }

    /// Applies a manifest of a kind as its user would.
    pub async fn apply(&self, kind: &CrashKind, manifest: &Value) -> Result<()> {
        let name = manifest["metadata"]["name"].as_str().context("a name")?;
        self.api(kind).patch(name, &PatchParams::apply(USER).force(), &Patch::Apply(manifest)).await?;
        Ok(())
    }

    /// `value` without the lane's name, which differs from lane to lane.
    pub fn anonymous(&self, value: &Value) -> Result<Value> {
        Ok(serde_json::from_str(&value.to_string().replace(&self.name, "lane"))?)
    }
}
