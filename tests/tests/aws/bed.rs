//! A cluster, a control plane, an AWS account and an operator between them.

use std::sync::Arc;
use std::time::Duration;

use fleetmesh_testbed::cluster::Cluster;
use fleetmesh_testbed::control_plane::ControlPlane;
use fleetmesh_testbed::fleet_class;
use fleetmesh_testbed::kubectl::Kubectl;
use fleetmesh_testbed::launch::Launch;
use fleetmesh_testbed::moto::{BOUNDARY, Moto, MotoKey, variables};
use fleetmesh_testbed::operator::Operator;
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::shared::Shared;
use fleetmesh_testbed::stack::Stack;
use serde_json::json;

use crate::account::MotoAccount;
use crate::front::AwsFront;
use crate::permissions;
use crate::space::Space;

/// Nothing takes longer, on however busy a machine.
pub const LIMIT: Duration = Duration::from_secs(90);
/// The same for kubectl.
pub const TIMEOUT: &str = "--timeout=90s";

/// The cluster's name in the tags of what the operator makes.
pub const CLUSTER: &str = "bed";

/// What identities may be: flags of the operator's and of `fleetmesh iam policy`.
pub const IDENTITIES: [&str; 7] = [
    "--iam-permissions-boundary",
    BOUNDARY,
    "--iam-managed-policy",
    "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryReadOnly,arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore",
    "--iam-adopt",
    // All that these tests make; one without a dash is not allowed.
    "--iam-role-names",
    "*-*",
];

/// A running bed. Fields are dropped in this order: whoever depends on another goes first.
pub struct AwsBed {
    pub operator: Operator,
    /// Where operator and control plane find AWS: moto with AWS's manners.
    pub front: Arc<AwsFront>,
    pub moto: Moto,
    /// What the operator signs with; the generated policy says what it may.
    pub operator_key: MotoKey,
    pub control_plane: ControlPlane,
    pub kubectl: Kubectl,
    _cluster: Cluster,
    pub run: RunDir,
}

impl AwsBed {
    /// The bed that tests share while any of them runs: what somebody changes in IAM is looked for every two seconds.
    pub async fn shared() -> Arc<Self> {
        static SHARED: Shared<AwsBed> = Shared::new();
        SHARED.get(async || Self::start("aws").await).await
    }

    /// A bed of a test's own.
    pub async fn start(name: &str) -> Self {
        Self::start_with(name, &[]).await
    }

    /// The same, whose operator has `environment`.
    pub async fn start_with(name: &str, environment: &[(&str, &str)]) -> Self {
        Self::start_between(name, |app_mesh| app_mesh.to_owned(), "2s", environment).await
    }

    /// The same, whose operator finds App Mesh at what `app_mesh` makes of the control plane's address, and looks for
    /// what somebody changed at this interval.
    pub async fn start_between(
        name: &str,
        app_mesh: impl FnOnce(&str) -> String,
        drift_interval: &str,
        environment: &[(&str, &str)],
    ) -> Self {
        let run = RunDir::new(name).unwrap();
        let moto = Moto::start_enforcing(&run).await.unwrap();
        moto.boundary().await.unwrap();
        let operator_key = moto.user("operator", &permissions::generated().await).await.unwrap();
        let looker = moto.user("control-plane", &permissions::of_control_plane()).await.unwrap();
        let front = Arc::new(AwsFront::start().await);
        let aws = front.before(&moto.endpoint());
        let often = Launch::with(["--cloud-map-interval", "200ms"]);
        let looks = often.envs(variables(&aws)).envs(looker.variables());
        let control_plane = ControlPlane::launch(&run, looks).await.unwrap();
        let operator = Launch::with(["--drift-interval", drift_interval, "--cluster-name", CLUSTER])
            .args(IDENTITIES)
            .envs([("AWS_ENDPOINT_URL", &aws)])
            .envs(operator_key.variables())
            .envs(environment.iter().copied());
        let app_mesh = app_mesh(&control_plane.endpoint());
        let builder = Stack::builder().control_plane(control_plane).app_mesh(&app_mesh).operator(operator);
        let stack = builder.start(&run).await.unwrap();
        let Stack { operator, control_plane, cluster, kubectl } = stack;
        // Whoever opted in may be enrolled.
        let members = json!({ "enrollTags": {} });
        fleet_class::apply_default(&kubectl, &run, &members).await.unwrap();
        Self { operator, front, moto, operator_key, control_plane, kubectl, _cluster: cluster, run }
    }

    /// The AWS account.
    pub fn account(&self) -> MotoAccount<'_> {
        MotoAccount(&self.moto)
    }

    /// A namespace and a mesh of this name.
    pub async fn space(&self, name: &str) -> Space {
        Space::new(name, self).await
    }
}
