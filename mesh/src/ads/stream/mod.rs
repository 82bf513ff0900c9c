//! What one proxy's stream is sent, and when. Pure: events in, sends out; no clock, no I/O.
//!
//! One machine decides what the proxy must have and in which order; the protocol's two variants differ in how its answer is written
//! and in what a request says ([`Variant`]). In the state of the world, an answer contains every resource of its type that the
//! proxy subscribed to, and what is missing is removed (clusters and listeners) or stays (the others). In delta, an answer
//! contains what of that the proxy is not known to have ([`Changes`]), and names what is to be removed.
//!
//! Guarantees, at every point of every exchange, whatever the proxy rejects:
//! - **Order.** Clusters, endpoints, secrets, listeners, routes, one type at a time, each after the last was acknowledged, but
//!   endpoints and secrets without waiting for the clusters: Envoy acknowledges clusters when they are warm, and those that are
//!   discovered by EDS are warm with their endpoints only, those with TLS with their secrets only. Removals come last: a cluster
//!   stays for as long as a listener or route that the proxy may still run refers to it.
//! - **Nothing dangles.** A listener or a route is sent only when the proxy has acknowledged every cluster it refers to.
//! - **Endpoints.** The endpoints of a new or changed cluster are sent again, because Envoy starts it without any. Endpoints that are
//!   unknown now stay as the proxy has them; an answer without any is never sent, nor one without secrets.
//! - **NACKs.** A rejected answer is not sent again, but for secrets that name files when it is [time](StreamEvent::Again); the proxy
//!   keeps what it had. The other types continue where the rule
//!   above allows it. What of an answer is at fault is [`isolation`](super::isolation)'s to find. A later target whose answer differs is sent.
//! - **What is not known is said.** A proxy may have applied any part of an answer that it rejected or that was replaced before it
//!   said anything. In delta it never lists such parts again, so the next answer sends or removes each of them by name, also on the
//!   next stream ([`Unsettled`]).
//! - **Nothing twice.** What the proxy says that it has already, also from an earlier stream, is not sent.
//! - **A proxy that owes an acknowledgement for long** ([`StreamEvent::Overdue`]) no longer holds up what does not depend on it.

mod again;
mod changes;
mod due;
mod request;
mod subscription;
#[cfg(test)]
mod tests;
mod type_state;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::ads::isolation::Verdict;
use crate::snapshot::{Content, ResourceSet, ResourceType, Snapshot};
pub use changes::Changes;
use type_state::TypeState;

/// The longest answer, in bytes: gRPC clients refuse longer messages, close the stream and try again for ever.
const MAX_ANSWER: usize = 4 * 1024 * 1024;
/// What an answer's other members take at most, in bytes.
const ENVELOPE: usize = 256;

/// The variants of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// Each answer holds everything: `StreamAggregatedResources`.
    StateOfTheWorld,
    /// Each answer holds what changes: `DeltaAggregatedResources`.
    Delta,
}

/// Something that happened.
#[derive(Debug)]
pub enum StreamEvent {
    /// The proxy sent a request.
    Request(Request),
    /// The node's snapshot is another one now.
    Target(Arc<Snapshot>),
    /// The proxy has owed an acknowledgement for long.
    Overdue,
    /// It is time to send again what the proxy rejected of this snapshot's secrets ([`Resend`](super::resend::Resend)).
    Again(Arc<Snapshot>),
}

/// A request of a type that is served.
#[derive(Clone, Debug)]
pub struct Request {
    /// The type.
    pub kind: ResourceType,
    /// The nonce of the answer it is about; empty for none.
    pub nonce: String,
    /// Why it refuses that answer.
    pub error: Option<String>,
    /// What it wants, and what it has when it connects.
    pub interest: Interest,
}

/// What a request says of resources.
#[derive(Clone, Debug)]
pub enum Interest {
    /// In the state of the world: everything.
    Whole {
        /// The version the proxy runs, without marks ([`content_version`](crate::snapshot::content_version)); empty for none.
        version: String,
        /// The names it subscribes to; empty for all, where the type allows it.
        names: Vec<String>,
        /// Of a request for clusters: those that the proxy kept from an earlier stream, as far as its version shows.
        recalled: ResourceSet,
    },
    /// In delta: what is another now.
    Change {
        /// The names it subscribes to from now on; `*` is all, where the type allows it, and so is nothing in the first request.
        subscribe: Vec<String>,
        /// The names it does not want any more.
        unsubscribe: Vec<String>,
        /// Of the first request for a type: the versions of the resources that the proxy has, by name.
        versions: BTreeMap<String, String>,
    },
}

/// An answer to send.
#[derive(Clone, Debug)]
pub struct Send {
    /// The type of its resources.
    pub kind: ResourceType,
    /// Its nonce, unique in the stream.
    pub nonce: String,
    /// What the answer makes of the type; in the state of the world, what it holds.
    pub content: Arc<Content>,
    /// In delta: what it holds.
    pub changes: Option<Changes>,
    /// In which other words it says that ([`reworded`](crate::snapshot::reworded)), so that the proxy does not take it for what it
    /// got before; none for the usual ones.
    pub wording: Option<u32>,
}

impl Send {
    /// How many bytes its resources take at most.
    pub fn size(&self) -> usize {
        self.changes.as_ref().map_or_else(|| self.content.size(), Changes::size)
    }
}

/// An answer that the proxy refused, or that is too long to be sent.
#[derive(Clone, Debug)]
pub struct Nack {
    /// The type of its resources.
    pub kind: ResourceType,
    /// What was refused.
    pub content: Arc<Content>,
    /// The version of all that the proxy was to have of the type.
    pub wanted: String,
    /// What the proxy had acknowledged before.
    pub before: Arc<Content>,
    /// Why.
    pub message: String,
}

/// The names of resources of which it is not known whether a proxy applied them: what it was sent and did not acknowledge.
pub type Unsettled = BTreeMap<ResourceType, BTreeSet<String>>;

/// The state of one stream.
#[derive(Debug)]
pub struct Stream {
    variant: Variant,
    target: Arc<Snapshot>,
    types: [TypeState; ResourceType::ALL.len()],
    /// Clusters that the proxy has from an earlier stream and may use until it says what else it runs.
    recalled: ResourceSet,
    /// Whether it had clusters already when it connected.
    reconnected: bool,
    /// Whether some of these are not in the snapshot that was its target when it connected.
    estranged: bool,
    nonces: u64,
    /// The number of the first wording.
    wordings: u32,
    /// What the proxy thinks of answers, until it is taken.
    verdicts: Vec<Verdict>,
    /// How many events changed something.
    changes: u64,
}

impl Stream {
    /// A stream that has just been opened by a proxy of `target`'s node.
    pub fn new(variant: Variant, target: Arc<Snapshot>) -> Self {
        Self {
            variant,
            target,
            types: Default::default(),
            recalled: ResourceSet::new(),
            reconnected: false,
            estranged: false,
            nonces: 0,
            wordings: 0,
            verdicts: Vec::new(),
            changes: 0,
        }
    }

    /// The same for a proxy whose last stream ended with this [`unsettled`](Self::unsettled).
    #[must_use]
    pub fn after(mut self, unsettled: Unsettled) -> Self {
        for (kind, names) in unsettled {
            self.types[index(kind)].unsettled = names;
        }
        self
    }

    /// The same with wordings from the number `first` on, which is another one for each stream of a proxy.
    #[must_use]
    pub fn worded(self, first: u32) -> Self {
        Self { wordings: first, ..self }
    }

    /// Takes an event in; returns the answers to send, in order. One that changes nothing, such as an acknowledgement that is
    /// repeated, costs nothing more than to find that out: proxies may send as many as they like.
    pub fn handle(&mut self, event: StreamEvent) -> Vec<Send> {
        match event {
            StreamEvent::Request(request) => {
                if !self.request(request) {
                    return Vec::new();
                }
            }
            StreamEvent::Target(target) => self.target = target,
            StreamEvent::Again(of) => {
                let sent = self.again(&of);
                self.changes += u64::from(sent.is_some());
                return sent.into_iter().collect();
            }
            StreamEvent::Overdue => {
                self.types
                    .iter_mut()
                    .flat_map(|state| &mut state.in_flight)
                    .for_each(|sent| sent.overdue = true);
            }
        }
        self.changes += 1;
        std::iter::from_fn(|| self.send()).collect()
    }

    /// Grows with each event that changed something: what the other methods answer stays the same while this does.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// Whether the proxy owes an acknowledgement that holds up other answers.
    pub fn awaits(&self) -> bool {
        self.types.iter().flat_map(|state| &state.in_flight).any(|sent| !sent.overdue)
    }

    /// Whether the proxy has asked for `kind` before.
    pub fn has_asked(&self, kind: ResourceType) -> bool {
        self.state(kind).subscription.is_some()
    }

    /// How many resources of `kind` the proxy names when it subscribes to these as well.
    pub fn names(&self, kind: ResourceType, more: &[String]) -> usize {
        let known = self.state(kind).subscription.as_ref().map(|subscription| &subscription.names);
        let new: BTreeSet<&String> =
            more.iter().filter(|name| known.is_none_or(|known| !known.contains(*name))).collect();
        new.len() + known.map_or(0, BTreeSet::len)
    }

    /// What the proxy thinks of the answers that it has judged since this was last called: of those that it was sent, and of
    /// those that it has from an earlier stream. For [`Isolation`](super::isolation::Isolation).
    pub fn take_verdicts(&mut self) -> Vec<Verdict> {
        std::mem::take(&mut self.verdicts)
    }

    /// What of the answers so far, and of those of earlier streams, the proxy may have applied or not: for the next stream, if
    /// this one ends now.
    pub fn unsettled(&self) -> Unsettled {
        let names = |kind| (kind, self.state(kind).unsettled_names());
        ResourceType::ALL.into_iter().map(names).filter(|(_, names)| !names.is_empty()).collect()
    }

    /// The snapshot that the proxy is to run.
    pub fn target(&self) -> &Arc<Snapshot> {
        &self.target
    }

    /// Whether the proxy has acknowledged all of its target. Clusters that are yet to be removed do not count: nothing
    /// uses them.
    pub fn is_current(&self) -> bool {
        ResourceType::ALL.into_iter().all(|kind| {
            let (target, state) = (self.target.content(kind), self.state(kind));
            let exact = state.acked.version == target.version && state.unknown.is_empty();
            (kind != ResourceType::Listener || exact) && target.is_within(&state.acked)
        })
    }

    /// Whether something of the target is not sent because the proxy could lose what it runs of an earlier stream: the target leaves
    /// out what proxies refuse.
    pub fn is_held_up(&self) -> bool {
        ResourceType::ALL.into_iter().any(|kind| self.would_lose(kind))
    }

    /// The nacks that still stand in the way of the target.
    pub fn nacks(&self) -> impl Iterator<Item = &Arc<Nack>> {
        ResourceType::ALL.into_iter().filter_map(|kind| {
            let nack = self.state(kind).nack.as_ref()?;
            (nack.wanted == self.wanted(kind).version).then_some(nack)
        })
    }

    fn state(&self, kind: ResourceType) -> &TypeState {
        &self.types[index(kind)]
    }
}

fn index(kind: ResourceType) -> usize {
    match kind {
        ResourceType::Cluster => 0,
        ResourceType::Endpoint => 1,
        ResourceType::Secret => 2,
        ResourceType::Listener => 3,
        ResourceType::Route => 4,
    }
}
