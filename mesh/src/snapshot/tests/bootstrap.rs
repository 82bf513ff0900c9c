//! Snapshots as the bootstrap of an Envoy that needs no control plane: static clusters and listeners, with the routes
//! that would come by RDS put into their connection managers, and the endpoints that would come by EDS into clusters.

use std::collections::BTreeMap;

use envoy_types::pb::envoy::config::bootstrap::v3::Bootstrap;
use envoy_types::pb::envoy::config::bootstrap::v3::bootstrap::StaticResources;
use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::endpoint::v3::ClusterLoadAssignment;
use envoy_types::pb::envoy::config::core::v3::{Address, Node, address, socket_address};
use envoy_types::pb::envoy::config::listener::v3::{FilterChain, Listener, filter};
use envoy_types::pb::envoy::config::route::v3::RouteConfiguration;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::RouteSpecifier;
use envoy_types::pb::google::protobuf::Any;
use envoy_types::util::pack_any;
use prost::{Message, Name};

use crate::snapshot::{Resource, ResourceType, Snapshot};

/// The resources of `snapshots` as one bootstrap. Each snapshot's names get a prefix, and its listeners ports, of their
/// own, so that many are validated by one Envoy.
pub fn bootstrap<'a>(snapshots: impl IntoIterator<Item = &'a Snapshot>) -> Bootstrap {
    let mut statics = StaticResources::default();
    for (index, snapshot) in snapshots.into_iter().enumerate() {
        let routes: BTreeMap<String, RouteConfiguration> = decoded(snapshot, ResourceType::Route)
            .map(|routes: RouteConfiguration| (routes.name.clone(), routes))
            .collect();
        let known: Vec<String> = snapshot.content(ResourceType::Cluster).resources.keys().cloned().collect();
        for mut cluster in decoded::<Cluster>(snapshot, ResourceType::Cluster) {
            // Names may repeat between snapshots only with the same content; Envoy refuses them even so.
            cluster.name = prefixed(index, &cluster.name);
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
            chains.for_each(|chain| inline(chain, index, &routes, &known));
            statics.listeners.push(listener);
        }
    }
    Bootstrap {
        node: Some(Node { id: "test".into(), cluster: "test".into(), ..Node::default() }),
        static_resources: Some(statics),
        ..Bootstrap::default()
    }
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
    let any = Any::decode(resource.body.clone()).expect("an Any");
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
