//! Two operators share one cluster: one leads, the other waits with everything watched. Whatever happens to the leader,
//! the other takes over in the time that the design gives (R11), and who does not lead writes nothing.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ::http::Method;
use fleetmesh_testbed::aws::AppMesh;
use fleetmesh_testbed::cluster::Cluster;
use fleetmesh_testbed::control_plane::ControlPlane;
use fleetmesh_testbed::front::Front;
use fleetmesh_testbed::launch::Launch;
use fleetmesh_testbed::operator::Operator;
use fleetmesh_testbed::process::Signal;
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::{http, stack, wait};
use serde_json::json;

use crate::bed::LIMIT;
use crate::space::{KubernetesSpace, node, version};

/// From SIGTERM to a write of the other one.
const HANDED_OVER: Duration = Duration::from_secs(2);
/// From SIGKILL to a write of the other one.
const TAKEN_OVER: Duration = Duration::from_secs(17);

/// One of the operators, with a proxy before the App Mesh API that writes down when it wrote.
struct Replica {
    writes: Arc<Mutex<Vec<Instant>>>,
    _front: Front,
    operator: Operator,
    run: RunDir,
}

impl Replica {
    async fn start(name: &str, cluster: &Cluster, control_plane: &ControlPlane) -> Self {
        let run = RunDir::new(name).unwrap();
        let writes: Arc<Mutex<Vec<Instant>>> = Arc::default();
        let (seen, endpoint) = (Arc::clone(&writes), control_plane.endpoint());
        let front = Front::start(move |asked, way| {
            let (seen, endpoint) = (Arc::clone(&seen), endpoint.clone());
            async move {
                if asked.method() != Method::GET {
                    seen.lock().unwrap().push(Instant::now());
                }
                Some(way.forward(&endpoint, asked).await)
            }
        })
        .await
        .unwrap();
        let extra = ["--leader-elect", "--leader-election-namespace", "default"];
        let kubeconfig = cluster.admin_kubeconfig();
        let operator = Operator::launch(&kubeconfig, &front.url, &run, Launch::with(extra)).await.unwrap();
        Self { writes, _front: front, operator, run }
    }

    async fn leads(&self) -> bool {
        let page = http::get(&format!("{}/metrics", self.operator.health_url())).await.unwrap();
        page.lines().any(|line| line == "fleetmesh_operator_leading 1")
    }

    async fn until_it_leads(&self) {
        wait::until("it leads", LIMIT, async || Ok(self.leads().await.then_some(()))).await.unwrap();
    }

    fn written(&self) -> usize {
        self.writes.lock().unwrap().len()
    }
}

/// Applies a node with another host name; gives how long after `since` the App Mesh API had it.
async fn change(space: &KubernetesSpace, host: &str, since: Instant) -> Duration {
    let before = version(&space.describe("virtual-node", "red").await);
    space.apply(&[space.object("VirtualNode", "red", node(host))]).await;
    wait::until("the change is in the mesh", LIMIT, async || {
        Ok((version(&space.describe("virtual-node", "red").await) > before).then_some(()))
    })
    .await
    .unwrap();
    since.elapsed()
}

#[tokio::test]
async fn one_leads_and_the_other_follows() {
    let run = RunDir::new("leader").unwrap();
    let cluster = Cluster::start(&run).await.unwrap();
    let kubectl = cluster.kubectl().unwrap();
    stack::install_crds(&kubectl, &run).await.unwrap();
    let control_plane = ControlPlane::start(&run).await.unwrap();
    let mut first = Replica::start("leader-first", &cluster, &control_plane).await;
    first.until_it_leads().await;
    let mut second = Replica::start("leader-second", &cluster, &control_plane).await;
    let aws = AppMesh::new(&control_plane.endpoint());
    let space = KubernetesSpace::new("led", kubectl, aws, &run).await;
    space.apply(&[space.mesh(), space.object("VirtualNode", "red", node("red.local"))]).await;
    space.ready(&["virtualnode/red"]).await;
    assert!(!second.leads().await, "one leads already");
    assert_eq!(second.written(), 0, "writes of the one that waits");

    hand_over(&mut first, &second, &space).await;
    first.operator.restart(&first.run).await.unwrap();
    assert!(!first.leads().await);
    take_over(&first, &mut second, &space).await;
    second.operator.restart(&second.run).await.unwrap();
    freeze(&mut first, &second, &space).await;
}

/// SIGTERM: the leader ends what it has begun and lets go.
async fn hand_over(first: &mut Replica, second: &Replica, space: &KubernetesSpace) {
    let since = Instant::now();
    let status = first.operator.stop().await.unwrap();
    assert!(status.success(), "{status}");
    second.until_it_leads().await;
    let took = since.elapsed();
    println!("taken over {} ms after SIGTERM", took.as_millis());
    assert!(took < HANDED_OVER, "taken over {took:?} after SIGTERM");
    change(space, "handed.local", since).await;
    assert!(second.written() > 0);
}

/// SIGKILL: its lease has to end first.
async fn take_over(first: &Replica, second: &mut Replica, space: &KubernetesSpace) {
    let since = Instant::now();
    second.operator.kill();
    first.until_it_leads().await;
    let took = since.elapsed();
    println!("taken over {} ms after SIGKILL", took.as_millis());
    assert!(took < TAKEN_OVER, "taken over {took:?} after SIGKILL");
    change(space, "taken.local", since).await;
}

/// SIGSTOP past the end of the lease: who thaws finds itself deposed, has not written, and ends with the reason.
async fn freeze(first: &mut Replica, second: &Replica, space: &KubernetesSpace) {
    let since = Instant::now();
    first.operator.process().signal(Signal::STOP).unwrap();
    // What it finds when it thaws: work.
    space.apply(&[space.object("VirtualNode", "red", node("frozen.local"))]).await;
    let written = first.written();
    second.until_it_leads().await;
    println!("taken over {} ms after SIGSTOP", since.elapsed().as_millis());
    change(space, "thawed.local", since).await;
    first.operator.process().signal(Signal::CONT).unwrap();
    let status = first.operator.ended(LIMIT).await.unwrap();
    assert_eq!(status.code(), Some(1), "{status}");
    let log = first.operator.process().log_tail();
    assert!(log.contains("the Lease default/fleetmesh-operator"), "{log}");
    assert_eq!(first.written(), written, "writes of the one that was frozen");
    let lease =
        space.kubectl.json(&["get", "lease", "fleetmesh-operator", "--namespace", "default"]).await.unwrap();
    assert_eq!(lease["spec"]["leaseTransitions"], json!(3), "{lease}");
}
