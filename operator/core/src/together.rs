//! Writes that block each other: the endpoint refuses each of them because of what the other has in force, as a router's protocol
//! and that of its routes. They go in one commit ([`fleetmesh_api::commits`]). Which ones that are only the endpoint knows, so it
//! decides: [`JointWrite`] begins with the write that was refused, takes in what names it or is named by it and is to be written as
//! well, and goes on from the parts at fault until the commit is taken, or nothing is left to take in. So it stays as small as it
//! can, and a write that nothing blocks goes alone. Pure.

use std::collections::BTreeSet;
use std::sync::Arc;

use fleetmesh_api::commits::MAX_PARTS;
use fleetmesh_model::{Spec, VirtualNodeSpec, VirtualRouterSpec, differences};

use crate::decision::{Decision, Verdict};
use crate::failure::{Failure, FailureClass};
use crate::object::{Object, ObjectKey};
use crate::plan::{Plan, Step};

/// How many commits are tried at most in one reconcile.
const TRIES: usize = 8;
/// How many other objects are looked at at most in one reconcile.
const LOOKS: usize = 2 * MAX_PARTS;

/// Whether what others have in force may be why the endpoint refused `step`.
pub fn may_be_blocked(step: &Step, failure: &Failure) -> bool {
    let writes = matches!(step, Step::Create { .. } | Step::Update { .. });
    writes && matches!(failure.class, FailureClass::Invalid | FailureClass::Conflict)
}

/// Whether a part of a plan can go in a commit.
fn is_part(step: &Step) -> bool {
    match step {
        Step::Create { .. } | Step::Update { .. } | Step::TagResource { .. } => true,
        Step::UntagResource { optional, .. } => !optional,
        Step::AddFinalizer | Step::RemoveFinalizer | Step::Delete { .. } => false,
    }
}

/// An object whose write is in a commit.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// The object.
    pub object: Arc<Object>,
    /// The requests that write it.
    pub steps: Vec<Step>,
}

/// A commit that grows until the endpoint takes it.
#[derive(Clone, Debug, PartialEq)]
pub struct JointWrite {
    /// The first is the one whose write was refused alone.
    members: Vec<Member>,
    /// Objects that were looked at and have nothing to write that could go along, or that the endpoint refuses for a reason of
    /// their own.
    left_out: BTreeSet<ObjectKey>,
    tries: usize,
}

impl JointWrite {
    /// Begins with `step`, by which `object` is to be written and which was refused.
    pub fn of(object: &Arc<Object>, step: &Step) -> Self {
        let first = Member { object: Arc::clone(object), steps: vec![step.clone()] };
        Self { members: vec![first], left_out: BTreeSet::new(), tries: 0 }
    }

    /// The members, the first one first.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The parts of the commit: the steps of all members, in their order.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.members.iter().flat_map(|member| &member.steps)
    }

    /// Whether `key` is to be looked at, and offered with the decision about it.
    pub fn wants(&self, key: &ObjectKey) -> bool {
        let known =
            self.members.iter().any(|member| member.object.key == *key) || self.left_out.contains(key);
        let has_room = self.steps().count() < MAX_PARTS;
        !known && has_room && self.left_out.len() + self.members.len() <= LOOKS
    }

    /// Takes in the writes that `decision` wants for `object`, or leaves it out; says whether it is in. Taken over, mended and
    /// deleted is nothing in passing: that is reported by the object's own reconcile. A route that rolls out is in once its
    /// rollout has decided about the spec as it is now.
    pub fn offer(&mut self, object: &Arc<Object>, decision: &Decision) -> bool {
        let Decision { accepted, resolved, plan, drift, adopts } = decision;
        let decided = object.canary().is_none() || object.reported();
        let holds = *accepted == Verdict::Holds && *resolved == Verdict::Holds;
        let plain = decided && holds && drift.is_none() && !adopts && !object.deleting;
        let steps = match plan {
            Plan::Steps(steps) if plain && steps.iter().all(is_part) => steps.as_slice(),
            Plan::Steps(_) | Plan::Nothing(_) | Plan::Wait(_) => &[],
        };
        let writes = steps.iter().any(|step| matches!(step, Step::Create { .. } | Step::Update { .. }));
        if !writes || self.steps().count() + steps.len() > MAX_PARTS {
            self.leave(&object.key);
            return false;
        }
        self.members.push(Member { object: Arc::clone(object), steps: steps.to_vec() });
        true
    }

    /// Leaves out an object that cannot be looked at now.
    pub fn leave(&mut self, key: &ObjectKey) {
        self.left_out.insert(key.clone());
    }

    /// Whether the commit as it is now is to be tried, `grown` since the last time or not. `at_fault` are the objects that the
    /// endpoint named then: where none of them brought in another, those are left out, except for the first one. Without them
    /// the rest may do.
    pub fn is_worth_a_try(&mut self, grown: bool, at_fault: &[Arc<Object>]) -> bool {
        if !grown {
            let count = self.members.len();
            let (first, rest) = (self.members.first().cloned(), self.members.iter().skip(1).cloned());
            let (out, stay): (Vec<Member>, Vec<Member>) =
                rest.partition(|member| at_fault.iter().any(|object| object.key == member.object.key));
            self.left_out.extend(out.into_iter().map(|member| member.object.key.clone()));
            self.members = first.into_iter().chain(stay).collect();
            if self.members.len() == count {
                return false;
            }
        }
        self.tries += 1;
        self.members.len() > 1 && self.tries <= TRIES
    }

    /// The objects whose parts these are, each once.
    pub fn objects_of(&self, parts: &[usize]) -> Vec<Arc<Object>> {
        let owners: Vec<&Arc<Object>> =
            self.members.iter().flat_map(|member| member.steps.iter().map(|_| &member.object)).collect();
        let mut found: Vec<Arc<Object>> = Vec::new();
        for object in parts.iter().filter_map(|part| owners.get(*part)) {
            if found.iter().all(|known| known.key != object.key) {
                found.push(Arc::clone(object));
            }
        }
        found
    }
}

/// A spec on the way from `old` to `new` for an endpoint that takes no commits: with the listeners of both, so that whatever fits
/// either fits it. What names the old ports is changed next, then the old listeners go. `None` where there is no such spec, because
/// both listen on the same port in different ways, or it would be what is there already.
pub fn widened(old: &Spec, new: &Spec) -> Option<Spec> {
    let wide: Spec = if let (Spec::VirtualNode(old), Spec::VirtualNode(new)) = (old, new) {
        let rest = old.listeners().iter().filter(|listener| {
            new.listeners().iter().all(|one| one.port_mapping.port != listener.port_mapping.port)
        });
        let listeners = new.listeners().iter().chain(rest).cloned().collect();
        VirtualNodeSpec { listeners: Some(listeners), ..VirtualNodeSpec::clone(new) }.into()
    } else if let (Spec::VirtualRouter(old), Spec::VirtualRouter(new)) = (old, new) {
        let rest = old.listeners().iter().filter(|listener| {
            new.listeners().iter().all(|one| one.port_mapping.port != listener.port_mapping.port)
        });
        let listeners = new.listeners().iter().chain(rest).cloned().collect();
        VirtualRouterSpec { listeners: Some(listeners) }.into()
    } else {
        return None;
    };
    let differs = |other: &Spec| !differences(&wide, other).is_empty();
    (differs(old) && differs(new) && wide.violations().is_empty()).then_some(wide)
}
