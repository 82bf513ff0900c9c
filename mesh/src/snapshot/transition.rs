//! What differs from the newest view while ports of virtual nodes move. Pure data: when that is the case is
//! [`handover`](crate::ads::handover)'s to decide.

use std::collections::BTreeMap;
use std::sync::Arc;

use fleetmesh_model::listener::Listener;
use fleetmesh_model::{ResourceId, Spec};

use crate::view::{MeshView, Record};

/// What of a mesh is served otherwise than its newest view says, because ports of virtual nodes move.
#[derive(Clone, Debug, Default)]
pub struct Transition {
    /// The virtual services that callers get as they were, with the view that they were in: with their providers, routes and
    /// targets of then.
    pub delayed: BTreeMap<ResourceId, Arc<MeshView>>,
    /// The ports of virtual nodes that are served though the node has no listener on them any more, with the record that has
    /// it. The newest record never has a listener on the same port.
    pub closing: BTreeMap<ResourceId, BTreeMap<i32, Arc<Record>>>,
}

/// Nothing differs.
pub(super) static NONE: Transition = Transition { delayed: BTreeMap::new(), closing: BTreeMap::new() };

impl Transition {
    /// Whether both say the same.
    pub fn is_same(&self, other: &Self) -> bool {
        let closing = |(node, ports): (&ResourceId, &BTreeMap<i32, Arc<Record>>)| {
            other.closing.get(node).is_some_and(|others| same_each(ports, others))
        };
        same_each(&self.delayed, &other.delayed)
            && self.closing.len() == other.closing.len()
            && self.closing.iter().all(closing)
    }
}

/// Whether both have the same values, not merely equal ones, of the same keys.
pub(super) fn same_each<K: Ord, T>(one: &BTreeMap<K, Arc<T>>, other: &BTreeMap<K, Arc<T>>) -> bool {
    let mut pairs = one.iter().zip(other);
    one.len() == other.len() && pairs.all(|((a, one), (b, other))| a == b && Arc::ptr_eq(one, other))
}

/// The listener of a virtual node on `port`.
pub(super) fn listener(record: &Record, port: i32) -> Option<&Listener> {
    let Spec::VirtualNode(spec) = &record.spec else { return None };
    spec.listeners().iter().find(|listener| listener.port_mapping.port == port)
}
