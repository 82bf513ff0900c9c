//! The IAM identity of a node: observe (reads) → decide (pure) → apply (writes).

use std::sync::Arc;

use fleetmesh_aws::iam::IamClient;
use fleetmesh_core::iam::{
    self, Desired, IamOutcome, IamPlan, ObservedIdentity, Place, RefusedIdentity, Then, part,
};
use fleetmesh_core::{Failure, FailureClass, Part, Settings, owner};
use fleetmesh_crds::IamStatus;
use tracing::{debug, info, warn};

mod apply;
mod observe;
mod strangers;

use super::Reconcile;
use crate::cache::IdentityMemory;
use crate::queue::Trigger;

/// How often a reconcile looks again: the account becomes known with the role, and what a lost reply hid by a second look.
const LOOKS: usize = 3;

/// What a reconcile is for.
enum Task {
    /// IAM is to have this.
    Keep(Box<Desired>),
    /// What is at this place is to go.
    Remove(Place),
}

impl Task {
    fn place(&self) -> &Place {
        match self {
            Self::Keep(desired) => &desired.place,
            Self::Remove(place) => place,
        }
    }
}

/// Brings IAM in step with the resource. `None` when it neither has nor had an identity.
pub async fn run(reconcile: &Reconcile<'_>) -> Option<Part<IamStatus>> {
    let object = reconcile.object;
    let before = &object.status;
    let task = match task(reconcile)? {
        Ok(task) => task,
        Err(refused) => return Some(part::refused(before, &refused)),
    };
    if !reconcile.deleting && !finalized(reconcile) {
        return Some(part::unseen(before, task.place(), None));
    }
    let desired = match &task {
        Task::Keep(desired) if before.iam().is_none() => return Some(part::announced(&desired.place)),
        Task::Keep(desired) => Some(desired),
        Task::Remove(_) => None,
    };
    let memory = reconcile.context.cache.identity_memory(object);
    if let Some(part) = desired.and_then(|desired| remembered(reconcile, desired, &memory)) {
        return Some(part);
    }
    let client = IamClient::new(Arc::clone(&reconcile.context.aws)).await;
    let (part, memory) = work(reconcile, &client, &task, memory).await;
    reconcile.context.cache.identity_concluded(object, memory);
    Some(part)
}

/// The instance profile that may be handed to instances.
///
/// # Errors
/// A read failed.
pub async fn handed(
    reconcile: &Reconcile<'_>,
    reported: Option<&IamStatus>,
) -> Result<Option<String>, Failure> {
    let Settings { cluster, iam: rules, .. } = &reconcile.context.settings;
    let IdentityMemory { seen, attached, .. } = seen(reconcile, reported).await?;
    let desired = Desired::of(reconcile.object, reconcile.arn, cluster, rules).and_then(Result::ok);
    Ok(rules.handed(seen.as_ref(), &attached, desired.as_ref()).cloned())
}

/// What this process saw in IAM of the identity, by the resource's own tags on it. After a start that is looked up once, by the
/// name in the status: whoever may write the status can make it name anything.
///
/// # Errors
/// A read failed.
pub async fn seen(
    reconcile: &Reconcile<'_>,
    reported: Option<&IamStatus>,
) -> Result<IdentityMemory, Failure> {
    let Reconcile { context, object, .. } = reconcile;
    let mut memory = context.cache.identity_memory(object);
    if memory.seen.is_some() {
        return Ok(memory);
    }
    let Some(arn) = reported.and_then(|status| status.instance_profile_arn.as_deref()) else {
        return Ok(memory);
    };
    let client = IamClient::new(Arc::clone(&context.aws)).await;
    let (name, profile, role) = observe::profile(&client, arn).await?;
    let owner = owner::owner_tags(object, &context.settings.cluster);
    memory.seen = Some(iam::shown(arn, name, profile.as_ref(), role.as_ref(), &owner));
    memory.attached = role.as_ref().map(iam::owned_policies).unwrap_or_default();
    context.cache.identity_concluded(object, memory.clone());
    Ok(memory)
}

/// What is to be done. Where the status names another place than the spec, what is there goes first; but not for something
/// that may not be had.
fn task(reconcile: &Reconcile<'_>) -> Option<Result<Task, RefusedIdentity>> {
    let object = reconcile.object;
    let Settings { cluster, iam: rules, .. } = &reconcile.context.settings;
    let desired = Desired::of(object, reconcile.arn, cluster, rules);
    let reported = object.status.iam().and_then(Place::reported);
    match (desired, reported) {
        (None, reported) => reported.map(|place| Ok(Task::Remove(place))),
        (Some(desired), reported) if reconcile.deleting => {
            let place = desired.map_or_else(|refused| refused.place, |desired| desired.place);
            Some(Ok(Task::Remove(reported.unwrap_or(place))))
        }
        (Some(Err(refused)), _) => Some(Err(refused)),
        (Some(Ok(desired)), Some(place)) if desired.place != place => Some(Ok(Task::Remove(place))),
        (Some(Ok(desired)), _) => Some(Ok(Task::Keep(Box::new(desired)))),
    }
}

/// Whether our finalizer is on the resource by now; the reconcile's own object may be older than its first step.
fn finalized(reconcile: &Reconcile<'_>) -> bool {
    let newest = reconcile.context.cache.object(&reconcile.object.key);
    newest.is_some_and(|newest| newest.uid == reconcile.object.uid && newest.finalized())
}

/// News of something else need no call when the last reconcile left IAM in step with this very wish.
fn remembered(
    reconcile: &Reconcile<'_>,
    desired: &Desired,
    memory: &IdentityMemory,
) -> Option<Part<IamStatus>> {
    let before = &reconcile.object.status;
    let (hash, finding) = memory.in_step.as_ref().filter(|_| reconcile.trigger != Trigger::Drift)?;
    let known = memory.seen.is_some() && before.iam().is_some_and(|iam| iam.policy_hash.is_some());
    (*hash == desired.hash() && known).then(|| Part {
        finding: finding.clone(),
        // Whatever the status says by now.
        status: memory.seen.clone(),
        events: Vec::new(),
        look: None,
        failure: None,
    })
}

/// Observes, decides and applies until nothing is left to do, something fails, or it has to be waited for.
async fn work(
    reconcile: &Reconcile<'_>,
    client: &IamClient,
    task: &Task,
    mut memory: IdentityMemory,
) -> (Part<IamStatus>, IdentityMemory) {
    let before = &reconcile.object.status;
    memory.in_step = None;
    let (mut done, mut role_id) = (Vec::new(), None);
    let mut look = 1;
    loop {
        let observed = match observe::observe(client, task.place(), before.iam(), &mut memory).await {
            Ok(observed) => observed,
            Err(failure) => {
                warn!(object = %reconcile.object.key, %failure, "IAM cannot be read");
                return (part::unseen(before, task.place(), Some(failure)), memory);
            }
        };
        let plan = match plan(reconcile, task, &observed).await {
            Ok(plan) => plan,
            Err(failure) => {
                warn!(object = %reconcile.object.key, %failure, "EC2 does not say who has the instance profile");
                return (part::unseen(before, task.place(), Some(failure)), memory);
            }
        };
        let mut outcome = apply::apply(client, &plan, &mut memory).await;
        memory.has_room |= plan.makes_a_role();
        memory.attached = part::attached(task.place(), &observed, &outcome);
        log(reconcile, &plan, &observed, &outcome);
        done.append(&mut outcome.done);
        role_id = outcome.role_id.take().or(role_id);
        if look < LOOKS && looks_again(&plan, &outcome) {
            look += 1;
            continue;
        }
        (outcome.done, outcome.role_id) = (done, role_id);
        return conclude(reconcile, task, &observed, &plan, &outcome, memory);
    }
}

fn conclude(
    reconcile: &Reconcile<'_>,
    task: &Task,
    observed: &ObservedIdentity,
    plan: &IamPlan,
    outcome: &IamOutcome,
    mut memory: IdentityMemory,
) -> (Part<IamStatus>, IdentityMemory) {
    let before = &reconcile.object.status;
    match task {
        Task::Keep(desired) if plan.then == Then::Gone => {
            let place = &desired.place;
            warn!(object = %reconcile.object.key, %place, "the status names an identity that IAM does not show as this resource's, and that the rules do not allow: it is not believed");
            let part = part::gone(before, &desired.tags, place, observed, plan, outcome);
            (part, IdentityMemory::default())
        }
        Task::Keep(desired) => {
            if outcome.failed.is_none() && plan.then == Then::InStep {
                memory.in_step = Some((desired.hash(), part::in_step(desired, plan)));
            }
            if outcome.done.iter().any(|planned| planned.mends.is_some()) {
                reconcile.context.metrics.drift();
            }
            let part = part::kept(before, desired, observed, plan, outcome);
            memory.seen.clone_from(&part.status);
            (part, memory)
        }
        Task::Remove(place) => {
            let owner = owner::owner_tags(reconcile.object, &reconcile.context.settings.cluster);
            let part = part::gone(before, &owner, place, observed, plan, outcome);
            memory.seen.clone_from(&part.status);
            let memory = if part.status.is_none() { IdentityMemory::default() } else { memory };
            (part, memory)
        }
    }
}

/// What is to be done. Before managed policies are attached to a role whose profile is there, EC2 is asked who has it.
///
/// # Errors
/// EC2 does not say.
async fn plan(
    reconcile: &Reconcile<'_>,
    task: &Task,
    observed: &ObservedIdentity,
) -> Result<IamPlan, Failure> {
    let plan = decide(reconcile, task, observed, None);
    let Task::Keep(desired) = task else { return Ok(plan) };
    if plan.makes_a_role() {
        let (object, cache) = (reconcile.object, &reconcile.context.cache);
        let full = cache.room_for_role(object, &reconcile.context.settings.iam.limits);
        return Ok(match full {
            Some(finding) => IamPlan { steps: Vec::new(), then: Then::Full(finding), foreign: Vec::new() },
            None => plan,
        });
    }
    match observed.instance_profile.present().filter(|_| plan.attaches(&desired.managed)) {
        Some(profile) => {
            let strange = strangers::of(reconcile, &profile.arn).await?;
            Ok(if strange.is_some() { decide(reconcile, task, observed, strange) } else { plan })
        }
        None => Ok(plan),
    }
}

fn decide(
    reconcile: &Reconcile<'_>,
    task: &Task,
    observed: &ObservedIdentity,
    strange: Option<String>,
) -> IamPlan {
    match task {
        Task::Keep(desired) => {
            // What another resource of this cluster has is not to be had, however much it is wanted.
            let cache = &reconcile.context.cache;
            let mut owners = iam::decide::owners(observed).filter(|owner| **owner != reconcile.object.uid);
            let taken = owners.any(|owner| cache.lives(owner));
            let withheld = strange.or_else(|| super::withheld(reconcile));
            let adopt = desired.adopt && !taken;
            iam::decide(&Desired { adopt, withheld, ..(**desired).clone() }, observed)
        }
        Task::Remove(place) => {
            let boundary = reconcile.context.settings.iam.permissions_boundary.as_deref();
            iam::remove(place, &reconcile.object.uid, boundary, observed)
        }
    }
}

/// Whether the reconcile looks once more: the account is known now, or a request that was repeated after its reply was lost
/// is answered that the thing exists.
fn looks_again(plan: &IamPlan, outcome: &IamOutcome) -> bool {
    match &outcome.failed {
        Some((step, failure)) => step.creates().is_some() && failure.class == FailureClass::Conflict,
        None => plan.then == Then::LookAgain,
    }
}

fn log(reconcile: &Reconcile<'_>, plan: &IamPlan, observed: &ObservedIdentity, outcome: &IamOutcome) {
    let object = &reconcile.object.key;
    if let Then::NotOwned(what) = &plan.then {
        // The status does not say where that is: it may be a secret of others.
        let role = observed.role.present().map(|role| role.arn.as_str());
        let profile = observed.instance_profile.present().map(|profile| profile.arn.as_str());
        warn!(%object, role, profile, what, "what IAM has of this name is not the resource's");
    }
    match &outcome.failed {
        Some((step, failure)) => warn!(%object, %step, %failure, "failed"),
        None if plan.steps.is_empty() => debug!(%object, %plan, "nothing done in IAM"),
        None => info!(%object, %plan, "done in IAM"),
    }
}
