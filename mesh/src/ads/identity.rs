//! The identity that a proxy claims. Pure.

use std::net::IpAddr;

use bytes::Bytes;
use fleetmesh_api::metadata::INSTANCE_ID;
use fleetmesh_model::{Arn, ResourceId};
use prost::encoding::{self, DecodeContext};
use prost::{DecodeError, Message};

use super::StreamError;
use super::wire::{Member, Text, WireNode, WireVersion};
use crate::foreign::Foreign;
use crate::identity::Identity;

/// What a proxy says of itself in its first request, as far as anything is made of it.
#[derive(Debug)]
pub struct ProxyNode(WireNode);

impl ProxyNode {
    /// Reads `node`, an encoded `envoy.config.core.v3.Node`.
    ///
    /// # Errors
    /// [`StreamCode::InvalidArgument`](super::StreamCode::InvalidArgument): it is none.
    pub fn read(node: &Bytes) -> Result<Self, StreamError> {
        WireNode::decode(node.clone()).map(Self).map_err(|error| {
            StreamError::invalid_argument(format!("the first request's node cannot be read: {error}"))
        })
    }

    /// The virtual node or gateway whose configuration it asks for: `node.id`, or `node.cluster` when the id is no resource.
    /// Both take the full ARN or its resource part, which is of the first account of `identity` unless it says
    /// `mesh/NAME@ACCOUNT/…`. Where one account is served alone its digits in an ARN are not looked at, as they never were.
    ///
    /// # Errors
    /// [`StreamCode::InvalidArgument`](super::StreamCode::InvalidArgument), with what was expected.
    pub fn proxied(&self, identity: &Identity) -> Result<ResourceId, StreamError> {
        let Self(node) = self;
        // What is longer is no ARN, and nothing of it is to be in a log or an answer.
        let named = [node.id.as_str(), node.cluster.as_str()]
            .map(|text| if text.len() > LONGEST { "" } else { text });
        let parsed = named.into_iter().find_map(|text| resource(text, identity));
        match parsed {
            Some(id) if id.kind().info().has_proxies => Ok(id),
            Some(other) => Err(unknown(&other.to_string(), &format!("a {} has no proxies", other.kind()))),
            None => Err(unknown(&node.id, "it is not the ARN of a virtual node or gateway")),
        }
    }

    /// The id of the instance that it says it runs on, as the bootstrap has it. Anything but an id or an address of at most
    /// 64 letters, digits, `.`, `:`, `_` and `-` is dropped: others would see it.
    pub fn instance(&self) -> Option<String> {
        member(self.0.metadata.clone(), INSTANCE_ID).ok().flatten().filter(|id| is_instance(id))
    }

    /// Whether it says that it is an Envoy of at least 1.34, which warns of what older ones need.
    pub fn is_newer(&self) -> bool {
        self.0.build.as_ref().and_then(|build| build.version) >= Some(NEWER)
    }
}

/// What `text` names; nothing for what is no resource of an account that is served.
fn resource(text: &str, identity: &Identity) -> Option<ResourceId> {
    if !text.starts_with("arn:") {
        return identity.short(text).ok();
    }
    let Arn { account, resource, .. } = Arn::parse(text).ok()?;
    if identity.others.is_empty() {
        return Some(resource);
    }
    identity.account(&account).map(|owner| resource.owned_by(owner))
}

/// The longest text that may name a virtual node or gateway, in bytes: an ARN with the longest names has far less.
const LONGEST: usize = 2048;
/// The longest id of an instance, in bytes. EC2's have 19, and an IPv6 address at most 45.
const LONGEST_INSTANCE: usize = 64;

/// The first release that is newer.
const NEWER: WireVersion = WireVersion { major: 1, minor: 34 };

/// The text of the member `name` of an encoded `Struct`. The others are passed over one by one: a tree of empty values takes
/// 40 times its bytes when it is built.
fn member(mut members: Bytes, name: &str) -> Result<Option<String>, DecodeError> {
    let mut found = None;
    while !members.is_empty() {
        let (tag, wire_type) = encoding::decode_key(&mut members)?;
        if tag != 1 {
            encoding::skip_field(wire_type, tag, &mut members, DecodeContext::default())?;
            continue;
        }
        let mut member = Bytes::new();
        encoding::bytes::merge(wire_type, &mut member, &mut members, DecodeContext::default())?;
        let member = Member::decode(member)?;
        if member.name == name {
            found = Text::decode(member.value)?.text;
        }
    }
    Ok(found)
}

fn is_instance(id: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".:_-".contains(&byte);
    (1..=LONGEST_INSTANCE).contains(&id.len()) && id.bytes().all(plain)
}

/// The instance that a proxy runs on: the one that is `named`, else the address that it connects from; `None` over a Unix
/// socket without an id. It decides nothing about what the proxy may read.
pub fn instance(named: Option<String>, peer: Option<IpAddr>) -> Option<String> {
    named.or_else(|| peer.map(|address| address.to_canonical().to_string()))
}

/// The error for a resource that cannot be streamed.
pub fn unknown(resource: &str, reason: &str) -> StreamError {
    StreamError::invalid_argument(format!(
        "node.id {}: {reason}; expected mesh/MESH/virtualNode/NAME of a virtual node that exists, or mesh/MESH/virtualGateway/NAME (APPMESH_RESOURCE_ARN in AWS's image)",
        Foreign(resource)
    ))
}

#[cfg(test)]
mod tests {
    use envoy_types::pb::envoy::config::core::v3::node::UserAgentVersionType;
    use envoy_types::pb::envoy::config::core::v3::{BuildVersion, Node};
    use envoy_types::pb::envoy::r#type::v3::SemanticVersion;
    use envoy_types::pb::google::protobuf::value::Kind;
    use envoy_types::pb::google::protobuf::{ListValue, Struct, Value};

    use super::*;

    fn parse(id: &str, cluster: &str) -> Result<ResourceId, StreamError> {
        parse_of(id, cluster, &Identity::default())
    }

    fn parse_of(id: &str, cluster: &str, identity: &Identity) -> Result<ResourceId, StreamError> {
        let node = WireNode { id: id.into(), cluster: cluster.into(), ..WireNode::default() };
        read(&node.encode_to_vec().into()).proxied(identity)
    }

    fn read(node: &Bytes) -> ProxyNode {
        ProxyNode::read(node).expect("a node")
    }

    #[test]
    fn a_node_is_of_the_account_that_the_proxy_says_and_of_the_first_when_it_says_none() {
        let others = ["444455556666", "777788889999"].map(|id| id.parse().expect("an account"));
        let identity = Identity { others: others.into(), ..Identity::default() };
        let arn = |account: &str| format!("arn:aws:appmesh:us-west-2:{account}:mesh/apps/virtualNode/a");
        let own = ResourceId::virtual_node("apps", "a");
        let of = |digits: &str| own.clone().owned_by(identity.account(digits).expect("it is served"));
        for (id, node) in [
            (arn("111122223333"), own.clone()),
            ("mesh/apps/virtualNode/a".to_owned(), own.clone()),
            (arn("444455556666"), of("444455556666")),
            ("mesh/apps@777788889999/virtualNode/a".to_owned(), of("777788889999")),
        ] {
            assert_eq!(parse_of(&id, "", &identity).expect(&id), node);
            assert_eq!(parse_of("i-0123", &id, &identity).expect(&id), node);
        }
        for id in [arn("222233334444"), "mesh/apps@222233334444/virtualNode/a".to_owned()] {
            assert_eq!(parse_of(&id, "", &identity).expect_err(&id).code.number(), 3, "{id}");
        }
        assert_eq!(parse(&arn("222233334444"), "").expect("the only account"), own);
    }

    #[test]
    fn both_forms_in_both_members_name_a_virtual_node_or_gateway() {
        let gateway = ResourceId::virtual_gateway("apps", "edge");
        assert_eq!(parse("mesh/apps/virtualGateway/edge", "").expect("a gateway"), gateway);
        let node = ResourceId::virtual_node("apps", "serviceB");
        let full = "arn:aws:appmesh:us-west-2:111122223333:mesh/apps/virtualNode/serviceB";
        for (id, cluster) in [(full, ""), ("mesh/apps/virtualNode/serviceB", "x"), ("i-0123", full)] {
            assert_eq!(parse(id, cluster).expect(id), node);
        }
    }

    #[test]
    fn the_instance_is_what_the_bootstrap_says_or_where_the_proxy_connects_from() {
        let value = |text: &str| Value { kind: Some(Kind::StringValue(text.into())) };
        let list = ListValue { values: vec![value("i-9"); 3] };
        let list = Value { kind: Some(Kind::ListValue(list)) };
        let with = |members: &[(&str, &Value)]| {
            let fields = members.iter().map(|(name, value)| ((*name).to_owned(), Value::clone(value)));
            let metadata = Struct { fields: fields.collect() }.encode_to_vec().into();
            Bytes::from(WireNode { metadata, ..WireNode::default() }.encode_to_vec())
        };
        let named = with(&[("a", &list), (INSTANCE_ID, &value("i-0123")), ("z", &value("i-9"))]);
        assert_eq!(read(&with(&[(INSTANCE_ID, &list), ("z", &value("i-9"))])).instance(), None, "no text");
        let (named, unnamed) = (read(&named), read(&WireNode::default().encode_to_vec().into()));
        let peer = Some("::ffff:10.0.0.7".parse().expect("an address"));
        assert_eq!(instance(named.instance(), peer).as_deref(), Some("i-0123"));
        assert_eq!(instance(unnamed.instance(), peer).as_deref(), Some("10.0.0.7"));
        assert_eq!(instance(unnamed.instance(), None), None);
    }

    #[test]
    fn a_newer_proxy_is_known_by_the_version_of_its_build() {
        let node = |version: Option<(u32, u32)>| {
            let version = version.map(|(major_number, minor_number)| SemanticVersion {
                major_number,
                minor_number,
                patch: 9,
            });
            let build = BuildVersion { version, ..BuildVersion::default() };
            let version_type = Some(UserAgentVersionType::UserAgentBuildVersion(build));
            Bytes::from(Node { user_agent_version_type: version_type, ..Node::default() }.encode_to_vec())
        };
        for (version, newer) in [
            (Some((1, 34)), true),
            (Some((1, 40)), true),
            (Some((2, 0)), true),
            (Some((1, 33)), false),
            (Some((1, 29)), false),
            (Some((0, 99)), false),
            (None, false),
        ] {
            assert_eq!(read(&node(version)).is_newer(), newer, "{version:?}");
        }
        assert!(!read(&Bytes::new()).is_newer());
    }

    #[test]
    fn what_a_proxy_says_of_itself_is_short_and_plain_or_dropped() {
        let value = |text: &str| Value { kind: Some(Kind::StringValue(text.into())) };
        let named = |id: &str| {
            let metadata = Struct { fields: [(INSTANCE_ID.to_owned(), value(id))].into() };
            let metadata = metadata.encode_to_vec().into();
            read(&WireNode { metadata, ..WireNode::default() }.encode_to_vec().into()).instance()
        };
        for id in ["i-0123456789abcdef0", "fd00:ec2::254", "10.0.0.7", &"x".repeat(64)] {
            assert_eq!(named(id).as_deref(), Some(id));
        }
        for id in ["", "i-1\n", "i-1 ", "\u{202e}i-1", "\"", &"x".repeat(65), &"X\n".repeat(100_000)] {
            assert_eq!(named(id), None, "{id:.20}");
        }
        let long = "Z".repeat(1_000_000);
        for id in
            [long.clone(), format!("mesh/m/virtualNode/{long}"), format!("mesh/m/virtualGateway/\n{long}")]
        {
            let status = parse(&id, "").expect_err("no node");
            assert!(status.message.len() < 1000 && !status.message.contains('\n'), "{status:.100}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_app_meshs_code_and_what_was_expected() {
        for (id, says) in [
            ("", "expected mesh/MESH/virtualNode/NAME"),
            ("i-0123", "expected mesh/MESH/virtualNode/NAME"),
            ("mesh/apps", "a Mesh has no proxies"),
            ("mesh/apps/virtualRouter/r", "a VirtualRouter has no proxies"),
        ] {
            let status = parse(id, "").expect_err(id);
            assert_eq!(status.code.number(), 3);
            assert!(status.message.contains(says), "{status}");
        }
    }
}
