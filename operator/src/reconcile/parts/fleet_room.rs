//! Room in a class for a launch: reserved before it, settled after it.

use fleetmesh_api::tags::{CLASS_TAG, OWNER_CLUSTER_TAG};
use fleetmesh_core::Failure;
use fleetmesh_core::fleet::{Admitted, FleetDecision, FleetOutcome, FleetStep, Grant, Input, limits};
use fleetmesh_model::tag::Tags;

use super::Reconcile;
use super::fleet::Services;

/// What was reserved: the numbers of the launches, and what the limits leave of all of them together.
pub struct Room {
    launches: Vec<i64>,
    pub grant: Grant,
}

/// Reserves the room that launches need in the class of the fleet; `None` when nothing is to be launched.
///
/// # Errors
/// EC2 does not say which instances the class has.
pub async fn reserve(
    reconcile: &Reconcile<'_>,
    services: &Services,
    decision: &FleetDecision,
    input: &Input<'_>,
) -> Result<Option<Room>, Failure> {
    let Reconcile { context, object, .. } = reconcile;
    let Some(Ok(Admitted { class, limits, .. })) = input.admission else {
        return Ok(None);
    };
    let launches = decision.launches();
    if launches.is_empty() {
        return Ok(None);
    }
    let of_class = Tags::from([
        (CLASS_TAG.to_owned(), class.clone()),
        (OWNER_CLUSTER_TAG.to_owned(), input.cluster.to_owned()),
    ]);
    let tagged = limits::TaggedInstance::of(&services.ec2.tagged(&of_class).await?);
    let namespace = object.key.namespace.as_deref().unwrap_or_default();
    let mut room = Room { launches: Vec::new(), grant: Grant { count: 0, reached: None } };
    for (launch, wanted) in launches {
        let ask = limits::Ask { uid: &object.uid, namespace, class, launch, wanted };
        let Grant { count, reached } = context.cache.reserve_launch(object, ask, limits, &tagged, input.now);
        room.launches.push(launch);
        room.grant.count = room.grant.count.saturating_add(count);
        room.grant.reached = room.grant.reached.or(reached);
    }
    Ok(Some(room))
}

/// Notes what came of the launches for which room was reserved.
pub fn settle(reconcile: &Reconcile<'_>, room: Option<&Room>, outcome: &FleetOutcome) {
    let Reconcile { context, object, .. } = reconcile;
    let uid = &object.uid;
    let Some(Room { launches, grant: _ }) = room else { return };
    let maybe_applied = |launch: i64| {
        outcome.failed.iter().any(|failed| {
            failed.failure.class.is_transient()
                && matches!(&failed.step, FleetStep::Launch { launch: of, .. } if *of == launch)
        })
    };
    context.cache.launches(object, |ledger| {
        for launch in launches {
            match outcome.launched.iter().find(|came| came.launch == *launch) {
                Some(came) => {
                    ledger.launched(uid, *launch, i32::try_from(came.instances.len()).unwrap_or(i32::MAX));
                }
                None if maybe_applied(*launch) => ledger.doubted(uid, *launch),
                None => ledger.released(uid, *launch),
            }
        }
    });
}
