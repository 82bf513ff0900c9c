//! Tags that somebody removed from an instance, or changed: they are restored. Pure.

use fleetmesh_model::tag::Tags;

use super::decision::Input;
use super::observed::{Instance, ObservedFleet};
use super::plan::FleetStep;
use crate::event::{Event, Severity};
use crate::owner::{Owner, owner_tags};

/// The steps that put back the tags of the instances that were launched: those by which we know them, and for an instance
/// of the version `hash` also those that the spec wants. Others' tags stay.
pub(super) fn steps(observed: &ObservedFleet, input: &Input<'_>, hash: Option<&String>) -> Vec<FleetStep> {
    let live = observed.instances.iter().filter(|instance| instance.state.is_live());
    let step = |instance: &Instance| {
        let mut wanted = if instance.holds(hash) { input.tags() } else { Tags::new() };
        wanted.extend(instance.marks.clone());
        wanted.extend(owner_tags(input.object, input.cluster));
        self::step(&instance.id, &wanted, &instance.tags, true)
    };
    live.filter_map(step).collect()
}

/// The step that sets what of `wanted` is not among the tags `found` of `resource`; `drift` says that it was before.
pub(super) fn step(resource: &str, wanted: &Tags, found: &Tags, drift: bool) -> Option<FleetStep> {
    let missing = wanted.iter().filter(|(key, value)| found.get(*key) != Some(*value));
    let tags: Tags = missing.map(|(key, value)| (key.clone(), value.clone())).collect();
    if tags.is_empty() {
        return None;
    }
    let keys: Vec<&str> = tags.keys().map(String::as_str).collect();
    let mends = drift.then(|| format!("tags {} of {resource}", keys.join(", ")));
    Some(FleetStep::Tag { resource: resource.to_owned(), tags, mends })
}

/// The Events about instances that are tagged as another's now.
pub(super) fn taken(observed: &ObservedFleet) -> Vec<Event> {
    let notice = |instance: &Instance| Event {
        severity: Severity::Warning,
        reason: "NotOwned".to_owned(),
        action: "Compare",
        message: format!(
            "the tags of {} were changed outside of Kubernetes: {}. It does not count any more and is left alone",
            instance.id,
            Owner::of(&instance.tags)
        ),
    };
    observed.taken.iter().map(notice).collect()
}
