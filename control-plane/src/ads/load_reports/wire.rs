//! The load reporting protocol's messages, in the shape this server wants them. Pure.
//!
//! On the wire they are `envoy.service.load_stats.v3.LoadStatsRequest` and what it holds. Envoy repeats its Node of some
//! 60 KB in every report, and a report may hold any number of parts: both stay bytes until somebody looks at them, so that
//! a part costs no more memory than its bytes and a pointer to them.

use std::time::Duration;

use bytes::Bytes;
use envoy_types::pb::google::protobuf;
use prost::Message;

/// A report; the first of a stream says who the proxy is.
#[derive(Clone, PartialEq, Message)]
pub struct LoadStatsRequest {
    /// The encoded [`crate::ads::wire::Node`].
    #[prost(bytes = "bytes", tag = "1")]
    pub node: Bytes,
    /// Each an encoded [`ClusterStats`].
    #[prost(bytes = "bytes", repeated, tag = "2")]
    pub cluster_stats: Vec<Bytes>,
}

/// What went to one cluster since the last report.
#[derive(Clone, PartialEq, Message)]
pub struct ClusterStats {
    /// The cluster.
    #[prost(string, tag = "1")]
    pub cluster_name: String,
    /// Each an encoded [`UpstreamLocalityStats`]; none for a locality without traffic.
    #[prost(bytes = "bytes", repeated, tag = "2")]
    pub upstream_locality_stats: Vec<Bytes>,
    /// Requests that the proxy did not send because of a circuit breaker.
    #[prost(uint64, tag = "3")]
    pub total_dropped_requests: u64,
    /// The time that the report is about.
    #[prost(message, optional, tag = "4")]
    pub load_report_interval: Option<protobuf::Duration>,
}

/// What went to the hosts of one locality.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct UpstreamLocalityStats {
    /// Requests that were answered without an error.
    #[prost(uint64, tag = "2")]
    pub total_successful_requests: u64,
    /// Requests that are under way.
    #[prost(uint64, tag = "3")]
    pub total_requests_in_progress: u64,
    /// Requests that failed.
    #[prost(uint64, tag = "4")]
    pub total_error_requests: u64,
    /// Requests that were sent.
    #[prost(uint64, tag = "8")]
    pub total_issued_requests: u64,
}

/// The length of a duration of the protocol; nothing when it is negative or malformed.
pub fn length(duration: protobuf::Duration) -> Duration {
    let nanos = u32::try_from(duration.nanos).ok().filter(|nanos| *nanos < 1_000_000_000);
    let length = u64::try_from(duration.seconds).ok().zip(nanos);
    length.map_or(Duration::ZERO, |(seconds, nanos)| Duration::new(seconds, nanos))
}
