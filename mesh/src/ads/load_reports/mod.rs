//! Envoy's load reporting service (LRS), without the connections: what a proxy is asked for, and what it reports.
//!
//! A proxy reports only on the clusters that it was given: other names are ignored, so it cannot harm a virtual node that it does
//! not call. Counting and keeping is done in [`crate::loads`].

pub mod report;
pub mod wire;

use std::time::Duration;

use envoy_types::pb::envoy::service::load_stats::v3::LoadStatsResponse;

use crate::snapshot::proto;

/// What a proxy is to report at this interval: all of its clusters. It holds for a whole stream.
pub fn wanted(interval: Duration) -> LoadStatsResponse {
    LoadStatsResponse {
        send_all_clusters: true,
        load_reporting_interval: proto::millis(u64::try_from(interval.as_millis()).unwrap_or(u64::MAX)),
        ..LoadStatsResponse::default()
    }
}
