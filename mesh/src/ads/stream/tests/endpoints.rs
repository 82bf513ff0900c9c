//! The stream's guarantees about endpoints, with clusters that come by EDS: Envoy acknowledges clusters only when it has their
//! endpoints.

use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::cloud_map::{Discovered, Discovery, RegisteredInstance, ServiceName};
use crate::testing::{node, view};

const CLUSTER: &str = "cds_egress_apps_n_http2_80";

/// A target in which `client` calls `n`, discovered by Cloud Map as these addresses; never discovered without.
fn target(addresses: Option<&[&str]>, checked: bool) -> Arc<Snapshot> {
    let mut listener = json!({"portMapping": {"port": 80, "protocol": "http2"}});
    if checked {
        listener["healthCheck"] = json!({"healthyThreshold": 2, "intervalMillis": 5000, "protocol": "tcp", "timeoutMillis": 2000, "unhealthyThreshold": 3});
    }
    let discovery: Value = json!({"awsCloudMap": {"namespaceName": "apps.local", "serviceName": "n"}});
    let mesh = view(&[
        ("virtualNode/n", json!({"listeners": [listener], "serviceDiscovery": discovery})),
        ("virtualService/n.local", json!({"provider": {"virtualNode": {"virtualNodeName": "n"}}})),
        ("virtualNode/client", json!({"backends": [{"virtualService": {"virtualServiceName": "n.local"}}]})),
    ]);
    let instance = |address: &&str| RegisteredInstance {
        id: (*address).to_owned(),
        unhealthy: false,
        attributes: [("AWS_INSTANCE_IPV4".to_owned(), (*address).to_owned())].into(),
    };
    let service = ServiceName { namespace_name: "apps.local".into(), service_name: "n".into() };
    let list = |addresses: &[&str]| Discovery::Instances(Arc::new(addresses.iter().map(instance).collect()));
    let discovered: Discovered = addresses.map(|addresses| (service, list(addresses))).into_iter().collect();
    Arc::new(Snapshot::build(&mesh, &discovered, &node("client")).expect("the node exists"))
}

/// The first request of a type, of a proxy that runs `old`.
fn open(variant: Variant, kind: ResourceType, old: Option<&Snapshot>) -> StreamEvent {
    let names = names(kind);
    let had = old.map(|old| old.content(kind));
    let interest = match variant {
        Variant::StateOfTheWorld => {
            let version = had.map(|had| had.version.clone()).unwrap_or_default();
            Interest::Whole { version, names, recalled: ResourceSet::new() }
        }
        Variant::Delta => {
            let had = had.into_iter().flat_map(|had| had.resources.values());
            let versions = had.map(|one| (one.name.clone(), one.version.clone())).collect();
            Interest::Change { subscribe: names, unsubscribe: Vec::new(), versions }
        }
    };
    StreamEvent::Request(Request { kind, nonce: String::new(), error: None, interest })
}

fn names(kind: ResourceType) -> Vec<String> {
    match kind {
        ResourceType::Endpoint => vec![CLUSTER.to_owned()],
        ResourceType::Route => vec!["rds_egress_http2_80".to_owned()],
        _ => Vec::new(),
    }
}

fn acknowledge(send: &Send) -> StreamEvent {
    let (kind, nonce, version) = (send.kind, send.nonce.clone(), send.content.version.clone());
    let interest = match &send.changes {
        None => Interest::Whole { version, names: names(kind), recalled: ResourceSet::new() },
        Some(_) => proxy::change([], []),
    };
    StreamEvent::Request(Request { kind, nonce, error: None, interest })
}

fn kinds(sends: &[Send]) -> Vec<ResourceType> {
    sends.iter().map(|send| send.kind).collect()
}

use ResourceType::{Cluster, Endpoint, Listener, Route};

/// A stream whose proxy runs all of `target`.
fn settled(variant: Variant, target: Arc<Snapshot>) -> Stream {
    let mut stream = Stream::new(variant, target);
    let clusters = stream.handle(open(variant, Cluster, None));
    let endpoints = stream.handle(open(variant, Endpoint, None));
    endpoints.iter().for_each(|send| assert!(stream.handle(acknowledge(send)).is_empty()));
    assert!(stream.handle(acknowledge(&clusters[0])).is_empty());
    for kind in [Listener, Route] {
        let sends = stream.handle(open(variant, kind, None));
        assert_eq!(kinds(&sends), [kind]);
        assert!(stream.handle(acknowledge(&sends[0])).is_empty());
    }
    assert!(stream.is_current());
    stream
}

#[test]
fn endpoints_do_not_wait_for_clusters_that_wait_for_them() {
    for variant in VARIANTS {
        let mut stream = Stream::new(variant, target(Some(&["10.0.0.1"]), false));
        assert_eq!(kinds(&stream.handle(open(variant, Cluster, None))), [Cluster]);
        assert!(stream.handle(open(variant, Listener, None)).is_empty(), "listeners wait");
        let sends = stream.handle(open(variant, Endpoint, None));
        assert_eq!(kinds(&sends), [Endpoint]);
        assert_eq!(sends[0].content.resources.keys().collect::<Vec<_>>(), [CLUSTER]);
    }
}

#[test]
fn new_instances_are_endpoints_and_nothing_else() {
    for variant in VARIANTS {
        let mut stream = settled(variant, target(Some(&["10.0.0.1"]), false));
        let sends = stream.handle(StreamEvent::Target(target(Some(&["10.0.0.1", "10.0.0.2"]), false)));
        assert_eq!(kinds(&sends), [Endpoint]);
        assert!(!stream.is_current());
        assert!(stream.handle(acknowledge(&sends[0])).is_empty() && stream.is_current());
        let sends = stream.handle(StreamEvent::Target(target(Some(&[]), false)));
        assert_eq!(kinds(&sends), [Endpoint], "a list that is truly empty is sent");
    }
}

#[test]
fn a_cluster_that_changes_has_its_endpoints_sent_again() {
    for variant in VARIANTS {
        let mut stream = settled(variant, target(Some(&["10.0.0.1"]), false));
        let sends = stream.handle(StreamEvent::Target(target(Some(&["10.0.0.1"]), true)));
        assert_eq!(
            kinds(&sends),
            [Cluster, Endpoint],
            "at once: the clusters are acknowledged after them only"
        );
        for changes in sends.iter().filter_map(|send| send.changes.as_ref()) {
            let said: Vec<&str> = changes.resources.iter().map(|one| one.name.as_str()).collect();
            assert_eq!(said, [CLUSTER], "and nothing that did not change");
        }
        assert!(stream.handle(acknowledge(&sends[1])).is_empty());
        assert!(stream.handle(acknowledge(&sends[0])).is_empty() && stream.is_current());
    }
}

#[test]
fn endpoints_that_are_not_known_are_left_as_they_are() {
    for variant in VARIANTS {
        let mut stream = settled(variant, target(Some(&["10.0.0.1"]), false));
        assert!(stream.handle(StreamEvent::Target(target(None, false))).is_empty());
        // They are what a cluster that changes meanwhile gets.
        let sends = stream.handle(StreamEvent::Target(target(None, true)));
        assert_eq!(kinds(&sends), [Cluster, Endpoint]);
        assert_eq!(sends[1].content.resources.len(), 1);
        assert!(sends[1].changes.as_ref().is_none_or(|changes| changes.resources.len() == 1));
    }
}

#[test]
fn a_service_that_was_never_discovered_gets_no_answer_until_it_is() {
    for variant in VARIANTS {
        let mut stream = Stream::new(variant, target(None, false));
        let clusters = stream.handle(open(variant, Cluster, None));
        assert!(stream.handle(open(variant, Endpoint, None)).is_empty());
        // Envoy stops waiting after a time, and goes on.
        assert!(stream.handle(acknowledge(&clusters[0])).is_empty());
        assert_eq!(kinds(&stream.handle(open(variant, Listener, None))), [Listener]);
        let mut stream = Stream::new(variant, target(None, false));
        stream.handle(open(variant, Cluster, None));
        stream.handle(open(variant, Endpoint, None));
        let discovered = StreamEvent::Target(target(Some(&["10.0.0.1"]), false));
        assert_eq!(kinds(&stream.handle(discovered)), [Endpoint]);
    }
}

#[test]
fn a_proxy_that_connects_again_gets_endpoints_only_if_they_or_their_clusters_changed() {
    for variant in VARIANTS {
        let old = target(Some(&["10.0.0.1"]), false);
        let reopened = |new: &Arc<Snapshot>| {
            let mut stream = Stream::new(variant, Arc::clone(new));
            let opening = ResourceType::ALL.map(|kind| open(variant, kind, Some(&old)));
            let sends: Vec<Send> = opening.into_iter().flat_map(|event| stream.handle(event)).collect();
            kinds(&sends)
        };
        assert_eq!(reopened(&old), []);
        assert_eq!(reopened(&target(Some(&["10.0.0.2"]), false)), [Endpoint]);
        assert_eq!(reopened(&target(Some(&["10.0.0.1"]), true)), [Cluster, Endpoint]);
        assert_eq!(reopened(&target(None, false)), [], "what it has is better than nothing");
    }
}
