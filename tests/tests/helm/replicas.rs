//! The chart's two operators side by side: one leads, and when it is killed the other takes over and the objects converge.

use std::time::{Duration, Instant};

use fleetmesh_testbed::{http, port, wait};

use crate::bed::{HelmBed, NAMESPACE};
use crate::kubelet::Pod;

/// From SIGKILL to a change in force: the Lease's 15 s and two looks at it (R11).
const TAKEN_OVER: Duration = Duration::from_secs(17);
const LIMIT: Duration = Duration::from_secs(60);

/// Starts the Deployment's other replica, kills the leader, and gives the release's operator back as the one that leads.
pub async fn the_other_replica_takes_over(bed: &mut HelmBed) {
    let deployment = ["get", "deployment", "fleetmesh-operator", "-n", NAMESPACE];
    let deployment = bed.kubectl.json(&deployment).await.unwrap();
    assert_eq!(deployment["spec"]["replicas"], 2);
    let [health] = port::free().unwrap();
    let mut other = Pod::replica(&deployment, 1, ("health", health), &bed.run);
    other.start(&bed.kubectl, &bed.in_cluster, &bed.run).await;
    assert_eq!(leader(bed).await, "fleetmesh-operator-0");
    assert_eq!([leading(bed.health).await, leading(health).await], [true, false]);

    let killed = Instant::now();
    bed.operator.kill();
    bed.apply("split-75-25").await;
    wait::until("the change is in force", LIMIT, async || {
        Ok((bed.weights().await == "serviceB=75 serviceBv2=25").then_some(()))
    })
    .await
    .unwrap();
    let took = killed.elapsed();
    println!(
        "R11: with the chart's arguments a change was in force {} ms after SIGKILL of the leader",
        took.as_millis()
    );
    assert!(took < TAKEN_OVER + Duration::from_secs(3), "{took:?}");
    bed.ready().await;
    assert_eq!(leader(bed).await, "fleetmesh-operator-1");
    assert!(leading(health).await);

    // What a kubelet does: the dead one is started again, and follows.
    bed.operator.start(&bed.kubectl, &bed.in_cluster, &bed.run).await;
    assert!(!leading(bed.health).await, "one leads already");
    bed.operator.kill();
    bed.operator = other;
}

/// The Pod that holds the Lease.
async fn leader(bed: &HelmBed) -> String {
    let holder =
        ["get", "lease", "fleetmesh-operator", "-n", NAMESPACE, "-o", "jsonpath={.spec.holderIdentity}"];
    let holder = bed.kubectl.run(&holder).await.unwrap();
    holder.split('_').next().unwrap().to_owned()
}

async fn leading(port: u16) -> bool {
    let page = http::get(&format!("http://127.0.0.1:{port}/metrics")).await.unwrap();
    page.lines().any(|line| line == "fleetmesh_operator_leading 1")
}
