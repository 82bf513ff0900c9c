//! What every reconcile is given.

use std::sync::Arc;

use fleetmesh_aws::AwsConnection;
use fleetmesh_core::Settings;
use fleetmesh_core::fleet::JoinOptions;
use jiff::Timestamp;

use crate::cache::Cache;
use crate::cloud::AppMeshClient;
use crate::cluster::ClusterWriter;
use crate::metrics::Metrics;
use crate::queue::Queue;
use crate::rollouts::Rollouts;

/// The means of a reconcile: knowledge, the two APIs, settings.
#[derive(Debug)]
pub struct Context {
    /// What is known.
    pub cache: Arc<Cache>,
    /// The queue of objects.
    pub queue: Arc<Queue>,
    /// The App Mesh endpoint.
    pub app_mesh: Arc<AppMeshClient>,
    /// The other services of AWS.
    pub aws: Arc<AwsConnection>,
    /// Since when this process decides without a gap.
    pub since: Timestamp,
    /// What the reconciles of rollouts share.
    pub rollouts: Arc<Rollouts>,
    /// Where instances run, but for the region, and what their proxies connect to.
    pub proxy_control_plane: Option<String>,
    /// How they get their proxies' certificates.
    pub join: Option<JoinOptions>,
    /// The Kubernetes cluster.
    pub cluster: ClusterWriter,
    /// What decisions depend on.
    pub settings: Settings,
    /// What is counted.
    pub metrics: Metrics,
}
