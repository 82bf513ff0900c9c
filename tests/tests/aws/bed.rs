//! A cluster, a control plane, an AWS account and an operator between them.

use std::sync::Arc;
use std::time::Duration;

use fleetmesh_testbed::cluster::Cluster;
use fleetmesh_testbed::control_plane::ControlPlane;
use fleetmesh_testbed::kubectl::Kubectl;
use fleetmesh_testbed::moto::{Moto, variables};
use fleetmesh_testbed::operator::Operator;
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::shared::Shared;
use fleetmesh_testbed::stack::Stack;

use crate::account::Account;
use crate::space::Space;

/// Nothing takes longer, on however busy a machine.
pub const LIMIT: Duration = Duration::from_secs(90);
/// The same for kubectl.
pub const TIMEOUT: &str = "--timeout=90s";

/// A running bed. Fields are dropped in this order: whoever depends on another goes first.
pub struct Bed {
    _operator: Operator,
    pub moto: Moto,
    pub control_plane: ControlPlane,
    pub kubectl: Kubectl,
    _cluster: Cluster,
    pub run: RunDir,
}

impl Bed {
    /// The bed that tests share while any of them runs: what somebody changes in IAM is looked for every two seconds.
    pub async fn shared() -> Arc<Self> {
        static SHARED: Shared<Bed> = Shared::new();
        SHARED.get(async || Self::start("aws").await).await
    }

    /// A bed of a test's own.
    pub async fn start(name: &str) -> Self {
        Self::start_behind(name, |moto| moto.to_owned(), &[]).await
    }

    /// The same, whose operator has `environment` and which finds AWS at what `front` makes of moto's address, as its
    /// control plane does.
    pub async fn start_behind(
        name: &str,
        front: impl FnOnce(&str) -> String,
        environment: &[(&str, &str)],
    ) -> Self {
        let run = RunDir::new(name).unwrap();
        let moto = Moto::start(&run).await.unwrap();
        let aws = front(&moto.endpoint());
        let often = ["--cloud-map-interval", "200ms"];
        let control_plane = ControlPlane::start_in(&run, &often, variables(&aws)).await.unwrap();
        let environment = [&[("AWS_ENDPOINT_URL", aws.as_str())], environment].concat();
        let arguments = ["--drift-interval", "2s", "--cluster-name", "bed"];
        let stack = Stack::around(control_plane, &run, &arguments, &environment).await.unwrap();
        let Stack { operator, control_plane, cluster, kubectl } = stack;
        Self { _operator: operator, moto, control_plane, kubectl, _cluster: cluster, run }
    }

    /// The AWS account.
    pub fn account(&self) -> Account<'_> {
        Account(&self.moto)
    }

    /// A namespace and a mesh of this name.
    pub async fn space(&self, name: &str) -> Space {
        Space::new(name, self).await
    }
}
