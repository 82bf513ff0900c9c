//! TLS between proxies: what listeners take, what clients send, by whose certificates, and that what cannot be served is
//! closed and reported.

use std::sync::Arc;

use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::listener::v3::{FilterChain, Listener};
use envoy_types::pb::envoy::config::route::v3::RouteConfiguration;
use envoy_types::pb::envoy::config::route::v3::route::Action;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::common_tls_context::ValidationContextType;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::subject_alt_name_matcher::SanType;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::{
    CommonTlsContext, DownstreamTlsContext, SubjectAltNameMatcher, UpstreamTlsContext,
};
use envoy_types::pb::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use prost::{Message, Name};
use serde_json::{Value, json};

use super::bootstrap::{common_tls, decoded, secret_names};
use super::corpus::{self, calling};
use super::{client, names};
use crate::cloud_map::Discovered;
use crate::snapshot::{ResourceType, Snapshot, recall, unavailable, unserved};
use crate::testing::{node, record, version_keys, view};
use crate::view::MeshView;

pub(super) fn file() -> Value {
    serde_json::from_str(corpus::FILE).expect("JSON")
}

fn trust() -> Value {
    serde_json::from_str(corpus::TRUST).expect("JSON")
}

fn acm() -> Value {
    json!({"acm": {"certificateArn": "arn:aws:acm:us-west-2:111122223333:certificate/x"}})
}

/// An authority of ACM PCA.
pub(super) const PCA: &str = "arn:aws:acm-pca:us-west-2:111122223333:certificate-authority/x";

pub(super) fn pca() -> Value {
    json!({"acm": {"certificateAuthorityArns": [PCA]}})
}

pub(super) fn listener(port: u16, protocol: &str, tls: Option<Value>) -> Value {
    let mut listener = json!({"portMapping": {"port": port, "protocol": protocol}});
    if let Some(tls) = tls {
        listener["tls"] = tls;
    }
    listener
}

pub(super) fn tls(mode: &str, certificate: Value) -> Option<Value> {
    Some(json!({"mode": mode, "certificate": certificate}))
}

pub(super) fn policy(trust: &Value) -> Value {
    json!({"validation": {"trust": trust}})
}

/// `client` calls `n.local`, which the node `n` with these listeners provides, by `policy` for that backend and `defaults`.
pub(super) fn mesh(listeners: &Value, policy: Option<&Value>, defaults: Option<&Value>) -> MeshView {
    let mut client = calling(&["n.local"]);
    if let Some(tls) = policy {
        client["backends"][0]["virtualService"]["clientPolicy"] = json!({"tls": tls});
    }
    if let Some(tls) = defaults {
        client["backendDefaults"] = json!({"clientPolicy": {"tls": tls}});
    }
    view(&[
        (
            "virtualNode/n",
            json!({"listeners": listeners, "serviceDiscovery": {"dns": {"hostname": "n.discovered"}}}),
        ),
        ("virtualService/n.local", json!({"provider": {"virtualNode": {"virtualNodeName": "n"}}})),
        ("virtualNode/client", client),
    ])
}

/// The chains of the node's own listener; none when it has no listener.
fn chains(mesh: &MeshView) -> (Vec<FilterChain>, usize) {
    let snapshot = Snapshot::build(mesh, &Discovered::default(), &node("n")).expect("the node");
    let mut listeners = decoded::<Listener>(&snapshot, ResourceType::Listener);
    let ingress = listeners.find(|listener| listener.name == "lds_ingress_0.0.0.0_15000");
    ingress
        .map_or_else(Default::default, |listener| (listener.filter_chains, listener.listener_filters.len()))
}

/// `(transport protocol, whether TLS)` of each chain.
fn ways(chains: &[FilterChain]) -> Vec<(&str, bool)> {
    let way = |chain: &FilterChain| chain.transport_socket.is_some();
    let of = |chain: &'_ FilterChain| {
        chain.filter_chain_match.as_ref().expect("a match").transport_protocol.as_str().to_owned()
    };
    let known =
        |text: String| ["", "tls", "raw_buffer"].into_iter().find(|known| *known == text).expect("a way");
    chains.iter().map(|chain| (known(of(chain)), way(chain))).collect()
}

#[test]
fn a_listener_takes_what_its_mode_says_and_nothing_else() {
    for (mode, expected, filters) in [
        (None, vec![("", false)], 1),
        (tls("DISABLED", file()), vec![("", false)], 1),
        (tls("DISABLED", acm()), vec![("", false)], 1),
        (tls("STRICT", file()), vec![("", true)], 1),
        (tls("PERMISSIVE", file()), vec![("tls", true), ("raw_buffer", false)], 2),
        (tls("STRICT", acm()), vec![], 1),
        (tls("PERMISSIVE", acm()), vec![], 1),
    ] {
        for protocol in ["http", "http2", "grpc", "tcp"] {
            let alone = mesh(&json!([listener(80, protocol, mode.clone())]), None, None);
            let (found, listener_filters) = chains(&alone);
            assert_eq!(ways(&found), expected, "{mode:?} {protocol}");
            assert_eq!(listener_filters, if expected.is_empty() { 0 } else { filters }, "{mode:?}");
            // Another listener is not touched by it.
            let both = json!([listener(80, protocol, mode.clone()), listener(81, protocol, None)]);
            let (found, _) = chains(&mesh(&both, None, None));
            assert_eq!(ways(&found[..expected.len()]), expected, "{mode:?}");
            assert_eq!(ways(&found[expected.len()..]), [("", false)], "{mode:?}");
        }
    }
}

fn downstream(chain: &FilterChain) -> DownstreamTlsContext {
    use envoy_types::pb::envoy::config::core::v3::transport_socket::ConfigType;
    let socket = chain.transport_socket.as_ref().expect("TLS");
    let Some(ConfigType::TypedConfig(any)) = &socket.config_type else { panic!("no config") };
    assert_eq!(any.type_url, DownstreamTlsContext::type_url());
    DownstreamTlsContext::decode(any.value.as_slice()).expect("a context")
}

fn sans(tls: &CommonTlsContext) -> Vec<(i32, String)> {
    let Some(ValidationContextType::CombinedValidationContext(combined)) = &tls.validation_context_type
    else {
        return Vec::new();
    };
    let context = combined.default_validation_context.as_ref().expect("a context");
    let san = |matcher: &SubjectAltNameMatcher| {
        let Some(MatchPattern::Exact(name)) = matcher.matcher.clone().and_then(|one| one.match_pattern)
        else {
            panic!("not exact")
        };
        (matcher.san_type, name)
    };
    context.match_typed_subject_alt_names.iter().map(san).collect()
}

#[test]
fn a_listener_that_validates_demands_a_certificate_of_every_connection() {
    let mut strict = tls("STRICT", file()).expect("TLS");
    let (open, _) = chains(&mesh(&json!([listener(80, "http2", Some(strict.clone()))]), None, None));
    let context = downstream(&open[0]);
    assert_eq!(context.require_client_certificate.map(|one| one.value), Some(false));
    assert!(context.session_ticket_keys_type.is_none());
    let common = context.common_tls_context.expect("TLS");
    assert_eq!(common.alpn_protocols, ["h2"]);
    let params = common.tls_params.as_ref().expect("bounds");
    assert_eq!(
        (params.tls_minimum_protocol_version, params.tls_maximum_protocol_version),
        (3, 4),
        "TLS 1.2 to 1.3"
    );
    assert!(sans(&common).is_empty());

    strict["validation"] = json!({"trust": trust(), "subjectAlternativeNames": {"match": {"exact": [
        "a.local", "spiffe://x/a", "urn:a", "10.0.0.1", "fd00::1", "a@x.local"]}}});
    let (closed, _) = chains(&mesh(&json!([listener(80, "tcp", Some(strict))]), None, None));
    let context = downstream(&closed[0]);
    assert_eq!(context.require_client_certificate.map(|one| one.value), Some(true));
    assert!(context.disable_stateful_session_resumption && context.session_ticket_keys_type.is_some());
    let common = context.common_tls_context.expect("TLS");
    assert!(common.alpn_protocols.is_empty(), "tcp says nothing of what it carries");
    let kinds =
        [SanType::Dns, SanType::Uri, SanType::Uri, SanType::IpAddress, SanType::IpAddress, SanType::Email];
    assert_eq!(sans(&common).iter().map(|(kind, _)| *kind).collect::<Vec<_>>(), kinds.map(i32::from));
}

#[test]
fn files_are_secrets_on_the_stream_and_sds_is_the_hosts_own() {
    let sds = json!({"sds": {"secretName": "mine"}});
    let names_of = |certificate: Value, trust: Value| {
        let tls = json!({"mode": "STRICT", "certificate": certificate, "validation": {"trust": trust}});
        let mesh = mesh(&json!([listener(80, "http", Some(tls))]), None, None);
        let (chains, _) = chains(&mesh);
        let snapshot = Snapshot::build(&mesh, &Discovered::default(), &node("n")).expect("the node");
        let held =
            names(&snapshot, ResourceType::Secret).into_iter().map(ToOwned::to_owned).collect::<Vec<_>>();
        (secret_names(&common_tls(chains[0].transport_socket.as_ref()).expect("TLS")), held)
    };
    let (named, held) = names_of(file(), trust());
    let [(certificate, true), (authorities, true)] = named.as_slice() else { panic!("{named:?}") };
    assert!(certificate.starts_with("file_certificate_") && authorities.starts_with("file_trust_"));
    assert_eq!(held, [certificate.clone(), authorities.clone()]);
    let (named, held) = names_of(sds.clone(), sds);
    assert_eq!((named, held), (vec![("mine".to_owned(), false), ("mine".to_owned(), false)], Vec::new()));
    // Another file is another name, so a change of the path is a change of the listener.
    let other = json!({"file": {"certificateChain": "/certs/a.pem", "privateKey": "/certs/b.key"}});
    assert_ne!(names_of(other, trust()).0[0], (certificate.clone(), true));
}

/// The names that `tls` accepts in certificates, with how they are compared.
fn uris(tls: &CommonTlsContext) -> Vec<(SanType, MatchPattern)> {
    let Some(ValidationContextType::CombinedValidationContext(combined)) = &tls.validation_context_type
    else {
        panic!("nobody is trusted")
    };
    let context = combined.default_validation_context.as_ref().expect("a context");
    let names = context.match_typed_subject_alt_names.iter();
    names
        .map(|one| {
            let pattern = one.matcher.clone().and_then(|one| one.match_pattern).expect("a pattern");
            (SanType::try_from(one.san_type).expect("a kind"), pattern)
        })
        .collect()
}

#[test]
fn whoever_trusts_the_mesh_alone_means_the_node_that_is_called_or_the_listeners_own_mesh() {
    let sds = |name: &str| json!({"sds": {"secretName": name}});
    let arn = |path: &str| format!("arn:aws:appmesh:us-west-2:111122223333:mesh/apps{path}");
    let named = json!({"match": {"exact": ["spiffe://x/n"]}});
    let of = |trust: &Value, names: Option<&Value>| {
        let mut listens =
            json!({"mode": "STRICT", "certificate": sds("fleetmesh"), "validation": {"trust": trust}});
        let mut calls = json!({"certificate": sds("fleetmesh"), "validation": {"trust": trust}});
        if let Some(names) = names {
            listens["validation"]["subjectAlternativeNames"] = names.clone();
            calls["validation"]["subjectAlternativeNames"] = names.clone();
        }
        let mesh = mesh(&json!([listener(80, "http2", Some(listens))]), Some(&calls), None);
        let server = common_tls(chains(&mesh).0[0].transport_socket.as_ref()).expect("TLS");
        let client = clusters(&client(&mesh)).remove(0).1.expect("TLS");
        assert_eq!(secret_names(&client).len(), 2, "both are the host's own: {client:?}");
        (uris(&server), uris(&client))
    };
    let (members, node) = of(&sds("fleetmesh-ca"), None);
    assert_eq!(members, [(SanType::Uri, MatchPattern::Prefix(arn("/")))], "and no other mesh");
    assert_eq!(node, [(SanType::Uri, MatchPattern::Exact(arn("/virtualNode/n")))]);
    let exact = vec![(SanType::Uri, MatchPattern::Exact("spiffe://x/n".to_owned()))];
    assert_eq!(of(&sds("fleetmesh-ca"), Some(&named)), (exact.clone(), exact), "names that are given count");
    let (anybody, host) = of(&sds("somebody-elses"), None);
    assert!(anybody.is_empty(), "{anybody:?}");
    assert_eq!(host, [(SanType::Dns, MatchPattern::Exact("n.discovered".to_owned()))]);
}

#[test]
fn a_client_without_a_policy_shows_no_certificate_to_a_listener_that_takes_plaintext_instead() {
    for (mode, validates, expected) in [
        ("PERMISSIVE", true, Sent::Plaintext),
        ("PERMISSIVE", false, Sent::Unverified),
        ("STRICT", true, Sent::Unverified),
    ] {
        let mut listens = tls(mode, file()).expect("TLS");
        if validates {
            listens["validation"] = json!({"trust": trust()});
        }
        let listeners = json!([listener(80, "http2", Some(listens))]);
        assert_eq!(sent(&mesh(&listeners, None, None)), expected, "{mode}");
        assert_eq!(sent(&mesh(&listeners, None, Some(&policy(&trust())))), Sent::Verified, "{mode}");
    }
}

/// The client's clusters of the node `n`, with the TLS of each.
pub(super) fn clusters(snapshot: &Snapshot) -> Vec<(String, Option<CommonTlsContext>)> {
    let of_n = |cluster: &Cluster| cluster.name.contains("_n_");
    let clusters = decoded::<Cluster>(snapshot, ResourceType::Cluster).filter(of_n);
    clusters.map(|cluster| (cluster.name.clone(), common_tls(cluster.transport_socket.as_ref()))).collect()
}

#[derive(Debug, PartialEq)]
enum Sent {
    Plaintext,
    Unverified,
    Verified,
    Nothing,
}

fn sent(mesh: &MeshView) -> Sent {
    let snapshot = client(mesh);
    match clusters(&snapshot).as_slice() {
        [] => Sent::Nothing,
        [(_, None)] => Sent::Plaintext,
        [(_, Some(tls))] if tls.validation_context_type.is_none() => Sent::Unverified,
        [(_, Some(_))] => Sent::Verified,
        more => panic!("{more:?}"),
    }
}

#[test]
fn what_a_client_sends_is_what_both_sides_say() {
    let with = |member: &str, value: Value, trust: &Value| {
        let mut policy = policy(trust);
        policy[member] = value;
        Some(policy)
    };
    let (verified, pca) = (Some(policy(&trust())), pca());
    for (policy, plain, strict, permissive, by_acm) in [
        (None, Sent::Plaintext, Sent::Unverified, Sent::Unverified, Sent::Nothing),
        (verified, Sent::Verified, Sent::Verified, Sent::Verified, Sent::Verified),
        (
            with("enforce", json!(true), &trust()),
            Sent::Verified,
            Sent::Verified,
            Sent::Verified,
            Sent::Verified,
        ),
        (
            with("enforce", json!(false), &trust()),
            Sent::Plaintext,
            Sent::Verified,
            Sent::Verified,
            Sent::Verified,
        ),
        (
            with("ports", json!([80]), &trust()),
            Sent::Verified,
            Sent::Verified,
            Sent::Verified,
            Sent::Verified,
        ),
        (with("ports", json!([]), &trust()), Sent::Verified, Sent::Verified, Sent::Verified, Sent::Verified),
        (
            with("ports", json!([81]), &trust()),
            Sent::Plaintext,
            Sent::Unverified,
            Sent::Unverified,
            Sent::Nothing,
        ),
        (with("ports", json!([80]), &pca), Sent::Nothing, Sent::Nothing, Sent::Nothing, Sent::Nothing),
        (with("enforce", json!(false), &pca), Sent::Plaintext, Sent::Nothing, Sent::Nothing, Sent::Nothing),
    ] {
        let tls_modes = [None, tls("STRICT", file()), tls("PERMISSIVE", file()), tls("STRICT", acm())];
        let expected = [plain, strict, permissive, by_acm];
        for (mode, expected) in tls_modes.into_iter().zip(expected) {
            let listeners = json!([listener(80, "http2", mode.clone())]);
            // For the backend alone, and for all of them.
            assert_eq!(sent(&mesh(&listeners, policy.as_ref(), None)), expected, "{policy:?} {mode:?}");
            assert_eq!(sent(&mesh(&listeners, None, policy.as_ref())), expected, "{policy:?} {mode:?}");
        }
    }
}

#[test]
fn a_backends_own_policy_comes_before_the_defaults() {
    let listeners = json!([listener(80, "http2", None)]);
    let lenient = json!({"enforce": false, "validation": {"trust": trust()}});
    let strict = policy(&trust());
    assert_eq!(sent(&mesh(&listeners, Some(&lenient), Some(&strict))), Sent::Plaintext);
    assert_eq!(sent(&mesh(&listeners, Some(&strict), Some(&lenient))), Sent::Verified);
    // One that says nothing of TLS does not switch it off.
    let mut mesh = mesh(&listeners, None, Some(&strict));
    let mut caller = calling(&["n.local"]);
    caller["backendDefaults"] = json!({"clientPolicy": {"tls": strict}});
    caller["backends"][0]["virtualService"]["clientPolicy"] = json!({});
    let caller = record("virtualNode/client", &caller, 2);
    mesh.resources.insert(caller.id.clone(), caller);
    assert_eq!(sent(&mesh), Sent::Verified);
}

#[test]
fn a_client_without_names_expects_the_name_of_the_discovery_and_asks_for_it() {
    let listeners = json!([listener(80, "http2", None)]);
    let mut policy = policy(&trust());
    let upstream = |policy: &Value| {
        use envoy_types::pb::envoy::config::core::v3::transport_socket::ConfigType;
        let snapshot = client(&mesh(&listeners, Some(policy), None));
        let mut clusters = decoded::<Cluster>(&snapshot, ResourceType::Cluster);
        let cluster = clusters.find(|cluster| cluster.name.contains("_n_")).expect("a cluster");
        let Some(ConfigType::TypedConfig(any)) = cluster.transport_socket.expect("TLS").config_type else {
            panic!("no config")
        };
        UpstreamTlsContext::decode(any.value.as_slice()).expect("a context")
    };
    let context = upstream(&policy);
    assert_eq!(context.sni, "n.discovered");
    let common = context.common_tls_context.expect("TLS");
    assert_eq!(sans(&common), [(SanType::Dns.into(), "n.discovered".to_owned())]);
    assert_eq!(secret_names(&common).len(), 1, "no certificate of its own");
    policy["certificate"] = file();
    policy["validation"]["subjectAlternativeNames"] = json!({"match": {"exact": ["spiffe://x/n"]}});
    let common = upstream(&policy).common_tls_context.expect("TLS");
    assert_eq!(sans(&common), [(SanType::Uri.into(), "spiffe://x/n".to_owned())]);
    assert_eq!(secret_names(&common).len(), 2, "a certificate of its own");
}

/// `client` calls `n.local` in plaintext and `m.local` over TLS, both of the node `n`.
fn two_ways() -> MeshView {
    let mut caller = calling(&["n.local", "m.local"]);
    caller["backends"][1]["virtualService"]["clientPolicy"] = json!({"tls": policy(&trust())});
    let provider = json!({"provider": {"virtualNode": {"virtualNodeName": "n"}}});
    let listeners = json!([listener(80, "http2", None)]);
    view(&[
        (
            "virtualNode/n",
            json!({"listeners": listeners, "serviceDiscovery": {"dns": {"hostname": "n.discovered"}}}),
        ),
        ("virtualService/n.local", provider.clone()),
        ("virtualService/m.local", provider),
        ("virtualNode/client", caller),
    ])
}

#[test]
fn a_port_that_is_reached_in_two_ways_has_two_clusters() {
    let snapshot = client(&two_ways());
    let found = clusters(&snapshot);
    let [(plain, None), (over_tls, Some(_))] = found.as_slice() else {
        let [(over_tls, Some(_)), (plain, None)] = found.as_slice() else { panic!("{found:?}") };
        return check(&snapshot, plain, over_tls);
    };
    check(&snapshot, plain, over_tls);

    fn check(snapshot: &Arc<Snapshot>, plain: &str, over_tls: &str) {
        assert!(
            plain.starts_with("cds_egress_apps_n_http2_80~"),
            "the plain name is the only one's: {plain}"
        );
        assert_eq!(snapshot.targets.nodes.len(), 2, "requests of both are the node's");
        let routes = decoded::<RouteConfiguration>(snapshot, ResourceType::Route).next().expect("routes");
        for (host, cluster) in [("n.local", plain), ("m.local", over_tls)] {
            let host = routes.virtual_hosts.iter().find(|one| one.name == host).expect("a host");
            let Some(Action::Route(action)) = &host.routes[0].action else { panic!("no route") };
            assert!(format!("{action:?}").contains(cluster), "{action:?} goes to {cluster}");
        }
    }
}

#[test]
fn after_a_restart_nothing_that_was_encrypted_goes_on_in_plaintext() {
    let keys = version_keys(1);
    let both = two_ways();
    let given = client(&both);
    let version = keys.version(&node("client"), ResourceType::Cluster, given.content(ResourceType::Cluster));
    let mut recalled = recall(&both, &Discovered::default(), &keys, &node("client"), &version);
    let now = given.content(ResourceType::Cluster);
    assert_eq!(recalled.len(), 2);
    assert!(
        recalled
            .values()
            .all(|one| now.resources.get(&one.name).is_some_and(|now| now.version == one.version))
    );
    // It had TLS alone; which of the two ways that was, the name does not say.
    let alone = mesh(&json!([listener(80, "http2", None)]), Some(&policy(&trust())), None);
    let given = client(&alone);
    let version = keys.version(&node("client"), ResourceType::Cluster, given.content(ResourceType::Cluster));
    assert!(recall(&both, &Discovered::default(), &keys, &node("client"), &version).is_empty());
    recalled = recall(
        &mesh(&json!([listener(80, "http2", None)]), None, None),
        &Discovered::default(),
        &keys,
        &node("client"),
        &version,
    );
    assert_eq!(recalled.len(), 1, "no policy is left, so plaintext is what is wanted");
}

#[test]
fn what_only_aws_could_serve_is_closed_and_reported_with_the_way_out() {
    let listeners =
        json!([listener(80, "http2", tls("STRICT", acm())), listener(81, "http2", tls("DISABLED", acm()))]);
    let policy = policy(&pca());
    let mesh = mesh(&listeners, Some(&policy), Some(&policy));
    let reported = |name: &str| {
        let record = mesh.get(&node(name)).expect("the node");
        let all = unserved(&mesh, &Discovered::default(), record);
        assert_eq!(
            all,
            unavailable(&Discovered::default(), &record.spec),
            "reported of the whole and of the spec alone"
        );
        all.into_iter()
            .map(|one| one.split_once(": ").map(|(path, _)| path.to_owned()).expect("a reason"))
            .collect::<Vec<_>>()
    };
    assert_eq!(reported("n"), ["spec.listeners[0].tls.certificate.acm"]);
    assert_eq!(
        reported("client"),
        [
            "spec.backendDefaults.clientPolicy.tls.validation.trust.acm",
            "spec.backends[0].virtualService.clientPolicy.tls.validation.trust.acm",
        ]
    );
    // The service has its port and its name still, so nothing else takes its requests: not even what lets all pass.
    let mut mesh = mesh;
    let all = record("", &json!({"egressFilter": {"type": "ALLOW_ALL"}}), 2);
    mesh.resources.insert(all.id.clone(), all);
    let routes = decoded::<RouteConfiguration>(&client(&mesh), ResourceType::Route).next().expect("routes");
    let host = routes.virtual_hosts.iter().find(|one| one.name == "n.local").expect("the service");
    assert!(matches!(&host.routes[0].action, Some(Action::DirectResponse(answer)) if answer.status == 503));
}
