//! What is stored but changes nothing in Envoy: members without a mapping yet, and what cannot be served because of
//! what other objects say. Pure.
//!
//! Every struct with an unmapped member is taken apart without `..`, so a new member fails to compile until it is
//! either mapped or named here.

use std::sync::Arc;

use fleetmesh_api::tags::{ANSWERED, PROXY_DNS_TAG};
use fleetmesh_api::unserved::because;
use fleetmesh_model::common::PortProtocol;
use fleetmesh_model::foreign::printable;
use fleetmesh_model::listener::Listener;
use fleetmesh_model::service_discovery::ServiceDiscovery;
use fleetmesh_model::tls::{ClientPolicy, ListenerTls, TlsValidationContextTrust};
use fleetmesh_model::virtual_gateway::VirtualGatewayListener;
use fleetmesh_model::virtual_node::{BackendDefaults, VirtualServiceBackend};
use fleetmesh_model::virtual_service::VirtualServiceProvider;
use fleetmesh_model::{
    GatewayRouteSpec, RouteSpec, Spec, VirtualGatewaySpec, VirtualNodeSpec, VirtualServiceSpec,
};

use super::egress::{Conflict, egress, serves};
use super::endpoint::endpoint;
use super::inputs::{FoundInput, Ground, Reader};
use super::lead::{self, Lead};
use super::tls::ServerTls;
use super::{gateway_route, health_check, inputs, note, refused, tie};
use crate::cloud_map::{Discovered, ServiceName};
use crate::view::{MeshView, Record};

/// Why a certificate of ACM is not served, and the way out.
const ACM_CERTIFICATE: &str = "certificates of ACM cannot be had outside of AWS's App Mesh, so the listener takes no connections; use a file, SDS, or a certificate that was exported from ACM to a file";
/// What becomes of trust in a private authority of ACM that cannot be read, and the way out.
const ACM_TRUST: &str = "so nothing is sent to whom it is to vouch for; allow the control plane acm-pca:GetCertificateAuthorityCertificate on it, or use a file with the authority's certificate, or SDS";

/// Why the certificate of the authority with an ARN is not known; `None` when it is.
type Unread<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The way out for a tcp service whose port is another one's.
const APART: &str = "; give it another port, or let names resolve on the node's machines (fleetmesh proxy dns, proxy.dns of a fleet): its virtual address is its own";

/// How an object stands beside what its proxies say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// What of it is not served ([`unserved`]).
    pub unserved: Vec<String>,
    /// What of it has no effect as its mesh is, each as `path: reason`: backends that do not exist, a route whose requests another
    /// one gets.
    pub ineffective: Vec<String>,
    /// What is to be known of how the rest is served, each as `path: text`.
    pub notes: Vec<String>,
}

/// What of `record` is not served: the path of each member without a mapping, and `path: reason` where other objects
/// of `view` stand in the way, or Cloud Map failed to discover a service that it never discovered before. In the order of the spec; empty when all of it is served.
pub fn unserved(view: &MeshView, discovered: &Discovered, record: &Arc<Record>) -> Vec<String> {
    standing(view, discovered, record).unserved
}

/// What of `record` is not in force: what is not served, and what has no effect as its mesh is.
pub fn not_in_force(view: &MeshView, discovered: &Discovered, record: &Arc<Record>) -> Vec<String> {
    let Standing { unserved, ineffective, notes: _ } = standing(view, discovered, record);
    [unserved, ineffective].concat()
}

/// The same as [`unserved`], with what else is to be known.
pub fn standing(view: &MeshView, discovered: &Discovered, record: &Arc<Record>) -> Standing {
    grounded_standing(view, discovered, record).0
}

/// The same as [`standing`], and what it was worked out from besides `record`: as long as none of that changes, it stays.
pub fn grounded_standing(
    view: &MeshView,
    discovered: &Discovered,
    record: &Arc<Record>,
) -> (Standing, Vec<Ground>) {
    let reader = Reader::new(view, discovered, record.id.mesh_name());
    let standing = standing_by(&reader, record);
    (standing, reader.into_inputs().into_grounds())
}

fn standing_by(reader: &Reader<'_>, record: &Arc<Record>) -> Standing {
    let mut standing = match &record.spec {
        Spec::Mesh(_) | Spec::VirtualRouter(_) => Standing::default(),
        Spec::VirtualNode(spec) => virtual_node(reader, record, spec),
        Spec::Route(spec) => route(reader, record, spec),
        Spec::VirtualService(spec) => virtual_service(reader, spec).into(),
        Spec::VirtualGateway(spec) => virtual_gateway(reader, spec).into(),
        Spec::GatewayRoute(spec) => route_of_gateway(reader, record, spec),
    };
    let mut unserved = refused::refused(&record.spec);
    unserved.append(&mut standing.unserved);
    Standing { unserved, ..standing }
}

/// One of which nothing else is to be said.
impl From<Vec<String>> for Standing {
    fn from(unserved: Vec<String>) -> Self {
        Self { unserved, ..Self::default() }
    }
}

/// What of `spec` nothing serves, whatever else there is in its mesh, each as `path: reason`: what would need a certificate that only
/// AWS can hand out, or an authority that ACM PCA does not give this control plane. What depends on it is closed, not open: an object
/// that has any is not served as it says.
pub fn unavailable(discovered: &Discovered, spec: &Spec) -> Vec<String> {
    let unread = |arn: &str| inputs::unread(discovered, arn);
    match spec {
        Spec::VirtualNode(spec) => unavailable_of_node(spec, &unread),
        Spec::VirtualGateway(spec) => unavailable_of_gateway(spec, &unread),
        Spec::Mesh(_)
        | Spec::VirtualRouter(_)
        | Spec::Route(_)
        | Spec::VirtualService(_)
        | Spec::GatewayRoute(_) => Vec::new(),
    }
}

fn unavailable_of_node(spec: &VirtualNodeSpec, unread: Unread<'_>) -> Vec<String> {
    let mut found = Vec::new();
    defaults(spec.backend_defaults.as_ref(), unread, &mut found);
    for (index, backend) in spec.backends().enumerate() {
        let VirtualServiceBackend { client_policy: policy, virtual_service_name: _ } = backend;
        if let Some(policy) = policy {
            let path = format!("spec.backends[{index}].virtualService.clientPolicy");
            client_policy(&path, policy, unread, &mut found);
        }
    }
    certificates(spec.listeners().iter().map(|listener| listener.tls.as_ref()), &mut found);
    found
}

fn unavailable_of_gateway(spec: &VirtualGatewaySpec, unread: Unread<'_>) -> Vec<String> {
    let mut found = Vec::new();
    defaults(spec.backend_defaults.as_ref(), unread, &mut found);
    certificates(spec.listeners.iter().map(|listener| listener.tls.as_ref()), &mut found);
    found
}

/// The certificates of listeners.
fn certificates<'a>(listeners: impl Iterator<Item = Option<&'a ListenerTls>>, found: &mut Vec<String>) {
    for (index, tls) in listeners.enumerate() {
        if ServerTls::of(tls) == ServerTls::Closed {
            let path = format!("spec.listeners[{index}].tls.certificate.acm");
            found.push(because(&path, ACM_CERTIFICATE));
        }
    }
}

fn defaults(given: Option<&BackendDefaults>, unread: Unread<'_>, found: &mut Vec<String>) {
    if let Some(BackendDefaults { client_policy: Some(policy) }) = given {
        client_policy("spec.backendDefaults.clientPolicy", policy, unread, found);
    }
}

fn client_policy(path: &str, policy: &ClientPolicy, unread: Unread<'_>, found: &mut Vec<String>) {
    let trust = policy.tls.as_ref().map(|tls| &tls.validation.trust);
    let Some(TlsValidationContextTrust::Acm(trust)) = trust else { return };
    let arns = trust.certificate_authority_arns.iter();
    let reasons = arns.filter_map(|arn| Some(format!("{} ({})", printable(arn), unread(arn)?)));
    let reasons: Vec<String> = reasons.collect();
    if !reasons.is_empty() {
        let reason = format!("there is no certificate of {}, {ACM_TRUST}", reasons.join(" and "));
        found.push(because(&format!("{path}.tls.validation.trust.acm"), &reason));
    }
}

fn virtual_node(reader: &Reader<'_>, record: &Record, spec: &VirtualNodeSpec) -> Standing {
    let VirtualNodeSpec { backend_defaults: _, backends: _, listeners: _, logging: _, service_discovery } =
        spec;
    let mut found = unavailable_of_node(spec, &|arn| reader.unread(arn));
    let resolves = record.tags.get(PROXY_DNS_TAG).is_some_and(|value| value == ANSWERED);
    let egress = egress(reader, spec);
    let notes = note::of_node(reader, spec, &egress);
    for Conflict { backend, mut reason, apart } in egress.conflicts {
        // Its applications connect to virtual addresses, and each of these is one service's.
        if apart && resolves {
            continue;
        }
        if apart {
            reason.push_str(APART);
        }
        let path = format!("spec.backends[{backend}].virtualService.virtualServiceName");
        found.push(because(&path, &reason));
    }
    for (index, listener) in spec.listeners().iter().enumerate() {
        listener_members(&format!("spec.listeners[{index}]"), listener, &mut found);
    }
    if let Some(ServiceDiscovery::AwsCloudMap(cloud_map)) = service_discovery {
        let service = ServiceName::of(cloud_map);
        if let Some(reason) = reader.discovery_failure(&service) {
            let reason = format!("{service} was never discovered: {reason}");
            found.push(because("spec.serviceDiscovery.awsCloudMap", &reason));
        }
    }
    Standing { unserved: found, ineffective: missing_backends(reader, spec), notes }
}

/// The backends whose virtual services do not exist.
fn missing_backends(reader: &Reader<'_>, spec: &VirtualNodeSpec) -> Vec<String> {
    let missing = spec.backends().enumerate().filter_map(|(index, backend)| {
        let name = &backend.virtual_service_name;
        if reader.virtual_service(name).is_some() {
            return None;
        }
        let path = format!("spec.backends[{index}].virtualService.virtualServiceName");
        Some(because(&path, format!("virtual service {name:?} does not exist, so nothing is sent to it")))
    });
    missing.collect()
}

fn listener_members(path: &str, listener: &Listener, found: &mut Vec<String>) {
    let Listener { connection_pool: _, health_check, outlier_detection: _, port_mapping, timeout: _, tls: _ } =
        listener;
    let check = health_check.as_ref().map(|check| check.protocol);
    impossible_check(path, check, port_mapping.protocol, found);
}

/// A check of the listener at `path` that Envoy cannot make on a port that speaks `protocol`.
fn impossible_check(
    path: &str,
    check: Option<PortProtocol>,
    protocol: PortProtocol,
    found: &mut Vec<String>,
) {
    if check.is_some_and(|check| !health_check::can_check(check, protocol)) {
        let reason = format!("a grpc check needs a grpc or http2 listener, not {protocol}");
        found.push(because(&format!("{path}.healthCheck"), &reason));
    }
}

fn route(reader: &Reader<'_>, record: &Record, spec: &RouteSpec) -> Standing {
    let Some((protocol, member, action)) = spec.action() else { return Standing::default() };
    let (mut found, mut ineffective) = (Vec::new(), Vec::new());
    let router = record.id.parent();
    if let Some(router) = router.and_then(|router| reader.virtual_router(router.name())) {
        let mut mappings = router.spec.listeners().iter().map(|listener| &listener.port_mapping);
        if !mappings.any(|mapping| serves(spec, mapping.port, mapping.protocol)) {
            let port = spec.match_port().map_or_else(String::new, |port| format!(" on port {port}"));
            let reason = format!("the virtual router has no {protocol} listener{port}");
            found.push(because(&format!("spec.{member}"), &reason));
        }
        let winner = tie::winner(reader, router, record.id.name(), spec);
        ineffective.extend(winner.map(|winner| tied(member, "router", winner)));
    }
    for (index, target) in action.weighted_targets.iter().enumerate() {
        if let Err(reason) = endpoint(reader, &target.virtual_node, target.port) {
            let path = format!("spec.{member}.action.weightedTargets[{index}]");
            found.push(because(&path, &reason));
        }
    }
    Standing { unserved: found, ineffective, ..Standing::default() }
}

/// That another route of the same `parent` gets all requests of one that has `member`.
fn tied(member: &str, parent: &str, winner: &str) -> String {
    let reason = format!(
        "route {winner:?} of the same virtual {parent} has the same priority and match and is tried first, so it gets all requests; change one of them"
    );
    because(&format!("spec.{member}.match"), reason)
}

fn virtual_service(reader: &Reader<'_>, spec: &VirtualServiceSpec) -> Vec<String> {
    let Some(VirtualServiceProvider::VirtualNode(provider)) = &spec.provider else { return Vec::new() };
    let reached = endpoint(reader, &provider.virtual_node_name, None);
    let unreachable = |reason| because("spec.provider.virtualNode.virtualNodeName", reason);
    reached.err().map(unreachable).into_iter().collect()
}

fn virtual_gateway(reader: &Reader<'_>, spec: &VirtualGatewaySpec) -> Vec<String> {
    let VirtualGatewaySpec { backend_defaults: _, listeners, logging: _ } = spec;
    let mut found = unavailable_of_gateway(spec, &|arn| reader.unread(arn));
    for (index, listener) in listeners.iter().enumerate() {
        let VirtualGatewayListener { connection_pool: _, health_check, port_mapping, tls: _ } = listener;
        let check = health_check.as_ref().map(|check| check.protocol.into());
        let path = format!("spec.listeners[{index}]");
        impossible_check(&path, check, port_mapping.protocol.into(), &mut found);
    }
    found
}

fn route_of_gateway(reader: &Reader<'_>, record: &Arc<Record>, spec: &GatewayRouteSpec) -> Standing {
    let Some((protocol, member, _)) = spec.target() else { return Standing::default() };
    let (mut found, mut ineffective) = (Vec::new(), Vec::new());
    let gateway = record.id.parent();
    let gateway = gateway.and_then(|gateway| reader.virtual_gateway(gateway.name()));
    if let Some(gateway) = gateway {
        let mut mappings = gateway.spec.listeners.iter().map(|listener| listener.port_mapping);
        if !mappings.any(|mapping| lead::serves(spec, mapping)) {
            let port = spec.match_port().map_or_else(String::new, |port| format!(" on port {port}"));
            let reason = format!("the virtual gateway has no {protocol} listener{port}");
            found.push(because(&format!("spec.{member}"), &reason));
        }
        let winner = tie::gateway_winner(reader, gateway, record.id.name(), spec);
        ineffective.extend(winner.map(|winner| tied(member, "gateway", winner)));
    }
    let policy = gateway.and_then(|gateway| lead::policy(gateway.spec));
    let lead = Lead { source: FoundInput { record, spec }, service: lead::service(reader, spec, policy) };
    let nowhere = lead.service.as_ref().err().map(ToString::to_string);
    let reason = nowhere.or_else(|| gateway_route::unspeakable(&lead));
    found.extend(reason.map(|reason| because(&format!("spec.{member}.action.target"), &reason)));
    Standing { unserved: found, ineffective, ..Standing::default() }
}
