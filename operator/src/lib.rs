//! The operator: watches Fleetmesh resources and brings an App Mesh endpoint in step with them.
//!
//! Each object goes through reconciles ([`reconcile`]): observe (reads) → decide (pure, `fleetmesh-core`) → apply (writes) →
//! status (pure) → report (writes). A [`queue`] says whose turn it is, the [`cache`] what is known without asking. The
//! AWS SDK ends in [`cloud`] and in `fleetmesh-aws`, the Kubernetes API in [`cluster`]; each write of
//! both asks the hooks ([`write_hook`]), of which the leader's fence is one.
//!
//! Whoever runs an [`Operator`] gives it its configuration and both APIs; it reads no command line, prints nothing, and nothing
//! of it is left when [`Operator::run`] has returned.

pub mod cache;
pub mod cloud;
pub mod cluster;
pub mod config;
pub mod context;
mod control_plane;
pub mod distribution;
pub mod fleets;
pub mod health;
pub mod leader;
pub mod loads;
pub mod metrics;
pub mod migrate;
pub mod outbound;
pub mod queue;
pub mod reconcile;
mod rollout_metrics;
pub mod rollouts;
pub mod run;
mod tasks;

pub use fleetmesh_aws::write_hook;

pub use cloud::AppMeshApi;
pub use cluster::KubernetesApi;
pub use config::{LeaderElection, OperatorConfig};
pub use control_plane::ControlPlane;
pub use run::{Error, Operator, Stopped};
pub use tasks::Task;
