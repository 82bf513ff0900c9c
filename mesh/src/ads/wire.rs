//! The discovery protocol's messages, in the shape that this server needs. Pure.
//!
//! On the wire they are `envoy.service.discovery.v3.DiscoveryRequest` and `DiscoveryResponse`, and the same of delta. Parts that are only passed on stay
//! bytes: Envoy may repeat its Node of some 60 KB in every request, which is then skipped, not decoded; and resources, encoded once
//! per snapshot, are shared by all the answers that contain them.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::Message;

/// A subscription, an acknowledgement, or a refusal.
#[derive(Clone, PartialEq, Message)]
pub struct DiscoveryRequest {
    /// The version that the client runs; empty for none.
    #[prost(string, tag = "1")]
    pub version_info: String,
    /// The encoded [`WireNode`]; clients may leave it out after the first request of a stream.
    #[prost(bytes = "bytes", tag = "2")]
    pub node: Bytes,
    /// The resources that the client wants; none means all of them, for clusters and listeners.
    #[prost(string, repeated, tag = "3")]
    pub resource_names: Vec<String>,
    /// The type of the resources.
    #[prost(string, tag = "4")]
    pub type_url: String,
    /// The nonce of the answer that this request is about; empty in the first request for a type.
    #[prost(string, tag = "5")]
    pub response_nonce: String,
    /// Why the answer was refused; absent when it was not.
    #[prost(message, optional, tag = "6")]
    pub error_detail: Option<WireNack>,
}

/// Why an answer was refused: what is looked at of a `google.rpc.Status`. Its details are any number of messages of the proxy's
/// choice, each of which would take 24 times what it takes on the wire: they are skipped.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct WireNack {
    /// The proxy's words.
    #[prost(string, tag = "2")]
    pub message: String,
}

/// The resources of one type.
#[derive(Clone, PartialEq, Message)]
pub struct DiscoveryResponse {
    /// Their version.
    #[prost(string, tag = "1")]
    pub version_info: String,
    /// Each an encoded `google.protobuf.Any`.
    #[prost(bytes = "bytes", repeated, tag = "2")]
    pub resources: Vec<Bytes>,
    /// Their type.
    #[prost(string, tag = "4")]
    pub type_url: String,
    /// What the client repeats when it acknowledges or refuses.
    #[prost(string, tag = "5")]
    pub nonce: String,
}

/// A subscription, an acknowledgement, a refusal, or more than one of these, in delta.
#[derive(Clone, PartialEq, Message)]
pub struct DeltaDiscoveryRequest {
    /// The encoded [`WireNode`]; clients may leave it out after the first request of a stream.
    #[prost(bytes = "bytes", tag = "1")]
    pub node: Bytes,
    /// The type of the resources.
    #[prost(string, tag = "2")]
    pub type_url: String,
    /// The resources that the client wants from now on.
    #[prost(string, repeated, tag = "3")]
    pub resource_names_subscribe: Vec<String>,
    /// Those that it does not want any more.
    #[prost(string, repeated, tag = "4")]
    pub resource_names_unsubscribe: Vec<String>,
    /// In the first request for a type: the versions of the resources that the client has, by name.
    #[prost(btree_map = "string, string", tag = "5")]
    pub initial_resource_versions: BTreeMap<String, String>,
    /// The nonce of the answer that this request acknowledges or refuses; empty for none.
    #[prost(string, tag = "6")]
    pub response_nonce: String,
    /// Why the answer was refused; absent when it was not.
    #[prost(message, optional, tag = "7")]
    pub error_detail: Option<WireNack>,
}

/// What changes of the resources of one type.
#[derive(Clone, PartialEq, Message)]
pub struct DeltaDiscoveryResponse {
    /// The version of all resources of the type, for people.
    #[prost(string, tag = "1")]
    pub system_version_info: String,
    /// Each an encoded `envoy.service.discovery.v3.Resource`.
    #[prost(bytes = "bytes", repeated, tag = "2")]
    pub resources: Vec<Bytes>,
    /// Their type.
    #[prost(string, tag = "4")]
    pub type_url: String,
    /// What the client repeats when it acknowledges or refuses.
    #[prost(string, tag = "5")]
    pub nonce: String,
    /// The names of resources that are no more.
    #[prost(string, repeated, tag = "6")]
    pub removed_resources: Vec<String>,
}

/// The members of `envoy.config.core.v3.Node` that say who a proxy is.
#[derive(Clone, PartialEq, Message)]
pub struct WireNode {
    /// The ARN of its resource, full or short.
    #[prost(string, tag = "1")]
    pub id: String,
    /// The same, in some bootstraps.
    #[prost(string, tag = "2")]
    pub cluster: String,
    /// What else the bootstrap says of the proxy: an encoded `google.protobuf.Struct`, of which one member is ever looked
    /// at.
    #[prost(bytes = "bytes", tag = "3")]
    pub metadata: Bytes,
    /// Which release it is, of an Envoy.
    #[prost(message, optional, tag = "8")]
    pub build: Option<WireBuild>,
}

/// What is looked at of a `envoy.config.core.v3.BuildVersion`.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct WireBuild {
    /// The release.
    #[prost(message, optional, tag = "1")]
    pub version: Option<WireVersion>,
}

/// What is looked at of a `envoy.type.v3.SemanticVersion`. The fields are in the order in which versions are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Message)]
pub struct WireVersion {
    /// The first number.
    #[prost(uint32, tag = "1")]
    pub major: u32,
    /// The second.
    #[prost(uint32, tag = "2")]
    pub minor: u32,
}

/// A member of a `google.protobuf.Struct`.
#[derive(Clone, PartialEq, Message)]
pub struct Member {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// The encoded [`Text`], or a value of another kind.
    #[prost(bytes = "bytes", tag = "2")]
    pub value: Bytes,
}

/// A `google.protobuf.Value` as far as it is a text.
#[derive(Clone, PartialEq, Message)]
pub struct Text {
    /// The text; none for a value of another kind.
    #[prost(string, optional, tag = "3")]
    pub text: Option<String>,
}

#[cfg(test)]
mod tests {
    use envoy_types::pb::envoy::service::discovery::v3::DeltaDiscoveryRequest as SentDelta;
    use envoy_types::pb::envoy::service::discovery::v3::DeltaDiscoveryResponse as ReadDelta;
    use envoy_types::pb::envoy::service::discovery::v3::DiscoveryRequest as Sent;
    use envoy_types::pb::google::protobuf::Any;
    use envoy_types::pb::google::rpc::Status;

    use super::*;

    #[test]
    fn of_a_refusal_the_words_are_read_and_of_its_details_nothing_is_kept() {
        let details = vec![Any::default(); 130_000];
        let error_detail = Some(Status { code: 13, message: "no".into(), details });
        let sent = Sent { type_url: "t".into(), error_detail, ..Sent::default() }.encode_to_vec();
        assert!(sent.len() > 260_000, "two bytes each: {}", sent.len());
        let read = DiscoveryRequest::decode(Bytes::from(sent)).expect("it is read");
        let kept = read.encoded_len();
        assert!(kept < 16, "{kept} bytes are kept");
        assert_eq!(read.error_detail, Some(WireNack { message: "no".into() }));
        // One without words is a refusal all the same.
        let silent = Sent { error_detail: Some(Status { code: 13, ..Status::default() }), ..Sent::default() };
        let read = DiscoveryRequest::decode(Bytes::from(silent.encode_to_vec())).expect("it is read");
        assert_eq!(read.error_detail, Some(WireNack::default()));
    }

    /// The numbers are Envoy's.
    #[test]
    fn messages_of_delta_are_what_others_write_and_read() {
        let sent = SentDelta {
            type_url: "t".into(),
            resource_names_subscribe: vec!["a".into(), "b".into()],
            resource_names_unsubscribe: vec!["c".into()],
            initial_resource_versions: [("a".to_owned(), "1".to_owned())].into(),
            response_nonce: "7".into(),
            error_detail: Some(Status { code: 13, message: "no".into(), ..Status::default() }),
            ..SentDelta::default()
        };
        let read = DeltaDiscoveryRequest::decode(Bytes::from(sent.encode_to_vec())).expect("it is read");
        let expected = DeltaDiscoveryRequest {
            node: Bytes::new(),
            type_url: "t".into(),
            resource_names_subscribe: sent.resource_names_subscribe.clone(),
            resource_names_unsubscribe: sent.resource_names_unsubscribe.clone(),
            initial_resource_versions: [("a".to_owned(), "1".to_owned())].into(),
            response_nonce: "7".into(),
            error_detail: Some(WireNack { message: "no".into() }),
        };
        assert_eq!(read, expected);
        let answer = DeltaDiscoveryResponse {
            system_version_info: "v".into(),
            resources: Vec::new(),
            type_url: "t".into(),
            nonce: "8".into(),
            removed_resources: vec!["c".into()],
        };
        let read = ReadDelta::decode(answer.encode_to_vec().as_slice()).expect("it is read");
        assert_eq!((&*read.system_version_info, &*read.type_url, &*read.nonce), ("v", "t", "8"));
        assert_eq!(read.removed_resources, ["c"]);
    }
}
