//! Whether a resource has a rollout that needs a decision now, and how actions are answered when it has none. Pure.

use fleetmesh_crds::{CanaryStatus, MeshResource as _, Reason, with_kind};
use fleetmesh_model::Kind;
use jiff::Timestamp;

use super::observations::Action;
use super::reduce::NO_CANARY;
use super::reduction::ActionVerdict;
use super::spec::Spec;
use crate::observed::{Allowance, Observed, OwnerClaim, Remote};
use crate::owner;

/// Whether resources of the kind can roll changes out.
pub fn rolls_out(kind: Kind) -> bool {
    with_kind!(kind, K => K::ROLLS_OUT)
}

/// Whether resources of the kind can be targets of rollouts.
pub fn is_target(kind: Kind) -> bool {
    Kind::ALL.into_iter().any(|by| rolls_out(by) && by.info().requires.contains(&kind))
}

/// Whether there is something to decide about.
#[derive(Clone, Debug, PartialEq)]
pub enum CanaryTurn {
    /// Decide about this spec.
    Decide(Box<Spec>),
    /// There is no rollout, and nothing to remember of an earlier one.
    NoRollout,
    /// There may be one, and it must be left alone: why, in words.
    LeftAlone(&'static str),
}

/// Whether there is something to decide about: a Route with `canary`, or with what is left of one, that is served as the
/// spec says. Every reconcile of every kind asks.
pub fn turn(observed: &Observed, cluster: &str) -> CanaryTurn {
    let object = &observed.object;
    // First what most objects fail at once.
    let never = object.canary().is_none() && *object.status.canary() == CanaryStatus::default();
    if never || !rolls_out(object.key.kind) {
        return CanaryTurn::NoRollout;
    }
    if object.deleting {
        return CanaryTurn::LeftAlone("the Route is being deleted");
    }
    if !observed.permission.missing.is_empty() {
        return CanaryTurn::LeftAlone(
            "the Route names what it may not: see its condition ResolvedRefs, then send the action again",
        );
    }
    if !is_served(observed, cluster) {
        return CanaryTurn::LeftAlone(
            "the Route is not accepted: see its condition Accepted, then send the action again",
        );
    }
    match Spec::of(object) {
        Some(spec) => CanaryTurn::Decide(Box::new(spec)),
        None => CanaryTurn::LeftAlone("no target of the Route has a weight greater than 0"),
    }
}

fn is_served(observed: &Observed, cluster: &str) -> bool {
    let object = &observed.object;
    let mine = observed.claim == OwnerClaim::Ours && observed.allowance == Allowance::Allowed;
    let owned = match &observed.remote {
        Remote::Present(remote) => {
            let adopts = |tags| owner::may_take_over(object, tags, cluster);
            observed.is_ours(remote) || remote.tags.as_ref().is_some_and(adopts)
        }
        _ => true,
    };
    mine && owned && object.effective_spec.violations().is_empty()
}

impl CanaryTurn {
    /// What becomes of an action for a Route about which nothing is decided: it is refused, and not kept for later, when it
    /// could surprise. `None` when something is decided.
    pub fn refuses(&self, action: &Action, now: Timestamp) -> Option<ActionVerdict> {
        let (reason, message) = match self {
            Self::Decide(_) => return None,
            Self::NoRollout => (Reason::NoRollout, NO_CANARY),
            Self::LeftAlone(why) => (Reason::NotApplicable, *why),
        };
        Some(ActionVerdict::refused(action, reason, message, now))
    }
}
