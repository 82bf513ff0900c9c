//! A stack for tests: one that tests share while any of them runs, or one of a test's own.

use std::sync::Arc;
use std::time::Duration;

use fleetmesh_testbed::aws::AppMesh;
use fleetmesh_testbed::launch::Launch;
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::shared::Shared;
use fleetmesh_testbed::stack::Stack;

use crate::space::KubernetesSpace;

/// Nothing takes longer, on however busy a machine. Tests that promise a time use their own.
pub const LIMIT: Duration = Duration::from_secs(60);
/// The same for kubectl.
pub const TIMEOUT: &str = "--timeout=60s";

/// A running stack and its folder. The stack is dropped first.
pub struct ClusterBed {
    pub stack: Stack,
    pub run: RunDir,
}

impl ClusterBed {
    /// The stack that tests share: it runs the operator with its defaults, and ends with the last of them.
    pub async fn shared() -> Arc<Self> {
        static SHARED: Shared<ClusterBed> = Shared::new();
        SHARED.get(async || Self::start("shared", &[]).await).await
    }

    /// A stack whose operator runs with these arguments.
    pub async fn start(name: &str, operator: &[&str]) -> Self {
        let run = RunDir::new(name).unwrap();
        let stack = Stack::builder().operator(Launch::with(operator)).start(&run).await.unwrap();
        Self { stack, run }
    }

    /// The AWS CLI for the control plane.
    pub fn aws(&self) -> AppMesh {
        AppMesh::new(&self.stack.control_plane.endpoint())
    }

    /// A namespace and a mesh, both called `name`, for one case; only the namespace is made.
    pub async fn space(&self, name: &str) -> KubernetesSpace {
        KubernetesSpace::new(name, self.stack.kubectl.clone(), self.aws(), &self.run).await
    }
}
