//! Registration in Cloud Map: an instance is registered from when it serves until before it is terminated. Pure.

use fleetmesh_api::tags::{OWNER_UID_TAG, TAG_PREFIX};
use fleetmesh_model::Spec;
use fleetmesh_model::service_discovery::{AwsCloudMapServiceDiscovery, ServiceDiscovery};
use fleetmesh_model::tag::Tags;

use super::observed::{Instance, ObservedFleet, Registered};
use super::plan::FleetStep;
use super::scale::{FleetMember, Stage};
use crate::object::Object;

/// How a node is discovered in Cloud Map; `None` when it is not.
pub fn discovery(object: &Object) -> Option<&AwsCloudMapServiceDiscovery> {
    match object.effective_spec.service_discovery()? {
        ServiceDiscovery::AwsCloudMap(discovery) => Some(discovery),
        ServiceDiscovery::Dns(_) => None,
    }
}

/// The first attribute that is not the node's to set, with its index: AWS's own, by which Cloud Map answers, and ours.
pub fn reserved(discovery: &AwsCloudMapServiceDiscovery) -> Option<(usize, &str)> {
    let keys = discovery.attributes.iter().flatten().map(|attribute| attribute.key.as_str());
    keys.enumerate().find(|(_, key)| is_reserved(key))
}

fn is_reserved(key: &str) -> bool {
    key.starts_with("AWS_") || key.starts_with(TAG_PREFIX)
}

/// The steps that register those of `members` that serve and are not found yet, and take out what does not live any more
/// or is being drained.
pub(super) fn register(
    observed: &ObservedFleet,
    members: &[FleetMember<'_>],
    object: &Object,
) -> Vec<FleetStep> {
    let (Some(discovery), Some(registered)) = (discovery(object), &observed.registered) else {
        return Vec::new();
    };
    let joins = members.iter().filter(|member| {
        member.serves == Stage::Ready && observed.is_registered(member.instance) == Some(false)
    });
    let joins = joins.map(|member| FleetStep::Register {
        service: registered.service.clone(),
        instance: member.instance.id.clone(),
        attributes: attributes(member.instance, discovery, object),
    });
    joins.chain(deregister(observed, &[])).collect()
}

/// The steps that take out of Cloud Map: `more`, and what does not live any more or is being drained.
pub(super) fn deregister(observed: &ObservedFleet, more: &[String]) -> Vec<FleetStep> {
    let stays = |id: &String| {
        let instance = observed.instances.iter().find(|instance| instance.id == *id);
        instance.is_some_and(|instance| instance.state.is_live() && instance.draining_since.is_none())
    };
    steps(observed, |id| if more.is_empty() { !stays(id) } else { more.contains(id) })
}

/// The steps that take everything out of Cloud Map.
pub(super) fn leave(observed: &ObservedFleet) -> Vec<FleetStep> {
    steps(observed, |_| true)
}

/// The steps that take out those that are `leaving`.
fn steps(observed: &ObservedFleet, leaving: impl Fn(&String) -> bool) -> Vec<FleetStep> {
    let Some(Registered { service, instances }) = &observed.registered else { return Vec::new() };
    let leaving = instances.iter().filter(|id| leaving(id));
    leaving.map(|id| FleetStep::Deregister { service: service.clone(), instance: id.clone() }).collect()
}

/// The attributes of an instance: its addresses and port as Cloud Map words them, those that the node's own discovery
/// selects by, and whose the registration is.
fn attributes(instance: &Instance, discovery: &AwsCloudMapServiceDiscovery, object: &Object) -> Tags {
    let mut attributes = Tags::new();
    for attribute in discovery.attributes.iter().flatten().filter(|attribute| !is_reserved(&attribute.key)) {
        attributes.insert(attribute.key.clone(), attribute.value.clone());
    }
    let port = if let Spec::VirtualNode(node) = &object.effective_spec {
        node.listeners().first().map(|listener| listener.port_mapping.port)
    } else {
        None
    };
    let own = [
        ("AWS_INSTANCE_IPV4", instance.ipv4.clone()),
        ("AWS_INSTANCE_IPV6", instance.ipv6.clone()),
        ("AWS_INSTANCE_PORT", port.map(|port| port.to_string())),
        (OWNER_UID_TAG, Some(object.uid.clone())),
    ];
    attributes.extend(own.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
    attributes
}
