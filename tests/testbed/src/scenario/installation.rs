//! What a fleet's owner runs: one process without a cluster, or a cluster with the operator and the control plane.

use anyhow::Result;

use super::identities::Identities;
use crate::control_plane::ControlPlane;
use crate::join::JoinAddress;
use crate::objects::Objects;
use crate::run_dir::RunDir;
use crate::stack::Stack;
use crate::standalone::Standalone;

/// Where the scenario's objects are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScenarioApi {
    /// `fleetmesh standalone`: API, operator and control plane in one process.
    Standalone,
    /// kube-apiserver with etcd, the operator and the control plane, a process each.
    Cluster,
}

impl ScenarioApi {
    /// What is started.
    pub(super) fn parts(self) -> &'static str {
        match self {
            Self::Standalone => {
                "fleetmesh standalone: a Kubernetes-style API, the operator and the control plane in one process"
            }
            Self::Cluster => "etcd, kube-apiserver, control plane, operator",
        }
    }
}

/// It, running.
#[derive(Debug)]
pub struct Installation {
    /// The objects of its Kubernetes API.
    pub objects: Objects,
    /// App Mesh's API: `http://127.0.0.1:PORT`.
    pub app_mesh: String,
    _parts: Parts,
}

/// The processes.
#[derive(Debug)]
enum Parts {
    Standalone { _process: Box<Standalone> },
    Cluster { _stack: Box<Stack> },
}

impl Installation {
    /// Starts it; instances join at `address` by what `identities` say.
    ///
    /// # Errors
    /// A part does not become ready.
    pub(super) async fn start(
        api: ScenarioApi,
        address: &JoinAddress,
        identities: &Identities,
        run: &RunDir,
    ) -> Result<Self> {
        let (joining, operator) = (address.launch(&identities.sts()), identities.operator());
        match api {
            ScenarioApi::Standalone => {
                let process = Box::new(Standalone::launch(run, joining.and(operator)).await?);
                let objects = Objects::new(&process.kubeconfig()).await?;
                let app_mesh = process.endpoint();
                Ok(Self { objects, app_mesh, _parts: Parts::Standalone { _process: process } })
            }
            ScenarioApi::Cluster => {
                let control_plane = ControlPlane::launch(run, joining).await?;
                let stack = Stack::builder().control_plane(control_plane).operator(operator);
                let stack = Box::new(stack.start(run).await?);
                let objects = Objects::new(stack.kubectl.kubeconfig()).await?;
                let app_mesh = stack.control_plane.endpoint();
                Ok(Self { objects, app_mesh, _parts: Parts::Cluster { _stack: stack } })
            }
        }
    }
}
