//! To which ports callers speak plaintext though they take TLS as well. Pure.
//!
//! A port that begins to take TLS beside plaintext takes both only when the node's proxies have the listener and the certificate that
//! it names; a file that is not there they reject for as long as that is so. Plaintext does no harm meanwhile, so there is no bound.
//! A port that takes TLS alone has nothing else to offer: callers use it at once. So they do where the node has no proxies.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fleetmesh_model::ResourceId;

use super::Open;
use crate::snapshot::{PlaintextPorts, permissive_ports, takes_tls};
use crate::view::{MeshView, Record};

/// The ports of one mesh whose TLS callers do not use yet.
#[derive(Debug, Default)]
pub(super) struct AwaitedTls(PlaintextPorts);

impl AwaitedTls {
    /// Those that are known from before a restart: in which version of the node callers had them is not.
    pub(super) fn known(ports: BTreeMap<ResourceId, BTreeSet<i32>>) -> Self {
        let none = |ports: BTreeSet<i32>| ports.into_iter().map(|port| (port, None)).collect();
        Self(ports.into_iter().map(|(node, ports)| (node, none(ports))).collect())
    }

    /// The record of a node that has proxies is another one.
    pub(super) fn change(&mut self, old: Option<&Arc<Record>>, new: &Arc<Record>) {
        let used = |port: &i32| old.is_some_and(|old| takes_tls(old, *port));
        let begins = permissive_ports(new).into_iter().filter(|port| !used(port));
        let begins: BTreeMap<i32, Option<Arc<Record>>> = begins.map(|port| (port, old.cloned())).collect();
        if !begins.is_empty() {
            self.0.entry(new.id.clone()).or_default().extend(begins);
        }
    }

    /// Forgets what the proxies of nodes run, and what takes no plaintext in `newest`.
    pub(super) fn advance(&mut self, newest: &MeshView, open: impl Fn(&ResourceId) -> Option<Open>) {
        self.0.retain(|node, ports| {
            let permissive = newest.get(node).map(|record| permissive_ports(record)).unwrap_or_default();
            let tls = open(node).map(|open| open.tls).unwrap_or_default();
            ports.retain(|port, _| permissive.contains(port) && !tls.contains(port));
            !ports.is_empty()
        });
    }

    pub(super) fn ports(&self) -> &PlaintextPorts {
        &self.0
    }
}
