//! Whether one proxy gets all that its node's objects say, or what is served without the parts that proxies refuse. Pure.
//!
//! Each proxy judges by itself: what one refuses is withheld from those that refuse it as well, and from those that start
//! anew, until they run what is known to be good. Then they are offered the rest. So one proxy that refuses whatever it
//! likes holds up itself and not the others of its node.
//!
//! One that refused something is wary until it runs everything: it gets what others of its node changed first, and what was
//! refused before only when that is in force and it was another form that it refused.
//!
//! While it is searched for what is at fault, one of those that refused something is sent what is tried
//! ([`Isolation::tester`]), and all others what is served without that ([`Isolation::base`]).
//!
//! One that runs something unknown of an earlier stream may be sent nothing of what is served while that leaves out a part, because
//! it could lose it. It is offered everything: what others refuse says nothing of it, and it can only judge what it is sent.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Isolation, Verdict};
use crate::snapshot::{ResourceType, Snapshot};

/// What the proxies of a node may be served, at one moment.
#[derive(Clone, Debug)]
pub struct Offer {
    /// What is known to be good, as far as anything is ([`Isolation::served`]).
    pub served: Arc<Snapshot>,
    /// What the node's objects describe ([`Isolation::target`]).
    pub wanted: Arc<Snapshot>,
    /// A number for what the first lacks of the second because proxies refuse it ([`Isolation::holds`]).
    pub holds: Option<u64>,
    /// Whether it is not known yet what they refuse.
    pub searching: bool,
    /// What is served meanwhile without what is tried ([`Isolation::base`]).
    pub base: Option<Arc<Snapshot>>,
    /// The number of the proxy that is sent what is tried ([`Isolation::tester`]).
    pub tester: Option<u64>,
}

impl Offer {
    /// What `isolation` says.
    pub fn of(isolation: &Isolation) -> Self {
        Self {
            served: Arc::clone(isolation.served()),
            wanted: Arc::clone(isolation.target()),
            holds: isolation.holds(),
            searching: !isolation.searching().is_empty(),
            base: isolation.base().cloned(),
            tester: isolation.tester(),
        }
    }
}

/// Which of its node's snapshots a proxy follows.
#[derive(Debug)]
pub struct Following {
    offer: Offer,
    /// The proxy's number among those of its node.
    proxy: u64,
    /// The versions that the proxy refused last.
    refused: BTreeMap<ResourceType, String>,
    /// What was held when it refused everything.
    refused_holds: Option<u64>,
    wary: bool,
    /// Whether it has run a whole snapshot since it connected or, when it is wary, since the offer is another one.
    settled: bool,
    /// Whether what is served was nothing that it could be sent.
    held_up: bool,
}

impl Following {
    /// A proxy that has just connected, with its [number](super::Standing::proxy).
    pub fn new(offer: Offer, proxy: u64) -> Self {
        Self {
            offer,
            proxy,
            refused: BTreeMap::new(),
            refused_holds: None,
            wary: false,
            settled: false,
            held_up: false,
        }
    }

    /// The node's proxies may be served this now.
    pub fn turn(&mut self, offer: Offer) {
        if self.wary && !Arc::ptr_eq(&self.offer.wanted, &offer.wanted) {
            self.settled = false;
        }
        self.offer = offer;
        if !self.offer.searching && self.refuses_version() {
            self.refused_holds = self.offer.holds;
        }
    }

    /// Takes in what the proxy thinks of an answer, before anybody else does.
    pub fn note(&mut self, verdict: &Verdict) {
        if verdict.error.is_none() {
            return;
        }
        self.wary = true;
        let version = &verdict.of.content(verdict.kind).version;
        if *version == self.offer.wanted.content(verdict.kind).version {
            self.refused.insert(verdict.kind, version.clone());
        }
    }

    /// The proxy runs by now what it refused of the type.
    pub fn forgive(&mut self, kind: ResourceType) {
        self.refused.remove(&kind);
        if self.refused.is_empty() {
            self.refused_holds = None;
        }
    }

    /// The proxy runs all of `snapshot`.
    pub fn settle(&mut self, snapshot: &Arc<Snapshot>) {
        self.settled = true;
        if Arc::ptr_eq(snapshot, &self.offer.wanted) {
            self.wary = false;
        }
    }

    /// Notes whether what the proxy is to run now cannot be sent to it ([`Stream::is_held_up`](crate::ads::stream::Stream::is_held_up)).
    pub fn note_held_up(&mut self, held_up: bool) {
        self.held_up |= held_up;
    }

    /// Whether the proxy has refused something and not run everything since.
    pub fn is_wary(&self) -> bool {
        self.wary
    }

    /// Whether the proxy refuses something of what the node's objects say now.
    pub fn refuses(&self) -> bool {
        self.refuses_version() || (self.offer.holds.is_some() && self.refused_holds == self.offer.holds)
    }

    /// Whether it is not known yet what proxies of its node refuse.
    pub fn is_searching(&self) -> bool {
        self.offer.searching
    }

    /// The proxy's number among those of its node.
    pub fn number(&self) -> u64 {
        self.proxy
    }

    /// Whether the proxy is sent what is tried.
    pub fn is_tester(&self) -> bool {
        self.is_searching() && self.offer.tester == Some(self.proxy)
    }

    /// What the node's objects describe.
    pub fn wanted(&self) -> &Arc<Snapshot> {
        &self.offer.wanted
    }

    /// The snapshot to send.
    pub fn target(&self) -> &Arc<Snapshot> {
        let waits = self.refuses() || (self.wary && self.offer.searching);
        if (self.settled || self.held_up) && !waits {
            return &self.offer.wanted;
        }
        let base = self.offer.base.as_ref().filter(|_| self.is_searching() && !self.is_tester());
        base.unwrap_or(&self.offer.served)
    }

    fn refuses_version(&self) -> bool {
        let wanted = &self.offer.wanted;
        self.refused.iter().any(|(kind, version)| wanted.content(*kind).version == *version)
    }
}
