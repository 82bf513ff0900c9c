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

/// A stream whose proxy rejected its secret; the wording of the answer.
fn rejected(variant: Variant, one: &Arc<Snapshot>) -> (Stream, Send) {
    let mut stream = Stream::new(variant, Arc::clone(one)).worded(100);
    let sent = stream.handle(open(variant, Secret, &secrets(one))).remove(0);
    assert_eq!(sent.wording, None, "the first one is as usual");
    stream.handle(judge(variant, &sent, &secrets(one), &[], Some("Invalid path: /a.pem")));
    stream.take_verdicts();
    (stream, sent)
}

#[test]
fn what_is_refused_is_sent_again_in_other_words_until_it_is_acknowledged() {
    for variant in VARIANTS {
        let one = target(&["/a.pem"]);
        let again = || StreamEvent::Again(Arc::clone(&one));
        let (mut stream, first) = rejected(variant, &one);
        let mut wordings = vec![first.wording];
        for error in [Some("Invalid path: /a.pem"), Some("no certificate"), None] {
            assert_eq!(stream.rejected_secrets(&one).keys().cloned().collect::<Vec<_>>(), secrets(&one));
            let sent = stream.handle(again());
            assert_eq!(kinds(&sent), [Secret]);
            assert_eq!(sent[0].changes.is_some(), variant == Variant::Delta);
            assert_eq!(sent[0].content.resources.keys().cloned().collect::<Vec<_>>(), secrets(&one));
            assert!(!wordings.contains(&sent[0].wording), "the proxy would not read the file");
            wordings.push(sent[0].wording);
            assert!(stream.handle(again()).is_empty(), "it has not answered");
            assert!(stream.handle(judge(variant, &sent[0], &secrets(&one), &[], error)).is_empty());
            let verdicts = stream.take_verdicts();
            assert_eq!(verdicts.len(), 1);
            assert!(verdicts[0].again && verdicts[0].error.as_deref() == error);
            assert_eq!(stream.nacks().count(), usize::from(error.is_some()));
        }
        assert!(stream.rejected_secrets(&one).is_empty() && stream.handle(again()).is_empty());
        assert!(one.content(Secret).is_within(&stream.state(Secret).acked));
    }
}

/// What proxies refuse is left out of what they are served, and is sent again all the same; what they have is not.
#[test]
fn what_is_served_no_more_is_sent_again_by_itself() {
    for variant in VARIANTS {
        let (one, two) = (target(&["/a.pem"]), target(&["/a.pem", "/b.pem"]));
        let mut stream = Stream::new(variant, Arc::clone(&two)).worded(7);
        let sent = stream.handle(open(variant, Secret, &secrets(&two))).remove(0);
        stream.handle(judge(variant, &sent, &secrets(&two), &[], Some("Invalid path: /b.pem")));
        let served = stream.handle(StreamEvent::Target(Arc::clone(&one)));
        assert_eq!(kinds(&served), [Secret], "what it may have taken of that");
        assert!(served[0].wording.is_some(), "it would not read that file either");
        stream.handle(judge(variant, &served[0], &secrets(&two), &[], None));
        let new: Vec<String> =
            secrets(&two).into_iter().filter(|name| !secrets(&one).contains(name)).collect();
        assert!(stream.rejected_secrets(&one).is_empty());
        let sent = stream.handle(StreamEvent::Again(Arc::clone(&two)));
        assert_eq!(sent[0].content.resources.keys().cloned().collect::<Vec<_>>(), new);
        stream.handle(judge(variant, &sent[0], &secrets(&two), &[], None));
        assert!(two.content(Secret).is_within(&stream.state(Secret).acked), "{variant:?}");
        assert!(stream.handle(StreamEvent::Target(Arc::clone(&two))).is_empty(), "it has all of it");
    }
}

/// A proxy that comes back may have rejected the same on its last stream.
#[test]
fn a_proxy_that_comes_back_gets_other_words() {
    for variant in VARIANTS {
        let one = target(&["/a.pem"]);
        let mut stream = Stream::new(variant, Arc::clone(&one)).worded(5);
        let interest = match variant {
            Variant::StateOfTheWorld => {
                let version = one.content(Cluster).version.clone();
                Interest::Whole { version, names: Vec::new(), recalled: ResourceSet::new() }
            }
            Variant::Delta => {
                let clusters = one.content(Cluster).resources.values();
                let versions = clusters.map(|cluster| (cluster.name.clone(), cluster.version.clone()));
                let versions = versions.collect();
                Interest::Change { subscribe: Vec::new(), unsubscribe: Vec::new(), versions }
            }
        };
        let opening = Request { kind: Cluster, nonce: String::new(), error: None, interest };
        assert!(stream.handle(StreamEvent::Request(opening)).is_empty());
        let sent = stream.handle(open(variant, Secret, &secrets(&one)));
        assert!(sent[0].wording.is_some_and(|wording| wording > 5), "{variant:?}");
    }
}
