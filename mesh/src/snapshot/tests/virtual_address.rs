//! Connections to the virtual addresses of tcp services, which `fleetmesh proxy dns` answers their names with.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;

use envoy_types::pb::envoy::config::listener::v3::{FilterChain, Listener, filter};
use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3::TcpProxy;
use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3::tcp_proxy::ClusterSpecifier;
use envoy_types::pb::google::protobuf::value::Kind;
use fleetmesh_api::services::{METADATA, SERVICE};
use fleetmesh_api::tags::{ANSWERED, PROXY_DNS_TAG};
use fleetmesh_api::virtual_addresses::assign;
use prost::Message as _;
use serde_json::{Value, json};

use super::corpus::calling;
use super::tcp_port::{ELSEWHERE, dns, listener, plain, snapshot, taken_by};
use super::{client, names};
use crate::cloud_map::Discovered;
use crate::snapshot::{ResourceType, standing, unserved};
use crate::testing::{node, view};
use crate::view::MeshView;

/// `client` calls each service, which the node of the same name provides on these ports.
fn mesh(filter: &str, services: &[(&str, &[(&str, u16)])]) -> MeshView {
    let mut objects: Vec<(String, Value)> = vec![(String::new(), json!({"egressFilter": {"type": filter}}))];
    for (service, ports) in services {
        let node = service.replace(['.', ':'], "-");
        let listeners: Vec<Value> = ports
            .iter()
            .map(|(protocol, port)| json!({"portMapping": {"port": port, "protocol": protocol}}))
            .collect();
        objects.push((
            format!("virtualNode/{node}"),
            json!({"listeners": listeners, "serviceDiscovery": dns()}),
        ));
        objects.push((
            format!("virtualService/{service}"),
            json!({"provider": {"virtualNode": {"virtualNodeName": node}}}),
        ));
    }
    let called: Vec<&str> = services.iter().map(|(service, _)| *service).collect();
    objects.push(("virtualNode/client".to_owned(), calling(&called)));
    let objects: Vec<(&str, Value)> =
        objects.iter().map(|(path, spec)| (path.as_str(), spec.clone())).collect();
    view(&objects)
}

fn listener_of(view: &MeshView) -> Listener {
    listener(&snapshot(view, &Discovered::default()))
}

/// What a resolver on the node's machines reads: each service that a chain names, with the one address that the chain takes.
fn said(listener: &Listener) -> BTreeMap<String, Ipv4Addr> {
    let of = |chain: &FilterChain| {
        let metadata = chain.metadata.as_ref()?;
        let service = metadata.filter_metadata.get(METADATA)?.fields.get(SERVICE)?;
        let ranges = &chain.filter_chain_match.as_ref()?.prefix_ranges;
        let [range] = ranges.as_slice() else { panic!("{ranges:?}") };
        assert_eq!(range.prefix_len.map(|bits| bits.value), Some(32));
        let address = range.address_prefix.parse().expect("an address");
        let Some(Kind::StringValue(service)) = &service.kind else { panic!("{service:?}") };
        Some((service.clone(), address))
    };
    listener.filter_chains.iter().filter_map(of).collect()
}

/// The cluster to which the chain that takes the connection leads.
fn leads_to(listener: &Listener, to: &str, port: u32) -> Option<String> {
    let name = taken_by(listener, plain(to, port))?;
    let chain = listener.filter_chains.iter().find(|chain| chain.name == name)?;
    let Some(filter::ConfigType::TypedConfig(config)) = &chain.filters.first()?.config_type else {
        return None;
    };
    let proxy = TcpProxy::decode(config.value.as_slice()).ok()?;
    let Some(ClusterSpecifier::WeightedClusters(clusters)) = proxy.cluster_specifier else { return None };
    clusters.clusters.first().map(|cluster| cluster.name.clone())
}

fn address_of(names: &[&str], name: &str) -> String {
    let names: BTreeSet<String> = names.iter().map(ToString::to_string).collect();
    assign(&names)[name].to_string()
}

#[test]
fn two_tcp_services_on_one_port_are_distinguished_by_their_virtual_addresses() {
    for filter in ["DROP_ALL", "ALLOW_ALL"] {
        let view = mesh(filter, &[("Db.local", &[("tcp", 5432)]), ("cache.local", &[("tcp", 5432)])]);
        let listener = listener_of(&view);
        let both = ["db.local", "cache.local"];
        for (service, cluster) in [("db.local", "Db-local"), ("cache.local", "cache-local")] {
            let to = address_of(&both, service);
            let cluster = format!("cds_egress_apps_{cluster}_tcp_5432");
            assert_eq!(leads_to(&listener, &to, 5432), Some(cluster), "{filter} {service}");
        }
        let first = Some("cds_egress_apps_Db-local_tcp_5432".to_owned());
        assert_eq!(leads_to(&listener, ELSEWHERE, 5432), first, "the port is the first one's");
        let addresses = said(&listener);
        let expected = [("Db.local", "db.local"), ("cache.local", "cache.local")];
        assert_eq!(
            addresses,
            expected
                .map(|(said, name)| (said.to_owned(), address_of(&both, name).parse().expect("an address")))
                .into()
        );
        assert_eq!(
            names(&client(&view), ResourceType::Cluster),
            [
                "cds_egress_apps_Db-local_tcp_5432",
                "cds_egress_apps_cache-local_tcp_5432",
                "cds_egress_apps_passthrough"
            ]
        );
    }
}

#[test]
fn a_tcp_service_has_its_virtual_address_also_on_a_port_that_speaks_http() {
    let services: [(&str, &[(&str, u16)]); 2] =
        [("web.local", &[("http", 80), ("tcp", 90)]), ("db.local", &[("tcp", 80)])];
    let listener = listener_of(&mesh("DROP_ALL", &services));
    let (web, db) = (
        address_of(&["web.local", "db.local"], "web.local"),
        address_of(&["web.local", "db.local"], "db.local"),
    );
    assert_eq!(taken_by(&listener, plain(&web, 80)).as_deref(), Some("rds_egress_http_80"));
    assert_eq!(leads_to(&listener, &web, 90).as_deref(), Some("cds_egress_apps_web-local_tcp_90"));
    assert_eq!(leads_to(&listener, &db, 80).as_deref(), Some("cds_egress_apps_db-local_tcp_80"));
    assert_eq!(taken_by(&listener, plain(ELSEWHERE, 80)).as_deref(), Some("rds_egress_http_80"));
}

#[test]
fn http_services_move_no_virtual_address_and_close_no_connection() {
    let tcp: (&str, &[(&str, u16)]) = ("db.local", &[("tcp", 5432)]);
    let before = listener_of(&mesh("DROP_ALL", &[tcp]));
    let many: Vec<String> = (0..50).map(|number| format!("s{number}.local")).collect();
    let mut services: Vec<(&str, &[(&str, u16)])> = vec![tcp];
    services.extend(many.iter().map(|name| (name.as_str(), &[("http", 80)][..])));
    let after = listener_of(&mesh("DROP_ALL", &services));
    assert_eq!(said(&before), said(&after));
    assert!(before.filter_chains.iter().all(|chain| after.filter_chains.contains(chain)), "{after:#?}");
}

#[test]
fn what_has_no_name_to_ask_for_has_no_virtual_address() {
    let port: &[(&str, u16)] = &[("tcp", 5432)];
    for name in ["10.0.0.9", "*.local"] {
        let listener = listener_of(&mesh("DROP_ALL", &[(name, port)]));
        assert!(said(&listener).is_empty(), "{name}");
    }
    assert!(said(&listener_of(&mesh("DROP_ALL", &[("web.local", &[("http", 80)])]))).is_empty());
    // One name in two spellings: Envoy takes no two chains for the same connections.
    let twice = listener_of(&mesh("DROP_ALL", &[("db.local", port), ("db.local:5432", port)]));
    assert_eq!(said(&twice).keys().collect::<Vec<_>>(), ["db.local"]);
}

#[test]
fn the_same_services_give_the_same_bytes() {
    let services: [(&str, &[(&str, u16)]); 3] =
        [("a.local", &[("tcp", 1)]), ("b.local", &[("tcp", 1), ("tcp", 2)]), ("c.local", &[("tcp", 1)])];
    let view = mesh("ALLOW_ALL", &services);
    let version = || snapshot(&view, &Discovered::default()).content(ResourceType::Listener).version.clone();
    let first = version();
    assert!((0..20).all(|_| version() == first));
}

#[test]
fn a_port_that_is_another_s_is_reported_unless_names_resolve_on_the_node_s_machines() {
    let view = mesh("DROP_ALL", &[("db.local", &[("tcp", 5432)]), ("cache.local", &[("tcp", 5432)])]);
    let of = |tags: &[(&str, &str)]| {
        let mut record = view.get(&node("client")).expect("the node").as_ref().clone();
        record.tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        unserved(&view, &Discovered::default(), &Arc::new(record))
    };
    let expected = "spec.backends[1].virtualService.virtualServiceName: port 5432 belongs to the tcp service \"db.local\", which takes all of it; give it another port, or let names resolve on the node's machines (fleetmesh proxy dns, proxy.dns of a fleet): its virtual address is its own";
    assert_eq!(of(&[]), [expected]);
    assert_eq!(of(&[(PROXY_DNS_TAG, "false")]), [expected]);
    assert_eq!(of(&[(PROXY_DNS_TAG, ANSWERED)]), [""; 0]);
    let record = view.get(&node("client")).expect("the node");
    assert!(standing(&view, &Discovered::default(), record).notes.is_empty());
}
