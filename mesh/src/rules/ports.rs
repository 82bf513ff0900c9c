//! Ports and protocols agree between a route, its router and its targets. Pure.

use fleetmesh_api::urls::COMMITS;
use fleetmesh_model::common::{PortMapping, PortProtocol};
use fleetmesh_model::route::WeightedTarget;
use fleetmesh_model::{
    Collection, ResourceId, RouteSpec, Spec, Violation, VirtualNodeSpec, VirtualRouterSpec,
};

use crate::refusal::Refusal;
use crate::view::MeshView;

/// Refuses a route whose protocol or port its router does not listen on. AWS took such a route and dropped it without a word.
pub fn route_fits_router(mesh: &MeshView, id: &ResourceId, spec: &Spec) -> Result<(), Refusal> {
    let Spec::Route(route) = spec else { return Ok(()) };
    let router = id.parent().and_then(|parent| mesh.get(&parent));
    let Some(Spec::VirtualRouter(router)) = router.map(|record| &record.spec) else { return Ok(()) };
    match against_router(route, router) {
        Some(violation) => Err(Refusal::bad_request(violation.to_string())),
        None => Ok(()),
    }
}

/// Refuses a route whose targets' ports their nodes do not have.
pub fn route_fits_nodes(mesh: &MeshView, id: &ResourceId, spec: &Spec) -> Result<(), Refusal> {
    let Spec::Route(route) = spec else { return Ok(()) };
    let Some((_, member, action)) = route.action() else { return Ok(()) };
    for (index, target) in action.weighted_targets.iter().enumerate() {
        let node = mesh.get(&ResourceId::virtual_node(id.mesh_name(), &target.virtual_node));
        if let Some(Spec::VirtualNode(node)) = node.map(|record| &record.spec)
            && let Some(message) = against_node(target, node)
        {
            let path = format!("spec.{member}.action.weightedTargets[{index}].port");
            return Err(Refusal::bad_request(Violation::new(path, message).to_string()));
        }
    }
    Ok(())
}

/// Refuses a gateway route that names no port of a service whose provider has several. A provider that gets a second one later
/// refuses nobody: the first is meant then.
pub fn gateway_route_is_clear(mesh: &MeshView, id: &ResourceId, spec: &Spec) -> Result<(), Refusal> {
    let Spec::GatewayRoute(route) = spec else { return Ok(()) };
    let Some((_, member, target)) = route.target().filter(|(_, _, target)| target.port.is_none()) else {
        return Ok(());
    };
    let service = ResourceId::virtual_service(id.mesh_name(), &target.virtual_service.virtual_service_name);
    let Some(Spec::VirtualService(service)) = mesh.get(&service).map(|record| &record.spec) else {
        return Ok(());
    };
    let Some(provider) = &service.provider else { return Ok(()) };
    let provider = provider.resource(id.mesh_name());
    let ports = ports(mesh, &provider);
    if ports.len() < 2 {
        return Ok(());
    }
    let ports = ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let message = format!("is required, because {provider} has several listeners: {ports}");
    let path = format!("spec.{member}.action.target.port");
    Err(Refusal::bad_request(Violation::new(path, message).to_string()))
}

/// The ports that a virtual node or router listens on.
fn ports(mesh: &MeshView, provider: &ResourceId) -> Vec<i32> {
    match mesh.get(provider).map(|record| &record.spec) {
        Some(Spec::VirtualNode(node)) => {
            node.listeners().iter().map(|listener| listener.port_mapping.port).collect()
        }
        Some(Spec::VirtualRouter(router)) => {
            router.listeners().iter().map(|listener| listener.port_mapping.port).collect()
        }
        Some(
            Spec::Mesh(_)
            | Spec::Route(_)
            | Spec::VirtualService(_)
            | Spec::VirtualGateway(_)
            | Spec::GatewayRoute(_),
        )
        | None => Vec::new(),
    }
}

/// Refuses listeners of a router that a route of it does not fit.
pub fn routes_fit_router(mesh: &MeshView, id: &ResourceId, spec: &Spec) -> Result<(), Refusal> {
    let Spec::VirtualRouter(router) = spec else { return Ok(()) };
    for record in mesh.members(&Collection::routes(id.mesh_name(), id.name())) {
        if let Spec::Route(route) = &record.spec
            && let Some(violation) = against_router(route, router)
        {
            return Err(orphaned("spec.listeners", &record.id, &violation.to_string()));
        }
    }
    Ok(())
}

/// Refuses listeners of a node that a route to it does not fit.
pub fn routes_fit_node(mesh: &MeshView, id: &ResourceId, spec: &Spec) -> Result<(), Refusal> {
    let Spec::VirtualNode(node) = spec else { return Ok(()) };
    if mesh.get(id).is_none() {
        return Ok(());
    }
    for record in mesh.resources.values() {
        let Spec::Route(route) = &record.spec else { continue };
        let Some((_, member, action)) = route.action() else { continue };
        for (index, target) in action.weighted_targets.iter().enumerate() {
            if target.virtual_node == id.name()
                && let Some(message) = against_node(target, node)
            {
                let found = format!("spec.{member}.action.weightedTargets[{index}].port: {message}");
                return Err(orphaned("spec.listeners", &record.id, &found));
            }
        }
    }
    Ok(())
}

fn orphaned(path: &str, route: &ResourceId, found: &str) -> Refusal {
    Refusal::conflict(format!(
        "{path}: {route} would no longer fit ({found}); change both in one commit (POST {COMMITS}), as the operator does when both are \
         applied. One request at a time: name the port in the route's targets if they name none, add a listener on another port, change \
         the route to it, then remove the old listener"
    ))
}

/// What a route demands of its router that the router does not have. A router without listeners takes any route.
fn against_router(route: &RouteSpec, router: &VirtualRouterSpec) -> Option<Violation> {
    let (protocol, member, _) = route.action()?;
    let mappings: Vec<&PortMapping> =
        router.listeners().iter().map(|listener| &listener.port_mapping).collect();
    if mappings.is_empty() {
        return None;
    }
    let listeners = list(&mappings, |mapping| format!("{} on port {}", mapping.protocol, mapping.port));
    let Some(port) = route.match_port() else {
        let fits = mappings.iter().any(|mapping| mapping.protocol == protocol);
        let message = format!(
            "a route for {protocol} needs a listener for {protocol}, the virtual router has {listeners}"
        );
        return (!fits).then(|| Violation::new(format!("spec.{member}"), message));
    };
    let path = format!("spec.{member}.match.port");
    match mappings.iter().find(|mapping| mapping.port == port) {
        None => Some(Violation::new(
            path,
            format!("{port} is no port of the virtual router, which has {listeners}"),
        )),
        Some(mapping) if mapping.protocol != protocol => {
            Some(Violation::new(path, mismatch(protocol, mapping)))
        }
        Some(_) => None,
    }
}

fn mismatch(protocol: PortProtocol, mapping: &PortMapping) -> String {
    let PortMapping { port, protocol: listens } = mapping;
    format!("a route for {protocol} cannot match port {port}, where the virtual router listens for {listens}")
}

/// What a target's port demands of its node that the node does not have.
fn against_node(target: &WeightedTarget, node: &VirtualNodeSpec) -> Option<String> {
    let mappings: Vec<&PortMapping> =
        node.listeners().iter().map(|listener| &listener.port_mapping).collect();
    let ports = list(&mappings, |mapping| mapping.port.to_string());
    let name = &target.virtual_node;
    match target.port {
        None if mappings.len() > 1 => {
            Some(format!("is required, because the virtual node {name:?} has several listeners: {ports}"))
        }
        Some(port) if !mappings.iter().any(|mapping| mapping.port == port) => {
            Some(format!("{port} is no listener port of the virtual node {name:?}, which has {ports}"))
        }
        None | Some(_) => None,
    }
}

fn list(mappings: &[&PortMapping], show: impl Fn(&PortMapping) -> String) -> String {
    if mappings.is_empty() {
        return "none".into();
    }
    mappings.iter().map(|mapping| show(mapping)).collect::<Vec<_>>().join(", ")
}
