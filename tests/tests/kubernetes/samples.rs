//! The samples as a user applies and deletes them: file by file in any order, all at once, stage after stage.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use fleetmesh_testbed::api_server::ApiServer;
use fleetmesh_testbed::tools;
use fleetmesh_testbed::wait;

use crate::bed::{ClusterBed, LIMIT, TIMEOUT};

/// Chooses the random order, to repeat one.
const SEED: &str = "FLEETMESH_SEED";

/// The YAML files of these folders, in their order.
fn files(folders: &[&str]) -> Vec<PathBuf> {
    let samples = tools::workspace_dir().unwrap().join("samples");
    let mut files = Vec::new();
    for folder in folders {
        let entries = std::fs::read_dir(samples.join(folder)).unwrap();
        files.extend(entries.map(|entry| entry.unwrap().path()));
    }
    files.sort();
    files
}

/// Shuffles (Fisher and Yates) with a seed that the output shows.
fn shuffle(files: &mut [PathBuf]) {
    let now = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_micros() as u64;
    let seed = std::env::var(SEED).map_or_else(|_| now(), |seed| seed.parse().unwrap());
    println!("{SEED}={seed}");
    // xorshift64: any other number than 0 will do.
    let mut state = seed | 1;
    for last in (1..files.len()).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        files.swap(last, state as usize % (last + 1));
    }
}

/// `kubectl VERB … -f A -f B …`: in this order, whatever becomes of each.
fn arguments<'a>(verb: &[&'a str], files: &'a [PathBuf]) -> Vec<&'a str> {
    let files = files.iter().flat_map(|file| ["-f", file.to_str().unwrap()]);
    verb.iter().copied().chain(files).collect()
}

fn is_namespace(file: &Path) -> bool {
    file.ends_with("00-namespace.yaml")
}

/// Applies the files in their order, twice where a namespace came too late, and awaits that all are Ready.
async fn applied(bed: &ClusterBed, files: &[PathBuf]) {
    let kubectl = &bed.stack.kubectl;
    let first = kubectl.capture(&arguments(&["apply"], files)).await.unwrap();
    if !first.status.success() {
        let refusals = first.stderr.lines().filter(|line| line.contains("(NotFound)"));
        assert!(refusals.count() > 0, "{first:?}");
        assert!(first.stderr.contains("namespaces \"") && !first.stderr.contains("invalid"), "{first:?}");
        kubectl.run(&arguments(&["apply"], files)).await.unwrap();
    }
    ready(bed).await;
}

/// As the samples' README says.
async fn ready(bed: &ClusterBed) {
    for namespace in ["apps", "shop"] {
        let wait = ["wait", "--for=condition=Ready", TIMEOUT, "fleetmesh", "--all", "--namespace", namespace];
        bed.stack.kubectl.run(&wait).await.unwrap();
    }
}

/// Deletes the files in their order, their namespaces among them, and checks that nothing is left.
async fn deleted(bed: &ClusterBed, files: &[PathBuf]) {
    let kubectl = &bed.stack.kubectl;
    // Where namespaces have a controller, a namespace takes along what is in it.
    kubectl.run(&arguments(&["delete", "--wait=false", "--ignore-not-found"], files)).await.unwrap();
    let rest: Vec<PathBuf> = files.iter().filter(|file| !is_namespace(file)).cloned().collect();
    kubectl.run(&arguments(&["delete", "--ignore-not-found", TIMEOUT], &rest)).await.unwrap();
    assert_eq!(kubectl.run(&["get", "fmesh,fleetmesh", "--all-namespaces", "-o", "name"]).await.unwrap(), "");
    let meshes = bed.aws().run(&["list-meshes"]).await.unwrap();
    assert_eq!(
        meshes["meshes"].as_array().map(Vec::len),
        Some(0),
        "a mesh goes last, so all of it is gone: {meshes}"
    );
    for namespace in ["apps", "shop"] {
        finalize(bed, namespace).await;
    }
}

/// Awaits the end of a namespace that is empty. On kube-apiserver it does what Kubernetes' namespace controller does, of which a bare
/// API server has none.
async fn finalize(bed: &ClusterBed, namespace: &str) {
    if bed.stack.cluster.served_by() == ApiServer::Kubernetes {
        take_finalizers(bed, namespace).await;
    }
    let kubectl = &bed.stack.kubectl;
    wait::until("the namespace is gone", LIMIT, async || {
        let found = kubectl.run(&["get", "namespace", namespace, "--ignore-not-found", "-o", "name"]).await?;
        Ok(found.is_empty().then_some(()))
    })
    .await
    .unwrap();
}

async fn take_finalizers(bed: &ClusterBed, namespace: &str) {
    let kubectl = &bed.stack.kubectl;
    let mut object = kubectl.json(&["get", "namespace", namespace]).await.unwrap();
    assert_eq!(object["status"]["phase"], "Terminating");
    object["spec"]["finalizers"] = serde_json::json!([]);
    let file = bed.run.join("namespace.json");
    std::fs::write(&file, object.to_string()).unwrap();
    let path = format!("/api/v1/namespaces/{namespace}/finalize");
    kubectl.run(&["replace", "--raw", &path, "-f", file.to_str().unwrap()]).await.unwrap();
}

/// What `kubectl get` prints of the namespace apps, by cells.
async fn table(bed: &ClusterBed, kind: &str) -> Vec<Vec<String>> {
    let text = bed.stack.kubectl.run(&["get", kind, "--namespace", "apps"]).await.unwrap();
    let cells = |line: &str| {
        line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).map(str::to_owned).collect()
    };
    text.lines().map(cells).collect()
}

/// Applies a stage of the scenario and checks the weights that a person sees and those that the endpoint has.
async fn stage(bed: &ClusterBed, folder: &str, weights: &str) {
    let folder = tools::workspace_dir().unwrap().join("samples").join(folder);
    bed.stack.kubectl.apply(&folder).await.unwrap();
    wait::until("kubectl shows the weights", LIMIT, async || {
        let get = ["get", "--namespace", "apps", "route/service-b", "--output", "jsonpath={.status.weights}"];
        Ok((bed.stack.kubectl.run(&get).await? == weights).then_some(()))
    })
    .await
    .unwrap();
    ready(bed).await;
    let [header, row] = &table(bed, "routes.fleetmesh.dev").await[..] else { panic!("one route") };
    assert_eq!(header[..], ["NAME", "ROUTER", "PHASE", "STEP", "WEIGHTS", "HOLD", "READY", "REASON", "AGE"]);
    // Without a canary there is neither phase nor step nor hold.
    assert_eq!(row[..5], ["service-b", "serviceB", weights, "True", "Ready"]);
    let describe = [
        "describe-route",
        "--mesh-name",
        "apps",
        "--virtual-router-name",
        "serviceB",
        "--route-name",
        "serviceB",
    ];
    let route = bed.aws().run(&describe).await.unwrap();
    let targets = route["route"]["spec"]["http2Route"]["action"]["weightedTargets"].as_array().unwrap();
    let shown: Vec<String> = targets
        .iter()
        .map(|target| format!("{}={}", target["virtualNode"].as_str().unwrap(), target["weight"]))
        .collect();
    assert_eq!(shown.join(" "), weights);
}

#[tokio::test]
async fn samples_converge_and_go_in_any_order() {
    let bed = ClusterBed::start("samples", &[]).await;
    let mut files = files(&["getting-started", "routes"]);

    applied(&bed, &files).await;
    let nodes = table(&bed, "virtualnodes.fleetmesh.dev").await;
    let header = ["NAME", "MESH", "APP MESH NAME", "PROXIES", "INSTANCES", "READY", "REASON", "AGE"];
    assert_eq!(nodes[0][..], header);
    assert_eq!(nodes[2][..6], ["service-b", "apps", "serviceB", "0", "True", "Ready"]);
    let services = table(&bed, "virtualservices.fleetmesh.dev").await;
    assert_eq!(services[0][..], ["NAME", "MESH", "APP MESH NAME", "READY", "REASON", "AGE"]);
    stage(&bed, "connect", "serviceB=100").await;
    stage(&bed, "split-75-25", "serviceB=75 serviceBv2=25").await;
    stage(&bed, "shift-100", "serviceBv2=100").await;
    // To apply an earlier folder again is to go back to that stage.
    stage(&bed, "split-75-25", "serviceB=75 serviceBv2=25").await;
    deleted(&bed, &files).await;

    files.reverse();
    applied(&bed, &files).await;
    deleted(&bed, &files).await;

    shuffle(&mut files);
    applied(&bed, &files).await;
    shuffle(&mut files);
    deleted(&bed, &files).await;
}
