//! What only delta has: answers that hold what changes, and proxies that say by name what they have.

use super::*;

fn said(send: &Send) -> (Vec<&str>, Vec<&str>) {
    let Changes { resources, removed, .. } = send.changes.as_ref().expect("changes");
    let names = resources.iter().map(|resource| resource.name.as_str()).collect();
    (names, removed.iter().map(String::as_str).collect())
}

fn push(world: &mut StreamWorld, shape: &Shape) {
    world.view = mesh(shape, "host");
    let target = snapshot(&world.view);
    world.answers.extend(world.stream.handle(StreamEvent::Target(target)));
}

const N: [&str; 3] =
    ["cds_egress_apps_n0_http2_80", "cds_egress_apps_n1_http2_80", "cds_egress_apps_n2_http2_80"];

#[test]
fn an_answer_holds_what_changes_and_names_what_goes() {
    let mut world = settled(Variant::Delta, &weights(0b0001));
    push(&mut world, &weights(0b0010));
    let mut answers = Vec::new();
    while let Some(answer) = world.answers.front() {
        let (resources, removed) = said(answer);
        let owned = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect::<Vec<_>>();
        answers.push((answer.kind, owned(resources), owned(removed)));
        world.take(StreamStep::Answer(0)).expect("nothing dangles");
        while !world.requests.is_empty() {
            world.take(StreamStep::Request).expect("one at a time");
        }
    }
    use ResourceType::{Cluster, Route};
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        answers,
        [
            (Cluster, names(&[N[1]]), names(&[])),
            (Route, names(&["rds_egress_http2_8000"]), names(&[])),
            (Cluster, names(&[]), names(&[N[0]])),
        ]
    );
}

/// Envoy adds the good clusters of an answer that it rejects, and never lists them.
#[test]
fn what_a_proxy_may_have_taken_of_a_refused_answer_is_removed_by_name() {
    for reconnects in [false, true] {
        let mut world = settled(Variant::Delta, &weights(0b0001));
        push(&mut world, &weights(0b0110));
        // The first of both is refused, the second is there.
        world.take(StreamStep::Answer(0b01)).expect("nothing dangles");
        world.take(StreamStep::Request).expect("a nack");
        assert!(world.proxy.running(ResourceType::Cluster).any(|cluster| cluster.name == N[2]));
        if reconnects {
            world.view = mesh(&weights(0b0001), "host");
            world.reopen(world.stream.unsettled());
        } else {
            push(&mut world, &weights(0b0001));
        }
        assert_eq!(said(&world.answers[0]), (vec![], vec![N[1], N[2]]), "{reconnects}");
        world.settle().expect("it settles");
        world.assert_converged().expect("nothing is left behind");
        assert_eq!(world.stream.unsettled(), Unsettled::new());
    }
}

/// One that was updated to a form that it did not acknowledge lists the old one, and may run either.
#[test]
fn what_a_proxy_lists_is_not_believed_of_what_it_refused() {
    let mut world = settled(Variant::Delta, &weights(0b0001));
    let changed = Shape { logged: true, ..weights(0b0001) };
    push(&mut world, &changed);
    let listener = world.answers[0].kind;
    assert_eq!(listener, ResourceType::Listener);
    // It is taken, though the whole is refused for another.
    let names = said(&world.answers[0]).0.len();
    assert_eq!(names, 1);
    world.take(StreamStep::Answer(0b10)).expect("nothing dangles");
    world.view = mesh(&weights(0b0001), "host");
    world.reopen(world.stream.unsettled());
    assert_eq!(world.settle().expect("it settles"), 1, "that listener alone");
    world.assert_converged().expect("it has the old one again");
}

#[test]
fn a_proxy_that_connects_again_is_sent_what_it_has_not() {
    let mut world = settled(Variant::Delta, &weights(0b0011));
    world.view = mesh(&weights(0b0111), "host");
    world.reopen(Unsettled::new());
    assert_eq!(said(&world.answers[0]), (vec![N[2]], vec![]));
    assert_eq!(world.settle().expect("it settles"), 2, "one cluster, and the routes to it");
    world.assert_converged().expect("it runs all");
}

#[test]
fn who_asks_for_all_and_has_nothing_gets_a_first_answer_even_an_empty_one() {
    let target = snapshot(&mesh(&weights(0b0001), "host"));
    let mut stream = Stream::new(Variant::Delta, target);
    let open = |subscribe: &[&str], versions: BTreeMap<String, String>| {
        let subscribe = subscribe.iter().map(|name| (*name).to_owned()).collect();
        let interest = Interest::Change { subscribe, unsubscribe: Vec::new(), versions };
        let (kind, nonce, error) = (ResourceType::Cluster, String::new(), None);
        StreamEvent::Request(Request { kind, nonce, error, interest })
    };
    let unserved = stream.handle(open(&[""], BTreeMap::new()));
    assert!(unserved.is_empty(), "a name that nothing has is not all: {unserved:?}");
    let sent = stream.handle(open(&["*"], BTreeMap::new()));
    assert_eq!(said(&sent[0]).0.len(), 2, "the cluster, and the passthrough");

    let mut empty = Snapshot::build(&mesh(&weights(0), "host"), &Discovered::default(), &node("n0"))
        .map(Arc::new)
        .expect("the node exists");
    assert!(!empty.content(ResourceType::Listener).resources.is_empty());
    empty = Arc::new(empty.overlaid(crate::snapshot::overlay::Overlay {
        contents: [(ResourceType::Listener, ResourceSet::new())].into(),
        ..Default::default()
    }));
    let mut stream = Stream::new(Variant::Delta, empty);
    let event = open(&[], BTreeMap::new());
    let clusters = stream.handle(event);
    let StreamEvent::Request(listeners) = open(&[], BTreeMap::new()) else { panic!("a request") };
    let listeners = Request { kind: ResourceType::Listener, ..listeners };
    assert!(stream.handle(StreamEvent::Request(listeners)).is_empty(), "after the clusters");
    let acknowledged = Request {
        kind: ResourceType::Cluster,
        nonce: clusters[0].nonce.clone(),
        error: None,
        interest: proxy::change([], []),
    };
    let sent = stream.handle(StreamEvent::Request(acknowledged));
    assert_eq!((sent.len(), said(&sent[0])), (1, (vec![], vec![])));
}

#[test]
fn what_is_subscribed_to_again_is_sent_again_and_what_is_not_wanted_is_not() {
    let mut world = settled(Variant::Delta, &weights(0b0001));
    let routes = "rds_egress_http2_8000".to_owned();
    let request = |subscribe: &[&String], unsubscribe: &[&String]| {
        let owned = |names: &[&String]| names.iter().map(|name| (*name).clone()).collect::<Vec<_>>();
        let interest = proxy::change(owned(subscribe), owned(unsubscribe));
        let (kind, nonce, error) = (ResourceType::Route, String::new(), None);
        StreamEvent::Request(Request { kind, nonce, error, interest })
    };
    let sent = world.stream.handle(request(&[&routes], &[]));
    assert_eq!(said(&sent[0]), (vec![routes.as_str()], vec![]));
    let ack = Request {
        kind: ResourceType::Route,
        nonce: sent[0].nonce.clone(),
        error: None,
        interest: proxy::change([], []),
    };
    assert!(world.stream.handle(StreamEvent::Request(ack)).is_empty() && world.stream.is_current());
    assert!(world.stream.handle(request(&[], &[&routes])).is_empty());
    assert!(!world.stream.is_current());
    push(&mut world, &weights(0b0011));
    assert_eq!(world.answers.len(), 1, "clusters alone");
    let sent = world.stream.handle(request(&[&routes], &[]));
    assert!(sent.is_empty(), "after the clusters");
}

/// What the state of the world has to refuse goes out in pieces.
#[test]
fn what_one_message_does_not_take_is_sent_in_several() {
    let name = |number: usize| format!("n{number}-{}", "x".repeat(200));
    let listeners = json!([{"portMapping": {"port": 80, "protocol": "http2"}}]);
    let mut objects: Vec<(String, Value)> = Vec::new();
    let count = 6000;
    let service = |number: usize| format!("s{number}.local");
    for number in 0..count {
        let dns = json!({"dns": {"hostname": format!("{}.local", name(number))}});
        objects.push((
            format!("virtualNode/{}", name(number)),
            json!({"listeners": listeners, "serviceDiscovery": dns}),
        ));
        let provider = json!({"provider": {"virtualNode": {"virtualNodeName": name(number)}}});
        objects.push((format!("virtualService/{}", service(number)), provider));
    }
    let backends: Vec<Value> =
        (0..count).map(|number| json!({"virtualService": {"virtualServiceName": service(number)}})).collect();
    objects.push(("virtualNode/client".into(), json!({"backends": backends})));
    let objects: Vec<(&str, Value)> =
        objects.iter().map(|(path, spec)| (path.as_str(), spec.clone())).collect();
    let view = view(&objects);
    let target = snapshot(&view);
    assert!(target.content(ResourceType::Cluster).size() > MAX_ANSWER);
    let mut world = settled(Variant::Delta, &weights(0));
    world.view = view;
    world.answers.extend(world.stream.handle(StreamEvent::Target(target)));
    let mut pieces = 0;
    while let Some(answer) = world.answers.front() {
        assert!(answer.size() <= MAX_ANSWER);
        pieces += usize::from(answer.kind == ResourceType::Cluster);
        world.take(StreamStep::Answer(0)).expect("nothing dangles");
        while !world.requests.is_empty() {
            world.take(StreamStep::Request).expect("one at a time");
        }
    }
    assert!(pieces >= 2, "{pieces}");
    let clusters = world.stream.target().content(ResourceType::Cluster);
    assert_eq!(world.proxy.running(ResourceType::Cluster).count(), clusters.resources.len());
}

#[test]
fn names_count_once_however_many_requests_bring_them_and_no_longer_when_they_go() {
    let mut stream = Stream::new(Variant::Delta, snapshot(&mesh(&weights(0b0001), "host")));
    let names = |ports: std::ops::Range<u16>| -> Vec<String> {
        ports.map(|port| format!("rds_egress_http2_{port}")).collect()
    };
    assert_eq!(stream.names(ResourceType::Route, &names(0..4)), 4);
    let mut request = |subscribe, unsubscribe| {
        let (kind, nonce, error) = (ResourceType::Route, String::new(), None);
        let interest = proxy::change(subscribe, unsubscribe);
        stream.handle(StreamEvent::Request(Request { kind, nonce, error, interest }));
    };
    request(names(0..4), vec![]);
    request(names(2..6), names(0..1));
    assert_eq!(stream.names(ResourceType::Route, &names(4..8)), 7);
}

/// What it lists it may have removed with an answer that it refused: a listener must not rely on it.
#[test]
fn what_a_proxy_was_to_remove_by_a_refused_answer_is_sent_again_before_it_is_used() {
    let shape = |services: &[(bool, u8)]| Shape { services: services.to_vec(), logged: false };
    let mut world = settled(Variant::Delta, &shape(&[(true, 1)]));
    // It comes back to a control plane that knows its cluster by name only, and removes it.
    world.view = mesh(&shape(&[]), "host");
    world.reopen(Unsettled::new());
    while world.answers.front().is_none_or(|answer| answer.kind != ResourceType::Cluster) {
        let step = if world.requests.is_empty() { StreamStep::Answer(0) } else { StreamStep::Request };
        world.take(step).expect("nothing dangles");
    }
    // It says that it refuses this, and the cluster is gone all the same.
    world.take(StreamStep::Answer(2)).expect("nothing refers to it");
    world.take(StreamStep::Request).expect("one at a time");
    assert!(!world.proxy.running(ResourceType::Cluster).any(|one| one.name.contains("n0_tcp")));
    world.view = mesh(&shape(&[(true, 1)]), "host");
    world.reopen(world.stream.unsettled());
    world.settle().expect("the cluster comes before the listener");
    world.assert_converged().expect("it runs the target");
}
