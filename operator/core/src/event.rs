//! The Kubernetes Events of a reconcile: what the status does not keep. Pure.

use fleetmesh_crds::{ConditionType, Reason, Status};

use crate::decision::{Decision, Drift};
use crate::deletion;
use crate::observed::Observed;
use crate::outcome::Outcome;
use crate::plan::Step;
use crate::references::in_words;

/// How loud an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// For information.
    Normal,
    /// Somebody should look.
    Warning,
}

/// An event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// How loud.
    pub severity: Severity,
    /// A CamelCase word.
    pub reason: String,
    /// What was done about it, a CamelCase word.
    pub action: &'static str,
    /// What happened, in words.
    pub message: String,
}

/// How many differing members an event lists.
const LISTED: usize = 5;

/// The events about what a reconcile did: something was mended or taken over. The next reconcile knows nothing of it.
pub fn deeds(observed: &Observed, decision: &Decision, outcome: &Outcome) -> Vec<Event> {
    let mut events = Vec::new();
    let done = outcome.failed.is_none() && !outcome.done.is_empty();
    let object = in_words(&observed.object.id);
    if done && decision.adopts {
        let message = format!("{object} existed and now belongs to this resource");
        events.push(Event { severity: Severity::Normal, reason: "Adopted".into(), action: "Adopt", message });
    }
    if let (true, Some(drift)) = (done, &decision.drift) {
        let message = format!("{object} was changed outside of Kubernetes and put back: {}", in_short(drift));
        events.push(Event {
            severity: Severity::Warning,
            reason: "DriftMended".into(),
            action: "Mend",
            message,
        });
    }
    events.extend(returned(observed, outcome));
    events
}

/// What was to stay and did not, or not as it was, because other namespaces had only lent it.
fn returned(observed: &Observed, outcome: &Outcome) -> Option<Event> {
    let object = &observed.object;
    if !object.deleting || !deletion::keeps(object) {
        return None;
    }
    let what = outcome.done.iter().find_map(|step| match step {
        Step::Delete { .. } => Some("it was deleted and not retained"),
        Step::Update { .. } => Some("it was retained without these backends"),
        _ => None,
    })?;
    let lent: Vec<String> = observed.permission.lent.iter().take(LISTED).map(in_words).collect();
    let message = format!(
        "{} named {}, which is another namespace's: {what}, because nobody could take the permission back any more",
        in_words(&object.id),
        lent.join(", "),
    );
    Some(Event { severity: Severity::Warning, reason: "NotRetained".into(), action: "Withdraw", message })
}

fn in_short(drift: &Drift) -> String {
    match drift {
        Drift::Deleted => "it was deleted".to_owned(),
        Drift::Changed { members, tags } => {
            let mut texts: Vec<String> = members.iter().take(LISTED).map(ToString::to_string).collect();
            if members.len() > LISTED {
                texts.push(format!("and {} more", members.len() - LISTED));
            }
            if !tags.is_empty() {
                texts.push(format!("tags {}", tags.join(", ")));
            }
            texts.join("; ")
        }
    }
}

/// A warning when `Ready` is False for a reason that it did not have before and that does not pass by itself. Due with
/// the status `after`, whose report makes it unrepeatable.
pub fn complaint(before: &Status, after: &Status) -> Option<Event> {
    let ready = after.condition(ConditionType::Ready)?;
    let passing = [
        Reason::Pending,
        Reason::WaitingForReference,
        Reason::ProxiesPending,
        Reason::Deleting,
        Reason::Throttled,
    ];
    let known = before.condition(ConditionType::Ready).is_some_and(|old| old.reason == ready.reason);
    if ready.status == "True" || known || passing.iter().any(|reason| reason.as_str() == ready.reason) {
        return None;
    }
    Some(Event {
        severity: Severity::Warning,
        reason: ready.reason.clone(),
        action: "Reconcile",
        message: ready.message.clone(),
    })
}
