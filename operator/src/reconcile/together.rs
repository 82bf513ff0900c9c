//! Carries out a write that the endpoint refused together with those that it blocks and that block it: [`JointWrite`] says which, this
//! observes and sends. Each member is observed and decided about as in its own reconcile, which it is kept out of meanwhile, so that
//! its name, its tags and its permissions are looked at like any other time; what came of it its own reconcile reports.

use std::sync::Arc;

use fleetmesh_core::together::{JointWrite, may_be_blocked};
use fleetmesh_core::{Failure, Object, RemoteIdentity, Step, decide};
use tracing::info;

use super::observe;
use crate::cloud::NotCommitted;
use crate::context::Context;
use crate::queue::{Reserved, Trigger};

/// What is known of a commit that grows.
struct Attempt<'a> {
    joint: JointWrite,
    /// The others, which get no reconcile meanwhile.
    reserved: Vec<Reserved<'a>>,
    /// Whether one of them is in a reconcile and could not be looked at.
    busy: bool,
}

/// What `object` has in App Mesh after `step`, which the endpoint refused alone with `failure`.
///
/// # Errors
/// `failure`, when the endpoint takes no commits, nothing blocks the write or something does that is not to be written; the failure
/// of the object's part, or of the call. With it, whether it may be otherwise in a moment, because what may be in the way was in a
/// reconcile.
pub async fn write(
    context: &Context,
    object: &Arc<Object>,
    step: &Step,
    failure: Failure,
) -> Result<RemoteIdentity, (Failure, bool)> {
    if !context.app_mesh.takes_commits() || !may_be_blocked(step, &failure) {
        return Err((failure, false));
    }
    let mut attempt = Attempt { joint: JointWrite::of(object, step), reserved: Vec::new(), busy: false };
    let written = attempt.until_taken(context, object, failure).await;
    if written.is_ok() {
        let members = attempt.joint.members().iter();
        let objects: Vec<Arc<Object>> = members.map(|member| Arc::clone(&member.object)).collect();
        let keys: Vec<String> = objects.iter().map(|object| object.key.to_string()).collect();
        info!(objects = keys.join(", "), "written by one commit");
        context.queue.trigger_all(context.cache.written_together(&objects));
    }
    written.map_err(|failure| (failure, attempt.busy))
}

impl<'a> Attempt<'a> {
    /// Tries the commit until the endpoint takes it, or it cannot grow or shrink any more.
    async fn until_taken(
        &mut self,
        context: &'a Context,
        first: &Arc<Object>,
        mut failure: Failure,
    ) -> Result<RemoteIdentity, Failure> {
        let mut at_fault = vec![Arc::clone(first)];
        loop {
            let grown = self.grow(context, &at_fault).await;
            if !self.joint.is_worth_a_try(grown, &at_fault) {
                return Err(failure);
            }
            let steps: Vec<&Step> = self.joint.steps().collect();
            match context.app_mesh.commit(first.id.mesh_name().name(), &steps).await {
                Ok(left) => return left.into_iter().next().flatten().ok_or(failure),
                Err(NotCommitted::Faults(faults)) => {
                    let parts: Vec<usize> = faults.iter().map(|(part, _)| *part).collect();
                    at_fault = self.joint.objects_of(&parts);
                    // The first part is the step that was refused alone.
                    if let Some((_, of_first)) = faults.into_iter().find(|(part, _)| *part == 0) {
                        failure = Failure { operation: failure.operation, ..of_first };
                    }
                }
                Err(NotCommitted::Failed(failed)) if failed.class.is_transient() => {
                    self.note_unanswered(context);
                    return Err(failed);
                }
                Err(NotCommitted::Failed(_)) => return Err(failure),
            }
        }
    }

    /// Takes in what is pending around `objects`; says whether there was anything.
    async fn grow(&mut self, context: &'a Context, objects: &[Arc<Object>]) -> bool {
        let mut grown = false;
        for object in objects {
            for key in context.cache.pending_around(object) {
                if !self.joint.wants(&key) {
                    continue;
                }
                let Some(reserved) = context.queue.reserve(&key) else {
                    self.busy = true;
                    self.joint.leave(&key);
                    continue;
                };
                let Some(observed) = observe::observe(context, &key, Trigger::Look, false).await else {
                    self.joint.leave(&key);
                    continue;
                };
                let decision = decide(&observed, &context.settings);
                if self.joint.offer(&observed.object, &decision) {
                    self.reserved.push(reserved);
                    grown = true;
                }
            }
        }
        grown
    }

    /// What was sent and not answered may come into force late, of each member.
    fn note_unanswered(&self, context: &Context) {
        for member in self.joint.members().iter().skip(1) {
            for step in &member.steps {
                if let Step::Create { spec, .. } | Step::Update { spec, .. } = step {
                    context.cache.sent_unanswered(&member.object, spec);
                }
            }
        }
    }
}
