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

/// The first request of a type.
fn open(variant: Variant, kind: ResourceType, names: &[String]) -> StreamEvent {
    let (names, nonce, error) = (names.to_vec(), String::new(), None);
    let interest = match variant {
        Variant::StateOfTheWorld => {
            Interest::Whole { version: String::new(), names, recalled: ResourceSet::new() }
        }
        Variant::Delta => proxy::change(names, []),
    };
    StreamEvent::Request(Request { kind, nonce, error, interest })
}

/// What a proxy that subscribes to `names` and in delta to `more` says of an answer.
fn judge(
    variant: Variant,
    send: &Send,
    names: &[String],
    more: &[String],
    error: Option<&str>,
) -> StreamEvent {
    let (kind, nonce, error) = (send.kind, send.nonce.clone(), error.map(str::to_owned));
    let version = send.content.version.clone();
    let interest = match variant {
        Variant::StateOfTheWorld => {
            Interest::Whole { version, names: names.to_vec(), recalled: ResourceSet::new() }
        }
        Variant::Delta => proxy::change(more.to_vec(), []),
    };
    StreamEvent::Request(Request { kind, nonce, error, interest })
}

fn kinds(sends: &[Send]) -> Vec<ResourceType> {
    sends.iter().map(|send| send.kind).collect()
}

use ResourceType::{Cluster, Listener, Secret};

#[test]
fn secrets_do_not_wait_for_clusters_that_wait_for_them() {
    for variant in VARIANTS {
        let (one, two) = (target(&["/a.pem"]), target(&["/a.pem", "/b.pem"]));
        let mut stream = Stream::new(variant, Arc::clone(&one));
        let clusters = stream.handle(open(variant, Cluster, &[]));
        assert!(stream.handle(open(variant, Listener, &[])).is_empty(), "listeners wait");
        let sent = stream.handle(open(variant, Secret, &secrets(&one)));
        assert_eq!(kinds(&sent), [Secret]);
        assert_eq!(sent[0].content.resources.keys().cloned().collect::<Vec<_>>(), secrets(&one));
        let settled = |send: &Send| judge(variant, send, &[], &[], None);
        assert!(stream.handle(judge(variant, &sent[0], &secrets(&one), &[], None)).is_empty());
        let listeners = stream.handle(settled(&clusters[0]));
        assert_eq!(kinds(&listeners), [Listener]);

        // Two ways to one port are two new clusters, of which one has a secret that is new.
        stream.handle(settled(&listeners[0]));
        let clusters = stream.handle(StreamEvent::Target(Arc::clone(&two)));
        assert_eq!(kinds(&clusters), [Cluster]);
        let new: Vec<String> =
            secrets(&two).into_iter().filter(|name| !secrets(&one).contains(name)).collect();
        let more = stream.handle(judge(variant, &sent[0], &secrets(&two), &new, None));
        assert_eq!(kinds(&more), [Secret], "before the clusters are acknowledged");
        assert_eq!(more[0].content.resources.keys().cloned().collect::<Vec<_>>(), secrets(&two));
        if let Some(Changes { resources, .. }) = &more[0].changes {
            assert_eq!(
                resources.iter().map(|one| &one.name).collect::<Vec<_>>(),
                new.iter().collect::<Vec<_>>()
            );
        }
    }
}

#[test]
fn what_is_no_secret_of_the_target_gets_no_answer_and_what_is_refused_is_not_sent_again() {
    for variant in VARIANTS {
        let one = target(&["/a.pem"]);
        let mut stream = Stream::new(variant, Arc::clone(&one));
        let stale = ["file_trust_0123456789abcdef".to_owned()];
        assert!(stream.handle(open(variant, Secret, &stale)).is_empty(), "an answer without secrets is none");
        // In delta this one is asked for beside the other.
        let sent = stream.handle(open(variant, Secret, &secrets(&one)));
        assert_eq!(kinds(&sent), [Secret]);
        let refusal = judge(variant, &sent[0], &secrets(&one), &[], Some("Invalid path: /a.pem"));
        assert!(stream.handle(refusal).is_empty());
        let nacks: Vec<_> = stream.nacks().map(|nack| (nack.kind, nack.message.as_str())).collect();
        assert_eq!(nacks, [(Secret, "Invalid path: /a.pem")]);
        assert!(!stream.is_current());
    }
}
