//! What kubectl applied the AWS CLI shows; what the CLI changes behind the operator's back comes back, with an Event that
//! says what differed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use fleetmesh_testbed::cluster::Cluster;
use fleetmesh_testbed::control_plane::ControlPlane;
use fleetmesh_testbed::operator::Operator;
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::stack;
use serde_json::{Value, json};

use crate::bed::{ClusterBed, TIMEOUT};
use crate::front;
use crate::space::{KubernetesSpace, node, route, router, service, version, with};

/// The design's bound.
const BOUND: Duration = Duration::from_secs(60);

/// One object of each kind, with the member of its spec that describe shows.
fn objects(space: &KubernetesSpace) -> [Value; 5] {
    let more = json!({ "backends": [{ "virtualService": { "virtualServiceName": "shop.local" } }] });
    [
        space.object("Mesh", &space.name, json!({ "egressFilter": { "type": "ALLOW_ALL" } })),
        space.object("VirtualNode", "red", with(node("red.local"), more)),
        space.object("VirtualRouter", "shop", router()),
        space.object("Route", "shop", with(route(&[("red", 3)]), json!({ "virtualRouterName": "shop" }))),
        space.object("VirtualService", "shop.local", service("shop")),
    ]
}

/// Kind and name at the CLI, resource at kubectl, in the order of [`objects`].
fn names(space: &KubernetesSpace) -> [(&'static str, String, String); 5] {
    let name = |kind, name: &str, resource: &str| (kind, name.to_owned(), format!("{resource}/{name}"));
    [
        name("mesh", &space.name, "mesh"),
        name("virtual-node", "red", "virtualnode"),
        name("virtual-router", "shop", "virtualrouter"),
        name("route", "shop", "route"),
        name("virtual-service", "shop.local", "virtualservice"),
    ]
}

/// Applies the objects and checks what the CLI shows of them; gives that.
async fn applied(space: &KubernetesSpace) -> Vec<Value> {
    let objects = objects(space);
    space.apply(&objects).await;
    // By name: meshes have no namespace, and those of tests beside this one may never be Ready.
    let resources = names(space).map(|(_, _, resource)| resource);
    space.ready(&resources.each_ref().map(String::as_str)).await;
    let mut shown = Vec::new();
    for ((kind, name, resource), object) in names(space).into_iter().zip(objects) {
        let described = space.describe(kind, &name).await;
        let spec = object["spec"].as_object().unwrap();
        for (member, value) in described["spec"].as_object().unwrap() {
            assert_eq!(spec.get(member), Some(value), "{member} of {described}");
        }
        let own = ["meshName", "virtualRouterName"];
        for member in spec.keys().filter(|member| !own.contains(&member.as_str())) {
            assert!(
                described["spec"].get(member).is_some(),
                "{member} of {object} is missing in {described}"
            );
        }
        let status = space.get(&resource).await["status"].clone();
        for member in ["arn", "uid", "version"] {
            assert_eq!(status[member], described["metadata"][member], "{member} of {status}");
        }
        shown.push(described);
    }
    shown
}

/// Changes one object of each kind, by the CLI alone; the route's router and node are still named, so they stay.
async fn tamper(space: &KubernetesSpace) {
    let mesh = &space.name;
    let calls = [
        ("update-mesh", json!({ "meshName": mesh, "spec": { "egressFilter": { "type": "DROP_ALL" } } })),
        (
            "update-virtual-node",
            json!({ "meshName": mesh, "virtualNodeName": "red", "spec": node("evil.local") }),
        ),
        (
            "update-route",
            json!({ "meshName": mesh, "virtualRouterName": "shop", "routeName": "shop",
            "spec": route(&[("red", 99)]) }),
        ),
        ("delete-virtual-service", json!({ "meshName": mesh, "virtualServiceName": "shop.local" })),
    ];
    for (operation, input) in calls {
        space.aws.call(operation, &input).await.unwrap();
    }
}

/// Awaits that all is as before the tampering, and that the Events say what differed.
async fn mended(space: &KubernetesSpace, before: &[Value]) {
    for ((kind, _, resource), before) in names(space).into_iter().zip(before) {
        let changes = match kind {
            "virtual-router" => 0,
            "virtual-service" => continue,
            _ => 2,
        };
        let path = format!("--for=jsonpath={{.status.version}}={}", version(before) + changes);
        space.run(&["wait", &resource, &path, TIMEOUT]).await;
    }
    let [.., service] = before else { panic!("five kinds") };
    // A new object of the old name: kubectl sees its new uid.
    let old = service["metadata"]["uid"].as_str().unwrap();
    fleetmesh_testbed::wait::until("the service is made anew", BOUND, async || {
        let uid = space.get("virtualservice/shop.local").await["status"]["uid"].clone();
        Ok((uid.is_string() && uid != old).then_some(()))
    })
    .await
    .unwrap();
}

async fn as_before(space: &KubernetesSpace, before: &[Value]) {
    for ((kind, name, _), before) in names(space).into_iter().zip(before) {
        let after = space.describe(kind, &name).await;
        assert_eq!(after["spec"], before["spec"], "{kind} {name}");
    }
    let said = [
        (space.name.as_str(), vec!["egressFilter.type", "ALLOW_ALL", "DROP_ALL"]),
        ("red", vec!["hostname", "evil.local", "red.local", "backends"]),
        ("shop", vec!["weight", "99", "3"]),
        ("shop.local", vec!["it was deleted"]),
    ];
    for (name, words) in said {
        let events = space.events(name, "DriftMended").await;
        let events = events.into_iter().filter(|event| !event.starts_with("virtual router "));
        // Kind and namespace differ where names do not: the events of this mesh are meant.
        let events: Vec<_> = events.filter(|event| event.contains(&space.name)).collect();
        let [event] = &events[..] else { panic!("one Event about {name}: {events:?}") };
        for word in words {
            assert!(event.contains(word), "{event:?} does not say {word:?}");
        }
    }
}

#[tokio::test]
async fn a_control_plane_of_ours_reports_a_change_at_once() {
    let bed = ClusterBed::shared().await;
    let space = bed.space("reported").await;
    let before = applied(&space).await;
    let start = Instant::now();
    tamper(&space).await;
    mended(&space, &before).await;
    // The CLI alone takes seconds; the drift interval is 45 s less a fifth at most.
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
    as_before(&space, &before).await;
}

#[tokio::test]
async fn an_endpoint_that_reports_nothing_is_compared_within_60_s_by_default() {
    let run = RunDir::new("drift").unwrap();
    let cluster = Cluster::start(&run).await.unwrap();
    let kubectl = cluster.kubectl().unwrap();
    stack::install_crds(&kubectl, &run).await.unwrap();
    let control_plane = ControlPlane::start(&run).await.unwrap();
    let front = front::app_mesh_only(control_plane.endpoint()).await;
    let _operator = Operator::start(&cluster.admin_kubeconfig(), &front.url, &run).await.unwrap();
    let aws = fleetmesh_testbed::aws::AppMesh::new(&control_plane.endpoint());
    let space = KubernetesSpace::new("unreported", kubectl, aws, &run).await;
    let before = applied(&space).await;
    let condition = space.until("route/shop", "Programmed", "True", "Programmed").await;
    assert!(
        !condition["message"].as_str().unwrap().contains("of 0"),
        "nothing is said of proxies: {condition}"
    );
    let tags = space.tags(&space.describe("virtual-router", "shop").await).await;
    let start = Instant::now();
    tamper(&space).await;
    untag(&space, "fleetmesh.dev/owner-name").await;
    mended(&space, &before).await;
    tagged_as_before(&space, &tags).await;
    assert!(start.elapsed() < BOUND, "{:?}", start.elapsed());
    as_before(&space, &before).await;
}

/// Takes a tag from the router, whose spec nobody changes: its version stays as it is, so only its tags show it.
async fn untag(space: &KubernetesSpace, key: &str) {
    let described = space.describe("virtual-router", "shop").await;
    let arn = described["metadata"]["arn"].as_str().unwrap();
    space.aws.run(&["untag-resource", "--resource-arn", arn, "--tag-keys", key]).await.unwrap();
    assert!(!space.tags(&described).await.contains_key(key));
}

/// Awaits that the router has its tags again and that its one Event names the key.
async fn tagged_as_before(space: &KubernetesSpace, before: &BTreeMap<String, String>) {
    let described = space.describe("virtual-router", "shop").await;
    fleetmesh_testbed::wait::until("the router is tagged again", BOUND, async || {
        Ok((space.tags(&described).await == *before).then_some(()))
    })
    .await
    .unwrap();
    let events = fleetmesh_testbed::wait::until("an Event reports it", BOUND, async || {
        let mut events = space.events("shop", "DriftMended").await;
        events.retain(|event| event.starts_with("virtual router "));
        Ok((!events.is_empty()).then_some(events))
    })
    .await
    .unwrap();
    let [event] = &events[..] else { panic!("one Event: {events:?}") };
    assert!(event.ends_with("put back: tags fleetmesh.dev/owner-name"), "{event}");
}
