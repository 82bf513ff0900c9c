//! What differs from the newest view while ports of virtual nodes move and listeners begin to take TLS. Pure data: when that is
//! the case is [`handover`](crate::ads::handover)'s to decide.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fleetmesh_model::listener::Listener;
use fleetmesh_model::tls::{ListenerTlsCertificate, ListenerTlsMode};
use fleetmesh_model::{ResourceId, Spec};

use crate::view::{MeshView, Record};

/// Ports of virtual nodes, each with the record of the node in which callers have it; none where they had none.
pub type PlaintextPorts = BTreeMap<ResourceId, BTreeMap<i32, Option<Arc<Record>>>>;

/// What of a mesh is served otherwise than its newest view says, because ports of virtual nodes move or begin to take TLS.
#[derive(Clone, Debug, Default)]
pub struct Transition {
    /// The virtual services that callers get as they were, with the view that they were in: with their providers, routes and
    /// targets of then.
    pub delayed: BTreeMap<ResourceId, Arc<MeshView>>,
    /// The ports of virtual nodes that are served though the node has no listener on them any more, with the record that has
    /// it. The newest record never has a listener on the same port.
    pub closing: BTreeMap<ResourceId, BTreeMap<i32, Arc<Record>>>,
    /// The ports that take TLS beside plaintext, or are to, and to which callers speak plaintext.
    pub plaintext: PlaintextPorts,
}

/// Nothing differs.
pub(super) static NONE: Transition =
    Transition { delayed: BTreeMap::new(), closing: BTreeMap::new(), plaintext: BTreeMap::new() };

impl Transition {
    /// Whether both say the same.
    pub fn is_same(&self, other: &Self) -> bool {
        let closing = |(node, ports): (&ResourceId, &BTreeMap<i32, Arc<Record>>)| {
            other.closing.get(node).is_some_and(|others| same_each(ports, others))
        };
        same_each(&self.delayed, &other.delayed)
            && self.closing.len() == other.closing.len()
            && self.closing.iter().all(closing)
            && self.plaintext.len() == other.plaintext.len()
            && self.plaintext.iter().zip(&other.plaintext).all(|((node, ports), (other, others))| {
                node == other
                    && ports.keys().eq(others.keys())
                    && ports.values().zip(others.values()).all(same)
            })
    }

    /// Whether callers speak plaintext to the port `port` of `node` though it takes TLS, and in which record they have it.
    pub(super) fn plaintext(&self, node: &ResourceId, port: i32) -> Option<&Option<Arc<Record>>> {
        self.plaintext.get(node)?.get(&port)
    }
}

fn same((one, other): (&Option<Arc<Record>>, &Option<Arc<Record>>)) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        (one, other) => one.is_none() && other.is_none(),
    }
}

/// Whether both have the same values, not merely equal ones, of the same keys.
pub(super) fn same_each<K: Ord, T>(one: &BTreeMap<K, Arc<T>>, other: &BTreeMap<K, Arc<T>>) -> bool {
    let mut pairs = one.iter().zip(other);
    one.len() == other.len() && pairs.all(|((a, one), (b, other))| a == b && Arc::ptr_eq(one, other))
}

/// The listener of a virtual node on `port`.
pub(super) fn listener(record: &Record, port: i32) -> Option<&Listener> {
    listeners(record).iter().find(|listener| listener.port_mapping.port == port)
}

/// The ports of a virtual node that take TLS beside plaintext.
pub fn permissive_ports(record: &Record) -> BTreeSet<i32> {
    let permissive = listeners(record).iter().filter(|listener| is_permissive(listener));
    permissive.map(|listener| listener.port_mapping.port).collect()
}

/// Whether a listener takes TLS beside plaintext.
pub(super) fn is_permissive(listener: &Listener) -> bool {
    mode(listener) == Some(ListenerTlsMode::Permissive)
}

/// Whether a virtual node takes TLS on `port`.
pub fn takes_tls(record: &Record, port: i32) -> bool {
    let mode = listener(record, port).and_then(mode);
    mode.is_some_and(|mode| mode != ListenerTlsMode::Disabled)
}

/// The mode of a listener's TLS; none of one that is closed because its certificate cannot be had.
fn mode(listener: &Listener) -> Option<ListenerTlsMode> {
    let tls = listener.tls.as_ref()?;
    (!matches!(tls.certificate, ListenerTlsCertificate::Acm(_))).then_some(tls.mode)
}

fn listeners(record: &Record) -> &[Listener] {
    if let Spec::VirtualNode(spec) = &record.spec { spec.listeners() } else { &[] }
}
