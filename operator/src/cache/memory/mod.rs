//! What is remembered of a resource: what its reconciles learned and, by its kind, what its identity, its fleet or its rollout did.
//! It saves calls, never decides alone: an operator that forgot it reads again and comes to the same end. No I/O.

mod asked;
mod fleet;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use fleetmesh_core::iam::Thing;
use fleetmesh_core::mesh_tls::Stage;
use fleetmesh_core::{Deprecation, Finding, Object, ObjectKey, RemoteIdentity};
use fleetmesh_crds::{IamStatus, KindStatus};
use fleetmesh_model::tag::Tags;
use fleetmesh_model::{ResourceId, Spec};
use tokio::time::Instant;

use super::rollouts::Unwritten;
pub use asked::Gave;
pub(super) use asked::RolloutAsked;
pub use fleet::FleetMemory;

/// How many writes without an answer are remembered.
const UNANSWERED: usize = 4;
/// For how long one may come into force late.
const LATE: Duration = Duration::from_secs(600);

/// The key of a memory: one resource from its creation to its deletion. What is created anew under the same name has another uid, and
/// so a memory of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryKey {
    pub(super) object: ObjectKey,
    pub(super) uid: String,
}

impl From<&Object> for MemoryKey {
    fn from(object: &Object) -> Self {
        Self { object: object.key.clone(), uid: object.uid.clone() }
    }
}

/// The memory of one resource.
#[derive(Debug)]
pub struct Memory {
    /// Which generation of the spec the endpoint has, and as which state of the object. It is forgotten when the spec in
    /// force becomes another: a rollout changes that without a new generation.
    pub in_step: Option<(i64, RemoteIdentity)>,
    /// What was in step last, whatever failed since: the generation, and the step of its mesh's TLS. `None` while this process has
    /// seen none.
    pub in_force: Option<(i64, Stage)>,
    /// What was written last without an answer, and when.
    unanswered: VecDeque<(Spec, Instant)>,
    /// The state of the App Mesh object that was written or read last, in step or not.
    pub identity: Option<RemoteIdentity>,
    /// Whether the App Mesh object exists; the last report knows when this does not.
    pub exists: Option<bool>,
    /// The tags that the resource asked for when the tags were last in step.
    pub tags: Option<Tags>,
    /// What the App Mesh object in force rests on, as the last reconcile left it; `None` before the first, or when there is none.
    /// What the status says of that others may have written.
    pub permitted_by: Option<Vec<String>>,
    /// What earlier specs named since the App Mesh object was written last.
    pub(super) named: Vec<ResourceId>,
    /// Reconciles that failed in a row.
    pub failures: u32,
    /// Reconciles in a row in which the identity or the fleet failed.
    pub part_failures: u32,
    /// How many reconciles in a row panicked.
    pub panics: u32,
    /// When the spec in force became another one, or the object was first seen.
    pub changed: Instant,
    /// When the object was last written or reported; a status that would only say "not yet" is held back for a moment.
    pub since: Instant,
    /// When the whole App Mesh object, tags included, was last compared, or the object was first seen.
    pub compared: Instant,
    /// What is remembered of this kind only.
    of_kind: KindMemory,
}

/// What is remembered of the resources of one kind.
#[derive(Debug)]
enum KindMemory {
    /// Of a mesh.
    Mesh(MeshMemory),
    /// Of a virtual node.
    Node(Box<NodeMemory>),
    /// Of a route.
    Route(Box<RouteMemory>),
    /// Of the other kinds: nothing.
    None,
}

/// What is remembered of a mesh.
#[derive(Debug, Default)]
pub(super) struct MeshMemory {
    /// The step of its TLS that is in the requests of its nodes: what the status said at first sight, then what was decided.
    pub(super) tls: Stage,
    /// Who holds up the next one.
    pub(super) held_up_by: Vec<ObjectKey>,
}

/// What is remembered of a virtual node.
#[derive(Debug, Default)]
pub(super) struct NodeMemory {
    /// The IAM identity as the last reconcile left it.
    pub(super) identity: IdentityMemory,
    /// The fleet as the last reconcile left it.
    pub(super) fleet: FleetMemory,
    /// What a rollout said of the node.
    pub(super) deprecation: Option<Deprecation>,
}

/// What is remembered of a route.
#[derive(Debug, Default)]
pub(super) struct RouteMemory {
    /// The virtual nodes that its rollout keeps from being deleted; `None` before its first reconcile.
    pub(super) keep: Option<BTreeSet<String>>,
    /// The state of its rollout where that is not in the status yet.
    pub(super) unwritten: Option<Unwritten>,
    /// What its queries and webhooks answered.
    pub(super) asked: RolloutAsked,
}

impl KindMemory {
    fn new(object: &Object) -> Self {
        match KindStatus::empty(object.key.kind) {
            KindStatus::Mesh(_) => {
                let tls = object.status.mesh_tls().map(|tls| tls.stage);
                Self::Mesh(MeshMemory { tls, held_up_by: Vec::new() })
            }
            KindStatus::Node(_) => Self::Node(Box::default()),
            KindStatus::Route(_) => Self::Route(Box::default()),
            KindStatus::None(_) => Self::None,
        }
    }
}

impl Memory {
    /// The memory of a resource that was seen for the first time just now.
    pub(super) fn new(object: &Object) -> Self {
        let now = Instant::now();
        Self {
            in_step: None,
            in_force: None,
            unanswered: VecDeque::new(),
            identity: None,
            exists: None,
            tags: None,
            permitted_by: None,
            named: Vec::new(),
            failures: 0,
            part_failures: 0,
            panics: 0,
            changed: now,
            since: now,
            compared: now,
            of_kind: KindMemory::new(object),
        }
    }

    /// Notes that `spec` was written and nothing came back.
    pub(super) fn wrote_unanswered(&mut self, spec: Spec) {
        self.unanswered.push_back((spec, Instant::now()));
        let excess = self.unanswered.len().saturating_sub(UNANSWERED);
        self.unanswered.drain(..excess);
    }

    /// What was written without an answer and may still come into force.
    pub(super) fn unanswered(&self) -> Vec<Spec> {
        let open = self.unanswered.iter().filter(|(_, at)| at.elapsed() < LATE);
        open.map(|(spec, _)| spec.clone()).collect()
    }

    /// What is remembered of a mesh, if it is one's.
    pub(super) fn mesh(&self) -> Option<&MeshMemory> {
        if let KindMemory::Mesh(mesh) = &self.of_kind { Some(mesh) } else { None }
    }

    /// As [`Self::mesh`], to be changed.
    pub(super) fn mesh_mut(&mut self) -> Option<&mut MeshMemory> {
        if let KindMemory::Mesh(mesh) = &mut self.of_kind { Some(mesh) } else { None }
    }

    /// What is remembered of a virtual node, if it is one's.
    pub(super) fn node(&self) -> Option<&NodeMemory> {
        if let KindMemory::Node(node) = &self.of_kind { Some(node) } else { None }
    }

    /// As [`Self::node`], to be changed.
    pub(super) fn node_mut(&mut self) -> Option<&mut NodeMemory> {
        if let KindMemory::Node(node) = &mut self.of_kind { Some(node) } else { None }
    }

    /// What is remembered of a route, if it is one's.
    pub(super) fn route(&self) -> Option<&RouteMemory> {
        if let KindMemory::Route(route) = &self.of_kind { Some(route) } else { None }
    }

    /// As [`Self::route`], to be changed.
    pub(super) fn route_mut(&mut self) -> Option<&mut RouteMemory> {
        if let KindMemory::Route(route) = &mut self.of_kind { Some(route) } else { None }
    }
}

/// The memory of a virtual node's IAM identity.
#[derive(Clone, Debug, Default)]
pub struct IdentityMemory {
    /// The hash of the wish that IAM was left in step with, and what the reconcile reported then.
    pub in_step: Option<(String, Finding)>,
    /// What IAM showed to this process, the resource's tags of ownership on it: a status could have been written by anybody
    /// who may.
    pub seen: Option<IamStatus>,
    /// The managed policies that IAM showed on the role and that the operator attached, once something was `seen`.
    pub attached: BTreeSet<String>,
    /// Whether there was room for its role when one was to be made.
    pub has_room: bool,
    /// What was made and not seen since, and when: IAM may not show it yet.
    pub made: BTreeMap<Thing, Instant>,
}

#[cfg(test)]
mod tests;
