//! The parts of a virtual node beside its App Mesh object, its IAM identity and its fleet: observe → decide → apply for
//! each, in the order in which they need each other. An identity or a fleet that fails does not hold up the mesh.

mod fleet;
mod fleet_reads;
mod fleet_room;
mod iam;

use fleetmesh_core::fleet::{Refusal, admit_policies};
use fleetmesh_core::status::known_identity;
use fleetmesh_core::{Allowance, Decision, Finding, Object, Observed, Outcome, Part, Parts, Verdict};
use fleetmesh_crds::{IamStatus, Reason};
use jiff::Timestamp;

use crate::context::Context;
use crate::queue::Wake;
use crate::world::ClassOf;

/// What a round of a part is given.
pub struct Round<'a> {
    /// The means.
    pub context: &'a Context,
    /// The resource.
    pub object: &'a Object,
    /// The observation of the App Mesh object.
    pub observed: &'a Observed,
    /// The ARN of the App Mesh object; of one that is being deleted, the one that it had.
    pub arn: &'a str,
    /// Whether the resource is being deleted, and its App Mesh object is gone.
    pub deleting: bool,
    /// Why nothing new is made: the mesh refuses the namespace. Fleets may only become smaller, and go.
    pub shut: Option<Refusal>,
    /// The FleetClass of the fleet, as it is now.
    pub class: ClassOf,
    /// Why there is a round: only `Wake::Distribution` may do without asking AWS anew.
    pub wake: Wake,
}

/// Runs the parts' rounds after the App Mesh object's; none for a resource that has no parts, or whose turn has not come.
pub async fn run(
    context: &Context,
    observed: &Observed,
    decision: &Decision,
    outcome: &Outcome,
    wake: Wake,
) -> Parts {
    let object = &*observed.object;
    if !object.has_parts() || !has_turn(observed, decision, outcome) {
        return Parts::default();
    }
    let identity = known_identity(observed, outcome);
    let Some(arn) = identity.map(|identity| identity.arn).or_else(|| object.status.arn.clone()) else {
        return Parts::default();
    };
    let deleting = object.deleting;
    let class = context.world.class_of(object);
    let shut = shut(observed, decision).filter(|_| !deleting);
    let round = Round { context, object, observed, arn: &arn, deleting, shut, class, wake };
    if deleting || object.fleet().is_none() {
        // Instances use the identity: they go first.
        let fleet = fleet::run(&round, None).await;
        let iam = match left(fleet.as_ref()) {
            true => None,
            false if round.shut.is_some() => held_identity(&round),
            false => iam::run(&round).await,
        };
        return Parts { iam, fleet, rollout: None };
    }
    let iam = match held_identity(&round) {
        None if round.shut.is_none() => iam::run(&round).await,
        held => held,
    };
    let fleet = fleet::run(&round, iam.as_ref()).await;
    Parts { iam, fleet, rollout: None }
}

/// What is said of the identity of a fleet whose class does not let it have the managed policies that it names, or whose
/// namespace the mesh refuses: it stays as it is, with what was attached to it.
fn held_identity(round: &Round<'_>) -> Option<Part<IamStatus>> {
    let refusal = match &round.shut {
        Some(shut) => {
            round.object.status.iam()?;
            shut.clone()
        }
        None => admit_policies(round.object, round.object.fleet()?, round.class.class()).err()?,
    };
    let finding = Finding::fails(refusal.reason, refusal.message);
    let status = round.object.status.iam().cloned();
    Some(Part { finding, status, events: Vec::new(), look: None, failure: None })
}

/// Why managed policies are not attached yet to the role of a fleet, while instances run that another class let.
fn withheld(round: &Round<'_>) -> Option<String> {
    round.object.fleet()?;
    let launched = round.context.fleets.ledger().classes(&round.object.uid, Timestamp::now());
    fleetmesh_core::fleet::withheld(round.object, round.class.class(), launched.as_ref())
}

fn left<S>(part: Option<&Part<S>>) -> bool {
    part.is_some_and(|part| part.status.is_some() || part.failure.is_some())
}

/// The parts of a node follow its App Mesh object: they are made when it exists, and go when it is gone.
fn has_turn(observed: &Observed, decision: &Decision, outcome: &Outcome) -> bool {
    if observed.object.deleting {
        return fleetmesh_core::deletion::parts_turn(observed, outcome);
    }
    let stays = decision.accepted == Verdict::Holds || shut(observed, decision).is_some();
    stays && known_identity(observed, outcome).is_some()
}

/// Why the mesh does not have the namespace any more.
fn shut(observed: &Observed, decision: &Decision) -> Option<Refusal> {
    match (&observed.allowance, &decision.accepted) {
        (Allowance::Refused { .. }, Verdict::Fails(Reason::NamespaceNotAllowed, message)) => {
            Some(Refusal { reason: Reason::NamespaceNotAllowed, message: message.clone() })
        }
        _ => None,
    }
}
