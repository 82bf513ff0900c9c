//! What the proxies of a virtual gateway are to run: a listener on each of its ports, the gateway's routes, and the way to
//! the services that they lead to. Pure.
//!
//! Each route of the gateway is joined with those of the service's virtual router into routes of one table, see
//! [`gateway_route`](super::gateway_route): one hop, and every change of either is one change for Envoy.

use std::collections::BTreeSet;

use fleetmesh_model::common::PortProtocol;
use fleetmesh_model::virtual_gateway::VirtualGatewayListener;
use fleetmesh_model::{MeshSpec, ResourceId, VirtualGatewaySpec};

use super::endpoint::Target;
use super::gateway_hosts;
use super::http_options::HttpWays;
use super::inputs::{FoundInput, Reader};
use super::lead::{Lead, leads, serves};
use super::names::{self, Direction};
use super::parts::{Parts, add};
use super::tls::ServerTls;
use super::{access_log, cluster, filter, gateway_limits, listener};
use crate::http_tags::HttpTags;

/// Makes what the proxies of `gateway` are to run.
pub(super) fn build<'a>(
    reader: &Reader<'a>,
    mesh: FoundInput<'a, MeshSpec>,
    gateway: FoundInput<'a, VirtualGatewaySpec>,
) -> Parts {
    let mut builder = Builder {
        reader,
        mesh,
        gateway,
        http: HttpWays::of(reader, gateway.record),
        own: BTreeSet::from([mesh.record.id.clone(), gateway.record.id.clone()]),
        parts: Parts::default(),
    };
    let leads = leads(reader, gateway);
    for listener in &gateway.spec.listeners {
        let served: Vec<&Lead<'a>> =
            leads.iter().filter(|lead| serves(lead.source.spec, listener.port_mapping)).collect();
        builder.port(listener, &served);
    }
    builder.parts
}

struct Builder<'r, 'a> {
    reader: &'r Reader<'a>,
    mesh: FoundInput<'a, MeshSpec>,
    gateway: FoundInput<'a, VirtualGatewaySpec>,
    /// How it takes and speaks HTTP.
    http: HttpWays,
    /// The mesh and the gateway, which everything is made from.
    own: BTreeSet<ResourceId>,
    parts: Parts,
}

impl<'a> Builder<'_, 'a> {
    fn port(&mut self, listens: &VirtualGatewayListener, leads: &[&Lead<'a>]) {
        let server = ServerTls::of(listens.tls.as_ref());
        if server == ServerTls::Closed {
            return;
        }
        let (port, protocol) = (listens.port_mapping.port, PortProtocol::from(listens.port_mapping.protocol));
        let mut referred = BTreeSet::new();
        let mut objects = self.own.clone();
        for lead in leads {
            objects.insert(lead.source.record.id.clone());
            let Ok(service) = &lead.service else { continue };
            objects.extend(service.objects.iter().cloned());
            for (target, _) in service.routes.iter().flat_map(|route| &route.targets) {
                self.target(target);
                referred.insert(target.cluster());
            }
        }
        let name = names::route(Direction::Ingress, protocol, port);
        let routes = gateway_hosts::table(name.clone(), leads);
        add(&mut self.parts.routes, name.clone(), &routes, referred, objects);
        let filter = filter::edge_http(
            name,
            access_log::of(self.gateway.spec.logging.as_ref()),
            self.edge_ways(leads),
        );
        let chain = listener::edge_chain(filter);
        let chains = self.parts.chains(chain, server, protocol, self.mesh, &self.own);
        let preference = cluster::mesh_preference(self.mesh.spec);
        let listener = listener::edge(port, preference, chains, server.inspects());
        add(&mut self.parts.listeners, listener.name.clone(), &listener, BTreeSet::new(), self.own.clone());
        self.self_check(listens);
    }

    /// How HTTP is taken from outside: as the gateway's own tags say. What they do not say is what the nodes behind take.
    fn edge_ways(&self, leads: &[&Lead<'a>]) -> HttpWays {
        let services = leads.iter().filter_map(|lead| lead.service.as_ref().ok());
        let targets = services.flat_map(|service| &service.routes).flat_map(|route| &route.targets);
        let behind = targets.fold(HttpTags::default(), |http, (target, _)| http.or(target.endpoint.http()));
        HttpWays { tags: HttpTags::of_or(&self.gateway.record.tags, behind), ..self.http }
    }

    /// One port of a node that a route leads to.
    fn target(&mut self, target: &Target<'a>) {
        let way = self.parts.way(self.reader, self.mesh, self.http, target, &self.own);
        let Some(mut cluster) = way else { return };
        let node = &target.endpoint.node.record.id;
        let made_from =
            BTreeSet::from([self.mesh.record.id.clone(), self.gateway.record.id.clone(), node.clone()]);
        gateway_limits::limit(&mut cluster, &self.gateway.spec.listeners);
        self.parts.cluster(&cluster, made_from);
    }

    /// The check of a listener's health, which the proxy makes by its own port, as App Mesh's did: it counts in the proxy's
    /// statistics and keeps no request away.
    fn self_check(&mut self, listens: &VirtualGatewayListener) {
        let (mesh, gateway) = (self.mesh.record.id.name(), self.gateway.record.id.name());
        if let Some(cluster) = gateway_limits::self_check(mesh, gateway, listens, self.http.form) {
            self.parts.targets.own.insert(cluster.name.clone());
            self.parts.cluster(&cluster, self.own.clone());
        }
    }
}
