//! Envoy's load reporting service (LRS), beside ADS on the same listeners and under the same rules of identity: proxies
//! report how many requests they sent to each cluster and how these ended.
//!
//! `first report → who reports → the interval → report → virtual nodes → loads`
//!
//! What a report says is read by [`fleetmesh_mesh::ads::load_reports`]; what is counted and kept stands in [`crate::loads`].

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use envoy_types::pb::envoy::service::load_stats::v3::LoadStatsResponse;
use fleetmesh_mesh::ads::identity::ProxyNode;
use fleetmesh_mesh::ads::load_reports::wire::LoadStatsRequest;
use fleetmesh_mesh::ads::load_reports::{report, wanted};
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};

use super::authority;
use super::feed::{FeedReported, Feeds};
use super::grpc::{self, Answers, Method};
use crate::listen::Peer;
use crate::loads::{ReportedLoads, Reporting};

/// The method `StreamLoadStats` of `envoy.service.load_stats.v3.LoadReportingService`.
#[derive(Clone)]
pub struct LoadReporting {
    /// What the proxies run.
    pub feeds: Arc<Feeds>,
    /// Where reports are kept.
    pub loads: Arc<ReportedLoads>,
    /// How long a proxy may take to send the first report.
    pub first_request: Duration,
    /// When to close the streams.
    pub shutdown: CancellationToken,
}

impl Method for LoadReporting {
    const SERVICE: &'static str = "envoy.service.load_stats.v3.LoadReportingService";
    const PATH: &'static str = "/envoy.service.load_stats.v3.LoadReportingService/StreamLoadStats";
    const REFUSED: &'static str = "a proxy's stream of load reports was refused";
    /// A proxy with 4,096 clusters, as many as it may ask for at once, sends of each its name and, where requests went to it,
    /// some 40 bytes of counts: 110 bytes of each for names of 70, and the 60 KB of its Node.
    const LARGEST: usize = 512 * 1024;
    const OTHERS: &'static str = "only StreamLoadStats is served";
    type Request = LoadStatsRequest;
    type Answer = LoadStatsResponse;

    async fn serve(
        self,
        peer: Peer,
        mut reports: Streaming<LoadStatsRequest>,
        answers: Answers<LoadStatsResponse>,
    ) -> Result<(), Status> {
        let opening = grpc::opening(&mut reports, self.first_request, &self.shutdown).await?;
        let Some(LoadStatsRequest { node: described, cluster_stats: clusters }) = opening else {
            return Ok(());
        };
        let gate = self.feeds.gate();
        let read = ProxyNode::read(&described).and_then(|node| node.proxied(gate.accounts.identity()));
        let node = read.map_err(grpc::status)?;
        drop(described);
        let holder = peer.caller.holder();
        authority::admit(gate, &peer.caller, &node, SystemTime::now())?;
        let reporting = Reporting::start(&self.loads, &node, holder, self.feeds.limit())
            .map_err(|full| Status::resource_exhausted(full.to_string()))?;
        let (feed, _entered) = self.feeds.reports(&node, holder)?;
        tracing::info!(%node, "a proxy reports its load");
        // It holds for the whole stream, and nothing else is ever said.
        answers
            .send(Ok(wanted(self.loads.interval())))
            .await
            .map_err(|_| Status::cancelled("the proxy is gone"))?;
        tokio::select! {
            ended = self.follow(clusters, &feed, &reporting, &mut reports) => ended,
            status = authority::withdrawn(gate, &peer.caller, &node) => Err(status),
        }
    }
}

impl LoadReporting {
    /// Takes in `clusters`, the first report, and then all the others. Pieces of a message keep all of it in memory, so
    /// none is kept while the next message is awaited.
    async fn follow(
        &self,
        mut clusters: Vec<Bytes>,
        feed: &FeedReported,
        reporting: &Reporting,
        reports: &mut Streaming<LoadStatsRequest>,
    ) -> Result<(), Status> {
        loop {
            // What it calls by now: a backend that was removed is not reported any more.
            reporting.report(report::read(&clusters, &feed.targets()).map_err(grpc::status)?);
            clusters.clear();
            let next = tokio::select! {
                () = self.shutdown.cancelled() => return Ok(()),
                message = reports.message() => message?,
            };
            match next {
                Some(next) => clusters = next.cluster_stats,
                None => return Ok(()),
            }
        }
    }
}
