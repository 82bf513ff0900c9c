//! The messages that proxies send. The first byte says which; the rest is the message. What was read is written and read
//! again as the same.

use std::fmt::Debug;

use bytes::Bytes;
use envoy_types::pb::google::protobuf::value::Kind;
use envoy_types::pb::google::protobuf::{Struct, Value};
use fleetmesh_mesh::ads::load_reports::wire::{ClusterStats, LoadStatsRequest, UpstreamLocalityStats};
use fleetmesh_mesh::ads::wire::{DeltaDiscoveryRequest, DiscoveryRequest, WireNack, WireNode};
use prost::Message;

use super::Target;

/// See the module.
pub struct Protobuf;

/// A virtual node's own proxy, as its bootstrap words it.
pub fn node(id: &str) -> WireNode {
    let value = |text: &str| Value { kind: Some(Kind::StringValue(text.to_owned())) };
    let fields = [("fleetmesh.dev/instance-id".to_owned(), value("i-0123456789abcdef0"))];
    let metadata = Struct { fields: fields.into() }.encode_to_vec().into();
    WireNode { id: id.to_owned(), cluster: id.to_owned(), metadata, build: None }
}

/// Counts of a cluster.
pub fn stats(cluster: &str) -> ClusterStats {
    let locality = UpstreamLocalityStats {
        total_successful_requests: 7,
        total_requests_in_progress: 1,
        total_error_requests: 2,
        total_issued_requests: 10,
    };
    ClusterStats {
        cluster_name: cluster.to_owned(),
        upstream_locality_stats: vec![locality.encode_to_vec().into()],
        total_dropped_requests: 3,
        load_report_interval: Some(envoy_types::pb::google::protobuf::Duration { seconds: 1, nanos: 5 }),
    }
}

impl Target for Protobuf {
    fn name(&self) -> &'static str {
        "protobuf"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        let id = "arn:aws:appmesh:us-west-2:111122223333:mesh/apps/virtualNode/client";
        let request = DiscoveryRequest {
            version_info: "0123456789abcdef".to_owned(),
            node: node(id).encode_to_vec().into(),
            resource_names: vec!["rds_egress_http2_8000".to_owned()],
            type_url: "type.googleapis.com/envoy.config.route.v3.RouteConfiguration".to_owned(),
            response_nonce: "3".to_owned(),
            error_detail: Some(WireNack { message: "refused".to_owned() }),
        };
        let report = LoadStatsRequest {
            node: node(id).encode_to_vec().into(),
            cluster_stats: vec![stats("a").encode_to_vec().into()],
        };
        let messages = [request.encode_to_vec(), node(id).encode_to_vec(), report.encode_to_vec()];
        let delta = DeltaDiscoveryRequest {
            node: node(id).encode_to_vec().into(),
            type_url: request.type_url.clone(),
            resource_names_subscribe: request.resource_names.clone(),
            resource_names_unsubscribe: vec!["rds_egress_http2_8001".to_owned()],
            initial_resource_versions: [("rds_egress_http2_8000".to_owned(), "1".to_owned())].into(),
            response_nonce: "3".to_owned(),
            error_detail: None,
        };
        let more = [stats("a").encode_to_vec(), stats("b").encode_to_vec(), delta.encode_to_vec()];
        let messages = messages.into_iter().chain(more);
        (0u8..).zip(messages).map(|(kind, message)| [vec![kind], message].concat()).collect()
    }

    fn words(&self) -> &'static [&'static [u8]] {
        // Tags of nested messages and groups, lengths beyond the end, the longest varint, a number that is none.
        &[
            b"\x0a\xff\xff\xff\xff\x0f",
            b"\x1a\x02",
            b"\x0b",
            b"\x0c",
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            b"\x11\x00\x00\x00\x00\x00\x00\xf8\x7f",
            b"\x12\x80\x80\x80\x80\x08",
        ]
    }

    fn try_input(&self, input: &[u8]) -> Result<bool, String> {
        let Some((kind, message)) = input.split_first() else { return Ok(false) };
        match kind % 6 {
            0 => identity::<DiscoveryRequest>(message),
            1 => identity::<WireNode>(message),
            2 => identity::<LoadStatsRequest>(message),
            3 => identity::<ClusterStats>(message),
            4 => identity::<UpstreamLocalityStats>(message),
            _ => identity::<DeltaDiscoveryRequest>(message),
        }
    }
}

fn identity<T: Message + Default + PartialEq + Debug>(message: &[u8]) -> Result<bool, String> {
    let Ok(read) = T::decode(Bytes::copy_from_slice(message)) else { return Ok(false) };
    let written = read.encode_to_vec();
    let again =
        T::decode(Bytes::from(written.clone())).map_err(|error| format!("cannot read its own: {error}"))?;
    // A number that is none is not itself.
    #[allow(clippy::eq_op, reason = "see above")]
    let is_itself = read == read;
    if again.encoded_len() != written.len() || (is_itself && again != read) {
        return Err(format!("{read:?} is read again as {again:?}"));
    }
    Ok(true)
}
