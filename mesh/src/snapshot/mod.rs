//! Snapshots: what the proxies of one virtual node or gateway are to run, worked out from a view of its mesh. Pure: no I/O,
//! clock, environment or randomness, and the same input gives the same bytes in every process.
//!
//! `MeshView + Discovered + virtual node → egress (what it may call) → clusters, endpoints, listeners, routes → Snapshot`
//!
//! Guarantees: every cluster that a listener or route refers to is in the snapshot, and so is every route
//! configuration that a listener asks for. Members of a spec that have no Envoy mapping yet change nothing here and
//! are named by [`unserved`], as is what an earlier release stored and today's rules refuse.

mod access_log;
mod assignment;
mod cluster;
mod dns;
mod egress;
mod endpoint;
mod filter;
mod gateway;
mod gateway_hosts;
mod gateway_limits;
mod gateway_path;
mod gateway_route;
mod health_check;
mod hosts;
mod http_options;
mod inputs;
mod lead;
mod listener;
pub mod names;
mod note;
mod order;
mod outlier;
pub(crate) mod overlay;
mod parts;
mod pool;
pub(crate) mod proto;
mod reached;
mod recall;
mod refused;
mod resource;
mod retry;
mod route;
mod route_match;
mod secret;
mod tcp_port;
#[cfg(test)]
mod tests;
mod tie;
mod timeout;
mod tls;
mod transition;
mod unserved;
mod version;
mod virtual_address;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use envoy_types::pb::envoy::config::accesslog::v3::AccessLog;
use envoy_types::pb::envoy::config::listener::v3::FilterChain;
use fleetmesh_model::common::PortProtocol;
use fleetmesh_model::listener::Listener as NodeListener;
use fleetmesh_model::service_discovery::ServiceDiscovery;
use fleetmesh_model::{Kind, MeshSpec, ResourceId, VirtualNodeSpec};
use prost::{Message, Name};

use crate::cloud_map::Discovered;
use crate::http_tags::HttpTags;
use crate::view::{MeshView, Record};
use egress::{Egress, Port, Service};
use endpoint::Target;
use http_options::HttpWays;
use inputs::{FoundInput, Reader};
use names::Direction;
use parts::{Parts, add};
use tcp_port::TcpShare;
use timeout::Timeouts;
use tls::{ClientTls, ServerTls};

pub use inputs::{Ground, Inputs};
pub use reached::reached;
pub use recall::recall;
pub use resource::{Content, Encoded, Resource, ResourceSet, ResourceType};
pub use secret::reworded;
pub use transition::{PlaintextPorts, Transition, permissive_ports, takes_tls};
pub use unserved::{Standing, grounded_standing, not_in_force, standing, unavailable, unserved};
pub use version::{KEY_LENGTH, KEYS, VersionKeys, content_version};

/// Where the clusters of a proxy lead. What passes through is not among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Targets {
    /// The virtual node behind each cluster that requests leave by.
    pub nodes: BTreeMap<String, ResourceId>,
    /// The clusters of the proxy's own application.
    pub own: BTreeSet<String>,
}

/// What the proxies of one virtual node or gateway are to run.
#[derive(Debug)]
pub struct Snapshot {
    /// The virtual node or gateway.
    pub node: ResourceId,
    /// The objects it was made from.
    pub objects: BTreeMap<ResourceId, Arc<Record>>,
    inputs: Arc<Inputs>,
    left_out: BTreeSet<ResourceType>,
    /// Where its clusters lead.
    pub targets: Arc<Targets>,
    /// The ports of the virtual node on which it takes connections from other proxies.
    pub ports: Arc<BTreeSet<i32>>,
    /// Those of them that take TLS, with the secrets of the stream that this needs.
    tls: Arc<BTreeMap<i32, BTreeSet<String>>>,
    clusters: Arc<Content>,
    endpoints: Arc<Content>,
    secrets: Arc<Content>,
    listeners: Arc<Content>,
    routes: Arc<Content>,
}

impl Snapshot {
    /// Makes the snapshot of the virtual node or gateway `node`; `None` when the view has no such thing.
    pub fn build(view: &MeshView, discovered: &Discovered, node: &ResourceId) -> Option<Self> {
        Self::build_during(view, &transition::NONE, discovered, node)
    }

    /// The same during `transition` to `view`.
    pub fn build_during(
        view: &MeshView,
        transition: &Transition,
        discovered: &Discovered,
        node: &ResourceId,
    ) -> Option<Self> {
        let reader = Reader::during(view, transition, discovered, node.mesh_name());
        let mesh = reader.mesh_spec()?;
        let parts = match node.kind() {
            Kind::VirtualNode => {
                let found = reader.virtual_node(node.name())?;
                let mut builder = Builder::new(&reader, mesh, found);
                builder.ingress(&reader.closing(node));
                let egress = egress::egress(&reader, found.spec);
                builder.egress(&reader, &egress);
                builder.parts
            }
            Kind::VirtualGateway => gateway::build(&reader, mesh, reader.virtual_gateway(node.name())?),
            Kind::Mesh | Kind::VirtualRouter | Kind::Route | Kind::VirtualService | Kind::GatewayRoute => {
                return None;
            }
        };
        let Parts { targets, ports, tls, clusters, endpoints, secrets, listeners, routes } = parts;
        let inputs = reader.into_inputs();
        let objects = inputs.objects();
        let content = |resources| Arc::new(Content::new(resources));
        Some(Self {
            node: node.clone(),
            objects,
            inputs: Arc::new(inputs),
            left_out: BTreeSet::new(),
            targets: Arc::new(targets),
            ports: Arc::new(ports),
            tls: Arc::new(tls),
            clusters: content(clusters),
            endpoints: content(endpoints),
            secrets: content(secrets),
            listeners: content(listeners),
            routes: content(routes),
        })
    }

    /// Whether a snapshot made from `view` and `discovered` would be this one.
    pub fn unchanged(&self, view: &MeshView, discovered: &Discovered) -> bool {
        self.unchanged_during(view, &transition::NONE, discovered)
    }

    /// Whether a snapshot made from `view` and `discovered` during `transition` would be this one.
    pub fn unchanged_during(
        &self,
        view: &MeshView,
        transition: &Transition,
        discovered: &Discovered,
    ) -> bool {
        self.inputs.unchanged(&self.node, view, transition, discovered)
    }

    /// Whether a virtual service or the TLS of a listener is in it as it was in an earlier view, so that it is not what the newest
    /// one describes.
    pub fn is_delayed(&self) -> bool {
        self.inputs.is_delayed()
    }

    /// Whether it was made from this very version of `record`.
    pub fn contains(&self, record: &Record) -> bool {
        let same = |found: &Arc<Record>| found.version == record.version && found.uid == record.uid;
        self.objects.get(&record.id).is_some_and(same)
    }

    /// Whether something of this type is left out because proxies refuse it and no other form of it is known here, so that a
    /// proxy which still runs one would lose it.
    pub fn leaves_out(&self, kind: ResourceType) -> bool {
        self.left_out.contains(&kind)
    }

    /// The ports of the virtual node on which it takes TLS from other proxies by this snapshot: those whose secrets are in it.
    pub fn tls_ports(&self) -> BTreeSet<i32> {
        let has = |name: &String| self.secrets.resources.contains_key(name);
        let served = self.tls.iter().filter(|(_, secrets)| secrets.iter().all(has));
        served.map(|(port, _)| *port).collect()
    }

    /// Its resources of one type.
    pub fn content(&self, kind: ResourceType) -> &Arc<Content> {
        match kind {
            ResourceType::Cluster => &self.clusters,
            ResourceType::Endpoint => &self.endpoints,
            ResourceType::Secret => &self.secrets,
            ResourceType::Listener => &self.listeners,
            ResourceType::Route => &self.routes,
        }
    }
}

/// Collects the resources of one node.
struct Builder<'a> {
    mesh: FoundInput<'a, MeshSpec>,
    node: FoundInput<'a, VirtualNodeSpec>,
    access_log: Vec<AccessLog>,
    /// How its proxies take and speak HTTP.
    http: HttpWays,
    /// The mesh and the node, which everything is made from.
    own: BTreeSet<ResourceId>,
    parts: Parts,
}

impl<'a> Builder<'a> {
    fn new(
        reader: &Reader<'_>,
        mesh: FoundInput<'a, MeshSpec>,
        node: FoundInput<'a, VirtualNodeSpec>,
    ) -> Self {
        Self {
            mesh,
            node,
            access_log: access_log::of(node.spec.logging.as_ref()),
            http: HttpWays::of(reader, node.record),
            own: BTreeSet::from([mesh.record.id.clone(), node.record.id.clone()]),
            parts: Parts::default(),
        }
    }

    /// The way to the application: one chain and one cluster per listener of the node, and of those that are `closing`. Without
    /// listeners there is nothing to listen for, and Envoy accepts no listener without chains.
    fn ingress(&mut self, closing: &[&NodeListener]) {
        let (mesh, node) = (self.mesh.record.id.name(), self.node.record.id.name());
        let mut chains = Vec::new();
        let mut inspected = Vec::new();
        let mut referred = BTreeSet::new();
        for listener in self.node.spec.listeners().iter().chain(closing.iter().copied()) {
            let mapping = &listener.port_mapping;
            self.parts.ports.insert(mapping.port);
            let server = ServerTls::of(listener.tls.as_ref());
            if server == ServerTls::Closed {
                continue;
            }
            if let ServerTls::Strict(tls) | ServerTls::Permissive(tls) = server {
                self.parts.tls.insert(mapping.port, tls::server_secrets(tls));
            }
            let cluster = cluster::ingress(mesh, node, listener, self.http);
            let target = cluster.name.clone();
            self.parts.targets.own.insert(target.clone());
            referred.insert(target.clone());
            self.parts.cluster(&cluster, self.own.clone());
            let timeouts = Timeouts::of_listener(listener.timeout.as_ref());
            let name = names::route(Direction::Ingress, mapping.protocol, mapping.port);
            let filter = if mapping.protocol == PortProtocol::Tcp {
                filter::tcp(Direction::Ingress, vec![(target, 1)], timeouts.idle, self.access_log.clone())
            } else {
                self.route(
                    name.clone(),
                    &route::ingress(name.clone(), &target, timeouts, self.http.form),
                    BTreeSet::from([target]),
                    self.own.clone(),
                );
                filter::http(Direction::Ingress, name.clone(), self.access_log.clone(), self.http)
            };
            let chain = listener::chain(name, mapping.port, filter);
            if server.inspects() {
                inspected.push(mapping.port);
            }
            chains.extend(self.parts.chains(chain, server, mapping.protocol, self.mesh, &self.own));
        }
        if !chains.is_empty() {
            self.listener(Direction::Ingress, chains, None, &inspected, referred, self.own.clone());
        }
    }

    /// The way out: one chain per port of the backends, and what the egress filter lets through.
    fn egress(&mut self, reader: &Reader<'_>, egress: &Egress<'_>) {
        let mut chains = Vec::new();
        let mut referred = BTreeSet::new();
        let mut objects = self.own.clone();
        for target in egress.targets() {
            self.target(reader, target);
        }
        for (port, services) in &egress.ports {
            match services {
                Port::Http(services) => chains.push(self.http_port(*port, services, &egress.nowhere)),
                Port::Tcp(service) => {
                    objects.extend(service.objects.iter().cloned());
                    let share = TcpShare::of(reader, service, *port, self.allows_all());
                    chains.extend(share.chains(self.tcp_port(*port, service, &mut referred)));
                }
            }
        }
        for (port, address, service) in virtual_address::tcp(egress) {
            objects.extend(service.objects.iter().cloned());
            let plain = self.tcp_port(port, service, &mut referred);
            chains.push(virtual_address::chain(plain, address, service.name));
        }
        let through = cluster::passthrough(self.mesh.record.id.name(), self.http);
        let forward =
            || filter::tcp(Direction::Egress, vec![(through.name.clone(), 1)], 0, self.access_log.clone());
        let default_chain = if self.allows_all() {
            Some(listener::default_chain(forward()))
        } else {
            chains.extend(listener::aws_chains(&forward()));
            None
        };
        referred.insert(through.name.clone());
        self.parts.cluster(&through, BTreeSet::from([self.mesh.record.id.clone()]));
        self.listener(Direction::Egress, chains, default_chain, &[], referred, objects);
    }

    /// The cluster of one target. With a client policy it is made from the node as well.
    fn target(&mut self, reader: &Reader<'_>, target: &Target<'_>) {
        let Some(cluster) = self.parts.way(reader, self.mesh, self.http, target, &self.own) else { return };
        let node = &target.endpoint.node.record.id;
        let mut made_from = BTreeSet::from([self.mesh.record.id.clone(), node.clone()]);
        if matches!(target.tls, ClientTls::Verified(..)) {
            made_from.insert(self.node.record.id.clone());
        }
        self.parts.cluster(&cluster, made_from);
    }

    fn http_port(&mut self, port: i32, services: &[Service<'_>], nowhere: &[&str]) -> FilterChain {
        let protocol = services.iter().map(|service| service.protocol).min().unwrap_or(PortProtocol::Http);
        let name = names::route(Direction::Egress, protocol, port);
        let through = self.allows_all().then(|| names::passthrough_cluster(self.mesh.record.id.name()));
        let targets = services.iter().flat_map(|service| &service.routes).flat_map(|route| &route.targets);
        // Nothing that a node behind the port takes is kept back here.
        let http = targets
            .clone()
            .fold(self.http.or(HttpTags::default()), |http, (target, _)| http.or(target.endpoint.http()));
        let referred = targets.map(|(target, _)| target.cluster()).chain(through.clone()).collect();
        let mesh = self.mesh.record.id.mesh_name();
        let mut objects = self.own.clone();
        objects.extend(services.iter().flat_map(|service| service.objects.iter().cloned()));
        objects.extend(nowhere.iter().map(|service| ResourceId::virtual_service(mesh, *service)));
        let routes = route::egress(name.clone(), port, services, nowhere, through);
        self.route(name.clone(), &routes, referred, objects);
        let filter = filter::http(Direction::Egress, name.clone(), self.access_log.clone(), http);
        let chain = listener::chain(name, port, filter);
        // Where all is let through, TLS goes where it was going: it is no HTTP that could be routed.
        let passes_tls = self.allows_all() && port == listener::AWS_PORT;
        if passes_tls { listener::beside_tls(chain) } else { chain }
    }

    fn tcp_port(&self, port: i32, service: &Service<'_>, referred: &mut BTreeSet<String>) -> FilterChain {
        // A connection says nothing but its port, so the first route takes all.
        let first = service.routes.first();
        let targets = first.map_or(&[][..], |route| &route.targets);
        let targets: Vec<_> = targets.iter().map(|(target, weight)| (target.cluster(), *weight)).collect();
        referred.extend(targets.iter().map(|(cluster, _)| cluster.clone()));
        let spec = first.and_then(|route| route.source).map(|found| found.spec);
        let timeouts = spec.map_or(Timeouts::DEFAULT, Timeouts::of_route);
        let filter = filter::tcp(Direction::Egress, targets, timeouts.idle, self.access_log.clone());
        listener::chain(names::route(Direction::Egress, PortProtocol::Tcp, port), port, filter)
    }

    fn allows_all(&self) -> bool {
        egress::allows_all(self.mesh.spec)
    }

    fn route<T: Message + Name>(
        &mut self,
        name: String,
        routes: &T,
        referred: BTreeSet<String>,
        objects: BTreeSet<ResourceId>,
    ) {
        add(&mut self.parts.routes, name, routes, referred, objects);
    }

    fn listener(
        &mut self,
        direction: Direction,
        chains: Vec<FilterChain>,
        default_chain: Option<FilterChain>,
        inspected: &[i32],
        referred: BTreeSet<String>,
        objects: BTreeSet<ResourceId>,
    ) {
        let own = match &self.node.spec.service_discovery {
            Some(ServiceDiscovery::Dns(dns)) => dns.ip_preference,
            Some(ServiceDiscovery::AwsCloudMap(map)) => map.ip_preference,
            None => None,
        };
        let preference = own.or_else(|| cluster::mesh_preference(self.mesh.spec));
        let listener = listener::listener(direction, preference, chains, default_chain, inspected);
        add(&mut self.parts.listeners, listener.name.clone(), &listener, referred, objects);
    }
}
