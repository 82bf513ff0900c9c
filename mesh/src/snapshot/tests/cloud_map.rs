//! Snapshots of nodes that Cloud Map discovers: what is made again when instances change, and what is not.

use std::sync::Arc;

use envoy_types::pb::envoy::config::endpoint::v3::ClusterLoadAssignment;

use super::bootstrap::decoded;
use super::{corpus, names};
use crate::cloud_map::{Discovered, Discovery, RegisteredInstance, ServiceName};
use crate::snapshot::{ResourceType, Snapshot, unserved};
use crate::testing::node;

fn discovered(addresses: &[&str]) -> Discovered {
    let instances = addresses.iter().map(|address| RegisteredInstance {
        id: (*address).to_owned(),
        unhealthy: false,
        attributes: [("AWS_INSTANCE_IPV4".to_owned(), (*address).to_owned())].into(),
    });
    corpus::discovered(instances.collect())
}

#[test]
fn a_node_that_cloud_map_discovers_is_a_cluster_whose_endpoints_come_apart() {
    let mesh = corpus::cloud_map();
    let build = |discovered: &Discovered| {
        Snapshot::build(&mesh, discovered, &node("client")).expect("the node exists")
    };
    let (none, empty) = (build(&Discovered::default()), build(&discovered(&[])));
    let (one, two) = (build(&discovered(&["10.0.0.1"])), build(&discovered(&["10.0.0.2", "10.0.0.1"])));
    for snapshot in [&empty, &one, &two] {
        for kind in [ResourceType::Cluster, ResourceType::Listener, ResourceType::Route] {
            assert_eq!(snapshot.content(kind).version, none.content(kind).version, "{kind:?}");
        }
    }
    assert!(names(&none, ResourceType::Endpoint).is_empty(), "unknown is not empty");
    let ports = ["cds_egress_apps_n_grpc_90", "cds_egress_apps_n_http2_80"];
    assert_eq!(names(&empty, ResourceType::Endpoint), ports);
    let addresses = |snapshot: &Snapshot| -> Vec<usize> {
        let assignments = decoded::<ClusterLoadAssignment>(snapshot, ResourceType::Endpoint);
        assignments.map(|one| one.endpoints.iter().map(|of| of.lb_endpoints.len()).sum()).collect()
    };
    assert_eq!([addresses(&empty), addresses(&one), addresses(&two)], [[0, 0], [1, 1], [2, 2]]);
    let again = build(&discovered(&["10.0.0.1", "10.0.0.2"]));
    let version = |snapshot: &Snapshot| snapshot.content(ResourceType::Endpoint).version.clone();
    assert_eq!(version(&again), version(&two), "the order of instances does not show");
    assert_ne!(version(&one), version(&two));
}

#[test]
fn a_snapshot_is_made_again_when_its_instances_changed_and_not_when_others_did() {
    let mesh = corpus::cloud_map();
    let mut known = discovered(&["10.0.0.1"]);
    let snapshot = Snapshot::build(&mesh, &known, &node("client")).expect("the node exists");
    let other = ServiceName { namespace_name: "apps.local".into(), service_name: "other".into() };
    known.enter(&other, Discovery::Instances(Arc::default()));
    assert!(snapshot.unchanged(&mesh, &known));
    known.enter(&corpus::service(), Discovery::Failed("throttled".into()));
    assert!(snapshot.unchanged(&mesh, &known), "a failure changes nothing");
    known.enter(&corpus::service(), Discovery::Instances(Arc::default()));
    assert!(!snapshot.unchanged(&mesh, &known));
}

#[test]
fn a_service_that_was_never_discovered_is_named_with_the_reason() {
    let mesh = corpus::cloud_map();
    let record = mesh.get(&node("n")).expect("the node");
    let failed = Discovery::Failed("ServiceNotFound: n".into());
    let known: Discovered = [(corpus::service(), failed)].into_iter().collect();
    assert_eq!(
        unserved(&mesh, &known, record),
        [
            "spec.serviceDiscovery.awsCloudMap: service \"n\" in namespace \"apps.local\" was never discovered: ServiceNotFound: n"
        ]
    );
    assert!(unserved(&mesh, &discovered(&[]), record).is_empty());
    assert!(unserved(&mesh, &Discovered::default(), record).is_empty(), "no attempt has ended yet");
}
