//! What simulated proxies report: as many requests to each cluster as its weight says, all answered, but for those to
//! virtual nodes that are made to fail.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::config::endpoint::v3::{ClusterStats, UpstreamLocalityStats};
use envoy_types::pb::envoy::service::load_stats::v3::LoadStatsRequest;
use envoy_types::pb::envoy::service::load_stats::v3::load_reporting_service_client::LoadReportingServiceClient;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;

use super::{FollowingProxy, KnownResources};

/// What becomes of the requests that proxies report.
#[derive(Debug, Default)]
pub struct Traffic {
    failing: Mutex<BTreeSet<String>>,
}

impl Traffic {
    /// From now on every request to the virtual node `node` fails.
    pub fn fail(&self, node: &str) {
        // Clusters are called cds_egress_MESH_NODE_PROTOCOL_PORT.
        let part = format!("_{node}_");
        self.failing.lock().unwrap_or_else(PoisonError::into_inner).insert(part);
    }

    fn fails(&self, cluster: &str) -> bool {
        let failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        failing.iter().any(|part| cluster.contains(part.as_str()))
    }

    /// One report about `interval` for all clusters of a proxy, also those that get nothing.
    fn report(&self, known: &KnownResources, interval: Duration) -> Vec<ClusterStats> {
        let covered = envoy_types::pb::google::protobuf::Duration {
            seconds: i64::try_from(interval.as_secs()).unwrap_or_default(),
            nanos: i32::try_from(interval.subsec_nanos()).unwrap_or_default(),
        };
        let stats = known.clusters.iter().map(|cluster| {
            let requests: u64 = known.weights.values().filter_map(|weights| weights.get(cluster)).sum();
            let (succeeded, failed) = if self.fails(cluster) { (0, requests) } else { (requests, 0) };
            ClusterStats {
                cluster_name: cluster.clone(),
                upstream_locality_stats: vec![UpstreamLocalityStats {
                    total_issued_requests: requests,
                    total_successful_requests: succeeded,
                    total_error_requests: failed,
                    ..UpstreamLocalityStats::default()
                }],
                load_report_interval: Some(covered),
                ..ClusterStats::default()
            }
        });
        stats.collect()
    }
}

impl FollowingProxy {
    /// Reports for as long as the control plane listens.
    pub(super) async fn report(&self, traffic: &Traffic) -> Result<()> {
        let (reports, outgoing) = mpsc::unbounded_channel();
        let node = Node { id: self.id.clone(), user_agent_name: super::ads::AGENT.into(), ..Node::default() };
        reports.send(LoadStatsRequest { node: Some(node), ..LoadStatsRequest::default() })?;
        let mut client = LoadReportingServiceClient::new(self.channel.clone());
        let mut answers =
            client.stream_load_stats(UnboundedReceiverStream::new(outgoing)).await?.into_inner();
        let wanted = answers.message().await?.context("no answer to the first load report")?;
        let interval = wanted.load_reporting_interval.context("no interval for load reports")?;
        let interval = Duration::new(interval.seconds.try_into()?, interval.nanos.try_into()?);
        let mut due = tokio::time::interval(interval);
        loop {
            tokio::select! {
                _ = due.tick() => {}
                ended = answers.message() => bail!("load reporting ended: {:?}", ended?),
            }
            let mut cluster_stats = Vec::new();
            self.know(|known| cluster_stats = traffic.report(known, interval));
            reports.send(LoadStatsRequest { cluster_stats, ..LoadStatsRequest::default() })?;
        }
    }
}
