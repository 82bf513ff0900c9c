//! Room in a class for a launch: reserved before it, settled after it.

use fleetmesh_api::tags::{CLASS_TAG, OWNER_CLUSTER_TAG};
use fleetmesh_core::Failure;
use fleetmesh_core::fleet::{Admitted, FleetDecision, FleetOutcome, FleetStep, Grant, Input, limits};
use fleetmesh_model::tag::Tags;

use super::Reconcile;
use super::fleet::Services;

/// Reserves the room that a launch needs in the class of the fleet; `None` when nothing is to be launched.
///
/// # Errors
/// EC2 does not say which instances the class has.
pub async fn reserve(
    reconcile: &Reconcile<'_>,
    services: &Services,
    decision: &FleetDecision,
    input: &Input<'_>,
) -> Result<Option<Grant>, Failure> {
    let Reconcile { context, object, .. } = reconcile;
    let Some(Ok(Admitted { class, limits, .. })) = input.admission else {
        return Ok(None);
    };
    let Some((launch, wanted)) = decision.launch() else { return Ok(None) };
    let of_class = Tags::from([
        (CLASS_TAG.to_owned(), class.clone()),
        (OWNER_CLUSTER_TAG.to_owned(), input.cluster.to_owned()),
    ]);
    let tagged = limits::TaggedInstance::of(&services.ec2.tagged(&of_class).await?);
    let namespace = object.key.namespace.as_deref().unwrap_or_default();
    let ask = limits::Ask { uid: &object.uid, namespace, class, launch, wanted };
    Ok(Some(context.cache.reserve_launch(object, ask, limits, &tagged, input.now)))
}

/// Notes what came of a launch for which room was reserved.
pub fn settle(reconcile: &Reconcile<'_>, decision: &FleetDecision, reserved: bool, outcome: &FleetOutcome) {
    let Reconcile { context, object, .. } = reconcile;
    let uid = &object.uid;
    let Some((launch, _)) = decision.launch().filter(|_| reserved) else { return };
    let failed = outcome.failed.as_ref().filter(|failure| failure.operation == "CreateFleet");
    context.cache.launches(object, |ledger| {
        if outcome.done.iter().any(|step| matches!(step, FleetStep::Launch { .. })) {
            ledger.launched(uid, launch, i32::try_from(outcome.launched.len()).unwrap_or(i32::MAX));
        } else if failed.is_some_and(|failure| failure.class.is_transient()) {
            ledger.doubted(uid, launch);
        } else {
            ledger.released(uid, launch);
        }
    });
}
