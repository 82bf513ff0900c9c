//! Applies a plan, one request for each step. The steps depend on each other: the first failure ends the plan, unless
//! the step is optional.

use fleetmesh_core::together::widened;
use fleetmesh_core::token::digest;
use fleetmesh_core::{
    Failure, FailureClass, Object, Observed, Outcome, Plan, Remote, RemoteIdentity, Step, status,
};

use super::together;
use crate::cache::NewsSource;
use crate::cluster::WriteError;
use crate::context::Context;

/// What a step left behind.
enum Effect {
    None,
    Object(RemoteIdentity),
    Deleted,
}

/// Carries out the steps of `plan`. A write that the endpoint refuses because of what others have in force is carried out
/// together with theirs ([`together`]), or, where the endpoint takes no commits, on a way that it takes ([`widen`]).
pub async fn apply(context: &Context, observed: &Observed, plan: &Plan) -> Outcome {
    let object = &observed.object;
    let mut outcome = Outcome::default();
    let Plan::Steps(steps) = plan else { return outcome };
    for step in steps {
        let mut taken = take(context, object, step).await;
        if let Err(failure) = taken {
            let written = Box::pin(together::write(context, object, step, failure)).await;
            outcome.busy |= matches!(written, Err((_, true)));
            taken = written.map(Effect::Object).map_err(|(failure, _)| failure);
        }
        match taken {
            Ok(effect) => {
                outcome.done.push(step.clone());
                match effect {
                    Effect::None => {}
                    Effect::Object(identity) => outcome.identity = Some(identity),
                    Effect::Deleted => outcome.deleted = true,
                }
            }
            Err(_) if status::is_optional(step) => {}
            Err(failure) => {
                if let Some((step, identity)) = widen(context, observed, step, &failure).await {
                    outcome.done.push(step);
                    outcome.identity = Some(identity);
                }
                outcome.failed = Some((step.clone(), failure));
                break;
            }
        }
    }
    outcome
}

/// Where the endpoint takes no commits and what names the object keeps it from losing listeners, the object gets both first: then
/// the others follow, and then the old ones go. Gives the step that was carried out.
async fn widen(
    context: &Context,
    observed: &Observed,
    step: &Step,
    failure: &Failure,
) -> Option<(Step, RemoteIdentity)> {
    let (Step::Update { id, spec, token }, Remote::Present(remote)) = (step, &observed.remote) else {
        return None;
    };
    if context.app_mesh.takes_commits() || failure.class != FailureClass::Conflict {
        return None;
    }
    let spec = widened(&remote.spec, spec)?;
    let token = digest(&[token, "widened"]);
    // One that is refused as well leaves everything as it is, and the first failure says why.
    let identity = context.app_mesh.update(id, &spec, &token).await.ok()?;
    Some((Step::Update { id: id.clone(), spec, token }, identity))
}

async fn take(context: &Context, object: &Object, step: &Step) -> Result<Effect, Failure> {
    let app_mesh = &context.app_mesh;
    match step {
        Step::AddFinalizer => {
            let result = context.cluster.add_finalizer(object).await;
            learn(context, "AddFinalizer", result)
        }
        Step::RemoveFinalizer => {
            // The step before may have taken its time, and a status may have been written since: use the newest.
            let newest = context.cache.object(&object.key).filter(|newest| newest.uid == object.uid);
            let object = newest.as_deref().unwrap_or(object);
            match context.cluster.remove_finalizer(object).await {
                Err(WriteError::Gone) => Ok(Effect::None),
                result => learn(context, "RemoveFinalizer", result),
            }
        }
        Step::Create { id, spec, tags, token } => {
            app_mesh.create(id, spec, tags, token).await.map(Effect::Object)
        }
        Step::Update { id, spec, token } => app_mesh.update(id, spec, token).await.map(Effect::Object),
        Step::TagResource { arn, tags } => app_mesh.tag(arn, tags).await.map(|()| Effect::None),
        Step::UntagResource { arn, keys, optional: _ } => {
            app_mesh.untag(arn, keys).await.map(|()| Effect::None)
        }
        Step::Delete { id } => app_mesh.delete(id).await.map(|()| Effect::Deleted),
    }
}

/// The answer to a write is news: the next reconcile need not wait for the watch to bring it.
fn learn(context: &Context, operation: &str, result: Result<Object, WriteError>) -> Result<Effect, Failure> {
    match result {
        Ok(object) => {
            // A resource whose last finalizer is gone is gone with it; only the watch shows when.
            let triggers = context.cache.seen(object, NewsSource::OwnWrite);
            context.queue.trigger_all(triggers);
            Ok(Effect::None)
        }
        Err(error) => {
            let class = match &error {
                WriteError::Changed | WriteError::Gone => FailureClass::Conflict,
                WriteError::Failed(_) => FailureClass::Unreachable,
                WriteError::Request(_) => FailureClass::Malformed,
            };
            Err(Failure { class, operation: operation.to_owned(), message: error.to_string() })
        }
    }
}
