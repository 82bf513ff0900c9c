//! Where the routes of a virtual gateway lead, and the order in which they are tried. Pure.

use fleetmesh_model::common::PortProtocol;
use fleetmesh_model::tls::ClientPolicyTls;
use fleetmesh_model::virtual_gateway::VirtualGatewayPortMapping;
use fleetmesh_model::virtual_service::VirtualServiceProvider;
use fleetmesh_model::{GatewayRouteSpec, VirtualGatewaySpec, VirtualServiceSpec};

use super::egress::{self, Service};
use super::inputs::{FoundInput, Reader};
use super::order;

/// A route of a gateway and where it leads.
pub(super) struct Lead<'a> {
    pub(super) source: FoundInput<'a, GatewayRouteSpec>,
    /// The service on the port that is meant, or why there is none.
    pub(super) service: Result<Service<'a>, NoWay>,
}

/// Why a gateway route leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NoWay {
    /// The virtual service has no provider.
    NoProvider(String),
    /// The virtual service answers on no port that could be meant.
    NoPort(String),
}

impl std::fmt::Display for NoWay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoProvider(service) => write!(f, "virtual service {service:?} has no provider"),
            Self::NoPort(reason) => f.write_str(reason),
        }
    }
}

/// The client policy of a gateway.
pub(super) fn policy(gateway: &VirtualGatewaySpec) -> Option<&ClientPolicyTls> {
    gateway.backend_defaults.as_ref()?.client_policy.as_ref()?.tls.as_ref()
}

/// Where `route` leads with this client policy: the service on the target's port, or on the first that speaks HTTP when it
/// names none.
pub(super) fn service<'a>(
    reader: &Reader<'a>,
    route: &'a GatewayRouteSpec,
    policy: Option<&'a ClientPolicyTls>,
) -> Result<Service<'a>, NoWay> {
    let Some((_, _, target)) = route.target() else { return Err(NoWay::NoPort("no protocol is set".into())) };
    let name = target.virtual_service.virtual_service_name.as_str();
    let missing = || NoWay::NoPort(format!("virtual service {name:?} does not exist"));
    let found = reader.virtual_service(name).ok_or_else(missing)?;
    if found.spec.provider.is_none() {
        return Err(NoWay::NoProvider(name.to_owned()));
    }
    let mut offers = egress::offers(reader, found, policy);
    let speaks_http = |service: &Service<'_>| service.protocol != PortProtocol::Tcp;
    let chosen = match target.port {
        Some(port) => offers.iter().position(|(offered, _)| *offered == port),
        None => offers.iter().position(|(_, service)| speaks_http(service)),
    };
    match (chosen.map(|at| offers.swap_remove(at).1), target.port) {
        (Some(service), _) if speaks_http(&service) => Ok(service),
        (_, Some(port)) => {
            Err(NoWay::NoPort(format!("virtual service {name:?} speaks no HTTP on port {port}")))
        }
        (_, None) => Err(NoWay::NoPort(format!(
            "virtual service {name:?} speaks HTTP on no port{}",
            provider(found.spec)
        ))),
    }
}

fn provider(spec: &VirtualServiceSpec) -> String {
    match &spec.provider {
        Some(VirtualServiceProvider::VirtualNode(node)) => {
            format!(
                ": virtual node {:?} has no listener for it, or no serviceDiscovery",
                node.virtual_node_name
            )
        }
        Some(VirtualServiceProvider::VirtualRouter(router)) => {
            format!(": virtual router {:?} has no listener for it", router.virtual_router_name)
        }
        None => String::new(),
    }
}

/// Whether a gateway route is for a listener of its gateway: the same protocol, and no other port.
pub(super) fn serves(route: &GatewayRouteSpec, mapping: VirtualGatewayPortMapping) -> bool {
    let protocol = PortProtocol::from(mapping.protocol);
    route.target().is_some_and(|(of, _, _)| of == protocol)
        && route.match_port().is_none_or(|only| only == mapping.port)
}

/// The routes of `gateway` in the order in which they are tried.
pub(super) fn leads<'a>(reader: &Reader<'a>, gateway: FoundInput<'a, VirtualGatewaySpec>) -> Vec<Lead<'a>> {
    let mut routes = reader.gateway_routes(gateway.record.id.name());
    routes.sort_by_cached_key(|route| order::gateway_key(route.record.id.name(), route.spec));
    let policy = policy(gateway.spec);
    let lead = |route: FoundInput<'a, GatewayRouteSpec>| {
        let reader = towards(reader, route.spec);
        let source = as_it_was(&reader, gateway, route.record.id.name()).unwrap_or(route);
        Lead { source, service: service(&reader, source.spec, policy) }
    };
    routes.into_iter().map(lead).collect()
}

/// A reader of the view in which callers get what `route` leads to.
fn towards<'a>(reader: &Reader<'a>, route: &GatewayRouteSpec) -> Reader<'a> {
    let name = route.target().map(|(_, _, target)| target.virtual_service.virtual_service_name.as_str());
    reader.towards(name.unwrap_or_default())
}

/// The route `name` in an earlier view, if `reader` has one and a listener of `gateway` still serves it. It fits the service
/// as that was then.
fn as_it_was<'a>(
    reader: &Reader<'a>,
    gateway: FoundInput<'a, VirtualGatewaySpec>,
    name: &str,
) -> Option<FoundInput<'a, GatewayRouteSpec>> {
    let route =
        reader.is_earlier().then(|| reader.gateway_route(gateway.record.id.name(), name)).flatten()?;
    let mut listeners = gateway.spec.listeners.iter();
    listeners.any(|listener| serves(route.spec, listener.port_mapping)).then_some(route)
}
