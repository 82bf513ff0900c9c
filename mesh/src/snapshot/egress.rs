//! What a node may call, worked out from its backends: per port, which services answer there and where their traffic
//! goes. Pure.
//!
//! Only what `backends` names is looked at; that scoping is what scales. The rules:
//! - A backend whose virtual service does not exist adds nothing until it does.
//! - http, http2 and grpc share a port: Envoy recognises the version per connection, and the Host header selects
//!   the service. Of two whose names are one host, one with the port and one without, the first gets what names the port, which a
//!   [`note`](super::note) says.
//! - tcp distinguishes services by nothing but the port. So a port belongs to one tcp service, or to any number of HTTP
//!   ones; the first in the order of `backends` gets it, and each later one is a [`Conflict`]. What of the port the tcp service takes
//!   is in [`tcp_port`](super::tcp_port). A later tcp service takes connections to its [virtual address](super::virtual_address) alone.
//! - How connections are made is the backend's business (its client policy): a port of a node that is reached in several ways
//!   has a cluster for each. What must not be reached at all is reached by nothing else.
//! - DNS names have no case: two services whose names differ in case only conflict as well.

use std::collections::{BTreeMap, BTreeSet};

use fleetmesh_api::services::resolved_name;
use fleetmesh_model::common::PortProtocol;
use fleetmesh_model::mesh::EgressFilterType;
use fleetmesh_model::service_discovery::ServiceDiscovery;
use fleetmesh_model::tls::{ClientPolicy, ClientPolicyTls};
use fleetmesh_model::virtual_node::BackendDefaults;
use fleetmesh_model::virtual_service::VirtualServiceProvider;
use fleetmesh_model::{MeshSpec, ResourceId, RouteSpec, VirtualNodeSpec, VirtualServiceSpec};

use super::endpoint::{Endpoint, Target, endpoint};
use super::inputs::{FoundInput, Reader};
use super::order;
use super::refused::{self, Fate};
use super::tls::{self, ClientTls};

/// What a node may call.
#[derive(Debug, Default)]
pub(super) struct Egress<'a> {
    /// By port of the callers' requests.
    pub(super) ports: BTreeMap<i32, Port<'a>>,
    /// The tcp services whose port is another one's, by port and in the order of `backends`.
    pub(super) apart: Vec<(i32, Service<'a>)>,
    /// Backends that exist but have no provider: they route nowhere.
    pub(super) nowhere: Vec<&'a str>,
    /// Backends that are not served on some port.
    pub(super) conflicts: Vec<Conflict>,
}

/// The services on a port.
#[derive(Debug)]
pub(super) enum Port<'a> {
    /// HTTP of any version, distinguished by host.
    Http(Vec<Service<'a>>),
    /// Anything else, all to one service.
    Tcp(Service<'a>),
}

/// A virtual service on one port.
#[derive(Debug)]
pub(super) struct Service<'a> {
    pub(super) name: &'a str,
    pub(super) protocol: PortProtocol,
    /// In the order in which they are tried.
    pub(super) routes: Vec<Route<'a>>,
    /// The service, its provider and its routes.
    pub(super) objects: BTreeSet<ResourceId>,
}

/// Where requests of a service go.
#[derive(Debug)]
pub(super) struct Route<'a> {
    /// The App Mesh route; `None` when a virtual node provides the service.
    pub(super) source: Option<FoundInput<'a, RouteSpec>>,
    /// The targets that can be reached, with their weights.
    pub(super) targets: Vec<(Target<'a>, u32)>,
    /// Where those are that must not be reached, because what is to be trusted there cannot be had.
    pub(super) closed: Vec<&'a ServiceDiscovery>,
}

impl<'a> Service<'a> {
    /// Where its targets are, those that must not be reached included: what goes there is meant for the service all the same.
    pub(super) fn discoveries(&self) -> impl Iterator<Item = &'a ServiceDiscovery> {
        self.routes.iter().flat_map(|route| {
            let reached = route.targets.iter().map(|(target, _)| target.endpoint.discovery);
            reached.chain(route.closed.iter().copied())
        })
    }
}

/// A backend that a port cannot serve, because another one has it.
#[derive(Debug)]
pub(super) struct Conflict {
    /// Its place in `backends`.
    pub(super) backend: usize,
    /// Which port, and who has it.
    pub(super) reason: String,
    /// Whether it is served at its virtual address all the same.
    pub(super) apart: bool,
}

/// Works out what `node` may call.
pub(super) fn egress<'a>(reader: &Reader<'a>, node: &'a VirtualNodeSpec) -> Egress<'a> {
    let mut egress = Egress::default();
    let mut taken: BTreeMap<String, &str> = BTreeMap::new();
    let defaults = default_policy(node);
    for (backend, named) in node.backends().enumerate() {
        let name = named.virtual_service_name.as_str();
        let reader = reader.towards(name);
        let Some(service) = reader.virtual_service(name) else { continue };
        match taken.insert(name.to_ascii_lowercase(), name) {
            None => {
                let policy = tls::effective(named.client_policy.as_ref(), defaults);
                egress.add(&reader, backend, service, policy);
            }
            Some(same) if same == name => {}
            Some(other) => {
                let reason = format!("{other:?} has the name already: DNS names have no case");
                egress.conflicts.push(Conflict { backend, reason, apart: false });
            }
        }
    }
    egress.separate();
    egress
}

/// Whether `mesh` lets through what is no backend; App Mesh's default is to drop it.
pub(super) fn allows_all(mesh: &MeshSpec) -> bool {
    mesh.egress_filter.as_ref().is_some_and(|filter| filter.kind == EgressFilterType::AllowAll)
}

/// The client policy for backends that have none of their own.
pub(super) fn default_policy(node: &VirtualNodeSpec) -> Option<&ClientPolicy> {
    let BackendDefaults { client_policy } = node.backend_defaults.as_ref()?;
    client_policy.as_ref()
}

impl<'a> Egress<'a> {
    /// The tcp services, each on a port: those that have it first.
    pub(super) fn tcp(&self) -> impl Iterator<Item = (i32, &Service<'a>)> {
        let of_ports = self.ports.iter().filter_map(|(port, services)| match services {
            Port::Http(_) => None,
            Port::Tcp(service) => Some((*port, service)),
        });
        of_ports.chain(self.apart.iter().map(|(port, service)| (*port, service)))
    }

    /// Every target that some route leads to.
    pub(super) fn targets(&self) -> impl Iterator<Item = &Target<'a>> {
        let services = self.ports.values().flat_map(|port| match port {
            Port::Http(services) => services.iter().collect::<Vec<_>>(),
            Port::Tcp(service) => vec![service],
        });
        services
            .chain(self.apart.iter().map(|(_, service)| service))
            .flat_map(|service| &service.routes)
            .flat_map(|route| &route.targets)
            .map(|(target, _)| target)
    }

    /// Gives each way in which an endpoint is reached a cluster of its own, where there are several.
    fn separate(&mut self) {
        let mut ways: BTreeMap<String, ClientTls<'a>> = BTreeMap::new();
        let mut several: BTreeSet<String> = BTreeSet::new();
        for target in self.targets() {
            let name = target.cluster();
            if *ways.entry(name.clone()).or_insert(target.tls) != target.tls {
                several.insert(name);
            }
        }
        if several.is_empty() {
            return;
        }
        let services = self.ports.values_mut().flat_map(|port| match port {
            Port::Http(services) => services.iter_mut().collect::<Vec<_>>(),
            Port::Tcp(service) => vec![service],
        });
        let services = services.chain(self.apart.iter_mut().map(|(_, service)| service));
        for (target, _) in
            services.flat_map(|service| &mut service.routes).flat_map(|route| &mut route.targets)
        {
            target.apart = several.contains(&target.cluster());
        }
    }

    fn add(
        &mut self,
        reader: &Reader<'a>,
        backend: usize,
        service: FoundInput<'a, VirtualServiceSpec>,
        policy: Option<&'a ClientPolicyTls>,
    ) {
        let offers = offers(reader, service, policy);
        if offers.is_empty() && service.spec.provider.is_none() {
            self.nowhere.push(service.record.id.name());
        }
        for (port, offer) in offers {
            if let Err(reason) = self.admits(port, &offer) {
                let apart = offer.protocol == PortProtocol::Tcp && self.is_apart(port, offer.name);
                if apart {
                    self.apart.push((port, offer));
                }
                self.conflicts.push(Conflict { backend, reason, apart });
            } else if let Some(Port::Http(services)) = self.ports.get_mut(&port) {
                services.push(offer);
            } else {
                let tcp = offer.protocol == PortProtocol::Tcp;
                self.ports.insert(port, if tcp { Port::Tcp(offer) } else { Port::Http(vec![offer]) });
            }
        }
    }

    /// Whether the tcp service `name` has an address of its own on `port`: `db.local` and `db.local:5432` have the same.
    fn is_apart(&self, port: i32, name: &str) -> bool {
        let mut others = self.tcp().filter(|(of, _)| *of == port).map(|(_, other)| resolved_name(other.name));
        resolved_name(name).is_some_and(|name| others.all(|other| other.as_ref() != Some(&name)))
    }

    /// Whether `offer` gets `port`, alone or beside those that have it; in words, who has it, when it does not.
    fn admits(&self, port: i32, offer: &Service<'a>) -> Result<(), String> {
        let tcp = offer.protocol == PortProtocol::Tcp;
        match self.ports.get(&port) {
            None => Ok(()),
            Some(Port::Http(_)) if !tcp => Ok(()),
            Some(Port::Http(services)) => {
                let holder = services.first().map_or("", |service| service.name);
                Err(format!("port {port} speaks HTTP for {holder:?} already, so it cannot be tcp"))
            }
            Some(Port::Tcp(holder)) => Err(format!(
                "port {port} belongs to the tcp service {:?}, which takes all of it",
                holder.name
            )),
        }
    }
}

/// The ports on which `service` answers.
pub(super) fn offers<'a>(
    reader: &Reader<'a>,
    service: FoundInput<'a, VirtualServiceSpec>,
    policy: Option<&'a ClientPolicyTls>,
) -> Vec<(i32, Service<'a>)> {
    let name = service.record.id.name();
    let own = BTreeSet::from([service.record.id.clone()]);
    match &service.spec.provider {
        None => Vec::new(),
        Some(VirtualServiceProvider::VirtualNode(provider)) => {
            let Some(node) = reader.virtual_node(&provider.virtual_node_name) else { return Vec::new() };
            let ports = node.spec.listeners().iter().map(|listener| listener.port_mapping.port);
            let reached =
                ports.filter_map(|port| endpoint(reader, &provider.virtual_node_name, Some(port)).ok());
            reached.map(|reached| (reached.port(), direct(reader, name, &own, reached, policy))).collect()
        }
        Some(VirtualServiceProvider::VirtualRouter(provider)) => {
            let Some(router) = reader.virtual_router(&provider.virtual_router_name) else {
                return Vec::new();
            };
            let mut objects = own;
            objects.insert(router.record.id.clone());
            let routes = reader.routes(&provider.virtual_router_name);
            let listeners = router.spec.listeners().iter().map(|listener| &listener.port_mapping);
            listeners
                .map(|mapping| {
                    let (port, protocol) = (mapping.port, mapping.protocol);
                    (port, routed(reader, name, &objects, &routes, (port, protocol), policy))
                })
                .collect()
        }
    }
}

fn direct<'a>(
    reader: &Reader<'a>,
    name: &'a str,
    objects: &BTreeSet<ResourceId>,
    reached: Endpoint<'a>,
    policy: Option<&'a ClientPolicyTls>,
) -> Service<'a> {
    let mut objects = objects.clone();
    objects.insert(reached.node.record.id.clone());
    let routes = vec![Route::new(reader, None, [(reached, 1)], policy)];
    Service { name, protocol: reached.protocol(), routes, objects }
}

fn routed<'a>(
    reader: &Reader<'a>,
    name: &'a str,
    objects: &BTreeSet<ResourceId>,
    routes: &[FoundInput<'a, RouteSpec>],
    (port, protocol): (i32, PortProtocol),
    policy: Option<&'a ClientPolicyTls>,
) -> Service<'a> {
    let mut objects = objects.clone();
    let mut fitting: Vec<_> =
        routes.iter().filter(|route| serves(route.spec, port, protocol)).copied().collect();
    fitting.sort_by_cached_key(|route| order::key(route.record.id.name(), route.spec));
    objects.extend(fitting.iter().map(|route| route.record.id.clone()));
    let routes =
        fitting.into_iter().map(|route| Route::new(reader, Some(route), endpoints(reader, route), policy));
    Service { name, protocol, routes: routes.collect(), objects }
}

/// Whether a route is for a listener of its router: the same protocol, and no other port.
pub(super) fn serves(route: &RouteSpec, port: i32, protocol: PortProtocol) -> bool {
    route.action().is_some_and(|(of, _, _)| of == protocol)
        && route.match_port().is_none_or(|only| only == port)
}

/// The endpoints of a route that is not closed, with their weights. One that does not exist is left out, so that its share goes to the others and
/// not into an error; `unserved` reports it.
fn endpoints<'a>(reader: &Reader<'a>, route: FoundInput<'a, RouteSpec>) -> Vec<(Endpoint<'a>, u32)> {
    if refused::fate(&route.record.spec) == Fate::Closed {
        return Vec::new();
    }
    let weighted = route.spec.action().map_or(&[][..], |(_, _, action)| &action.weighted_targets);
    let found = weighted.iter().filter_map(|target| {
        let weight = u32::try_from(target.weight).unwrap_or(0);
        Some((endpoint(reader, &target.virtual_node, target.port).ok()?, weight))
    });
    found.collect()
}

impl<'a> Route<'a> {
    /// A route to `endpoints`, whose share goes to the others where a client with `policy` must not reach one.
    fn new(
        reader: &Reader<'a>,
        source: Option<FoundInput<'a, RouteSpec>>,
        endpoints: impl IntoIterator<Item = (Endpoint<'a>, u32)>,
        policy: Option<&'a ClientPolicyTls>,
    ) -> Self {
        let mut route = Self { source, targets: Vec::new(), closed: Vec::new() };
        for (endpoint, weight) in endpoints {
            match Target::new(reader, endpoint, policy) {
                Some(target) => route.targets.push((target, weight)),
                None => route.closed.push(endpoint.discovery),
            }
        }
        route
    }
}
