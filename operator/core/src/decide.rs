//! The decision about a resource: whether it is valid, whether the name is ours, whether what it names exists, whether the App Mesh
//! object means what the spec says. Total: a bad spec is a decision with verdicts, not an error. Pure.

use fleetmesh_api::tags::{ANSWERED, OWNER_GRANTS_TAG, PROXY_DNS_TAG, PROXY_PRINCIPALS_TAG};
use fleetmesh_crds::{IamStatus, Reason};
use fleetmesh_model::tag::{MAX_TAGS, Tags};
use fleetmesh_model::{Kind, ResourceId, differences, hostname};

use crate::decision::{Decision, Drift, Verdict};
use crate::deletion;
use crate::object::Object;
use crate::observed::{Allowance, Observed, OwnerClaim, Remote, RemoteObject};
use crate::owner;
use crate::permission;
use crate::plan::{Idle, Plan, Step, Waiting};
use crate::references::{self, in_words};
use crate::settings::Settings;
use crate::token::token;

/// Decides what to do about what was observed. Same inputs, same decision.
pub fn decide(observed: &Observed, settings: &Settings) -> Decision {
    if observed.object.deleting {
        return Decision {
            accepted: Verdict::Open,
            resolved: Verdict::Open,
            plan: deletion::plan(observed),
            drift: None,
            adopts: false,
        };
    }
    let accepted = accepted(observed);
    if accepted != Verdict::Holds {
        return not_accepted(observed, accepted);
    }
    if observed.object.is_observed() {
        return look_only(observed);
    }
    if !observed.permission.missing.is_empty() {
        return permission::withheld(observed);
    }
    if let Some(overdue) = permission::overdue(observed) {
        return overdue;
    }
    if let Some((waiting, resolved)) = references::unresolved(observed) {
        return Decision { accepted, resolved, plan: Plan::Wait(waiting), drift: None, adopts: false };
    }
    match &observed.remote {
        Remote::InStep(_) => in_step(),
        Remote::Unreadable(_) => Decision { plan: Plan::Nothing(Idle::Unread), ..in_step() },
        Remote::NotRead => steps(&observed.object, vec![create(&observed.object, settings)]),
        Remote::Absent => Decision {
            drift: observed.uid.is_some().then_some(Drift::Deleted),
            ..steps(&observed.object, vec![create(&observed.object, settings)])
        },
        Remote::Present(remote) => present(observed, remote, settings),
    }
}

/// Whether the spec is valid, the mesh there, the namespace allowed and the name ours.
fn accepted(observed: &Observed) -> Verdict {
    let object = &observed.object;
    let violations = object.effective_spec.violations();
    if !violations.is_empty() {
        let texts: Vec<String> = violations.iter().map(ToString::to_string).collect();
        return Verdict::Fails(Reason::InvalidSpec, texts.join("; "));
    }
    if let Some(fault) = hostname::name_fault(object.key.kind, object.id.name()) {
        let field = name_field(object.key.kind);
        let message = format!("{field}: {fault}; metadata.name is the name where {field} is absent");
        return Verdict::Fails(Reason::InvalidSpec, message);
    }
    match &observed.allowance {
        Allowance::Allowed => {}
        Allowance::NoMesh(mesh) => {
            let message = format!(
                "no Mesh resource represents mesh {mesh}: create one; for a mesh that is made elsewhere one with spec.management: Observe. Nothing is written until then; it continues automatically"
            );
            return Verdict::Fails(Reason::MeshNotFound, message);
        }
        Allowance::Refused { mesh, namespace } => {
            let kind = object.key.kind.info();
            let left = match (kind.requires.is_empty(), kind.mentions.is_empty()) {
                (false, _) => "It is not in the mesh until then",
                (true, false) => {
                    "Until then its backends are out of the mesh and its fleet does not grow; others' requests still reach it"
                }
                (true, true) => "What is in the mesh stays as it is until then",
            };
            let message = format!(
                "{mesh} does not allow resources of namespace {namespace}: change its spec.allowedNamespaces or the labels of the namespace. {left}; it continues automatically"
            );
            return Verdict::Fails(Reason::NamespaceNotAllowed, message);
        }
    }
    if let OwnerClaim::Taken(holder) = &observed.claim {
        let message = format!(
            "{} is {holder}'s, which had it first: delete {holder}, or take another name in {}",
            in_words(&object.id),
            name_field(object.key.kind),
        );
        return Verdict::Fails(Reason::NameConflict, message);
    }
    Verdict::Holds
}

/// A Mesh resource that is not there yet may be in the same directory, which is applied file by file.
fn not_accepted(observed: &Observed, accepted: Verdict) -> Decision {
    if let Some(plan) = permission::put_out(observed).or_else(|| permission::revocation(observed)) {
        return Decision { plan, ..idle(accepted, Idle::NotAccepted) };
    }
    match &observed.allowance {
        Allowance::NoMesh(mesh)
            if observed.patience && observed.object.effective_spec.violations().is_empty() =>
        {
            let plan = Plan::Wait(Waiting::Arrival(vec![ResourceId::mesh(mesh)]));
            Decision { plan, ..idle(accepted, Idle::NotAccepted) }
        }
        _ => idle(accepted, Idle::NotAccepted),
    }
}

/// An App Mesh object that is made elsewhere is in step however it is, when it is there.
fn look_only(observed: &Observed) -> Decision {
    match &observed.remote {
        Remote::Present(_) | Remote::InStep(_) => in_step(),
        Remote::Unreadable(_) => Decision { plan: Plan::Nothing(Idle::Unread), ..in_step() },
        Remote::Absent | Remote::NotRead => {
            let message = format!(
                "the endpoint has no {}, and spec.management is Observe: it is to be made elsewhere, or set spec.management to Manage",
                in_words(&observed.object.id)
            );
            let resolved = Verdict::Fails(Reason::RefNotFound, message);
            Decision { resolved, plan: Plan::Nothing(Idle::NotThere), ..in_step() }
        }
    }
}

fn name_field(kind: Kind) -> String {
    format!("spec.{}", kind.info().member)
}

/// What to do about an App Mesh object that exists: leave it alone, take it over, or bring it in step.
fn present(observed: &Observed, remote: &RemoteObject, settings: &Settings) -> Decision {
    let object = &observed.object;
    let ours = observed.is_ours(remote);
    let cluster = &settings.cluster;
    // Tags that were not read say nothing about whose it is.
    let may = |tags: &Tags| {
        owner::may_take_over(object, tags, cluster) && bereaves(observed, tags, cluster).is_none()
    };
    let adopts = !ours && remote.tags.as_ref().is_some_and(may);
    if !ours && !adopts {
        let none = Tags::new();
        let tags = remote.tags.as_ref().unwrap_or(&none);
        let message = format!(
            "{} exists and is not this resource's: {}. {}",
            in_words(&object.id),
            owner::in_words(object, tags, cluster),
            bereaves(observed, tags, cluster).unwrap_or_else(|| owner::way_out_in_mesh(
                object,
                tags,
                cluster,
                &name_field(object.key.kind)
            )),
        );
        return idle(Verdict::Fails(Reason::NotOwned, message), Idle::NotAccepted);
    }
    let (mut wanted, tag_keys) = tag_steps(observed, remote, adopts, settings);
    let found = differences(&object.effective_spec, &remote.spec);
    if !found.is_empty() {
        wanted.push(Step::Update {
            id: object.id.clone(),
            spec: object.effective_spec.clone(),
            token: token(
                &object.uid,
                &base(&remote.identity.uid, remote.identity.version),
                &object.effective_spec,
            ),
        });
    }
    // A change of the spec is the user's or its mesh's, one of the weights the rollout's, and a write that went unanswered may come
    // late; only another difference that appeared under a spec in force is drift.
    let same_object = observed.uid.as_ref() == Some(&remote.identity.uid);
    if wanted.is_empty() {
        // The finalizer also stands for the identity and the fleet.
        return if object.has_parts() && !object.finalized() { steps(object, wanted) } else { in_step() };
    }
    let late = observed.unanswered.iter().any(|spec| differences(spec, &remote.spec).is_empty());
    let members = if late { Vec::new() } else { found };
    let changed = !members.is_empty() || !tag_keys.is_empty();
    let drift = (changed && observed.in_force && same_object && !object.awaits_weights())
        .then_some(Drift::Changed { members, tags: tag_keys });
    Decision { drift, adopts, ..steps(object, wanted) }
}

/// Why an App Mesh object is not taken over although that is asked for: a resource of another namespace that is in force names it,
/// and would leave the mesh by that. What the resource's own namespace had it may always have back.
fn bereaves(observed: &Observed, tags: &Tags, cluster: &str) -> Option<String> {
    let object = &observed.object;
    let may = owner::may_take_over(object, tags, cluster) && !owner::is_of_its_namespace(object, tags);
    let user = observed.user.as_ref().filter(|_| may)?;
    let (kind, namespace) = (user.kind, user.namespace.as_deref().unwrap_or_default());
    Some(format!(
        "A {kind} of namespace {namespace} uses it and would leave the mesh if it were taken over. Permit that by a ReferenceGrant in this namespace (from {{group: fleetmesh.dev, kind: {kind}, namespace: {namespace}}}), or take another name in {}",
        name_field(object.key.kind)
    ))
}

/// The steps that bring the tags in step, when they were read, and the keys that somebody else changed unless the spec
/// did.
fn tag_steps(
    observed: &Observed,
    remote: &RemoteObject,
    adopts: bool,
    settings: &Settings,
) -> (Vec<Step>, Vec<String>) {
    let Some(actual) = &remote.tags else { return (Vec::new(), Vec::new()) };
    // What earlier operators made is not written to for this alone, as long as it rests on nothing.
    // Where there was no room for the tag and is now, it is given: what has neither would count as such a one.
    let judged = adopts || owner::is_judged(actual) || !observed.permission.by.is_empty();
    let desired = match judged {
        true => owner::judged_tags(&observed.object, &settings.cluster),
        false => owner::desired_tags(&observed.object, &settings.cluster),
    };
    let mut former = observed.former_tags.clone().unwrap_or_default();
    // What the proxies' role was is known from the status, too; it becomes known later than the spec.
    let known = former.get(PROXY_PRINCIPALS_TAG) == desired.get(PROXY_PRINCIPALS_TAG);
    let role = observed.object.status.iam().and_then(IamStatus::principals);
    former.extend(role.map(|role| (PROXY_PRINCIPALS_TAG.to_owned(), role)));
    // Whether names resolve on the machines of a fleet is for its spec to say, which may have changed while no operator ran.
    let said = observed.former_tags.as_ref().map(|former| former.get(PROXY_DNS_TAG));
    let said = said == Some(desired.get(PROXY_DNS_TAG));
    if observed.object.fleet().is_some() {
        former.insert(PROXY_DNS_TAG.to_owned(), ANSWERED.to_owned());
    }
    let (mut set, remove) = owner::tag_changes(&desired, actual, &former);
    let is_new = |key: &&String| !actual.contains_key(*key);
    if actual.len() + set.keys().filter(is_new).count() > MAX_TAGS + remove.len() {
        // Others' tags took the room.
        set.remove(OWNER_GRANTS_TAG);
    }
    let keys = set.keys().chain(&remove).filter(|key| known || *key != PROXY_PRINCIPALS_TAG);
    let keys = keys.filter(|key| said || *key != PROXY_DNS_TAG);
    let keys = keys.filter(|key| *key != OWNER_GRANTS_TAG).cloned().collect();
    let arn = &remote.identity.arn;
    let added = set.keys().filter(is_new).count();
    let mut steps = Vec::new();
    if !set.is_empty() {
        steps.push(Step::TagResource { arn: arn.clone(), tags: set });
    }
    if !remove.is_empty() {
        let untag = Step::UntagResource { arn: arn.clone(), keys: remove, optional: false };
        // Where there is no room for all of them at a time, what goes makes it.
        let at = if actual.len() + added > MAX_TAGS { 0 } else { steps.len() };
        steps.insert(at, untag);
    }
    (steps, keys)
}

fn create(object: &Object, settings: &Settings) -> Step {
    // The former incarnation is part of the wish: an object that vanished is made anew, not answered from memory.
    let status = &object.status;
    let former = status.uid.as_deref().map(|uid| base(uid, status.version.unwrap_or_default()));
    let former = former.or_else(|| permission::withdrawn(status));
    Step::Create {
        id: object.id.clone(),
        spec: object.effective_spec.clone(),
        tags: owner::judged_tags(object, &settings.cluster),
        token: token(&object.uid, &former.unwrap_or_default(), &object.effective_spec),
    }
}

fn base(uid: &str, version: i64) -> String {
    format!("{uid}@{version}")
}

/// The finalizer comes before the first step that leaves something at the endpoint.
fn steps(object: &Object, mut wanted: Vec<Step>) -> Decision {
    if !object.finalized() {
        wanted.insert(0, Step::AddFinalizer);
    }
    Decision { plan: Plan::Steps(wanted), ..in_step() }
}

fn in_step() -> Decision {
    Decision {
        accepted: Verdict::Holds,
        resolved: Verdict::Holds,
        plan: Plan::Nothing(Idle::InStep),
        drift: None,
        adopts: false,
    }
}

fn idle(accepted: Verdict, idle: Idle) -> Decision {
    Decision { accepted, resolved: Verdict::Open, plan: Plan::Nothing(idle), drift: None, adopts: false }
}
