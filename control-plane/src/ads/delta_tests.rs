//! What proxies say and get in delta alone, over a real connection.

use std::collections::{BTreeMap, BTreeSet};

use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::service::discovery::v3::{DeltaDiscoveryRequest, DeltaDiscoveryResponse};
use envoy_types::pb::google::rpc::Status as Refused;
use fleetmesh_mesh::snapshot::ResourceType;
use serde_json::json;

use super::test_proxy::DeltaProxy;
use super::tests::{AdsWorld, CLIENT, ROUTE, route};

const ROUTES: &str = "rds_egress_http2_80";
const A: &str = "cds_egress_apps_a_http2_80";
const B: &str = "cds_egress_apps_b_http2_80";

fn client() -> Node {
    Node { id: CLIENT.into(), ..Node::default() }
}

async fn connect(world: &AdsWorld) -> DeltaProxy {
    DeltaProxy::open(world.channel().await, client()).await.expect("a stream")
}

fn names(answer: &DeltaDiscoveryResponse) -> BTreeSet<&str> {
    answer.resources.iter().map(|resource| resource.name.as_str()).collect()
}

/// What a proxy has, with the versions in which it was sent.
type Had = BTreeMap<ResourceType, BTreeMap<String, String>>;

const KINDS: [(ResourceType, &[&str]); 3] =
    [(ResourceType::Cluster, &[]), (ResourceType::Listener, &[]), (ResourceType::Route, &[ROUTES])];

/// Takes everything, as Envoy does when it starts.
async fn settle(proxy: &mut DeltaProxy) -> Had {
    let mut had = Had::new();
    for (kind, names) in KINDS {
        proxy.ask(kind, names, BTreeMap::new());
        let answer = proxy.take(kind).await;
        assert!(answer.removed_resources.is_empty());
        let versions = answer.resources.iter().map(|one| (one.name.clone(), one.version.clone()));
        had.insert(kind, versions.collect());
        proxy.acknowledge(&answer);
    }
    had
}

#[tokio::test]
async fn who_connects_again_with_what_is_present_is_sent_nothing_and_counts() {
    let world = AdsWorld::start(None).await;
    let mut first = connect(&world).await;
    let had = settle(&mut first).await;
    world.until(ROUTE, |status| status.acknowledged == 1).await;
    drop(first);
    world.until(ROUTE, |status| status.proxies == 0).await;
    let mut again = connect(&world).await;
    for (kind, names) in KINDS {
        again.ask(kind, names, had[&kind].clone());
    }
    world.until(ROUTE, |status| (status.proxies, status.acknowledged) == (1, 1)).await;
    // The first that it is sent is the next change, and of that what changes.
    world.meshes.commit(ROUTE, Some(route(50)));
    let answer = again.take(ResourceType::Route).await;
    assert_eq!((names(&answer), answer.nonce.as_str()), ([ROUTES].into(), "1"));
    assert_ne!(answer.resources[0].version, had[&ResourceType::Route][ROUTES]);
}

#[tokio::test]
async fn what_is_added_comes_first_and_what_goes_last_and_by_name() {
    let world = AdsWorld::start(None).await;
    world.meshes.commit(
        ROUTE,
        Some(json!({"http2Route": {"match": {"prefix": "/"},
        "action": {"weightedTargets": [{"virtualNode": "a", "weight": 1}]}}})),
    );
    let mut proxy = connect(&world).await;
    settle(&mut proxy).await;
    world.until(ROUTE, |status| status.acknowledged == 1).await;
    world.meshes.commit(
        ROUTE,
        Some(json!({"http2Route": {"match": {"prefix": "/"},
        "action": {"weightedTargets": [{"virtualNode": "b", "weight": 1}]}}})),
    );
    let added = proxy.take(ResourceType::Cluster).await;
    assert_eq!((names(&added), added.removed_resources.len()), ([B].into(), 0));
    proxy.acknowledge(&added);
    let routes = proxy.take(ResourceType::Route).await;
    proxy.acknowledge(&routes);
    let removed = proxy.take(ResourceType::Cluster).await;
    assert_eq!((removed.resources.len(), &*removed.removed_resources), (0, &[A.to_owned()][..]));
    proxy.acknowledge(&removed);
    world.until(ROUTE, |status| status.acknowledged == 1).await;
}

/// An Envoy that rejects an answer keeps what of it is good, and does not list that when it connects again.
#[tokio::test]
async fn what_a_proxy_refused_is_removed_by_name_on_its_next_stream() {
    let world = AdsWorld::start(None).await;
    let to = |node: &str| {
        json!({"http2Route": {"match": {"prefix": "/"},
        "action": {"weightedTargets": [{"virtualNode": node, "weight": 1}]}}})
    };
    world.meshes.commit(ROUTE, Some(to("a")));
    let mut first = connect(&world).await;
    let had = settle(&mut first).await;
    world.until(ROUTE, |status| status.acknowledged == 1).await;
    world.meshes.commit(ROUTE, Some(to("b")));
    let added = first.take(ResourceType::Cluster).await;
    assert_eq!(names(&added), [B].into());
    drop(first);
    let gone = world.until(ROUTE, |status| status.proxies == 0).await;
    world.meshes.commit(ROUTE, Some(to("a")));
    // A proxy that connects gets what the others of its mesh have, which is that only then.
    world.until(ROUTE, |status| status.version > gone.version).await;
    let mut again = connect(&world).await;
    for (kind, names) in KINDS {
        again.ask(kind, names, had[&kind].clone());
    }
    let removed = again.take(ResourceType::Cluster).await;
    assert_eq!((removed.resources.len(), &*removed.removed_resources), (0, &[B.to_owned()][..]));
    again.acknowledge(&removed);
    world.until(ROUTE, |status| (status.proxies, status.acknowledged) == (1, 1)).await;
}

#[tokio::test]
async fn a_refused_answer_is_taken_back_and_does_not_come_again() {
    let world = AdsWorld::start(None).await;
    let mut proxy = connect(&world).await;
    let had = settle(&mut proxy).await;
    world.until(ROUTE, |status| status.acknowledged == 1).await;
    world.meshes.commit(ROUTE, Some(route(50)));
    let refused = proxy.take(ResourceType::Route).await;
    proxy.say(DeltaDiscoveryRequest {
        type_url: refused.type_url.clone(),
        response_nonce: refused.nonce.clone(),
        error_detail: Some(Refused { code: 13, message: "not like this".into(), details: Vec::new() }),
        ..DeltaDiscoveryRequest::default()
    });
    let back = proxy.take(ResourceType::Route).await;
    assert_eq!(back.resources[0].version, had[&ResourceType::Route][ROUTES]);
    proxy.acknowledge(&back);
    let status = world.until(ROUTE, |status| !status.rejected.is_empty()).await;
    assert_eq!((status.acknowledged, &*status.rejected[0].message), (0, "not like this"));
    // The next that comes is another change.
    world.meshes.commit(ROUTE, Some(route(7)));
    let next = proxy.take(ResourceType::Route).await;
    assert!(next.resources[0].version != refused.resources[0].version);
    proxy.acknowledge(&next);
    world.until(ROUTE, |status| status.acknowledged == 1 && status.rejected.is_empty()).await;
}

/// A node's proxy that claims to have another node's clusters, in the very versions that these have.
#[tokio::test]
async fn what_a_proxy_lists_brings_it_nothing() {
    let world = AdsWorld::start(None).await;
    world.meshes.commit("virtualNode/thief", Some(json!({})));
    let had = settle(&mut connect(&world).await).await;
    let clusters = &had[&ResourceType::Cluster];
    assert!([A, B].iter().all(|name| clusters.contains_key(*name)));
    let thief = || Node { id: "mesh/apps/virtualNode/thief".into(), ..Node::default() };
    let mut own = DeltaProxy::open(world.channel().await, thief()).await.expect("a stream");
    own.ask(ResourceType::Cluster, &[], BTreeMap::new());
    let own = own.take(ResourceType::Cluster).await;
    for other in [clusters.clone(), clusters.keys().map(|name| (name.clone(), "1".into())).collect()] {
        let mut proxy = DeltaProxy::open(world.channel().await, thief()).await.expect("a stream");
        let listed = other.into_iter().filter(|(name, _)| [A, B].contains(&name.as_str()));
        proxy.ask(ResourceType::Cluster, &["*", A, B], listed.collect());
        let answer = proxy.take(ResourceType::Cluster).await;
        assert_eq!(names(&answer), names(&own));
    }
}

#[tokio::test]
async fn an_unknown_method_gets_an_error_that_names_the_known_ones() {
    let world = AdsWorld::start(None).await;
    let mut client = tonic::client::Grpc::new(world.channel().await);
    client.ready().await.expect("ready");
    let path = "/envoy.service.discovery.v3.AggregatedDiscoveryService/Others";
    let path = http::uri::PathAndQuery::from_static(path);
    let codec = tonic_prost::ProstCodec::<DeltaDiscoveryRequest, DeltaDiscoveryResponse>::default();
    let request = tonic::Request::new(DeltaDiscoveryRequest::default());
    let status = client.unary(request, path, codec).await.expect_err("there is none");
    assert_eq!(i32::from(status.code()), 12);
    assert!(status.message().contains("DELTA_GRPC"), "{status}");
}
