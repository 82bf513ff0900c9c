//! R8: eight writers make 150 edits each, in the long form 1,000, to four objects that the operator works on, in every way that Kubernetes has:
//! server-side apply, merge patches, updates and patches of the version that was read. No edit is lost, not even for
//! a moment, and the operator writes no field of theirs.

mod edit;
mod watched;

use std::time::Instant;

use fleetmesh_testbed::{http, long, wait};
use fleetmesh_tests::objects::client;
use serde_json::json;

use crate::bed::{ClusterBed, LIMIT};
use crate::space::{KubernetesSpace, node, route, service, with};
use edit::{Edit, EditWriter, EditedThing, Field};
use watched::WatchedObject;

/// Edits of each writer that the API server accepts.
fn edits() -> u64 {
    long::choose(150, 1000)
}

const GIT: EditedThing = EditedThing { kind: "VirtualRouter", name: "git" };
const SHOP: EditedThing = EditedThing { kind: "VirtualRouter", name: "shop" };
const ROUTE: EditedThing = EditedThing { kind: "Route", name: "shop" };
const SERVICE: EditedThing = EditedThing { kind: "VirtualService", name: "shop.local" };

/// Who writes what, and how. Two write each object.
const WRITERS: [EditWriter; 8] = [
    EditWriter { name: "git", object: GIT, edit: Edit::Apply, field: Field::Port },
    EditWriter { name: "team", object: GIT, edit: Edit::Merge, field: Field::Label },
    EditWriter { name: "owner", object: SHOP, edit: Edit::Apply, field: Field::Label },
    EditWriter { name: "mover", object: SHOP, edit: Edit::Merge, field: Field::Port },
    EditWriter { name: "tuner", object: ROUTE, edit: Edit::Apply, field: Field::Priority },
    EditWriter { name: "marker", object: ROUTE, edit: Edit::Merge, field: Field::Annotation },
    // These count together: what both wrote adds up.
    EditWriter { name: "one", object: SERVICE, edit: Edit::Update, field: Field::Annotation },
    EditWriter { name: "other", object: SERVICE, edit: Edit::MergeIfUnchanged, field: Field::Annotation },
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_writers_lose_no_edit() {
    let bed = ClusterBed::start("writers", &[]).await;
    let space = bed.space("writers").await;
    // Numbers only grow, and the first is 1.
    let router = |name: &str| space.object("VirtualRouter", name, Field::Port.patch(1)["spec"].take());
    let to_red = with(route(&[("red", 1)]), json!({ "virtualRouterName": "shop" }));
    space
        .apply(&[
            space.mesh(),
            space.object("VirtualNode", "red", node("red.local")),
            router("shop"),
            space.object("Route", "shop", to_red),
            space.object("VirtualService", "shop.local", service("shop")),
        ])
        .await;
    let client = client(&bed.stack.cluster.admin_kubeconfig()).await.unwrap();
    // Who applies a member owns it, so nobody else may have made it.
    edit::create(&client, &router("git"), "git").await;
    space.ready(&["fleetmesh", "--all"]).await;
    let before = operator_writes(&bed).await;
    let watched = WatchedObject::start(&client, &space.name, &WRITERS).await;

    let started = Instant::now();
    let mut writers = tokio::task::JoinSet::new();
    for writer in &WRITERS {
        let (client, namespace) = (client.clone(), space.name.clone());
        writers.spawn(async move { writer.run(&client, &namespace, edits()).await });
    }
    let conflicts: u64 = writers.join_all().await.into_iter().sum();
    let (all, seconds) = (edits() * WRITERS.len() as u64, started.elapsed().as_secs_f64());
    println!("R8: {all} edits in {seconds:.1} s; {conflicts} more were refused because somebody was faster");

    the_operator_has_caught_up(&space).await;
    let versions = watched.until_all_is_there(edits()).await;
    let writes = operator_writes(&bed).await - before;
    println!("R8: 0 of {all} edits lost over {versions} versions, {writes} of which the operator wrote");
    assert!(writes > 0, "the operator worked meanwhile");
    for object in [GIT, SHOP, ROUTE, SERVICE] {
        edit::only_the_status_is_the_operators(&client, &space.name, object).await;
    }
}

/// The last edits are in the mesh, and the objects say so.
async fn the_operator_has_caught_up(space: &KubernetesSpace) {
    let port = async |router: &str| {
        let found = space.describe("virtual-router", router).await;
        found["spec"]["listeners"][0]["portMapping"]["port"].as_u64()
    };
    wait::until("the last edits are in the mesh", LIMIT, async || {
        let priority = space.describe("route", "shop").await["spec"]["priority"].as_u64();
        let found = [port("git").await, port("shop").await, priority];
        anyhow::ensure!(found == [Some(edits()); 3], "{found:?}");
        Ok(Some(()))
    })
    .await
    .unwrap();
    space.ready(&["fleetmesh", "--all"]).await;
}

/// What the operator has written to Kubernetes so far.
async fn operator_writes(bed: &ClusterBed) -> u64 {
    let page = http::get(&format!("{}/metrics", bed.stack.operator.health_url())).await.unwrap();
    let lines = page.lines().filter(|line| line.contains("kubernetes_writes_total{"));
    lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}
