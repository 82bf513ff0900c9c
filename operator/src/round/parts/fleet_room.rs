//! Room in a class for a launch: reserved before it, settled after it.

use fleetmesh_core::fleet::{Admitted, Decision, Grant, Input, Outcome, Step, limits};

use super::Round;

/// Reserves the room that a launch needs in the class of the fleet; `None` when nothing is to be launched.
pub fn reserve(round: &Round<'_>, decision: &Decision, input: &Input<'_>) -> Option<Grant> {
    let Round { context, object, .. } = round;
    let Some(Ok(Admitted { class, limits, .. })) = input.admission else { return None };
    let (launch, wanted) = decision.launch()?;
    let namespace = object.key.namespace.as_deref().unwrap_or_default();
    let ask = limits::Ask { uid: &object.uid, namespace, launch, wanted };
    // The members are read while the ledger is held: a fleet that begins meanwhile has reserved nothing before.
    let mut ledger = context.fleets.ledger();
    let members = context.world.fleets_of(class);
    Some(ledger.reserve(ask, limits, &members, input.now))
}

/// Notes what came of a launch for which room was reserved.
pub fn settle(round: &Round<'_>, decision: &Decision, reserved: bool, outcome: &Outcome) {
    let uid = &round.object.uid;
    let mut ledger = round.context.fleets.ledger();
    let Some((launch, _)) = decision.launch().filter(|_| reserved) else { return };
    let failed = outcome.failed.as_ref().filter(|failure| failure.operation == "CreateFleet");
    if outcome.done.iter().any(|step| matches!(step, Step::Launch { .. })) {
        ledger.launched(uid, launch, i32::try_from(outcome.launched.len()).unwrap_or(i32::MAX));
    } else if failed.is_some_and(|failure| failure.class.is_transient()) {
        ledger.doubted(uid, launch);
    } else {
        ledger.released(uid, launch);
    }
}
