//! Keeps a release: runs the chart of this checkout, with the program that `FLEETMESH_BIN` names, and writes down what it leaves
//! behind. `tests/data/releases/README.md` says when and how.

use std::path::Path;
use std::process::Command;

use fleetmesh_testbed::command;
use fleetmesh_testbed::helm::chart;
use fleetmesh_testbed::proxies::{Follower, Running};
use fleetmesh_testbed::{tools, wait};
use serde_json::{Value, json};

use super::kept;
use super::{LIMIT, LOOKS, PROXY, ReleaseWorld};

/// Prints a database as SQL, with the two numbers that a dump leaves out.
const DUMP: &str = r#"
import sqlite3, sys
database = sqlite3.connect(sys.argv[1])
print(*database.iterdump(), sep="\n")
for pragma in ["application_id", "user_version"]:
    print(f"PRAGMA {pragma} = {database.execute('PRAGMA ' + pragma).fetchone()[0]};")
"#;
/// Nodes with identities and instances, in the place of those without.
const FLEETS: [&str; 3] =
    ["03-virtual-node-service-b", "06-virtual-node-service-b-v2", "07-virtual-node-service-a"];

#[tokio::test]
#[ignore = "keeps this release in tests/data/releases; see the README there"]
async fn keep_this_release() {
    let name =
        std::env::var("FLEETMESH_RELEASE").expect("FLEETMESH_RELEASE is the commit of what FLEETMESH_BIN is");
    let mut world = ReleaseWorld::install("keep", &chart().unwrap()).await;
    world.bed.start().await;
    let objects = settled(&world).await;
    let proxy = Follower::connect(world.ads, PROXY, Running::default()).await.unwrap();
    wait::until("the proxy runs routes", LIMIT, async || {
        let running = proxy.running();
        Ok((running.0.len() == 3 && running.0.values().all(|one| !one.version.is_empty())).then_some(()))
    })
    .await
    .unwrap();
    // The status shows the proxy.
    world.looked(LOOKS, objects).await;

    let folder = kept::folder().join(name);
    std::fs::create_dir_all(&folder).unwrap();
    let write = |file: &str, text: String| std::fs::write(folder.join(file), text).unwrap();
    write("proxy.json", format!("{:#}\n", json!(proxy.running())));
    write("pushed.txt", String::new());
    world.bed.operator.kill();
    write("objects.jsonl", stored(&world).await);
    let calls = world.aws_writes();
    write("aws.jsonl", calls.iter().map(|call| format!("{}\n", json!(call))).collect());
    world.bed.control_plane.kill();
    write("control-plane.sql", dump(&world).await);
    package(&world, &folder).await;
}

/// Applies the scenario, fleets and a split included, and awaits that nothing is left to do; gives how many objects there are.
async fn settled(world: &ReleaseWorld) -> usize {
    world.bed.apply("getting-started").await;
    world.bed.apply("connect").await;
    world.bed.ready().await;
    for file in FLEETS {
        world.bed.apply(&format!("fleet/{file}.yaml")).await;
    }
    world.bed.apply("split-75-25").await;
    for node in ["service-a", "service-b", "service-b-v2"] {
        let running = "--for=jsonpath={.status.fleet.instances[0].state}=running";
        let wait = ["wait", &format!("virtualnode/{node}"), running, "--timeout=60s", "-n", "apps"];
        world.bed.kubectl.run(&wait).await.unwrap();
    }
    let objects = stored(world).await.lines().count();
    let mut last = world.aws_writes().len();
    wait::until("nothing is written any more", LIMIT, async || {
        world.looked(LOOKS, objects).await;
        let (before, now) = (last, world.aws_writes().len());
        last = now;
        Ok((before == now).then_some(()))
    })
    .await
    .unwrap();
    objects
}

/// The custom resources as the API server keeps them, one a line.
async fn stored(world: &ReleaseWorld) -> String {
    let found = world.bed.cluster.etcd().unwrap().list("/registry/fleetmesh.dev/").await.unwrap();
    let lines = found.into_iter().map(|(key, value)| {
        let value: Value = serde_json::from_str(&value).unwrap();
        format!("{}\n", json!({ "key": key, "value": value }))
    });
    lines.collect()
}

async fn dump(world: &ReleaseWorld) -> String {
    let mut dump = Command::new(tools::tool("python").unwrap());
    dump.args(["-c", DUMP]).arg(world.bed.control_plane.volume("data").join("control-plane.db"));
    command::run(dump).await.unwrap()
}

async fn package(world: &ReleaseWorld, folder: &Path) {
    let chart = chart().unwrap();
    let package = ["package", chart.to_str().unwrap(), "--destination", folder.to_str().unwrap()];
    world.bed.helm.run(&package).await.unwrap();
}
