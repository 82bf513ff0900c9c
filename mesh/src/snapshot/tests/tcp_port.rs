//! Which connections leave by which chain: AWS's own endpoints, tcp services, and the rest.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::process::Command;
use std::sync::Arc;

use envoy_types::pb::envoy::config::listener::v3::{FilterChain, FilterChainMatch, Listener};
use fleetmesh_tools::tools;
use serde_json::{Value, json};

use super::bootstrap::decoded;
use super::corpus::{calling, discovered, service};
use super::names;
use super::tls::PCA;
use crate::cloud_map::{Discovered, Discovery, RegisteredInstance, ServiceName};
use crate::snapshot::names::{AWS_DOMAINS, MORE_AWS_DOMAINS};
use crate::snapshot::{ResourceType, Snapshot, standing};
use crate::testing::{instance, node, view};
use crate::view::MeshView;

/// A connection as a proxy sees it; `sni` is the name that its TLS asks for, `Some("")` none.
#[derive(Clone, Copy, Debug)]
pub struct Connection<'a> {
    pub to: &'a str,
    pub port: u32,
    pub sni: Option<&'a str>,
}

/// How well a chain's names fit, as Envoy ranks them: exactly, by the longest ending, or because it has none.
fn fit(chain: &FilterChainMatch, sni: Option<&str>) -> Option<usize> {
    if chain.server_names.is_empty() {
        return Some(0);
    }
    let sni = sni?;
    let fits = chain.server_names.iter().filter_map(|name| match name.strip_prefix('*') {
        Some(end) => sni.ends_with(end).then_some(end.len()),
        None => (name == sni).then_some(usize::MAX),
    });
    fits.max()
}

/// Those of `chains` that rank highest.
fn best<K: Ord>(
    chains: Vec<&FilterChain>,
    rank: impl Fn(&FilterChainMatch) -> Option<K>,
) -> Vec<&FilterChain> {
    let ranked: Vec<(K, &FilterChain)> = chains
        .into_iter()
        .filter_map(|chain| Some((rank(chain.filter_chain_match.as_ref()?)?, chain)))
        .collect();
    let Some(top) = ranked.iter().map(|(rank, _)| rank).max() else { return Vec::new() };
    ranked.iter().filter(|(rank, _)| rank == top).map(|(_, chain)| *chain).collect()
}

/// The chain that takes a connection, by Envoy's order: port, address, name, transport; `None` when it is closed.
pub fn taken_by(listener: &Listener, connection: Connection<'_>) -> Option<String> {
    let Connection { to, port, sni } = connection;
    let address: IpAddr = to.parse().expect("an address");
    let of_port = listener.filter_chains.iter().filter(|chain| {
        let matcher = chain.filter_chain_match.as_ref();
        matcher.and_then(|matcher| matcher.destination_port).is_some_and(|of| of.value == port)
    });
    let by_address = best(of_port.collect(), |chain| match chain.prefix_ranges.as_slice() {
        [] => Some(false),
        ranges => ranges.iter().any(|range| range.address_prefix == address.to_string()).then_some(true),
    });
    let by_name = best(by_address, |chain| fit(chain, sni));
    let transport = if sni.is_some() { "tls" } else { "raw_buffer" };
    let by_transport = best(by_name, |chain| match chain.transport_protocol.as_str() {
        "" => Some(false),
        other => (other == transport).then_some(true),
    });
    let found = by_transport.first().copied().or(listener.default_filter_chain.as_ref());
    found.map(|chain| chain.name.clone())
}

pub fn snapshot(view: &MeshView, known: &Discovered) -> Arc<Snapshot> {
    Arc::new(Snapshot::build(view, known, &node("client")).expect("the node exists"))
}

pub fn listener(snapshot: &Snapshot) -> Listener {
    decoded(snapshot, ResourceType::Listener).next().expect("the listener of egress")
}

pub fn dns() -> Value {
    json!({"dns": {"hostname": "Db-1.local."}})
}

fn cloud_map() -> Value {
    json!({"awsCloudMap": {"namespaceName": "apps.local", "serviceName": "n"}})
}

/// `client` calls the service `name` on `port`, which the node `n` provides.
fn mesh(filter: &str, protocol: &str, (name, port): (&str, u16), discovery: &Value) -> MeshView {
    let listeners = json!([{"portMapping": {"port": port, "protocol": protocol}}]);
    view(&[
        ("", json!({"egressFilter": {"type": filter}})),
        ("virtualNode/n", json!({"listeners": listeners, "serviceDiscovery": discovery})),
        (&format!("virtualService/{name}"), json!({"provider": {"virtualNode": {"virtualNodeName": "n"}}})),
        ("virtualNode/client", calling(&[name])),
    ])
}

fn instances() -> Discovered {
    let unhealthy =
        RegisteredInstance { unhealthy: true, ..instance("b", &[("AWS_INSTANCE_IPV4", "10.0.0.2")]) };
    discovered(vec![
        instance("a", &[("AWS_INSTANCE_IPV4", "10.0.0.1"), ("AWS_INSTANCE_IPV6", "fd00::1")]),
        unhealthy,
    ])
}

pub const ELSEWHERE: &str = "192.0.2.1";

fn tls<'a>(to: &'a str, sni: &'a str) -> Connection<'a> {
    Connection { to, port: 443, sni: Some(sni) }
}

pub fn plain(to: &str, port: u32) -> Connection<'_> {
    Connection { to, port, sni: None }
}

#[test]
fn aws_s_own_endpoints_pass_in_every_partition_and_their_namesakes_do_not() {
    let listener =
        listener(&snapshot(&mesh("DROP_ALL", "http", ("n.local", 80), &dns()), &Discovered::default()));
    let taken = |sni| taken_by(&listener, tls(ELSEWHERE, sni));
    // That is a chain of its own, as it always was: whatever is new of AWS closes no connection to what passed already.
    for passes in ["sts.amazonaws.com", "ec2.eu-west-1.amazonaws.com"] {
        assert_eq!(taken(passes).as_deref(), Some("aws"), "{passes}");
    }
    let first = listener.filter_chains.iter().find(|chain| chain.name == "aws").expect("the chain");
    let matcher = first.filter_chain_match.as_ref().expect("what it is for");
    assert_eq!(matcher.server_names, ["*.amazonaws.com"]);
    for passes in [
        "ec2.eu-west-1.api.aws",
        "sts.cn-north-1.amazonaws.com.cn",
        "ec2.cn-north-1.api.amazonwebservices.com.cn",
        "sts.eusc-de-east-1.amazonaws.eu",
        "ec2.us-iso-east-1.c2s.ic.gov",
        "ec2.us-isob-east-1.sc2s.sgov.gov",
        "ec2.eu-isoe-west-1.cloud.adc-e.uk",
        "ec2.us-isof-south-1.csp.hci.ic.gov",
    ] {
        assert_eq!(taken(passes).as_deref(), Some("aws_partitions"), "{passes}");
    }
    for dropped in ["", "amazonaws.com.example.com", "notamazonaws.com", "aws", "api.aws.example.com"] {
        assert_eq!(taken(dropped), None, "{dropped}");
    }
    assert_eq!(taken_by(&listener, Connection { port: 8443, ..tls(ELSEWHERE, "sts.amazonaws.com") }), None);
}

#[test]
fn a_tcp_service_on_443_takes_tls_by_name_and_plaintext_by_port() {
    let allows = mesh("ALLOW_ALL", "tcp", ("db.local", 443), &dns());
    let listener = listener(&snapshot(&allows, &Discovered::default()));
    let (own, through) = (Some("rds_egress_tcp_443_tls"), Some("passthrough"));
    for (sni, expected) in [
        ("db.local", own),
        ("db-1.local", own),
        ("sts.amazonaws.com", through),
        ("example.com", through),
        ("", through),
    ] {
        assert_eq!(taken_by(&listener, tls(ELSEWHERE, sni)).as_deref(), expected, "{sni:?}");
    }
    assert_eq!(taken_by(&listener, plain(ELSEWHERE, 443)).as_deref(), Some("rds_egress_tcp_443"));
    assert_eq!(taken_by(&listener, plain(ELSEWHERE, 80)).as_deref(), through);
}

#[test]
fn a_tcp_service_with_the_name_that_cloud_map_discovers_takes_connections_by_address() {
    for port in [443, 5432] {
        let allows = mesh("ALLOW_ALL", "tcp", ("N.apps.local", port), &cloud_map());
        let listener = listener(&snapshot(&allows, &instances()));
        let port = u32::from(port);
        for address in ["10.0.0.1", "10.0.0.2", "fd00::1"] {
            let own = format!("rds_egress_tcp_{port}_{address}");
            assert_eq!(taken_by(&listener, plain(address, port)), Some(own.clone()));
            let named = Connection { to: address, port, sni: Some("example.com") };
            assert_eq!(taken_by(&listener, named), Some(own));
        }
        assert_eq!(taken_by(&listener, plain(ELSEWHERE, port)).as_deref(), Some("passthrough"));
    }
}

/// `client` must not reach `n`, for nobody can say whom to trust there; `m` is reached without TLS and has the service's name.
#[test]
fn what_goes_to_a_closed_target_does_not_pass_through() {
    let cloud_map = |name| json!({"awsCloudMap": {"namespaceName": "apps.local", "serviceName": name}});
    let server = |name, port| {
        let listeners = json!([{"portMapping": {"port": port, "protocol": "tcp"}}]);
        json!({"listeners": listeners, "serviceDiscovery": cloud_map(name)})
    };
    let trust = json!({"acm": {"certificateAuthorityArns": [PCA]}});
    let policy = json!({"tls": {"ports": [443], "validation": {"trust": trust}}});
    let targets = ["m", "n"]
        .map(|name| json!({"virtualNode": name, "weight": 50, "port": if name == "m" { 80 } else { 443 }}));
    let view = view(&[
        ("", json!({"egressFilter": {"type": "ALLOW_ALL"}})),
        ("virtualNode/m", server("m", 80)),
        ("virtualNode/n", server("n", 443)),
        ("virtualRouter/r", json!({"listeners": [{"portMapping": {"port": 443, "protocol": "tcp"}}]})),
        ("virtualRouter/r/route/all", json!({"tcpRoute": {"action": {"weightedTargets": targets}}})),
        ("virtualService/m.apps.local", json!({"provider": {"virtualRouter": {"virtualRouterName": "r"}}})),
        (
            "virtualNode/client",
            json!({"backends": [{"virtualService": {"virtualServiceName": "m.apps.local", "clientPolicy": policy}}]}),
        ),
    ]);
    let at = |address| Discovery::Instances(Arc::new(vec![instance("a", &[("AWS_INSTANCE_IPV4", address)])]));
    let named = |name: &str| ServiceName { service_name: name.into(), ..service() };
    let known: Discovered =
        [(named("m"), at("10.0.0.1")), (named("n"), at("10.0.0.2"))].into_iter().collect();
    let snapshot = snapshot(&view, &known);
    assert!(!names(&snapshot, ResourceType::Cluster).iter().any(|cluster| cluster.contains("_n_")));
    let listener = listener(&snapshot);
    for address in ["10.0.0.1", "10.0.0.2"] {
        let own = format!("rds_egress_tcp_443_{address}");
        assert_eq!(taken_by(&listener, plain(address, 443)), Some(own), "m takes its share");
    }
    let by_name = taken_by(&listener, tls(ELSEWHERE, "n.apps.local"));
    assert_eq!(by_name.as_deref(), Some("rds_egress_tcp_443_tls"));
    assert_eq!(taken_by(&listener, plain(ELSEWHERE, 443)).as_deref(), Some("passthrough"));
}

#[test]
fn a_tcp_service_takes_its_whole_port_where_nothing_says_what_is_meant_for_it() {
    let none = Discovered::default();
    for (filter, name, discovery, known) in [
        ("ALLOW_ALL", "db.local", dns(), &none),
        // Cloud Map has no addresses for that name, or was not heard of yet.
        ("ALLOW_ALL", "db.local", cloud_map(), &instances()),
        ("ALLOW_ALL", "n.apps.local", cloud_map(), &none),
        // Nothing else could be called there.
        ("DROP_ALL", "n.apps.local", cloud_map(), &instances()),
    ] {
        let view = mesh(filter, "tcp", (name, 5432), &discovery);
        let listener = listener(&snapshot(&view, known));
        let taken = taken_by(&listener, plain(ELSEWHERE, 5432));
        assert_eq!(taken.as_deref(), Some("rds_egress_tcp_5432"), "{filter} {name}");
    }
}

#[test]
fn connections_to_an_instance_outlast_the_coming_of_another() {
    let allows = mesh("ALLOW_ALL", "tcp", ("n.apps.local", 5432), &cloud_map());
    let of = |known: &Discovered| listener(&snapshot(&allows, known)).filter_chains;
    let one = discovered(vec![instance("a", &[("AWS_INSTANCE_IPV4", "10.0.0.1")])]);
    let (both, one, none) = (of(&instances()), of(&one), of(&discovered(Vec::new())));
    assert_eq!((both.len(), one.len()), (4, 2), "a chain for each address, and for the virtual one");
    assert!(one.iter().all(|kept| both.contains(kept)), "the very same chains stay: {both:#?}");
    let [own] = none.try_into().expect("without instances nothing but its virtual address is meant for it");
    assert!(one.contains(&own));
}

#[test]
fn allow_all_lets_through_whatever_drop_all_does() {
    let services =
        [("tcp", "db.local"), ("tcp", "n.apps.local"), ("http", "db.local"), ("http2", "n.apps.local")];
    let snis = [None, Some(""), Some("sts.amazonaws.com"), Some("example.com"), Some("db.local")];
    for (protocol, name) in services {
        for port in [443, 80] {
            for discovery in [dns(), cloud_map()] {
                let of = |filter| {
                    listener(&snapshot(&mesh(filter, protocol, (name, port), &discovery), &instances()))
                };
                let (drops, allows) = (of("DROP_ALL"), of("ALLOW_ALL"));
                for (sni, at) in snis.into_iter().flat_map(|sni| [443, 80, 22].map(|at| (sni, at))) {
                    let connection = Connection { to: ELSEWHERE, port: at, sni };
                    if taken_by(&drops, connection).is_some_and(|chain| chain.starts_with("aws")) {
                        let through = taken_by(&allows, connection);
                        assert_eq!(
                            through.as_deref(),
                            Some("passthrough"),
                            "{protocol} {name}:{port} {connection:?}"
                        );
                    }
                    assert!(taken_by(&allows, connection).is_some());
                }
            }
        }
    }
}

#[test]
fn a_port_alone_is_noted_with_the_backend_that_has_it() {
    let notes = |view: &MeshView, known: &Discovered| {
        let record = view.get(&node("client")).expect("the node");
        let standing = standing(view, known, record);
        assert!(standing.unserved.is_empty(), "{standing:?}");
        standing.notes
    };
    let allows = |name, port, discovery: &Value| mesh("ALLOW_ALL", "tcp", (name, port), discovery);
    let none = Discovered::default();
    assert_eq!(
        notes(&allows("db.local", 5432, &dns()), &none),
        [
            "spec.backends[0].virtualService.virtualServiceName: \"db.local\" takes every connection to port 5432, wherever it was going, although the mesh lets all through (egressFilter ALLOW_ALL): nothing but the port says what is meant for it. If others are called on that port, give the service another one, or the name by which Cloud Map discovers one of its nodes (SERVICE.NAMESPACE): then its addresses say it"
        ]
    );
    let plaintext = notes(&allows("db.local", 443, &dns()), &none);
    assert!(plaintext[0].contains("takes every connection without TLS to port 443"), "{plaintext:?}");
    let by_address = allows("n.apps.local", 5432, &cloud_map());
    assert_eq!(notes(&by_address, &none).len(), 1, "not discovered yet");
    assert!(notes(&by_address, &instances()).is_empty());
    assert!(notes(&allows("10.0.0.9", 5432, &dns()), &none).is_empty(), "its address is its name");
    assert!(notes(&mesh("DROP_ALL", "tcp", ("db.local", 5432), &dns()), &none).is_empty());
    assert!(notes(&mesh("ALLOW_ALL", "http", ("db.local", 5432), &dns()), &none).is_empty());
    let client = snapshot(&by_address, &instances());
    assert_eq!(
        names(&client, ResourceType::Cluster),
        ["cds_egress_apps_n_tcp_5432", "cds_egress_apps_passthrough"]
    );
}

/// Whatever AWS's own SDK makes a host of: `tests/data` would age, the AWS CLI that tests use does not.
#[test]
fn the_domains_are_those_of_botocore() {
    let script = "import botocore, json, os; print(open(os.path.join(os.path.dirname(botocore.__file__), 'data', 'partitions.json')).read())";
    let python = tools::tool("python").expect("python with botocore");
    let output = Command::new(python).args(["-c", script]).output().expect("python runs");
    let partitions: Value = serde_json::from_slice(&output.stdout).expect("botocore's partitions");
    let mut domains = BTreeSet::new();
    for partition in partitions["partitions"].as_array().expect("partitions") {
        for member in ["dnsSuffix", "dualStackDnsSuffix"] {
            domains.extend(partition["outputs"][member].as_str().map(str::to_owned));
        }
    }
    assert!(domains.len() > 10, "{domains:?}");
    let known: BTreeSet<String> =
        AWS_DOMAINS.into_iter().chain(MORE_AWS_DOMAINS).map(str::to_owned).collect();
    let missing: Vec<&String> = domains.difference(&known).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
