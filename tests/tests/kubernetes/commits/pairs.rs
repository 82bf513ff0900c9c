//! Every pair of kinds of which one may stand in the way of the other, as the control plane's own rules name them: a state and
//! another one, both consistent, whose objects are applied and deleted in the order of the pair.

use std::sync::Arc;

use fleetmesh_mesh::rules::pairs;
use fleetmesh_model::Kind;
use fleetmesh_testbed::wait;
use futures::StreamExt as _;
use serde_json::{Value, json};

use super::{CommitBed, listening, to_red};
use crate::bed::LIMIT;
use crate::space::{KubernetesSpace, node, service, with};

/// Cases at a time: each waits most of its time.
const LANES: usize = 4;

/// One object of a case: its kind, its name, and its spec before and after.
struct Part {
    kind: Kind,
    name: &'static str,
    before: Option<Value>,
    after: Option<Value>,
}

/// What is there before and after, beside the mesh.
struct PairCase {
    /// Objects that do not change, and are of neither kind where they would matter.
    rest: Vec<(Kind, &'static str, Value)>,
    parts: Vec<Part>,
}

fn part(kind: Kind, name: &'static str, before: Option<Value>, after: Option<Value>) -> Part {
    Part { kind, name, before, after }
}

fn red(ports: &[u16]) -> Value {
    with(node("red.local"), listening(ports, "http2"))
}

fn by_node() -> Value {
    json!({ "provider": { "virtualNode": { "virtualNodeName": "red" } } })
}

fn gateway() -> Value {
    json!({ "listeners": [{ "portMapping": { "port": 8080, "protocol": "http" } }] })
}

/// A gateway route to the service `shop.local`, on a port of its provider.
fn from_outside(port: Option<u16>) -> Value {
    let mut target = json!({ "virtualService": { "virtualServiceName": "shop.local" } });
    if let Some(port) = port {
        target["port"] = json!(port);
    }
    json!({ "virtualGatewayName": "edge",
        "httpRoute": { "match": { "prefix": "/" }, "action": { "target": target } } })
}

/// What may be in whose way: in one direction the two are made or changed, in the other one they go or change back.
fn case(of: Kind, against: Kind) -> Option<PairCase> {
    let comes = |kind, name, spec: Value| part(kind, name, None, Some(spec));
    let goes = |kind, name, spec: Value| part(kind, name, Some(spec), None);
    let alone = |parts: Vec<Part>| Some(PairCase { rest: Vec::new(), parts });
    let small = |kind: Kind| match kind {
        Kind::VirtualNode => Some(("red", red(&[80]))),
        Kind::VirtualRouter => Some(("shop", listening(&[80], "http2"))),
        Kind::VirtualService => Some(("shop.local", json!({}))),
        Kind::VirtualGateway => Some(("edge", gateway())),
        Kind::Mesh | Kind::Route | Kind::GatewayRoute => None,
    };
    let serving = || (Kind::VirtualNode, "red", red(&[80]));
    match (of, against) {
        (kind, Kind::Mesh) => small(kind)
            .and_then(|(name, spec)| alone(vec![comes(kind, name, spec), comes(Kind::Mesh, "", json!({}))])),
        (Kind::Mesh, kind) => small(kind)
            .and_then(|(name, spec)| alone(vec![goes(Kind::Mesh, "", json!({})), goes(kind, name, spec)])),
        (Kind::Route, Kind::VirtualRouter) | (Kind::VirtualRouter, Kind::Route) => Some(PairCase {
            rest: vec![serving()],
            parts: vec![
                part(
                    Kind::VirtualRouter,
                    "shop",
                    Some(listening(&[80], "http2")),
                    Some(listening(&[80], "tcp")),
                ),
                part(Kind::Route, "shop", Some(to_red("http2", 80)), Some(to_red("tcp", 80))),
            ],
        }),
        (Kind::Route, Kind::VirtualNode) | (Kind::VirtualNode, Kind::Route) => Some(PairCase {
            rest: vec![(Kind::VirtualRouter, "shop", listening(&[80], "http2"))],
            parts: vec![
                part(Kind::VirtualNode, "red", Some(red(&[80])), Some(red(&[81]))),
                part(Kind::Route, "shop", Some(to_red("http2", 80)), Some(to_red("http2", 81))),
            ],
        }),
        (Kind::VirtualService, Kind::VirtualNode) => alone(vec![
            part(Kind::VirtualService, "shop.local", Some(json!({})), Some(by_node())),
            comes(Kind::VirtualNode, "red", red(&[80])),
        ]),
        (Kind::VirtualNode, Kind::VirtualService) => alone(vec![
            goes(Kind::VirtualNode, "red", red(&[80])),
            part(Kind::VirtualService, "shop.local", Some(by_node()), Some(json!({}))),
        ]),
        (Kind::VirtualService, Kind::VirtualRouter) => alone(vec![
            part(Kind::VirtualService, "shop.local", Some(json!({})), Some(service("shop"))),
            comes(Kind::VirtualRouter, "shop", listening(&[80], "http2")),
        ]),
        (Kind::VirtualRouter, Kind::VirtualService) => alone(vec![
            goes(Kind::VirtualRouter, "shop", listening(&[80], "http2")),
            part(Kind::VirtualService, "shop.local", Some(service("shop")), Some(json!({}))),
        ]),
        (Kind::GatewayRoute, Kind::VirtualGateway) => Some(PairCase {
            rest: vec![serving(), (Kind::VirtualService, "shop.local", by_node())],
            parts: vec![
                comes(Kind::GatewayRoute, "all", from_outside(None)),
                comes(Kind::VirtualGateway, "edge", gateway()),
            ],
        }),
        (Kind::VirtualGateway, Kind::GatewayRoute) => Some(PairCase {
            rest: vec![serving(), (Kind::VirtualService, "shop.local", by_node())],
            parts: vec![
                goes(Kind::VirtualGateway, "edge", gateway()),
                goes(Kind::GatewayRoute, "all", from_outside(None)),
            ],
        }),
        (Kind::GatewayRoute, Kind::VirtualService) => Some(PairCase {
            rest: vec![(Kind::VirtualGateway, "edge", gateway()), (Kind::VirtualNode, "red", red(&[80, 81]))],
            parts: vec![
                comes(Kind::GatewayRoute, "all", from_outside(Some(81))),
                comes(Kind::VirtualService, "shop.local", by_node()),
            ],
        }),
        (Kind::VirtualService, Kind::GatewayRoute) => Some(PairCase {
            rest: vec![serving(), (Kind::VirtualGateway, "edge", gateway())],
            parts: vec![
                goes(Kind::VirtualService, "shop.local", by_node()),
                goes(Kind::GatewayRoute, "all", from_outside(None)),
            ],
        }),
        (Kind::GatewayRoute, Kind::VirtualNode) => Some(PairCase {
            rest: vec![
                (Kind::VirtualGateway, "edge", gateway()),
                (Kind::VirtualService, "shop.local", by_node()),
            ],
            parts: vec![
                part(Kind::GatewayRoute, "all", Some(from_outside(Some(80))), Some(from_outside(None))),
                part(Kind::VirtualNode, "red", Some(red(&[80, 81])), Some(red(&[80]))),
            ],
        }),
        (Kind::GatewayRoute, Kind::VirtualRouter) => Some(PairCase {
            rest: vec![
                (Kind::VirtualGateway, "edge", gateway()),
                (Kind::VirtualService, "shop.local", service("shop")),
            ],
            parts: vec![
                part(Kind::GatewayRoute, "all", Some(from_outside(Some(80))), Some(from_outside(None))),
                part(
                    Kind::VirtualRouter,
                    "shop",
                    Some(listening(&[80, 81], "http2")),
                    Some(listening(&[80], "http2")),
                ),
            ],
        }),
        _ => None,
    }
}

/// The name of the resource at kubectl.
fn resource(kind: Kind, name: &str, space: &KubernetesSpace) -> String {
    let name = if kind == Kind::Mesh { &space.mesh } else { name };
    format!("{}/{name}", kind.info().name.to_lowercase())
}

async fn converges(bed: Arc<CommitBed>, of: Kind, against: Kind) -> String {
    let pair = format!("{}-{}", of.info().segment, against.info().segment).to_lowercase();
    let PairCase { rest, mut parts } = case(of, against).unwrap_or_else(|| {
        panic!("{of} and {against}: a rule of the control plane is between them, and no case")
    });
    // What is first in the pair comes first.
    parts.sort_by_key(|part| part.kind != of);
    let space = bed.space(&format!("pair-{pair}")).await;
    let object = |kind: Kind, name: &str, spec: &Value| {
        let name = if kind == Kind::Mesh { space.mesh.as_str() } else { name };
        space.object(kind.info().name, name, spec.clone())
    };
    let has_mesh = parts.iter().any(|part| part.kind == Kind::Mesh);
    let mut before: Vec<Value> = if has_mesh { Vec::new() } else { vec![space.mesh()] };
    before.extend(rest.iter().map(|(kind, name, spec)| object(*kind, name, spec)));
    before.extend(parts.iter().filter_map(|part| Some(object(part.kind, part.name, part.before.as_ref()?))));
    let there = |part: &&Part| part.before.is_some();
    if !before.is_empty() {
        space.apply(&before).await;
    }
    for part in parts.iter().filter(there) {
        space.until(&resource(part.kind, part.name, &space), "Ready", "True", "Ready").await;
    }
    bed.written(&space.mesh);
    for part in parts.iter().filter(|part| part.after.is_none()) {
        space.run(&["delete", &resource(part.kind, part.name, &space), "--wait=false"]).await;
    }
    let after: Vec<Value> =
        parts.iter().filter_map(|part| Some(object(part.kind, part.name, part.after.as_ref()?))).collect();
    if !after.is_empty() {
        space.apply(&after).await;
    }
    for part in &parts {
        let resource = resource(part.kind, part.name, &space);
        if part.after.is_some() {
            space.until(&resource, "Ready", "True", "Ready").await;
        } else {
            let gone = async || Ok((!space.exists(&resource).await).then_some(()));
            wait::until(&format!("{resource} is gone"), LIMIT, gone).await.unwrap();
        }
    }
    format!("{pair}: {:?}", bed.written(&space.mesh))
}

#[tokio::test]
async fn whatever_the_rules_let_block_each_other_converges_in_either_order() {
    let bed = Arc::new(CommitBed::start("pairs", true).await);
    let all = pairs();
    assert!(all.len() >= 20, "{all:?}");
    let cases = all.into_iter().map(|(of, against)| converges(Arc::clone(&bed), of, against));
    let mut running = futures::stream::iter(cases).buffer_unordered(LANES);
    while let Some(done) = running.next().await {
        println!("{done}");
    }
}
