//! Observes an object: what the cache knows, and the reads that the decision needs. Reads only.

use fleetmesh_core::{
    Evidence, Failure, ObjectKey, Observed, OwnerClaim, Reads, Remote, RemoteIdentity, RemoteObject, Tagged,
};
use fleetmesh_model::ResourceId;

use crate::cache::{Local, TagReading};
use crate::cloud::AppMeshClient;
use crate::context::Context;
use crate::queue::Trigger;

/// What is to be decided about; `None` when the resource is gone. With `doubt` everything is read.
pub async fn observe(context: &Context, key: &ObjectKey, trigger: Trigger, doubt: bool) -> Option<Observed> {
    let Local { mut observed, in_step } = context.cache.observe(key)?;
    let patience = context.settings.proxy_patience;
    observed.waited = context.cache.reported_for(key).filter(|time| *time >= patience).map(|_| patience);
    if let Some(remote) = remembered(context, &observed, in_step, trigger).filter(|_| !doubt) {
        observed.remote = remote;
        return Some(observed);
    }
    let with_tags = match observed.reads(doubt) {
        Reads::Nothing => return Some(observed),
        Reads::Object => trigger == Trigger::Drift,
        Reads::ObjectAndTags => true,
    };
    observed.remote = match read(&context.app_mesh, &observed.object.id, |remote| {
        with_tags || observed.own.as_ref() != Some(&remote.identity.uid)
    })
    .await
    {
        Ok(Some(remote)) => Remote::Present(remote),
        Ok(None) => Remote::Absent,
        Err(failure) => Remote::Unreadable(failure),
    };
    learn(context, &mut observed);
    Some(observed)
}

/// What was read shows who made the object, which decides whose the name is, and what is in force without permission.
fn learn(context: &Context, observed: &mut Observed) {
    let object = &observed.object;
    let tagged = match &observed.remote {
        Remote::Absent => Some(TagReading::Absent),
        Remote::Present(remote) => remote.tags.as_ref().map(|tags| {
            Tagged::of(tags, &context.settings.cluster).map_or(TagReading::Elsewhere, TagReading::Resource)
        }),
        _ => None,
    };
    if let Some(tagged) = tagged {
        context.queue.trigger_all(context.cache.tagged(&object.id, tagged));
        observed.claim = context.cache.claim(object);
    } else if observed.evidence == Evidence::Contested {
        // It could not be read, and says nothing of whose the name is.
        observed.claim = OwnerClaim::Ours;
    }
    if let Remote::Present(remote) = &observed.remote {
        let judged = context.cache.permission(object, &remote.spec);
        let permission = &mut observed.permission;
        (permission.revoked, permission.lent, permission.rests) =
            (judged.missing, judged.elsewhere, judged.by);
    }
}

/// News about proxies need no call when the last reconcile left the object in step and nothing contradicts that.
fn remembered(
    context: &Context,
    observed: &Observed,
    in_step: Option<(i64, RemoteIdentity)>,
    trigger: Trigger,
) -> Option<Remote> {
    let (generation, identity) = in_step.filter(|_| observed.permission.missing.is_empty())?;
    let object = &observed.object;
    let current = generation == object.generation && !object.deleting;
    let news = trigger == Trigger::Distribution && !context.cache.contradicts(&object.id, identity.version);
    (current && news).then_some(Remote::InStep(identity))
}

/// The object, with its tags when `with_tags` wants them.
async fn read(
    app_mesh: &AppMeshClient,
    id: &ResourceId,
    with_tags: impl Fn(&RemoteObject) -> bool,
) -> Result<Option<RemoteObject>, Failure> {
    let Some(mut remote) = app_mesh.describe(id).await? else { return Ok(None) };
    if with_tags(&remote) {
        remote.tags = Some(app_mesh.tags(&remote.identity.arn).await?);
    }
    Ok(Some(remote))
}
