//! Two operators without leader election on one cluster: who comes later writes nothing and ends with the reason.

use anyhow::Result;
use fleetmesh_testbed::aws::AppMesh;
use fleetmesh_testbed::cluster::Cluster;
use fleetmesh_testbed::control_plane::ControlPlane;
use fleetmesh_testbed::launch::Launch;
use fleetmesh_testbed::operator::Operator;
use fleetmesh_testbed::process::Signal;
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::{http, stack, wait};

use crate::bed::LIMIT;
use crate::space::{KubernetesSpace, node};

const LEASE: [&str; 2] = ["--leader-election-namespace", "default"];

async fn leads(operator: &Operator) -> bool {
    let page = http::get(&format!("{}/metrics", operator.health_url())).await.unwrap();
    page.lines().any(|line| line == "fleetmesh_operator_leading 1")
}

async fn until_it_works(operator: &Operator) {
    wait::until("it works", LIMIT, async || Ok(leads(operator).await.then_some(()))).await.unwrap();
}

/// What an operator says that ends because another one works.
const REASON: &str = "works in this cluster, as its Lease default/fleetmesh-operator shows";

/// Awaits that `operator` ends because another one works, and that its log names the Lease. It may have been too quick to be seen ready.
async fn leaves(started: Result<&mut Operator>) {
    let said = match started {
        Err(error) => format!("{error:#}"),
        Ok(operator) => {
            let status = operator.ended(LIMIT).await.unwrap();
            assert_eq!(status.code(), Some(1), "{status}");
            operator.log().unwrap()
        }
    };
    assert!(said.contains(REASON) && said.contains("--leader-elect"), "{said}");
}

/// Awaits that the Lease has gone from one holder to another so often.
async fn taken(space: &KubernetesSpace, times: i64) {
    let path = ["get", "lease", "fleetmesh-operator", "--namespace", "default"];
    wait::until(&format!("it was taken {times} times"), LIMIT, async || {
        let lease = space.kubectl.json(&path).await?;
        anyhow::ensure!(lease["spec"]["leaseTransitions"] == times, "{lease}");
        Ok(Some(()))
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn of_two_without_an_election_the_later_one_writes_nothing_and_ends() {
    let run = RunDir::new("lone").unwrap();
    let cluster = Cluster::start(&run).await.unwrap();
    let kubectl = cluster.kubectl().unwrap();
    stack::install_crds(&kubectl, &run).await.unwrap();
    let control_plane = ControlPlane::start(&run).await.unwrap();
    let (kubeconfig, endpoint) = (cluster.admin_kubeconfig(), control_plane.endpoint());
    let runs = ["lone-first", "lone-second"].map(|name| RunDir::new(name).unwrap());
    let launch = async |run: &RunDir, flags: &[&str]| {
        Operator::launch(&kubeconfig, &endpoint, run, Launch::with(flags)).await
    };

    let mut first = launch(&runs[0], &LEASE).await.unwrap();
    until_it_works(&first).await;
    let space = KubernetesSpace::new("lone", kubectl, AppMesh::new(&endpoint), &run).await;
    space.apply(&[space.mesh(), space.object("VirtualNode", "red", node("red.local"))]).await;
    space.ready(&["virtualnode/red"]).await;

    // The same Lease; and another one, which the label shows.
    for (namespace, name) in [("default", "fleetmesh-operator"), ("kube-system", "another")] {
        let flags = ["--leader-election-namespace", namespace, "--leader-election-id", name];
        leaves(launch(&runs[1], &flags).await.as_mut().map_err(|error| anyhow::anyhow!("{error:#}"))).await;
        let log = std::fs::read_to_string(runs[1].join("operator.log")).unwrap();
        assert!(!log.contains("working without leader election"), "it did not begin: {log}");
    }
    first.process().ensure_running().unwrap();

    // One that waits for its turn has it when the first goes, and is seen by those that are not elected.
    let elect = [&["--leader-elect"][..], &LEASE].concat();
    let elected = launch(&runs[1], &elect).await.unwrap();
    assert!(!leads(&elected).await, "the first works");
    assert!(first.stop().await.unwrap().success());
    until_it_works(&elected).await;
    let started = first.restart(&runs[0]).await;
    leaves(started.map(|()| &mut first)).await;
    drop(elected);

    // What a process left behind that was killed holds nobody up for long.
    first.restart(&runs[0]).await.unwrap();
    until_it_works(&first).await;
    space.apply(&[space.object("VirtualNode", "red", node("blue.local"))]).await;
    space.ready(&["virtualnode/red"]).await;

    taken(&space, 2).await;

    // Whoever stood still while another one began finds that out, and ends.
    first.process().signal(Signal::STOP).unwrap();
    let second = launch(&runs[1], &LEASE).await.unwrap();
    until_it_works(&second).await;
    taken(&space, 3).await;
    first.process().signal(Signal::CONT).unwrap();
    leaves(Ok(&mut first)).await;
    assert!(leads(&second).await);
}
