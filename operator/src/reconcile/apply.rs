//! Applies a plan, one request for each step. The steps depend on each other: the first failure ends the plan, unless
//! the step is optional.

use fleetmesh_core::{Failure, FailureClass, Object, Outcome, Plan, RemoteIdentity, Step, status};

use crate::cache::NewsSource;
use crate::cluster::WriteError;
use crate::context::Context;

/// What a step left behind.
enum Effect {
    None,
    Object(RemoteIdentity),
    Deleted,
}

/// Carries out the steps of `plan`.
pub async fn apply(context: &Context, object: &Object, plan: &Plan) -> Outcome {
    let mut outcome = Outcome::default();
    let Plan::Steps(steps) = plan else { return outcome };
    for step in steps {
        match take(context, object, step).await {
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
                outcome.failed = Some((step.clone(), failure));
                break;
            }
        }
    }
    outcome
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
