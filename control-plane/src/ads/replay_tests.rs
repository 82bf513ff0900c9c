//! Versions as an attack: what a proxy gets when it claims, as it connects, to run what it was never sent. Over a real connection.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::service::discovery::v3::DiscoveryResponse;
use fleetmesh_mesh::snapshot::{ResourceType, content_version};
use prost::Message;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::tests::{AdsWorld, CLIENT};

const THIEF: &str = "mesh/apps/virtualNode/thief";
const TARGETS: [&str; 2] = ["cds_egress_apps_a_http2_80", "cds_egress_apps_b_http2_80"];

fn names(answer: &DiscoveryResponse) -> BTreeSet<String> {
    let name = |any: &envoy_types::pb::google::protobuf::Any| {
        Cluster::decode(any.value.as_slice()).expect("a cluster").name
    };
    answer.resources.iter().map(name).collect()
}

/// A hash without a key, which anybody who guesses a cluster's name can make.
fn hash(name: &str) -> Vec<u8> {
    let length = u64::try_from(name.len()).expect("a length").to_be_bytes();
    Sha256::digest([&length[..], name.as_bytes()].concat()).to_vec()
}

/// The marks that control planes of before gave: 24 bits of that hash. All that there are hold these.
fn short_tag(name: &str) -> String {
    hex::encode(&hash(name)[..3])
}

#[tokio::test]
async fn no_version_that_a_node_was_not_given_recalls_a_cluster() {
    let world = AdsWorld::start(None).await;
    world.meshes.commit("virtualNode/thief", Some(json!({})));
    let of_client = world.proxy(CLIENT).await.take(ResourceType::Cluster).await;
    assert!(TARGETS.iter().all(|target| names(&of_client).contains(*target)));
    let own = names(&world.proxy(THIEF).await.take(ResourceType::Cluster).await);
    assert!(TARGETS.iter().all(|target| !own.contains(*target)));

    let marks = |mark: &dyn Fn(&str) -> String| TARGETS.map(|target| format!("+{}", mark(target))).concat();
    let hashed = |length: usize| move |name: &str| URL_SAFE_NO_PAD.encode(&hash(name)[..length]);
    let invented = "0123456789abcdef";
    for version in [
        of_client.version_info.clone(),
        of_client.version_info.replacen(content_version(&of_client.version_info), invented, 1),
        format!("{invented}{}", marks(&short_tag)),
        format!("{invented}{}", marks(&hashed(9))),
        // Tag after tag, as an enumeration of all of them would go on.
        (0..9000).fold(invented.to_owned(), |version, tag| format!("{version}+{tag:06x}")),
    ] {
        let answer = world.proxy_with(THIEF, &version).await.take(ResourceType::Cluster).await;
        assert_eq!(names(&answer), own, "{:.100}", version);
    }
}

#[tokio::test]
async fn a_proxy_that_has_the_present_clusters_is_sent_none_and_gets_back_what_it_had() {
    let world = AdsWorld::start(None).await;
    let mut first = world.proxy(CLIENT).await;
    let version = first.take(ResourceType::Cluster).await.version_info;
    // The clusters of an older program have marks of another kind: an upgrade sends nothing either.
    let older = format!(
        "{}{}",
        content_version(&version),
        TARGETS.map(|name| format!("+{}", short_tag(name))).concat()
    );
    for version in [&version, &older] {
        let mut again = world.proxy_with(CLIENT, version).await;
        again.subscribe(ResourceType::Listener, &[]);
        again.take(ResourceType::Listener).await;
    }
    // Its backends are gone, and one of the clusters is another now: what it had is sent as it is today.
    let listeners = json!([{"portMapping": {"port": 80, "protocol": "http2"}}]);
    let moved = json!({"listeners": listeners, "serviceDiscovery": {"dns": {"hostname": "moved"}}});
    world.meshes.commit("virtualNode/b", Some(moved));
    world.meshes.commit("virtualNode/client", Some(json!({})));
    world.until("virtualNode/client", |status| status.version == 2).await;
    let answer = world.proxy_with(CLIENT, &version).await.take(ResourceType::Cluster).await;
    assert!(TARGETS.iter().all(|target| names(&answer).contains(*target)), "its routes may still need them");
}
