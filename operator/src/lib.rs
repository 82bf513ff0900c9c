//! The operator: watches Fleetmesh resources and brings an App Mesh endpoint in step with them.
//!
//! Each object goes through reconciles ([`reconcile`]): observe (reads) → decide (pure, `fleetmesh-core`) → apply (writes) →
//! status (pure) → report (writes). The [`queue`] orders the objects, the [`cache`] is what is known without a call. The types
//! of the AWS SDK are used in [`cloud`] and in `fleetmesh-aws` only, those of the Kubernetes API in [`cluster`]; each write to
//! either asks the hooks ([`write_hook`]), one of which is the leader's fence.
//!
//! Whoever runs an [`Operator`] gives it its configuration and both APIs. It reads no command line and prints nothing, and none of
//! its tasks is left when [`Operator::run`] has returned.

pub mod cache;
pub mod cloud;
pub mod cluster;
pub mod config;
pub mod context;
mod control_plane;
pub mod distribution;
pub mod endpoint;
pub mod health;
pub mod leader;
pub mod loads;
mod lone;
pub mod metrics;
pub mod migrate;
pub mod outbound;
pub mod queue;
pub mod reconcile;
mod rollout_metrics;
pub mod rollouts;
pub mod run;
mod tasks;
pub mod unserved;

pub use fleetmesh_aws::write_hook;

pub use cloud::AppMeshApi;
pub use cluster::KubernetesApi;
pub use config::{LeaderElection, OperatorConfig};
pub use control_plane::ControlPlane;
pub use run::{Error, Operator, Stopped};
pub use tasks::Task;
