//! The load reporting protocol's messages, in the shape that this server needs. Pure.
//!
//! On the wire they are `envoy.service.load_stats.v3.LoadStatsRequest` and its parts. Envoy repeats its Node of some 60 KB in every
//! report, and a report may have any number of parts: both stay bytes until they are needed, so that a part costs no more memory than
//! its bytes and a pointer to them. A part without bytes costs the pointer all the same, 16 times its size on the wire: lists are read
//! only as far as it takes to see that they are too long.

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes};
use envoy_types::pb::google::protobuf;
use prost::encoding::{self, DecodeContext, WireType};
use prost::{DecodeError, Message};

/// The most clusters of a report: twice as many as a proxy may name when it asks for them.
pub const MAX_CLUSTERS: usize = 8192;
/// The most localities of a cluster. All hosts of ours are in one.
pub const MAX_LOCALITIES: usize = 1024;

/// A report; the first of a stream says who the proxy is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoadStatsRequest {
    /// Field 1, the encoded [`crate::ads::wire::WireNode`].
    pub node: Bytes,
    /// Field 2, each an encoded [`ClusterStats`]. Of more than [`MAX_CLUSTERS`] one more is read, and the others are passed
    /// over.
    pub cluster_stats: Vec<Bytes>,
}

impl Message for LoadStatsRequest {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        write(1, &self.node, buf);
        encoding::bytes::encode_repeated(2, &self.cluster_stats, buf);
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(), DecodeError> {
        match tag {
            1 => encoding::bytes::merge(wire_type, &mut self.node, buf, ctx),
            2 if self.cluster_stats.len() <= MAX_CLUSTERS => {
                encoding::bytes::merge_repeated(wire_type, &mut self.cluster_stats, buf, ctx)
            }
            _ => encoding::skip_field(wire_type, tag, buf, ctx),
        }
    }

    fn encoded_len(&self) -> usize {
        length_of(1, &self.node) + encoding::bytes::encoded_len_repeated(2, &self.cluster_stats)
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}

/// What went to one cluster since the last report.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClusterStats {
    /// Field 1, the cluster.
    pub cluster_name: String,
    /// Field 2, each an encoded [`UpstreamLocalityStats`]; none for a locality without traffic. Of more than
    /// [`MAX_LOCALITIES`] one more is read, and the others are passed over.
    pub upstream_locality_stats: Vec<Bytes>,
    /// Field 3, requests that the proxy did not send because of a circuit breaker.
    pub total_dropped_requests: u64,
    /// Field 4, the time that the report is about.
    pub load_report_interval: Option<protobuf::Duration>,
}

impl Message for ClusterStats {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        if !self.cluster_name.is_empty() {
            encoding::string::encode(1, &self.cluster_name, buf);
        }
        encoding::bytes::encode_repeated(2, &self.upstream_locality_stats, buf);
        if self.total_dropped_requests != 0 {
            encoding::uint64::encode(3, &self.total_dropped_requests, buf);
        }
        if let Some(interval) = &self.load_report_interval {
            encoding::message::encode(4, interval, buf);
        }
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(), DecodeError> {
        match tag {
            1 => encoding::string::merge(wire_type, &mut self.cluster_name, buf, ctx),
            2 if self.upstream_locality_stats.len() <= MAX_LOCALITIES => {
                encoding::bytes::merge_repeated(wire_type, &mut self.upstream_locality_stats, buf, ctx)
            }
            3 => encoding::uint64::merge(wire_type, &mut self.total_dropped_requests, buf, ctx),
            4 => {
                let interval = self.load_report_interval.get_or_insert_default();
                encoding::message::merge(wire_type, interval, buf, ctx)
            }
            _ => encoding::skip_field(wire_type, tag, buf, ctx),
        }
    }

    fn encoded_len(&self) -> usize {
        let name = match self.cluster_name.as_str() {
            "" => 0,
            _ => encoding::string::encoded_len(1, &self.cluster_name),
        };
        let dropped = match self.total_dropped_requests {
            0 => 0,
            dropped => encoding::uint64::encoded_len(3, &dropped),
        };
        let interval = self.load_report_interval.as_ref();
        name + encoding::bytes::encoded_len_repeated(2, &self.upstream_locality_stats)
            + dropped
            + interval.map_or(0, |interval| encoding::message::encoded_len(4, interval))
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}

fn write(tag: u32, bytes: &Bytes, buf: &mut impl BufMut) {
    if !bytes.is_empty() {
        encoding::bytes::encode(tag, bytes, buf);
    }
}

fn length_of(tag: u32, bytes: &Bytes) -> usize {
    if bytes.is_empty() { 0 } else { encoding::bytes::encoded_len(tag, bytes) }
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
