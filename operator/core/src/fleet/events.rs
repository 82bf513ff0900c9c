//! The Events about a fleet: what was done, what was put back, and what is reported and left alone. Pure.

use fleetmesh_crds::ConditionType;

use super::decision::{FleetDecision, Input};
use super::launch::ZoneLaunch;
use super::plan::FleetStep;
use super::report::{FleetOutcome, named, unused};
use crate::condition::Finding;
use crate::event::{Event, Severity};

/// The Events of a reconcile that ended with `finding`.
pub(super) fn events(
    decision: &FleetDecision,
    outcome: &FleetOutcome,
    input: &Input<'_>,
    finding: &Finding,
) -> Vec<Event> {
    let done = outcome.done.iter().filter_map(|step| event(step, outcome));
    let notices = decision.notices.iter().cloned();
    let beside = outcome.launched.iter().filter_map(beside);
    done.chain(beside)
        .chain(died(decision, outcome, input))
        .chain(mended(outcome))
        .chain(notices)
        .chain(ignored(decision, input, finding))
        .collect()
}

fn event(step: &FleetStep, outcome: &FleetOutcome) -> Option<Event> {
    let (reason, action, message) = match step {
        FleetStep::CreateTemplate { name, .. } => {
            ("LaunchTemplateCreated", "Create", format!("launch template {name}"))
        }
        FleetStep::CreateVersion { .. } => {
            let version = outcome.template.as_ref().map_or(0, |(_, version)| *version);
            ("LaunchTemplateChanged", "Update", format!("version {version} of the launch template"))
        }
        FleetStep::SetDefaultVersion { version, before, .. } => {
            let message = format!(
                "version {version} is the default of the launch template, which was version {before}"
            );
            ("LaunchTemplateChanged", "Update", message)
        }
        FleetStep::Launch { version, count, launch, zone, .. } => {
            let came = outcome.launched.iter().find(|came| came.launch == *launch);
            let place = zone.as_ref().map(|zone| format!(" in {zone}")).unwrap_or_default();
            let message = format!(
                "asked for {count} instances of template version {version}{place}: {}",
                came.map(|came| named(&came.instances)).unwrap_or_default()
            );
            ("Launched", "Launch", message)
        }
        FleetStep::Drain { instances, .. } => ("Draining", "Drain", named(instances)),
        FleetStep::Register { .. } | FleetStep::Deregister { .. } | FleetStep::Tag { .. } => return None,
        FleetStep::Terminate { instances } => ("Terminated", "Terminate", named(instances)),
        FleetStep::Associate { instance, .. } => {
            ("Enrolled", "Associate", format!("{instance} has the node's instance profile"))
        }
        FleetStep::Disassociate { instance, .. } => (
            "Dismissed",
            "Disassociate",
            format!("{instance} does not have the node's instance profile any more"),
        ),
        FleetStep::DeleteTemplate { template } => ("LaunchTemplateDeleted", "Delete", template.clone()),
    };
    Some(Event { severity: Severity::Normal, reason: reason.to_owned(), action, message })
}

/// The Event about a launch that gave all instances, while EC2 could not launch in each pool that it tried.
fn beside(launch: &ZoneLaunch) -> Option<Event> {
    let message = format!("all {} instances were launched. EC2 also says: {}", launch.asked, launch.words());
    let reason = "LaunchedElsewhere".to_owned();
    let event = Event { severity: Severity::Normal, reason, action: "Launch", message };
    (!launch.is_short() && !launch.errors.is_empty()).then_some(event)
}

/// The Event about the last instance that ended after its launch, once: the outcome remembers it, and after a restart the condition.
fn died(decision: &FleetDecision, outcome: &FleetOutcome, input: &Input<'_>) -> Option<Event> {
    let deaths = decision.deaths.as_ref()?;
    let last = input.object.status.condition(ConditionType::FleetReady);
    let known = outcome.died.as_ref() == Some(&deaths.last)
        || last.is_some_and(|last| last.message.contains(&deaths.last));
    let reason = "DiedAtLaunch".to_owned();
    (!known).then(|| Event { severity: Severity::Warning, reason, action: "Launch", message: deaths.words() })
}

/// The Event about what somebody changed from outside.
fn mended(outcome: &FleetOutcome) -> Option<Event> {
    let mended: Vec<&str> = outcome.done.iter().filter_map(FleetStep::mends).collect();
    let message = format!("the fleet was changed outside of Kubernetes and put back: {}", mended.join("; "));
    let reason = "DriftMended".to_owned();
    let event = Event { severity: Severity::Warning, reason, action: "Mend", message };
    (!mended.is_empty()).then_some(event)
}

/// The Event about a newer version of the launch template, once: the condition remembers it.
fn ignored(decision: &FleetDecision, input: &Input<'_>, finding: &Finding) -> Option<Event> {
    let also = unused(decision);
    let last = input.object.status.condition(ConditionType::FleetReady);
    let known = last.is_some_and(|last| last.message.ends_with(&also));
    let message = also.trim_start_matches("; ").to_owned();
    let reason = "ForeignTemplateVersion".to_owned();
    let event = Event { severity: Severity::Warning, reason, action: "Compare", message };
    (!also.is_empty() && finding.message.ends_with(&also) && !known).then_some(event)
}
