//! Discovery requests through the state of a stream: any requests, in any order, between changes of the mesh. Each line of
//! an input is a step, see [`FuzzStep`].
//!
//! Whatever a proxy says, it is sent only what its own snapshots hold, in answers whose nonces grow, one of each type at a
//! time at the most; a request about an answer that was replaced changes nothing; and a proxy that then acknowledges all
//! it gets is at rest soon.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use bytes::Bytes;
use fleetmesh_mesh::ads::identity::ProxyNode;
use fleetmesh_mesh::ads::stream::{Request, Send, Stream, StreamEvent};
use fleetmesh_mesh::ads::wire::DiscoveryRequest;
use fleetmesh_mesh::identity::Identity;
use fleetmesh_mesh::snapshot::{ResourceSet, ResourceType, Snapshot};
use prost::Message;

use super::protobuf::node;
use super::{Target, mesh};

/// The longest answer, in bytes.
const MAX_ANSWER: usize = 4 << 20;
/// Passes after which an honest proxy has nothing left to acknowledge.
const SOON: usize = 64;
/// The most steps of an input.
const STEPS: usize = 400;

/// See the module.
pub struct Ads([Arc<Snapshot>; 2]);

impl Ads {
    /// Streams of the proxies of `client`.
    pub fn new() -> Result<Self> {
        Ok(Self(mesh::snapshots()?))
    }
}

/// A step: a byte that says what, and what belongs to it.
enum FuzzStep<'a> {
    /// Two bytes with the length, then a request.
    Request(&'a [u8]),
    /// The snapshot of this number is the target.
    Target(usize),
    /// Acknowledgements are overdue.
    Overdue,
    /// The last answer of this type is acknowledged, or refused.
    Settle(ResourceType, bool),
}

impl<'a> FuzzStep<'a> {
    fn next(input: &mut &'a [u8]) -> Option<Self> {
        let (kind, rest) = input.split_first()?;
        *input = rest;
        Some(match kind % 8 {
            0 => Self::Target(0),
            1 => Self::Target(1),
            2 => Self::Overdue,
            3 | 4 => {
                let (index, rest) = input.split_first()?;
                *input = rest;
                Self::Settle(ResourceType::ALL[usize::from(*index) % ResourceType::ALL.len()], kind % 8 == 3)
            }
            _ => {
                let (length, rest) = input.split_first_chunk::<2>()?;
                let length = usize::from(u16::from_le_bytes(*length)).min(rest.len());
                let (message, rest) = rest.split_at(length);
                *input = rest;
                Self::Request(message)
            }
        })
    }
}

/// A stream and what the proxy got on it.
struct FuzzedProxy<'a> {
    snapshots: &'a [Arc<Snapshot>; 2],
    stream: Stream,
    answers: BTreeMap<ResourceType, Send>,
    last_nonce: u64,
}

impl FuzzedProxy<'_> {
    /// Lets the stream handle an event and judges what it sends; how many answers that were.
    fn handle(&mut self, event: StreamEvent) -> Result<usize, String> {
        let sent = self.stream.handle(event);
        if sent.len() > ResourceType::ALL.len() {
            return Err(format!("{} answers at once", sent.len()));
        }
        let count = sent.len();
        for answer in sent {
            self.judge(&answer)?;
            self.answers.insert(answer.kind, answer);
        }
        // Reads all the state there is.
        let _ = (self.stream.is_current(), self.stream.nacks().count(), self.stream.awaits());
        Ok(count)
    }

    fn judge(&mut self, answer: &Send) -> Result<(), String> {
        let nonce: u64 = answer.nonce.parse().map_err(|_| format!("the nonce {:?}", answer.nonce))?;
        if nonce <= self.last_nonce {
            return Err(format!("the nonce {nonce} comes after {}", self.last_nonce));
        }
        self.last_nonce = nonce;
        if answer.content.size() > MAX_ANSWER {
            return Err(format!("an answer of {} bytes", answer.content.size()));
        }
        for (name, resource) in &answer.content.resources {
            let is_own = |snapshot: &Arc<Snapshot>| {
                let own = snapshot.content(answer.kind).resources.get(name);
                own.is_some_and(|own| own.body == resource.body)
            };
            if !self.snapshots.iter().any(is_own) {
                return Err(format!("{name} is in no snapshot of the proxy's"));
            }
        }
        Ok(())
    }

    fn request(&mut self, message: &[u8]) -> Result<bool, String> {
        let Ok(request) = DiscoveryRequest::decode(Bytes::copy_from_slice(message)) else { return Ok(false) };
        // Whoever it says it is: read or refused.
        let node = ProxyNode::read(&request.node);
        let known = node.as_ref().is_ok_and(|node| node.proxied(&Identity::default()).is_ok());
        let _ = node.map(|node| node.instance());
        let Some(kind) = ResourceType::from_url(&request.type_url) else { return Ok(known) };
        let nonce = &request.response_nonce;
        let replaced =
            self.answers.get(&kind).is_some_and(|answer| !nonce.is_empty() && answer.nonce != *nonce);
        let before = self.state();
        let sent = self.handle(StreamEvent::Request(Request {
            kind,
            version: request.version_info,
            names: request.resource_names,
            nonce: request.response_nonce,
            error: request.error_detail.map(|status| status.message),
            recalled: ResourceSet::new(),
        }))?;
        if replaced && (sent > 0 || self.state() != before) {
            return Err("a request about an answer that was replaced changes something".to_owned());
        }
        Ok(true)
    }

    /// What can be seen of the stream.
    fn state(&self) -> (bool, bool, Vec<String>) {
        let refusals = self.stream.nacks().map(|refusal| refusal.message.clone()).collect();
        (self.stream.is_current(), self.stream.awaits(), refusals)
    }

    /// Acknowledges or refuses the last answer of a type.
    fn settle(&mut self, kind: ResourceType, takes: bool) -> Result<usize, String> {
        let Some(Send { nonce, content, .. }) = self.answers.get(&kind) else { return Ok(0) };
        let complete = kind.is_complete();
        let names = content.resources.keys().filter(|_| !complete).cloned().collect();
        self.handle(StreamEvent::Request(Request {
            kind,
            version: content.version.clone(),
            names,
            nonce: nonce.clone(),
            error: (!takes).then(|| "refused".to_owned()),
            recalled: ResourceSet::new(),
        }))
    }

    /// From now on the proxy acknowledges all it gets.
    fn comes_to_rest(&mut self) -> Result<(), String> {
        for _ in 0..SOON {
            let mut sent = 0;
            for kind in ResourceType::ALL {
                sent += self.settle(kind, true)?;
            }
            if sent == 0 {
                return Ok(());
            }
        }
        Err(format!("after {SOON} passes of acknowledgements there is still more to send"))
    }
}

impl Target for Ads {
    fn name(&self) -> &'static str {
        "ads"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        let open = |kind: ResourceType, names: &[&str]| {
            let request = DiscoveryRequest {
                node: node("mesh/apps/virtualNode/client").encode_to_vec().into(),
                type_url: kind.url().to_owned(),
                resource_names: names.iter().map(|name| (*name).to_owned()).collect(),
                ..DiscoveryRequest::default()
            };
            let message = request.encode_to_vec();
            let length = u16::try_from(message.len()).unwrap_or_default().to_le_bytes();
            [&[7][..], &length, &message].concat()
        };
        let routes = self.0[0].content(ResourceType::Route).resources.keys();
        let routes: Vec<&str> = routes.map(String::as_str).collect();
        let [clusters, listeners, routes] = [
            open(ResourceType::Cluster, &[]),
            open(ResourceType::Listener, &[]),
            open(ResourceType::Route, &routes),
        ];
        let started = [&clusters[..], &[3, 0], &listeners, &[3, 2], &routes, &[3, 3]].concat();
        let changed = [&started[..], &[1, 3, 0, 3, 1, 3, 2, 3, 3, 3, 0]].concat();
        let refused = [&started[..], &[1, 4, 0, 2, 0, 3, 0, 4, 3, 1, 3, 0, 3, 3]].concat();
        vec![started, changed, refused]
    }

    fn words(&self) -> &'static [&'static [u8]] {
        &[
            b"\x03\x00",
            b"\x03\x02",
            b"\x03\x03",
            b"\x04\x00",
            b"\x04\x03",
            b"\x00",
            b"\x01",
            b"\x02",
            b"type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
            b"*",
        ]
    }

    fn try_input(&self, input: &[u8]) -> Result<bool, String> {
        let [before, _] = &self.0;
        let mut proxy = FuzzedProxy {
            snapshots: &self.0,
            stream: Stream::new(Arc::clone(before)),
            answers: BTreeMap::new(),
            last_nonce: 0,
        };
        let (mut rest, mut taken) = (input, false);
        for _ in 0..STEPS {
            let Some(step) = FuzzStep::next(&mut rest) else { break };
            match step {
                FuzzStep::Request(message) => taken |= proxy.request(message)?,
                FuzzStep::Target(number) => {
                    _ = proxy.handle(StreamEvent::Target(Arc::clone(&self.0[number])))?
                }
                FuzzStep::Overdue => _ = proxy.handle(StreamEvent::Overdue)?,
                FuzzStep::Settle(kind, takes) => _ = proxy.settle(kind, takes)?,
            }
        }
        proxy.comes_to_rest()?;
        Ok(taken)
    }
}
