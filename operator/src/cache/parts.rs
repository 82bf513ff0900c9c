//! What the identity and the fleet of a virtual node remember, and what they count together: roles, and launches. No I/O.

use fleetmesh_core::fleet::architecture::KnownTypes;
use fleetmesh_core::fleet::limits::{Ask, Ledger, TaggedInstance};
use fleetmesh_core::fleet::{Exhausted, Grant, ZoneLaunch};
use fleetmesh_core::iam::RoleLimits;
use fleetmesh_core::{Finding, Object};
use fleetmesh_crds::IamStatus;
use fleetmesh_crds::fleet::Purchase;
use fleetmesh_crds::fleet_class::ClassLimits;
use jiff::Timestamp;

use super::entries::CacheEntry;
use super::memory::NodeMemory;
use super::{Cache, CacheInner, FleetMemory, IdentityMemory};

impl Cache {
    /// Notes how a reconcile left the IAM identity of an object.
    pub fn identity_concluded(&self, object: &Object, memory: IdentityMemory) {
        if let Some(node) = self.lock().node_memory(object) {
            node.identity = memory;
        }
    }

    /// How the last reconcile left the IAM identity of an object.
    pub fn identity_memory(&self, object: &Object) -> IdentityMemory {
        self.lock().node_memory(object).map(|node| node.identity.clone()).unwrap_or_default()
    }

    /// Notes how a reconcile left the fleet of an object; [`FleetMemory::default`] when nothing is left of it.
    pub fn fleet_concluded(&self, object: &Object, memory: FleetMemory) {
        if let Some(node) = self.lock().node_memory(object) {
            node.fleet = memory;
        }
    }

    /// How the last reconcile left the fleet of an object.
    pub fn fleet_memory(&self, object: &Object) -> FleetMemory {
        self.lock().node_memory(object).map(|node| node.fleet.clone()).unwrap_or_default()
    }

    /// Takes room for the role of a virtual node, unless there is none: then says why. Nodes that have a role, by their
    /// status or because room was taken for one, count; what several take at once is counted, too.
    pub fn room_for_role(&self, object: &Object, limits: &RoleLimits) -> Option<Finding> {
        let mut inner = self.lock();
        let has_role = |iam: &IamStatus| iam.role_arn.is_some();
        let has = |entry: &&CacheEntry| {
            let identity = entry.memory.node().map(|node| &node.identity);
            let took = identity
                .is_some_and(|identity| identity.has_room || identity.seen.as_ref().is_some_and(has_role));
            let reported = entry.object.status.iam().is_some_and(has_role);
            entry.object.uid != object.uid && (took || reported)
        };
        let others: Vec<&CacheEntry> = inner.entries.values().filter(has).collect();
        let inside = others.iter().filter(|entry| entry.object.key.namespace == object.key.namespace).count();
        let namespace = object.key.namespace.as_deref().unwrap_or_default();
        let refusal = limits.refuse(namespace, others.len(), inside);
        if let Some(node) = inner.node_memory(object) {
            node.identity.has_room = refusal.is_none();
        }
        refusal
    }

    /// Whether a resource of this uid is in the cluster.
    pub fn lives(&self, uid: &str) -> bool {
        self.lock().entries.values().any(|entry| entry.object.uid == uid)
    }

    /// Begins to count launches anew: this process decides since `since`, and whoever did before it may have launched up to then.
    pub fn count_launches(&self, since: Timestamp) {
        self.lock().ledger = Ledger::new(since);
    }

    /// The architectures of those of `types` that EC2 was asked about.
    pub fn known_types(&self, types: &[String]) -> KnownTypes {
        let inner = self.lock();
        let known = |name: &String| Some((name.clone(), inner.types.get(name)?.clone()));
        types.iter().filter_map(known).collect()
    }

    /// Notes the architectures of instance types.
    pub fn learn_types(&self, types: &KnownTypes) {
        self.lock().types.extend(types.clone());
    }

    /// What EC2 was out of a moment ago.
    pub fn exhausted(&self) -> Exhausted {
        self.lock().exhausted.clone()
    }

    /// Notes what launches say about EC2's capacity, for all fleets.
    pub fn note_capacity(&self, launches: &[ZoneLaunch], purchase: Purchase, now: Timestamp) {
        let mut inner = self.lock();
        for launch in launches {
            inner.exhausted.note(launch, purchase, now);
        }
    }

    /// Reads or notes in the ledger of launches what concerns the fleet of `object`. Once that is gone nothing begins there for it.
    pub fn launches<T>(&self, object: &Object, operation: impl FnOnce(&mut Ledger) -> T) -> T {
        self.lock().launches(object, operation)
    }

    /// Reserves room for a launch of the fleet of `object` ([`Ledger::reserve`]), among all fleets of the class as they are now.
    pub fn reserve_launch(
        &self,
        object: &Object,
        ask: Ask<'_>,
        limits: &ClassLimits,
        tagged: &[TaggedInstance],
        now: Timestamp,
    ) -> Grant {
        let mut inner = self.lock();
        let members = inner.fleets_of(ask.class);
        inner.launches(object, |ledger| ledger.reserve(ask, limits, (&members, tagged), now))
    }
}

impl CacheInner {
    fn node_memory(&mut self, object: &Object) -> Option<&mut NodeMemory> {
        self.entries.memory(&object.into())?.node_mut()
    }

    fn launches<T>(&mut self, object: &Object, operation: impl FnOnce(&mut Ledger) -> T) -> T {
        let outcome = operation(&mut self.ledger);
        if self.entries.of(&object.into()).is_none() {
            self.ledger.end(&object.uid, Timestamp::now());
        }
        outcome
    }
}
