//! A cluster without our definitions.

use fleetmesh_testbed::cluster::Cluster;
use fleetmesh_testbed::control_plane::ControlPlane;
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::{http, stack, wait};

use crate::bed::{LIMIT, TIMEOUT};
use crate::endpoints::{STOP, operator};

#[tokio::test]
async fn an_operator_before_the_definitions_says_once_what_installs_them_and_begins_when_they_are_there() {
    let run = RunDir::new("definitions").unwrap();
    let cluster = Cluster::start(&run).await.unwrap();
    let control_plane = ControlPlane::start(&run).await.unwrap();
    // At debug the log has the tries after the first, too.
    let arguments = ["--log", "fleetmesh_operator=debug", "--app-mesh-endpoint", &control_plane.endpoint()];
    let mut early = operator(&cluster, &[], &arguments, &run, "early");
    let address = early.first_line(LIMIT).await.unwrap();
    let kinds = ["meshes", "virtualnodes", "virtualrouters", "routes", "virtualservices"];
    early
        .until("each watch has failed again", LIMIT, async |process| {
            let log = std::fs::read_to_string(process.log())?;
            Ok((log.matches("watch failed again").count() >= kinds.len()).then_some(()))
        })
        .await
        .unwrap();
    let ready = format!("http://{address}/readyz");
    let refusal = http::get(&ready).await.expect_err("not ready").to_string();
    assert!(refusal.contains("503"), "{refusal}");
    stack::install_crds(&cluster.kubectl().unwrap(), &run).await.unwrap();
    wait::until("it is ready", LIMIT, async || http::get(&ready).await.map(Some)).await.unwrap();
    let log = std::fs::read_to_string(early.log()).unwrap();
    for kind in kinds {
        let about: Vec<&str> = log
            .lines()
            .filter(|line| {
                line.contains("fleetmesh crds | kubectl apply") && line.contains(&format!(" {kind}."))
            })
            .collect();
        assert_eq!(about.len(), 1, "one line about {kind}: {about:?}");
    }
    assert!(early.terminate(STOP).await.unwrap().success());
    let kubectl = cluster.kubectl().unwrap();
    kubectl.run(&["wait", "--for=condition=Established", TIMEOUT, "crd", "--all"]).await.unwrap();
}
