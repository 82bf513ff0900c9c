//! Changes that block each other converge in one `kubectl apply`, in any order: by one commit at our control plane, by an order of
//! steps at an endpoint that takes none; and a change that nothing blocks is one request of App Mesh's own.

mod pairs;

use std::sync::{Arc, Mutex};

use fleetmesh_api::headers;
use fleetmesh_testbed::aws::AppMesh;
use fleetmesh_testbed::control_plane::ControlPlane;
use fleetmesh_testbed::front::{self, Front};
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::stack::Stack;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::space::{KubernetesSpace, node, version, with};

/// A stack whose operator writes through a proxy that writes down what.
struct CommitBed {
    stack: Stack,
    writes: Arc<Mutex<Vec<String>>>,
    _front: Front,
    run: RunDir,
}

impl CommitBed {
    /// At an endpoint that takes commits, or at one that has App Mesh's API alone and says nothing of commits.
    async fn start(name: &str, takes_commits: bool) -> Self {
        let run = RunDir::new(name).unwrap();
        let control_plane = ControlPlane::start(&run).await.unwrap();
        let writes: Arc<Mutex<Vec<String>>> = Arc::default();
        let (seen, endpoint) = (Arc::clone(&writes), control_plane.endpoint());
        let front = Front::start(move |asked, way| {
            let (seen, endpoint) = (Arc::clone(&seen), endpoint.clone());
            async move {
                let (method, path) = (asked.method().clone(), asked.uri().path().to_owned());
                if !takes_commits && !path.starts_with("/v20190125/") {
                    return Some(front::refusal(StatusCode::FORBIDDEN, "<UnknownOperationException/>"));
                }
                let mut answer = way.forward(&endpoint, asked).await;
                if method != Method::GET {
                    let (_, name) = path.split_once("/meshes/").unwrap_or(("", &path));
                    seen.lock().unwrap().push(format!("{method} {name} {}", answer.status().as_u16()));
                }
                if !takes_commits {
                    answer.headers_mut().remove(headers::COMMITS);
                }
                Some(answer)
            }
        })
        .await
        .unwrap();
        let stack = Stack::builder().control_plane(control_plane).app_mesh(&front.url);
        let stack = stack.start(&run).await.unwrap();
        Self { stack, writes, _front: front, run }
    }

    async fn space(&self, name: &str) -> KubernetesSpace {
        let aws = AppMesh::new(&self.stack.control_plane.endpoint());
        KubernetesSpace::new(name, self.stack.kubectl.clone(), aws, &self.run).await
    }

    /// The writes to the mesh `mesh` since the last time, each with its path below it and the status of its answer.
    fn written(&self, mesh: &str) -> Vec<String> {
        let mut writes = self.writes.lock().unwrap();
        let own = format!(" {mesh}/");
        let (taken, left) = writes.drain(..).partition(|write: &String| write.contains(&own));
        *writes = left;
        taken.into_iter().map(|write: String| write.replacen(&own, " ", 1)).collect()
    }
}

fn listening(ports: &[u16], protocol: &str) -> Value {
    let listener = |port: &u16| json!({ "portMapping": { "port": port, "protocol": protocol } });
    json!({ "listeners": ports.iter().map(listener).collect::<Vec<_>>() })
}

/// A route of the router `shop` to port `port` of the node `red`.
fn to_red(protocol: &str, port: u16) -> Value {
    let action = json!({ "weightedTargets": [{ "virtualNode": "red", "weight": 1, "port": port }] });
    let route = match protocol {
        "tcp" => json!({ "action": action }),
        _ => json!({ "match": { "prefix": "/" }, "action": action }),
    };
    json!({ "virtualRouterName": "shop", (format!("{protocol}Route")): route })
}

/// The node `red`, the router `shop` and its route, for a protocol and a port of the node.
fn shop(space: &KubernetesSpace, protocol: &str, port: u16) -> [Value; 3] {
    [
        space.object("VirtualNode", "red", with(node("red.local"), listening(&[port], "http2"))),
        space.object("VirtualRouter", "shop", listening(&[80], protocol)),
        space.object("Route", "shop", to_red(protocol, port)),
    ]
}

const ALL: [&str; 3] = ["virtualnode/red", "virtualrouter/shop", "route/shop"];

/// Awaits that all are Ready as they are now; gives their versions in App Mesh.
async fn versions(space: &KubernetesSpace) -> [i64; 3] {
    for object in ALL {
        space.until(object, "Ready", "True", "Ready").await;
    }
    let mut versions = [0; 3];
    for (place, (kind, name)) in
        [("virtual-node", "red"), ("virtual-router", "shop"), ("route", "shop")].into_iter().enumerate()
    {
        versions[place] = version(&space.describe(kind, name).await);
    }
    versions
}

async fn complaints(space: &KubernetesSpace) -> Vec<String> {
    let mut found = Vec::new();
    for reason in ["Rejected", "EndpointConflict", "DriftMended"] {
        for name in ["red", "shop"] {
            found.extend(space.events(name, reason).await);
        }
    }
    found
}

#[tokio::test]
async fn a_protocol_and_ports_change_in_one_apply_by_one_commit_and_a_single_change_by_one_write() {
    let bed = CommitBed::start("commits", true).await;
    let space = bed.space("commits").await;
    space.apply(&[space.mesh()]).await;
    space.apply(&shop(&space, "http2", 80)).await;
    assert_eq!(versions(&space).await, [1, 1, 1]);
    assert!(bed.written("commits").iter().all(|write| write.starts_with("PUT ")), "nothing blocks anything");

    let mut version = [1; 3];
    for (order, protocol, port, changed) in [
        ([1, 2, 0], "tcp", 80, [0, 1, 1]),
        ([2, 1, 0], "http2", 80, [0, 1, 1]),
        ([0, 2, 1], "http2", 81, [1, 0, 1]),
        ([2, 0, 1], "http2", 80, [1, 0, 1]),
        ([2, 0, 1], "tcp", 81, [1, 1, 1]),
    ] {
        let objects = shop(&space, protocol, port);
        space.apply(&order.map(|index: usize| objects[index].clone())).await;
        version = std::array::from_fn(|at| version[at] + changed[at]);
        assert_eq!(
            versions(&space).await,
            version,
            "each object that changed is written once, {protocol} {port}"
        );
        let written = bed.written("commits");
        let taken: Vec<&String> = written.iter().filter(|write| write.ends_with(" 200")).collect();
        assert!(taken.iter().any(|write| *write == "POST commits 200"), "{written:?}");
        assert!(
            taken.iter().all(|write| write.starts_with("POST ") || write.starts_with("PUT ")),
            "{written:?}"
        );
        println!("{protocol} {port}: {written:?}");
    }
    assert_eq!(complaints(&space).await, [""; 0], "no Event about what settles by itself");

    let tagged = with(to_red("tcp", 81), json!({ "priority": 7 }));
    space.apply(&[space.object("Route", "shop", tagged)]).await;
    space.until("route/shop", "Ready", "True", "Ready").await;
    assert_eq!(bed.written("commits"), ["PUT virtualRouter/shop/routes/shop 200"]);
}

#[tokio::test]
async fn what_cannot_be_settled_says_what_is_in_the_way() {
    let bed = CommitBed::start("blocked", true).await;
    let space = bed.space("blocked").await;
    let [red, router, route] = shop(&space, "http2", 80);
    let other = |protocol: &str| space.object("Route", "other", to_red(protocol, 80));
    space.apply(&[space.mesh(), red, router, route, other("http2")]).await;
    for object in ALL {
        space.until(object, "Ready", "True", "Ready").await;
    }
    space.until("route/other", "Ready", "True", "Ready").await;
    // Another route of the router is still for the old protocol.
    space.apply(&shop(&space, "tcp", 80)).await;
    let message = space.message("virtualrouter/shop", "Programmed", "EndpointConflict").await;
    assert!(message.contains("route/other would no longer fit"), "{message}");
    space.message("route/shop", "Accepted", "Rejected").await;
    assert_eq!(version(&space.describe("route", "shop").await), 1, "nothing of it is in force");
    space.apply(&[other("tcp")]).await;
    versions(&space).await;
    space.until("route/other", "Ready", "True", "Ready").await;
}

#[tokio::test]
async fn at_another_endpoint_listeners_are_added_first_and_where_no_order_exists_that_is_said() {
    let bed = CommitBed::start("order", false).await;
    let space = bed.space("order").await;
    space.apply(&[space.mesh()]).await;
    space.apply(&shop(&space, "http2", 80)).await;
    assert_eq!(versions(&space).await, [1, 1, 1]);
    for order in [[0, 2, 1], [2, 0, 1]] {
        let before = versions(&space).await;
        let port = 80 + u16::try_from(before[2]).unwrap();
        let objects = shop(&space, "http2", port);
        space.apply(&order.map(|index: usize| objects[index].clone())).await;
        let after = versions(&space).await;
        assert_eq!(
            after,
            [before[0] + 2, before[1], before[2] + 1],
            "both listeners, the route, the new one"
        );
    }
    let written = bed.written("order");
    assert!(written.iter().all(|write| !write.starts_with("POST")), "{written:?}");
    space.apply(&shop(&space, "tcp", 82)).await;
    let message = space.message("virtualrouter/shop", "Programmed", "EndpointConflict").await;
    assert!(message.contains("would no longer fit"), "{message}");
}
