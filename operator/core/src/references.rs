//! Findings about references, and their messages. Pure.

use fleetmesh_crds::Reason;
use fleetmesh_model::{Reference, ResourceId};

use crate::condition::Finding;
use crate::decision::Verdict;
use crate::object::ObjectKey;
use crate::observed::{Distribution, Observed, Reach, Referent};
use crate::plan::Waiting;

/// `None` when every required referent that a resource stands for exists; else what to wait for and the verdict.
pub fn unresolved(observed: &Observed) -> Option<(Waiting, Verdict)> {
    let pending: Vec<(ResourceId, ObjectKey)> =
        observed.pending().map(|(id, key)| (id.clone(), key.clone())).collect();
    if pending.is_empty() {
        return arrival(observed);
    }
    let names: Vec<String> = pending.iter().map(|(id, key)| format!("{} (of {key})", in_words(id))).collect();
    let message = format!(
        "waiting until the endpoint has {}; it continues automatically. If it does not, look at that resource's status",
        names.join(", ")
    );
    Some((Waiting::Referents(pending), Verdict::Fails(Reason::WaitingForReference, message)))
}

/// While the resource is new, referents that nobody has heard of get a moment to arrive.
fn arrival(observed: &Observed) -> Option<(Waiting, Verdict)> {
    let missing: Vec<ResourceId> = observed.unmanaged().map(|reference| reference.target.clone()).collect();
    if !observed.patience || missing.is_empty() {
        return None;
    }
    let names: Vec<String> = missing.iter().map(in_words).collect();
    let message = format!("waiting a moment for {}", names.join(", "));
    Some((Waiting::Arrival(missing), Verdict::Fails(Reason::WaitingForReference, message)))
}

/// What `ResolvedRefs` says of an object whose references hold nothing up: whether what it merely names, such as backends, exists.
pub fn resolved(observed: &Observed) -> Finding {
    let awaited: Vec<&Referent> = observed
        .referents
        .iter()
        .filter(|referent| !referent.reference.required && referent.reach != Reach::Exists)
        .collect();
    let holds = |but: &str| {
        Finding::holds(Reason::ResolvedRefs, format!("everything that the spec names exists{but}"))
    };
    let names = |awaited: &[&Referent]| awaited.iter().map(|one| whose(one)).collect::<Vec<_>>().join(", ");
    // What no resource stands for only the endpoint knows; until it says so, nothing is missing.
    let (unmanaged, pending): (Vec<&Referent>, Vec<&Referent>) =
        awaited.iter().copied().partition(|referent: &&Referent| referent.reach == Reach::Unmanaged);
    let missing = match &observed.distribution {
        Distribution::Reported(_) => awaited,
        Distribution::Unsupported | Distribution::Pending => pending,
    };
    if !missing.is_empty() {
        let message = format!(
            "the endpoint does not have {}: create what is missing or name something else. Until then requests for it are not served; it continues automatically",
            names(&missing)
        );
        return Finding::fails(Reason::WaitingForReference, message);
    }
    match &observed.distribution {
        Distribution::Unsupported if !unmanaged.is_empty() => holds(&format!(
            ", as far as this cluster knows: no resource in it stands for {}, which the endpoint may have",
            names(&unmanaged)
        )),
        _ => holds(""),
    }
}

fn whose(referent: &Referent) -> String {
    let named = named(&referent.reference);
    match &referent.reach {
        Reach::Pending(key) => format!("{named}, of {key}"),
        Reach::Exists | Reach::Unmanaged => named,
    }
}

/// What to say when the endpoint reports that something named does not exist: `said` is the endpoint's message.
pub fn not_found(observed: &Observed, said: &str) -> String {
    let unmanaged: Vec<String> = observed.unmanaged().map(named).collect();
    let suspects = match unmanaged.as_slice() {
        [] => String::new(),
        names => format!("; no resource in this cluster stands for {}", names.join(", ")),
    };
    format!("the endpoint says: {said}{suspects}. Create what is missing or name something else")
}

fn named(reference: &Reference) -> String {
    match &reference.path {
        Some(path) => format!("{} ({path})", in_words(&reference.target)),
        None => in_words(&reference.target),
    }
}

/// A resource in words, for example `virtual node serviceB of mesh apps`.
pub fn in_words(id: &ResourceId) -> String {
    let upwards = id.lineage().rev().map(|(kind, name)| format!("{} {name}", kind.info().words));
    upwards.collect::<Vec<_>>().join(" of ")
}
