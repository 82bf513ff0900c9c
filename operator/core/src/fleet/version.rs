//! The launch template, and the version of it that instances are launched from. Pure.
//!
//! A version is identified by its description, which contains the hash of its content: other versions that somebody adds to the
//! template do not matter, and neither do the version numbers, which start anew with another template.

use fleetmesh_api::tags::OWNER_UID_TAG;
use fleetmesh_crds::Reason;
use fleetmesh_model::tag::Tags;

use super::decision::{FleetDecision, Input};
use super::observed::{ObservedFleet, Template, Version};
use super::plan::FleetStep;
use super::template::{self, TemplateContent};
use super::user_data;
use crate::object::Object;
use crate::owner::{Owner, owns};
use crate::token::digest;

/// Chooses the version that holds `content`, or makes one; and makes it the default, which a person who launches by hand
/// gets.
pub(super) fn choose(observed: &ObservedFleet, input: &Input<'_>, content: TemplateContent) -> FleetDecision {
    let mut decision = FleetDecision::default();
    let hash = content.hash();
    let template = observed.template.as_ref();
    if let Some((template, version)) =
        template.and_then(|template| Some((template, template.holding(&hash)?)))
    {
        adopt(&mut decision, template, version);
        if template.default_version != version.number {
            decision.steps.push(FleetStep::SetDefaultVersion {
                template: template.id.clone(),
                version: version.number,
                before: template.default_version,
            });
        }
        return decision;
    }
    let Some(fleet) = input.object.fleet() else { return decision };
    match user_data::render(input.object, fleet, input.place) {
        Ok(user_data) => decision.steps.push(make(input, template, content, user_data)),
        // What runs goes on as it is, and is scaled and replaced from the version that there is.
        Err(message) => {
            decision.refused = Some((Reason::InvalidSpec, message));
            let found = template.and_then(|template| Some((template, reported(template, input.object)?)));
            if let Some((template, version)) = found {
                adopt(&mut decision, template, version);
            }
        }
    }
    decision
}

fn adopt(decision: &mut FleetDecision, template: &Template, version: &Version) {
    decision.version = Some(version.number);
    decision.hash = version.hash();
    decision.unused = template.newest().map(|newest| newest.number).filter(|newest| *newest > version.number);
}

/// The version that the last report names, or else the newest; one without a description is not ours.
fn reported<'a>(template: &'a Template, object: &Object) -> Option<&'a Version> {
    let number = object.status.fleet().and_then(|status| status.template_version);
    let reported = template.versions.iter().find(|version| Some(version.number) == number);
    reported.or_else(|| template.newest()).filter(|version| version.description.is_some())
}

/// The step that makes the launch template, or a new version of it. A client token is for one making only: what was
/// deleted since is made again under another one.
fn make(
    input: &Input<'_>,
    template: Option<&Template>,
    content: TemplateContent,
    user_data: String,
) -> FleetStep {
    let object = input.object;
    let status = object.status.fleet();
    let hash = content.hash();
    match template {
        None => {
            let former = status.and_then(|status| status.launch_template_id.as_deref());
            let token = digest(&[&object.uid, "template", former.unwrap_or_default(), &hash]);
            let mends = former.map(|id| format!("the launch template {id} was deleted"));
            let (name, tags) = (template::name(&object.id), content.tags.clone());
            FleetStep::CreateTemplate { name, content, user_data, tags, token, mends }
        }
        Some(template) => {
            let newest = template.newest().map_or(0, |newest| newest.number);
            let former = status.and_then(|status| status.template_version).unwrap_or_default();
            let parts = [&object.uid, "version", &newest.to_string(), &former.to_string(), &hash];
            let gone = object.reported() && template.versions.iter().all(|version| version.number != former);
            let mends =
                (gone && former > 0).then(|| format!("version {former} of the launch template was deleted"));
            FleetStep::CreateVersion {
                template: template.id.clone(),
                content,
                user_data,
                token: digest(&parts),
                mends,
            }
        }
    }
}

/// Whether the launch template is `object`'s: its tags say so, or they say nothing and the last report knows it.
pub(super) fn is_ours(template: &Template, object: &Object) -> bool {
    let status = object.status.fleet();
    let known = status.and_then(|status| status.launch_template_id.as_ref()) == Some(&template.id);
    owns(object, &template.tags) || (known && !template.tags.contains_key(OWNER_UID_TAG))
}

/// A launch template of our name that is not ours.
pub(super) fn foreign(observed: &ObservedFleet, object: &Object) -> Option<String> {
    let template = observed.template.as_ref().filter(|template| !is_ours(template, object))?;
    Some(format!(
        "the launch template {} ({}) exists and is not this resource's: {}. Delete it, or rename the virtual node",
        template::name(&object.id),
        template.id,
        Owner::of(&template.tags)
    ))
}

/// The step that puts back what the launch template lost of its tags, or gives it those that the spec wants now.
/// `wanted` are all of them.
pub(super) fn tagging(observed: &ObservedFleet, input: &Input<'_>, wanted: &Tags) -> Option<FleetStep> {
    let template = observed.template.as_ref()?;
    super::tagging::step(&template.id, wanted, &template.tags, input.object.reported())
}
