//! Discovery requests through the state of a stream: any requests, in any order, between changes of the mesh. Each line of
//! an input is a step, see [`FuzzStep`]. Once for each variant of the protocol.
//!
//! Whatever a proxy says, it is sent only what its own snapshots hold, in answers whose nonces grow, one of each type at a
//! time at the most; a request about an answer that was replaced changes nothing; and a proxy that then acknowledges all
//! it gets is at rest soon.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use bytes::Bytes;
use fleetmesh_mesh::ads::identity::ProxyNode;
use fleetmesh_mesh::ads::stream::{Interest, Request, Send, Stream, StreamEvent, Variant};
use fleetmesh_mesh::ads::wire::{DeltaDiscoveryRequest, DiscoveryRequest};
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
pub struct Ads {
    snapshots: [Arc<Snapshot>; 2],
    variant: Variant,
}

impl Ads {
    /// Streams of the proxies of `client`, in this variant.
    pub fn new(variant: Variant) -> Result<Self> {
        Ok(Self { snapshots: mesh::snapshots()?, variant })
    }

    /// The step of a first request for a type.
    fn opening(&self, kind: ResourceType, names: &[&str], had: &[(&str, &str)]) -> Vec<u8> {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        let (node, type_url) =
            (node("mesh/apps/virtualNode/client").encode_to_vec().into(), kind.url().to_owned());
        let had = had.iter().map(|(name, version)| ((*name).to_owned(), (*version).to_owned()));
        let message = match self.variant {
            Variant::StateOfTheWorld => {
                let all = DiscoveryRequest { node, type_url, resource_names: names, ..Default::default() };
                all.encode_to_vec()
            }
            Variant::Delta => {
                let (names, had) = (names, had.collect());
                let change = DeltaDiscoveryRequest {
                    node,
                    type_url,
                    resource_names_subscribe: names,
                    initial_resource_versions: had,
                    ..DeltaDiscoveryRequest::default()
                };
                change.encode_to_vec()
            }
        };
        let length = u16::try_from(message.len()).unwrap_or_default().to_le_bytes();
        [&[7][..], &length, &message].concat()
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

/// A request as far as the stream is concerned.
struct FuzzedRequest {
    node: Bytes,
    type_url: String,
    nonce: String,
    error: Option<String>,
    interest: Interest,
}

impl FuzzedRequest {
    fn read(variant: Variant, message: &[u8]) -> Option<Self> {
        let message = Bytes::copy_from_slice(message);
        match variant {
            Variant::StateOfTheWorld => DiscoveryRequest::decode(message).ok().map(|request| Self {
                node: request.node,
                type_url: request.type_url,
                nonce: request.response_nonce,
                error: request.error_detail.map(|status| status.message),
                interest: Interest::Whole {
                    version: request.version_info,
                    names: request.resource_names,
                    recalled: ResourceSet::new(),
                },
            }),
            Variant::Delta => DeltaDiscoveryRequest::decode(message).ok().map(|request| Self {
                node: request.node,
                type_url: request.type_url,
                nonce: request.response_nonce,
                error: request.error_detail.map(|status| status.message),
                interest: Interest::Change {
                    subscribe: request.resource_names_subscribe,
                    unsubscribe: request.resource_names_unsubscribe,
                    versions: request.initial_resource_versions,
                },
            }),
        }
    }
}

/// Whether a request wants something else than before, whatever answer it is about.
fn changes_interest(interest: &Interest) -> bool {
    match interest {
        Interest::Whole { .. } => false,
        Interest::Change { subscribe, unsubscribe, .. } => !subscribe.is_empty() || !unsubscribe.is_empty(),
    }
}

/// A stream and what the proxy got on it.
struct FuzzedProxy<'a> {
    variant: Variant,
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
        if answer.size() > MAX_ANSWER {
            return Err(format!("an answer of {} bytes", answer.size()));
        }
        if answer.changes.is_some() != (self.variant == Variant::Delta) {
            return Err("an answer of the other variant".to_owned());
        }
        if let Some(changes) = &answer.changes {
            let said = |name: &String| changes.resources.iter().any(|resource| resource.name == *name);
            if let Some(both) = changes.removed.iter().find(|name| said(name)) {
                return Err(format!("{both} is sent and removed"));
            }
            if !changes.removed.is_empty() && !answer.kind.is_complete() {
                return Err(format!("{:?} are removed", answer.kind));
            }
        }
        for (name, resource) in &answer.content.resources {
            let is_own = |snapshot: &Arc<Snapshot>| {
                let own = snapshot.content(answer.kind).resources.get(name);
                own.is_some_and(|own| own.version == resource.version)
            };
            if !self.snapshots.iter().any(is_own) {
                return Err(format!("{name} is in no snapshot of the proxy's"));
            }
        }
        Ok(())
    }

    fn request(&mut self, message: &[u8]) -> Result<bool, String> {
        let Some(request) = FuzzedRequest::read(self.variant, message) else { return Ok(false) };
        let FuzzedRequest { node, type_url, nonce, error, interest } = request;
        // Whoever it says it is: read or refused.
        let node = ProxyNode::read(&node);
        let known = node.as_ref().is_ok_and(|node| node.proxied(&Identity::default()).is_ok());
        let _ = node.map(|node| node.instance());
        let Some(kind) = ResourceType::from_url(&type_url) else { return Ok(known) };
        let replaced = !changes_interest(&interest)
            && self.answers.get(&kind).is_some_and(|answer| !nonce.is_empty() && answer.nonce != *nonce);
        let before = self.state();
        let sent = self.handle(StreamEvent::Request(Request { kind, nonce, error, interest }))?;
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
        let interest = match self.variant {
            Variant::StateOfTheWorld => Interest::Whole {
                version: content.version.clone(),
                names: content.resources.keys().filter(|_| !complete).cloned().collect(),
                recalled: ResourceSet::new(),
            },
            Variant::Delta => {
                Interest::Change { subscribe: Vec::new(), unsubscribe: Vec::new(), versions: BTreeMap::new() }
            }
        };
        let error = (!takes).then(|| "refused".to_owned());
        self.handle(StreamEvent::Request(Request { kind, nonce: nonce.clone(), error, interest }))
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
        match self.variant {
            Variant::StateOfTheWorld => "ads",
            Variant::Delta => "ads-delta",
        }
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        let routes = self.snapshots[0].content(ResourceType::Route).resources.keys();
        let routes: Vec<&str> = routes.map(String::as_str).collect();
        let [clusters, listeners, routes] = [
            self.opening(ResourceType::Cluster, &[], &[]),
            self.opening(ResourceType::Listener, &[], &[]),
            self.opening(ResourceType::Route, &routes, &[]),
        ];
        let had = self.snapshots[1].content(ResourceType::Cluster).resources.values();
        let had: Vec<(&str, &str)> =
            had.map(|resource| (resource.name.as_str(), resource.version.as_str())).collect();
        let again = self.opening(ResourceType::Cluster, &["*"], &had);
        let started = [&clusters[..], &[3, 0], &listeners, &[3, 2], &routes, &[3, 3]].concat();
        let changed = [&started[..], &[1, 3, 0, 3, 1, 3, 2, 3, 3, 3, 0]].concat();
        let refused = [&started[..], &[1, 4, 0, 2, 0, 3, 0, 4, 3, 1, 3, 0, 3, 3]].concat();
        let again = [&again[..], &[3, 0], &listeners, &[3, 2, 4, 3], &routes, &[3, 3, 3, 0]].concat();
        vec![started, changed, refused, again]
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
        let [before, _] = &self.snapshots;
        let mut proxy = FuzzedProxy {
            variant: self.variant,
            snapshots: &self.snapshots,
            stream: Stream::new(self.variant, Arc::clone(before)),
            answers: BTreeMap::new(),
            last_nonce: 0,
        };
        let (mut rest, mut taken) = (input, false);
        for _ in 0..STEPS {
            let Some(step) = FuzzStep::next(&mut rest) else { break };
            match step {
                FuzzStep::Request(message) => taken |= proxy.request(message)?,
                FuzzStep::Target(number) => {
                    _ = proxy.handle(StreamEvent::Target(Arc::clone(&self.snapshots[number])))?
                }
                FuzzStep::Overdue => _ = proxy.handle(StreamEvent::Overdue)?,
                FuzzStep::Settle(kind, takes) => _ = proxy.settle(kind, takes)?,
            }
        }
        proxy.comes_to_rest()?;
        Ok(taken)
    }
}
