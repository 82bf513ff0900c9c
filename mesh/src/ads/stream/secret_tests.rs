//! The stream's promises about secrets, held against what Envoy says of clusters with TLS: it acknowledges them only when it has
//! their secrets, and asks for those by name.

use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::cloud_map::Discovered;
use crate::testing::{node, view};

/// A target in which `client` calls `n` over TLS and trusts the authorities of these files, one for each service.
fn target(files: &[&str]) -> Arc<Snapshot> {
    let names = ["n.local", "m.local"].into_iter().zip(files);
    let backends = names.map(|(name, file)| {
        let policy = json!({"tls": {"validation": {"trust": {"file": {"certificateChain": file}}}}});
        json!({"virtualService": {"virtualServiceName": name, "clientPolicy": policy}})
    });
    let listeners = json!([{"portMapping": {"port": 80, "protocol": "http2"}}]);
    let provider = json!({"provider": {"virtualNode": {"virtualNodeName": "n"}}});
    let mesh = view(&[
        (
            "virtualNode/n",
            json!({"listeners": listeners, "serviceDiscovery": {"dns": {"hostname": "n.local"}}}),
        ),
        ("virtualService/n.local", provider.clone()),
        ("virtualService/m.local", provider),
        ("virtualNode/client", json!({"backends": backends.collect::<Vec<_>>()})),
    ]);
    Arc::new(Snapshot::build(&mesh, &Discovered::default(), &node("client")).expect("the node exists"))
}

fn secrets(target: &Snapshot) -> Vec<String> {
    target.content(Secret).resources.keys().cloned().collect()
}

fn ask(kind: ResourceType, names: &[String], version: &str, nonce: &str) -> StreamEvent {
    let (names, version, nonce) = (names.to_vec(), version.to_owned(), nonce.to_owned());
    StreamEvent::Request(Request { kind, version, names, nonce, error: None, recalled: ResourceSet::new() })
}

fn kinds(sends: &[Send]) -> Vec<ResourceType> {
    sends.iter().map(|send| send.kind).collect()
}

use ResourceType::{Cluster, Listener, Secret};

#[test]
fn secrets_do_not_wait_for_clusters_that_wait_for_them() {
    let (one, two) = (target(&["/a.pem"]), target(&["/a.pem", "/b.pem"]));
    let mut stream = Stream::new(Arc::clone(&one));
    let clusters = stream.handle(ask(Cluster, &[], "", ""));
    assert!(stream.handle(ask(Listener, &[], "", "")).is_empty(), "listeners wait");
    let sent = stream.handle(ask(Secret, &secrets(&one), "", ""));
    assert_eq!(kinds(&sent), [Secret]);
    assert_eq!(sent[0].content.resources.keys().cloned().collect::<Vec<_>>(), secrets(&one));
    let settled = |send: &Send| ask(send.kind, &[], &send.content.version, &send.nonce);
    assert!(stream.handle(ask(Secret, &secrets(&one), &sent[0].content.version, &sent[0].nonce)).is_empty());
    let listeners = stream.handle(settled(&clusters[0]));
    assert_eq!(kinds(&listeners), [Listener]);

    // Two ways to one port are two new clusters, of which one has a secret that is new.
    stream.handle(settled(&listeners[0]));
    let clusters = stream.handle(StreamEvent::Target(Arc::clone(&two)));
    assert_eq!(kinds(&clusters), [Cluster]);
    let more = stream.handle(ask(Secret, &secrets(&two), &sent[0].content.version, &sent[0].nonce));
    assert_eq!(kinds(&more), [Secret], "before the clusters are acknowledged");
    assert_eq!(more[0].content.resources.keys().cloned().collect::<Vec<_>>(), secrets(&two));
}

#[test]
fn what_is_no_secret_of_the_target_gets_no_answer_and_what_is_refused_is_not_sent_again() {
    let one = target(&["/a.pem"]);
    let mut stream = Stream::new(Arc::clone(&one));
    let stale = ["file_trust_0123456789abcdef".to_owned()];
    assert!(stream.handle(ask(Secret, &stale, "", "")).is_empty(), "an answer without secrets is none");
    let sent = stream.handle(ask(Secret, &secrets(&one), "", ""));
    assert_eq!(kinds(&sent), [Secret]);
    let StreamEvent::Request(refusal) = ask(Secret, &secrets(&one), "", &sent[0].nonce) else {
        panic!("a request")
    };
    let refusal = Request { error: Some("Invalid path: /a.pem".to_owned()), ..refusal };
    assert!(stream.handle(StreamEvent::Request(refusal)).is_empty());
    let nacks: Vec<_> = stream.nacks().map(|nack| (nack.kind, nack.message.as_str())).collect();
    assert_eq!(nacks, [(Secret, "Invalid path: /a.pem")]);
    assert!(!stream.is_current());
}
