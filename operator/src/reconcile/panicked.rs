//! What follows when a reconcile, or something that is done for an object beside it, panics: it is counted and logged. After a reconcile
//! the object comes back after a back-off, and whoever looks at it learns why.

use std::time::Duration;

use fleetmesh_core::{Event, Finding, Object, ObjectKey, Severity, after_panic};
use fleetmesh_crds::{ConditionType, Reason};
use fleetmesh_model::foreign;
use fleetmesh_tasks::{Panicked, caught};
use jiff::Timestamp;
use tracing::error;

use super::{Next, report};
use crate::cache::NewsSource;
use crate::context::Context;
use crate::metrics::Metrics;
use crate::queue::{Priority, Requeue, Trigger};

/// Runs `work`, which is done for `key`; `None` when it panicked, which is counted and, as that `what` did, logged.
pub async fn guarded<T>(
    metrics: &Metrics,
    key: &ObjectKey,
    what: &str,
    work: impl Future<Output = T>,
) -> Option<T> {
    let ended = caught(work).await;
    ended
        .inspect_err(|panic| {
            metrics.panicked(key.kind);
            error!(object = %key, %panic, "{what} panicked: this is a fault of Fleetmesh");
        })
        .ok()
}

/// Counts the panic, logs it with the object, reports it in the status and as an Event; gives when to try again, `None` when
/// the object is gone. `object` is as it was when the reconcile began.
pub async fn run(context: &Context, object: &Object, panic: &Panicked) -> Next {
    let key = &object.key;
    context.metrics.panicked(key.kind);
    let panics = context.cache.panicked(object, true);
    let newest = context.cache.object(key)?;
    if newest.uid != object.uid {
        error!(object = %key, %panic, "reconciling the object panicked, which is gone: this is a fault of Fleetmesh");
        // What has its name by now begins anew.
        return Some(Requeue { wait: Duration::ZERO, trigger: Trigger::Look, priority: Priority::Changed });
    }
    let object = newest;
    let wait = after_panic(&object, panics);
    error!(object = %key, %panic, again_in = ?wait, "reconciling the object panicked: this is a fault of Fleetmesh");
    // Reporting is a write like others, and may meet the same fault.
    if let Err(panic) = caught(report_panic(context, &object, panic)).await {
        error!(object = %key, %panic, "reporting a panic panicked as well");
    }
    Some(Requeue { wait, trigger: Trigger::Look, priority: Priority::Changed })
}

/// How far the object is, nobody knows: `Ready` says so, and all else stays as it was reported.
async fn report_panic(context: &Context, object: &Object, panic: &Panicked) {
    let message = format!(
        "reconciling {}: a fault of Fleetmesh; the operator tries again, please report it with the operator's log",
        foreign::printable(&panic.to_string())
    );
    let (before, reason) = (&object.status, Reason::InternalError);
    let finding = Finding::unknown(reason, message.clone());
    let ready = finding.condition(ConditionType::Ready, before, object.generation, Timestamp::now());
    let reported = before.condition(ConditionType::Ready);
    if reported.is_some_and(|known| known.reason == ready.reason && known.message == message) {
        return;
    }
    let mut status = object.status.clone();
    status.conditions.retain(|condition| condition.type_ != ready.type_);
    status.conditions.push(ready);
    let reason = reason.as_str().to_owned();
    let event = Event { severity: Severity::Warning, reason, action: "Reconcile", message };
    report::publish(context, object, &event).await;
    match context.cluster.set_status(object, &status).await {
        Ok(object) => context.queue.trigger_all(context.cache.seen(object, NewsSource::OwnWrite)),
        Err(problem) => {
            error!(object = %object.key, error = %problem, "cannot report a panic in the status")
        }
    }
}
