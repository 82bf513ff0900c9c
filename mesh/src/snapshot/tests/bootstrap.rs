//! Snapshots as the bootstrap of an Envoy that needs no control plane: static clusters and listeners, with the routes
//! that would come by RDS put into their connection managers, and the endpoints that would come by EDS into clusters.

use std::collections::BTreeMap;

use envoy_types::pb::envoy::config::bootstrap::v3::bootstrap::StaticResources;
use envoy_types::pb::envoy::config::bootstrap::v3::runtime_layer::LayerSpecifier;
use envoy_types::pb::envoy::config::bootstrap::v3::{Bootstrap, LayeredRuntime, RuntimeLayer};
use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::endpoint::v3::ClusterLoadAssignment;
use envoy_types::pb::envoy::config::core::v3::config_source::ConfigSourceSpecifier;
use envoy_types::pb::envoy::config::core::v3::{
    Address, ApiConfigSource, ApiVersion, GrpcService, Http2ProtocolOptions, Node, TransportSocket, address,
    api_config_source, grpc_service, socket_address, transport_socket,
};
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::common_tls_context::ValidationContextType;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::{
    CommonTlsContext, DownstreamTlsContext, Secret, UpstreamTlsContext,
};
use envoy_types::pb::envoy::extensions::upstreams::http::v3::HttpProtocolOptions;
use envoy_types::pb::envoy::extensions::upstreams::http::v3::http_protocol_options::{
    ExplicitHttpConfig, UpstreamProtocolOptions, explicit_http_config::ProtocolConfig,
};
use envoy_types::pb::envoy::config::listener::v3::{FilterChain, Listener, filter};
use envoy_types::pb::envoy::config::route::v3::RouteConfiguration;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::RouteSpecifier;
use envoy_types::pb::google::protobuf::value::Kind;
use envoy_types::pb::google::protobuf::{Any, Struct, Value};
use envoy_types::util::pack_any;
use fleetmesh_api::bootstrap::SDS_CLUSTER;
use fleetmesh_model::re2::PROGRAM_SIZE_LIMIT;
use prost::{Message, Name};

use crate::snapshot::{Resource, ResourceType, Snapshot};

/// The resources of `snapshots` as one bootstrap. Each snapshot's names get a prefix, and its listeners ports, of their
/// own, so that many are validated by one Envoy.
pub fn bootstrap<'a>(snapshots: impl IntoIterator<Item = &'a Snapshot>) -> Bootstrap {
    let mut statics = StaticResources { clusters: vec![sds_cluster()], ..StaticResources::default() };
    for (index, snapshot) in snapshots.into_iter().enumerate() {
        let routes: BTreeMap<String, RouteConfiguration> = decoded(snapshot, ResourceType::Route)
            .map(|routes: RouteConfiguration| (routes.name.clone(), routes))
            .collect();
        let known: Vec<String> = snapshot.content(ResourceType::Cluster).resources.keys().cloned().collect();
        let secrets: BTreeMap<String, Secret> = decoded(snapshot, ResourceType::Secret)
            .map(|secret: Secret| (secret.name.clone(), secret))
            .collect();
        let resources = snapshot.content(ResourceType::Cluster).resources.values();
        // As older proxies get it, and as newer ones do.
        let clusters = resources.flat_map(|resource| {
            let newer = resource.newer.as_ref().map(|newer| (decode_body::<Cluster>(&newer.any), ".newer"));
            [(decode(resource), "")].into_iter().chain(newer)
        });
        for (mut cluster, form) in clusters {
            secrets_are_known(cluster.transport_socket.as_ref(), &secrets);
            cluster.transport_socket.iter_mut().for_each(without_stream);
            // Names may repeat between snapshots only with the same content; Envoy refuses them even so.
            cluster.name = prefixed(index, &cluster.name) + form;
            if let Some(assignment) = &mut cluster.load_assignment {
                assignment.cluster_name.clone_from(&cluster.name);
            }
            statics.clusters.push(cluster);
        }
        for assignment in decoded::<ClusterLoadAssignment>(snapshot, ResourceType::Endpoint) {
            assert!(known.contains(&assignment.cluster_name), "endpoints of a cluster");
            statics.clusters.push(holding(index, assignment));
        }
        for mut listener in decoded::<Listener>(snapshot, ResourceType::Listener) {
            listener.name = prefixed(index, &listener.name);
            listener.address = Some(moved(&listener, statics.listeners.len()));
            listener.bind_to_port = Some(envoy_types::pb::google::protobuf::BoolValue { value: false });
            let chains = listener.filter_chains.iter_mut().chain(listener.default_filter_chain.as_mut());
            chains.for_each(|chain| {
                secrets_are_known(chain.transport_socket.as_ref(), &secrets);
                chain.transport_socket.iter_mut().for_each(without_stream);
                inline(chain, index, &routes, &known);
            });
            statics.listeners.push(listener);
        }
        for mut secret in secrets.into_values() {
            secret.name = prefixed(index, &secret.name);
            statics.secrets.push(secret);
        }
    }
    Bootstrap {
        node: Some(Node { id: "test".into(), cluster: "test".into(), ..Node::default() }),
        static_resources: Some(statics),
        layered_runtime: Some(runtime()),
        ..Bootstrap::default()
    }
}

/// The cluster of the host's secret discovery service, as bootstraps have it.
fn sds_cluster() -> Cluster {
    let http2 = HttpProtocolOptions {
        upstream_protocol_options: Some(UpstreamProtocolOptions::ExplicitHttpConfig(ExplicitHttpConfig {
            protocol_config: Some(ProtocolConfig::Http2ProtocolOptions(Http2ProtocolOptions::default())),
        })),
        ..HttpProtocolOptions::default()
    };
    let options = ("envoy.extensions.upstreams.http.v3.HttpProtocolOptions".to_owned(), pack_any(http2));
    Cluster {
        name: SDS_CLUSTER.to_owned(),
        typed_extension_protocol_options: [options].into(),
        ..Cluster::default()
    }
}

/// The TLS of a listener's chain or of a cluster; `None` for plaintext.
pub fn common_tls(socket: Option<&TransportSocket>) -> Option<CommonTlsContext> {
    let Some(transport_socket::ConfigType::TypedConfig(any)) = &socket?.config_type else { panic!("no TLS") };
    if any.type_url == DownstreamTlsContext::type_url() {
        return DownstreamTlsContext::decode(any.value.as_slice()).expect("a context").common_tls_context;
    }
    UpstreamTlsContext::decode(any.value.as_slice()).expect("a context").common_tls_context
}

/// The names of the secrets that TLS asks for, each with whether it comes on the stream.
pub fn secret_names(tls: &CommonTlsContext) -> Vec<(String, bool)> {
    let trust = match &tls.validation_context_type {
        Some(ValidationContextType::CombinedValidationContext(combined)) => {
            combined.validation_context_sds_secret_config.as_ref()
        }
        None => None,
        other => panic!("{other:?}"),
    };
    let configs = tls.tls_certificate_sds_secret_configs.iter().chain(trust);
    let named = configs.map(|config| {
        let source = config.sds_config.as_ref().expect("a source").config_source_specifier.as_ref();
        (config.name.clone(), matches!(source, Some(ConfigSourceSpecifier::Ads(_))))
    });
    named.collect()
}

/// Asks the host's secret discovery service for what would come on the stream: Envoy ends with a fault where a secret is to come
/// on a stream that its bootstrap does not have.
fn without_stream(socket: &mut TransportSocket) {
    let Some(transport_socket::ConfigType::TypedConfig(any)) = &mut socket.config_type else {
        panic!("no TLS")
    };
    if any.type_url == DownstreamTlsContext::type_url() {
        let mut context = DownstreamTlsContext::decode(any.value.as_slice()).expect("a context");
        context.common_tls_context.iter_mut().for_each(by_socket);
        *any = pack_any(context);
    } else {
        let mut context = UpstreamTlsContext::decode(any.value.as_slice()).expect("a context");
        context.common_tls_context.iter_mut().for_each(by_socket);
        *any = pack_any(context);
    }
}

fn by_socket(tls: &mut CommonTlsContext) {
    let trust = match &mut tls.validation_context_type {
        Some(ValidationContextType::CombinedValidationContext(combined)) => {
            combined.validation_context_sds_secret_config.as_mut()
        }
        _ => None,
    };
    let configs = tls.tls_certificate_sds_secret_configs.iter_mut().chain(trust);
    for source in configs.filter_map(|config| config.sds_config.as_mut()) {
        let service = GrpcService {
            target_specifier: Some(grpc_service::TargetSpecifier::EnvoyGrpc(grpc_service::EnvoyGrpc {
                cluster_name: SDS_CLUSTER.to_owned(),
                ..grpc_service::EnvoyGrpc::default()
            })),
            ..GrpcService::default()
        };
        if matches!(source.config_source_specifier, Some(ConfigSourceSpecifier::Ads(_))) {
            source.config_source_specifier = Some(ConfigSourceSpecifier::ApiConfigSource(ApiConfigSource {
                api_type: api_config_source::ApiType::Grpc.into(),
                transport_api_version: ApiVersion::V3.into(),
                grpc_services: vec![service],
                ..ApiConfigSource::default()
            }));
        }
    }
}

fn secrets_are_known(socket: Option<&TransportSocket>, secrets: &BTreeMap<String, Secret>) {
    for (name, on_the_stream) in common_tls(socket).iter().flat_map(secret_names) {
        assert_eq!(secrets.contains_key(&name), on_the_stream, "{name}");
    }
}

/// Regular expressions of the size that our own bootstrap allows for.
fn runtime() -> LayeredRuntime {
    let limit = Value { kind: Some(Kind::NumberValue(f64::from(PROGRAM_SIZE_LIMIT))) };
    let layer = Struct { fields: [("re2.max_program_size.error_level".to_owned(), limit)].into() };
    let layer =
        RuntimeLayer { name: "test".into(), layer_specifier: Some(LayerSpecifier::StaticLayer(layer)) };
    LayeredRuntime { layers: vec![layer] }
}

/// A cluster that holds endpoints which would come by EDS: what a proxy would make of them.
fn holding(index: usize, mut assignment: ClusterLoadAssignment) -> Cluster {
    let name = prefixed(index, &format!("{}.endpoints", assignment.cluster_name));
    assignment.cluster_name.clone_from(&name);
    Cluster { name, load_assignment: Some(assignment), ..Cluster::default() }
}

/// The decoded resources of one type.
pub fn decoded<T: Message + Name + Default>(
    snapshot: &Snapshot,
    kind: ResourceType,
) -> impl Iterator<Item = T> {
    snapshot.content(kind).resources.values().map(|resource| decode(resource))
}

fn decode<T: Message + Name + Default>(resource: &Resource) -> T {
    decode_body(resource.body())
}

fn decode_body<T: Message + Name + Default>(body: &[u8]) -> T {
    let any = Any::decode(body).expect("an Any");
    assert_eq!(any.type_url, T::type_url());
    T::decode(any.value.as_slice()).expect("the type that the URL names")
}

/// The listener's address with a port of its own.
fn moved(listener: &Listener, index: usize) -> Address {
    let mut address = listener.address.clone().expect("an address");
    let Some(address::Address::SocketAddress(socket)) = &mut address.address else { panic!("no socket") };
    let port = u32::try_from(20_000 + index).expect("few listeners");
    socket.port_specifier = Some(socket_address::PortSpecifier::PortValue(port));
    address
}

fn prefixed(index: usize, name: &str) -> String {
    format!("s{index:04}.{name}")
}

/// Replaces RDS by the routes themselves, and checks that everything referred to is there.
fn inline(
    chain: &mut FilterChain,
    index: usize,
    routes: &BTreeMap<String, RouteConfiguration>,
    known: &[String],
) {
    for network in &mut chain.filters {
        let Some(filter::ConfigType::TypedConfig(any)) = &mut network.config_type else { continue };
        if any.type_url == HttpConnectionManager::type_url() {
            let mut manager = HttpConnectionManager::decode(any.value.as_slice()).expect("a manager");
            let Some(RouteSpecifier::Rds(rds)) = &manager.route_specifier else { panic!("no RDS") };
            let found = routes.get(&rds.route_config_name).expect("the routes that the listener asks for");
            manager.route_specifier = Some(RouteSpecifier::RouteConfig(renamed(found, index, known)));
            *any = pack_any(manager);
        } else {
            any.value = renamed_bytes(any, index, known);
        }
    }
}

fn renamed(routes: &RouteConfiguration, index: usize, known: &[String]) -> RouteConfiguration {
    use envoy_types::pb::envoy::config::route::v3::route::Action;
    use envoy_types::pb::envoy::config::route::v3::route_action::ClusterSpecifier;
    let mut routes = routes.clone();
    let rename = |name: &mut String| {
        assert!(known.contains(name), "{name} is not in the snapshot");
        *name = prefixed(index, name);
    };
    for route in routes.virtual_hosts.iter_mut().flat_map(|host| &mut host.routes) {
        let Some(Action::Route(action)) = &mut route.action else { continue };
        match &mut action.cluster_specifier {
            Some(ClusterSpecifier::Cluster(name)) => rename(name),
            Some(ClusterSpecifier::WeightedClusters(weighted)) => {
                weighted.clusters.iter_mut().for_each(|cluster| rename(&mut cluster.name));
            }
            other => panic!("{other:?}"),
        }
    }
    routes
}

fn renamed_bytes(any: &Any, index: usize, known: &[String]) -> Vec<u8> {
    use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3::TcpProxy;
    use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3::tcp_proxy::ClusterSpecifier;
    if any.type_url != TcpProxy::type_url() {
        return any.value.clone();
    }
    let mut proxy = TcpProxy::decode(any.value.as_slice()).expect("a TCP proxy");
    let Some(ClusterSpecifier::WeightedClusters(weighted)) = &mut proxy.cluster_specifier else {
        panic!("no weights")
    };
    for cluster in &mut weighted.clusters {
        assert!(known.contains(&cluster.name), "{} is not in the snapshot", cluster.name);
        cluster.name = prefixed(index, &cluster.name);
    }
    proxy.encode_to_vec()
}
