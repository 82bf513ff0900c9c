//! The parts of a virtual node beside its App Mesh object, its IAM identity and its fleet: observe → decide → apply for
//! each, in the order in which they need each other. An identity or a fleet that fails does not hold up the mesh.

#[cfg(not(feature = "aws"))]
mod absent;
#[cfg(feature = "aws")]
mod fleet;
#[cfg(feature = "aws")]
mod fleet_apply;
#[cfg(feature = "aws")]
mod fleet_reads;
#[cfg(feature = "aws")]
mod fleet_room;
#[cfg(feature = "aws")]
mod iam;

use fleetmesh_core::fleet::{ClassRefusal, admit_policies};
use fleetmesh_core::status::known_identity;
use fleetmesh_core::{Allowance, Decision, Finding, Object, Observed, Outcome, Part, Parts, Verdict};
use fleetmesh_crds::{IamStatus, Reason};
#[cfg(feature = "aws")]
use jiff::Timestamp;

#[cfg(not(feature = "aws"))]
use absent::{fleet, iam};

use crate::cache::ClassOf;
use crate::context::Context;
use crate::queue::Trigger;

/// What a reconcile of a part is given.
#[cfg_attr(not(feature = "aws"), expect(dead_code, reason = "parts that are not built in read less of it"))]
pub struct Reconcile<'a> {
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
    pub shut: Option<ClassRefusal>,
    /// The FleetClass of the fleet, as it is now.
    pub class: ClassOf,
    /// Why there is a reconcile: only `Trigger::Distribution` may do without asking AWS anew.
    pub trigger: Trigger,
}

/// Runs the parts' reconciles after the App Mesh object's; none for a resource that has no parts, or whose turn has not come.
pub async fn run(
    context: &Context,
    observed: &Observed,
    decision: &Decision,
    outcome: &Outcome,
    trigger: Trigger,
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
    let class = context.cache.class_of(object);
    let shut = shut(observed, decision).filter(|_| !deleting);
    let reconcile = Reconcile { context, object, observed, arn: &arn, deleting, shut, class, trigger };
    if deleting || object.fleet().is_none() {
        // Instances use the identity: they go first.
        let fleet = fleet::run(&reconcile, None).await;
        let iam = match left(fleet.as_ref()) {
            true => None,
            false if reconcile.shut.is_some() => held_identity(&reconcile),
            false => iam::run(&reconcile).await,
        };
        return Parts { iam, fleet, ..Parts::default() };
    }
    let iam = match held_identity(&reconcile) {
        None if reconcile.shut.is_none() => iam::run(&reconcile).await,
        held => held,
    };
    let fleet = fleet::run(&reconcile, iam.as_ref()).await;
    Parts { iam, fleet, ..Parts::default() }
}

/// What is said of the identity of a fleet whose class does not let it have the managed policies that it names, or whose
/// namespace the mesh refuses: it stays as it is, with what was attached to it.
fn held_identity(reconcile: &Reconcile<'_>) -> Option<Part<IamStatus>> {
    let refusal = match &reconcile.shut {
        Some(shut) => {
            reconcile.object.status.iam()?;
            shut.clone()
        }
        None => admit_policies(reconcile.object, reconcile.object.fleet()?, reconcile.class.class()).err()?,
    };
    let finding = Finding::fails(refusal.reason, refusal.message);
    let status = reconcile.object.status.iam().cloned();
    Some(Part { finding, status, events: Vec::new(), look: None, failure: None })
}

/// Why managed policies are not attached yet to the role of a fleet, while instances run that another class let.
#[cfg(feature = "aws")]
fn withheld(reconcile: &Reconcile<'_>) -> Option<String> {
    let Reconcile { context, object, .. } = reconcile;
    object.fleet()?;
    let launched = context.cache.launches(object, |ledger| ledger.classes(&object.uid, Timestamp::now()));
    fleetmesh_core::fleet::withheld(object, reconcile.class.class(), launched.as_ref())
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
fn shut(observed: &Observed, decision: &Decision) -> Option<ClassRefusal> {
    match (&observed.allowance, &decision.accepted) {
        (Allowance::Refused { .. }, Verdict::Fails(Reason::NamespaceNotAllowed, message)) => {
            Some(ClassRefusal { reason: Reason::NamespaceNotAllowed, message: message.clone() })
        }
        _ => None,
    }
}
