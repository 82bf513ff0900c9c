//! What is stored but changes nothing in Envoy: members without a mapping yet, and what cannot be served because of
//! what other objects say. Pure.
//!
//! Every struct with an unmapped member is taken apart without `..`, so a new member fails to compile until it is
//! either mapped or named here.

use fleetmesh_api::distribution::unserved_because;
use fleetmesh_model::listener::Listener;
use fleetmesh_model::service_discovery::ServiceDiscovery;
use fleetmesh_model::virtual_node::{BackendDefaults, VirtualServiceBackend};
use fleetmesh_model::virtual_service::VirtualServiceProvider;
use fleetmesh_model::{RouteSpec, Spec, VirtualNodeSpec, VirtualServiceSpec};

use super::egress::{egress, serves};
use super::endpoint::endpoint;
use super::health_check;
use super::inputs::{Ground, Reader};
use crate::cloud_map::{Discovered, ServiceName};
use crate::view::{MeshView, Record};

/// What of `record` is not served: the path of each member without a mapping, and `path: reason` where other objects
/// of `view` stand in the way, or Cloud Map failed to discover a service that it never discovered before. In the order of the spec; empty when all of it is served.
pub fn unserved(view: &MeshView, discovered: &Discovered, record: &Record) -> Vec<String> {
    grounded_unserved(view, discovered, record).0
}

/// The same as [`unserved`], and what it was worked out from besides `record`: as long as none of that changes, it stays.
pub fn grounded_unserved(
    view: &MeshView,
    discovered: &Discovered,
    record: &Record,
) -> (Vec<String>, Vec<Ground>) {
    let reader = Reader::new(view, discovered, record.id.mesh_name());
    let paths = match &record.spec {
        Spec::Mesh(_) | Spec::VirtualRouter(_) => Vec::new(),
        Spec::VirtualNode(spec) => virtual_node(&reader, spec),
        Spec::Route(spec) => {
            let router = record.id.parent();
            route(&reader, router.as_ref().map_or("", |router| router.name()), spec)
        }
        Spec::VirtualService(spec) => virtual_service(&reader, spec),
    };
    (paths, reader.into_inputs().into_grounds())
}

fn virtual_node(reader: &Reader<'_>, spec: &VirtualNodeSpec) -> Vec<String> {
    let VirtualNodeSpec { backend_defaults, backends: _, listeners: _, logging: _, service_discovery } = spec;
    let mut found = Vec::new();
    if let Some(BackendDefaults { client_policy: Some(_) }) = backend_defaults {
        found.push("spec.backendDefaults.clientPolicy".to_owned());
    }
    for (index, backend) in spec.backends().enumerate() {
        let VirtualServiceBackend { client_policy, virtual_service_name: _ } = backend;
        if client_policy.is_some() {
            found.push(format!("spec.backends[{index}].virtualService.clientPolicy"));
        }
    }
    for conflict in egress(reader, spec).conflicts {
        let path = format!("spec.backends[{}].virtualService.virtualServiceName", conflict.backend);
        found.push(unserved_because(&path, &conflict.reason));
    }
    for (index, listener) in spec.listeners().iter().enumerate() {
        listener_members(&format!("spec.listeners[{index}]"), listener, &mut found);
    }
    if let Some(ServiceDiscovery::AwsCloudMap(cloud_map)) = service_discovery {
        let service = ServiceName::of(cloud_map);
        if let Some(reason) = reader.discovery_failure(&service) {
            let reason = format!("{service} was never discovered: {reason}");
            found.push(unserved_because("spec.serviceDiscovery.awsCloudMap", &reason));
        }
    }
    found
}

fn listener_members(path: &str, listener: &Listener, found: &mut Vec<String>) {
    let Listener { connection_pool: _, health_check, outlier_detection: _, port_mapping, timeout: _, tls } =
        listener;
    if health_check.is_some() && !health_check::is_possible(listener) {
        let protocol = port_mapping.protocol;
        let reason = format!("a grpc check needs a grpc or http2 listener, not {protocol}");
        found.push(unserved_because(&format!("{path}.healthCheck"), &reason));
    }
    if tls.is_some() {
        found.push(format!("{path}.tls"));
    }
}

fn route(reader: &Reader<'_>, router: &str, spec: &RouteSpec) -> Vec<String> {
    let Some((protocol, member, action)) = spec.action() else { return Vec::new() };
    let mut found = Vec::new();
    if let Some(router) = reader.virtual_router(router) {
        let mut mappings = router.spec.listeners().iter().map(|listener| &listener.port_mapping);
        if !mappings.any(|mapping| serves(spec, mapping.port, mapping.protocol)) {
            let port = spec.match_port().map_or_else(String::new, |port| format!(" on port {port}"));
            let reason = format!("the virtual router has no {protocol} listener{port}");
            found.push(unserved_because(&format!("spec.{member}"), &reason));
        }
    }
    for (index, target) in action.weighted_targets.iter().enumerate() {
        if let Err(reason) = endpoint(reader, &target.virtual_node, target.port) {
            let path = format!("spec.{member}.action.weightedTargets[{index}]");
            found.push(unserved_because(&path, &reason));
        }
    }
    found
}

fn virtual_service(reader: &Reader<'_>, spec: &VirtualServiceSpec) -> Vec<String> {
    let Some(VirtualServiceProvider::VirtualNode(provider)) = &spec.provider else { return Vec::new() };
    let reached = endpoint(reader, &provider.virtual_node_name, None);
    let because = |reason| unserved_because("spec.provider.virtualNode.virtualNodeName", reason);
    reached.err().map(because).into_iter().collect()
}
