//! An upgrade from each release that `tests/data/releases` keeps, with its chart, its database, its objects, what it made in
//! AWS and what its proxies ran: nothing is written to App Mesh or to AWS, and nothing is pushed but what the changelog says.

mod calls;
mod keep;
mod kept;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fleetmesh_testbed::front::Front;
use fleetmesh_testbed::helm::chart;
use fleetmesh_testbed::moto::{self, Moto};
use fleetmesh_testbed::proxies::Follower;
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::{command, http, port, tools, userns, wait};
use serde_json::{Value, json};

use crate::bed::HelmBed;
use calls::Call;
use kept::Kept;

const LIMIT: Duration = Duration::from_secs(60);
/// Looks at each object that must write nothing.
const LOOKS: u64 = 3;
/// The nodes with identities and fleets.
const FLEETS: [&str; 3] = ["service-a", "service-b", "service-b-v2"];
/// Whose proxy is connected: the caller's, which has clusters, listeners and routes.
const PROXY: &str = "mesh/apps/virtualNode/serviceA";

/// A release with moto in the place of AWS and a listener for proxies that need no certificate.
struct ReleaseWorld {
    bed: HelmBed,
    ads: SocketAddr,
    /// What of AWS was asked to change something.
    aws_writes: Arc<Mutex<Vec<Call>>>,
    _front: Front,
    moto: Moto,
    _run: RunDir,
}

impl ReleaseWorld {
    /// Installs `chart`; nothing runs yet. `name` is of the folder.
    async fn install(name: &str, chart: &std::path::Path) -> Self {
        let run = RunDir::new(&format!("{name}-aws")).unwrap();
        let moto = Moto::start(&run).await.unwrap();
        let aws_writes: Arc<Mutex<Vec<Call>>> = Arc::default();
        let (seen, endpoint) = (Arc::clone(&aws_writes), moto.endpoint());
        let front = Front::start(move |asked, way| {
            let (seen, endpoint) = (Arc::clone(&seen), endpoint.clone());
            async move {
                let call = Call::of(&asked);
                let answer = way.forward(&endpoint, asked).await;
                seen.lock().unwrap().extend(call.map(|call| call.answered(&answer)));
                Some(answer)
            }
        })
        .await
        .unwrap();
        let [ads] = port::free().unwrap();
        let ads = SocketAddr::from(([127, 0, 0, 1], ads));
        let environment = moto::variables(&front.url);
        let environment: Vec<Value> =
            environment.into_iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
        let values = json!({
            "aws": { "accountId": "123456789012", "region": "us-west-2" },
            "operator": { "clusterName": "kept", "extraEnv": environment },
            "controlPlane": { "extraArgs": [format!("--ads-listen={ads}")] },
        });
        let bed = HelmBed::install(name, chart, values).await;
        Self { bed, ads, aws_writes, _front: front, moto, _run: run }
    }

    fn aws_writes(&self) -> Vec<Call> {
        self.aws_writes.lock().unwrap().clone()
    }

    /// Writes to App Mesh since the control plane started, by operation.
    async fn app_mesh_writes(&self) -> Vec<String> {
        let page = self.bed.control_plane_metrics().await;
        let requests =
            page.lines().filter(|line| line.starts_with("fleetmesh_control_plane_requests_total{"));
        let reads = ["operation=\"Describe", "operation=\"List"];
        requests.filter(|line| !reads.iter().any(|read| line.contains(read))).map(str::to_owned).collect()
    }

    /// Awaits `times` looks at each object that found nothing to do.
    async fn looked(&self, times: u64, objects: usize) {
        let at_rest = async || {
            let page = http::get(&format!("http://127.0.0.1:{}/metrics", self.bed.health)).await?;
            let lines = page.lines().filter(|line| line.contains("rounds_total") && line.contains("in_step"));
            let counts = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
            anyhow::Ok(counts.sum::<u64>())
        };
        let before = at_rest().await.unwrap();
        wait::until("every object was looked at", LIMIT, async || {
            let looks = at_rest().await? - before;
            anyhow::ensure!(looks >= times * objects as u64, "{looks} looks");
            Ok(Some(()))
        })
        .await
        .unwrap();
    }
}

#[tokio::test]
async fn an_upgrade_from_a_kept_release_writes_nothing_and_pushes_what_the_changelog_says() {
    if !userns::wanted() {
        return;
    }
    let all = Kept::all();
    assert!(!all.is_empty(), "a release is kept");
    for kept in all {
        upgraded(&kept).await;
    }
}

async fn upgraded(kept: &Kept) {
    let mut world = ReleaseWorld::install("upgrade", &kept.chart()).await;
    let objects = kept.put_in_place(&world.bed, &world.moto).await;
    kept.database(&world.bed);

    let before = world.bed.keys().await;
    world.bed.upgrade(&chart().unwrap()).await;
    assert!(world.bed.keys().await == before, "authority, certificate and access key of {}", kept.name);
    world.bed.replaced_pods().await;
    let HelmBed { control_plane, kubectl, in_cluster, run, .. } = &mut world.bed;
    control_plane.start(kubectl, in_cluster, run).await;
    let proxy = Follower::connect(world.ads, PROXY, kept.running()).await.unwrap();
    let HelmBed { operator, kubectl, in_cluster, run, .. } = &mut world.bed;
    operator.start(kubectl, in_cluster, run).await;
    world.looked(LOOKS, objects).await;

    let name = &kept.name;
    assert_eq!(world.app_mesh_writes().await, [""; 0], "writes to App Mesh after {name}");
    assert_eq!(world.aws_writes(), [], "writes to AWS after {name}");
    let expected = kept.pushed();
    assert_eq!(proxy.pushed().unwrap(), expected, "pushes after {name}");
    println!(
        "upgrade from {name}: {objects} objects looked at {LOOKS} times, 0 writes to App Mesh, 0 to AWS, pushes: {expected:?}"
    );

    // That each of the three would have been seen.
    world.bed.apply("shift-100").await;
    wait::until("a change reaches the proxy", LIMIT, async || {
        Ok((proxy.pushed()?.len() > expected.len()).then_some(()))
    })
    .await
    .unwrap();
    assert!(!world.app_mesh_writes().await.is_empty());
    // Fleets that know of no class are left as they are. Under the class that is printed for them they go on, and still nothing
    // is written: every instance is what the class makes of its fleet.
    let reason = r#"jsonpath={.status.conditions[?(@.type=="FleetReady")].reason}"#;
    let get = ["get", "virtualnode/service-b", "-n", "apps", "-o", reason];
    let says = async |wanted: bool| {
        wait::until("the fleet has a class or not", LIMIT, async || {
            let reason = world.bed.kubectl.run(&get).await?;
            anyhow::ensure!((reason == "ClassRequired") != wanted, "{reason}");
            Ok(Some(()))
        })
        .await
        .unwrap();
    };
    says(false).await;
    let mut migrate = std::process::Command::new(tools::fleetmesh().unwrap());
    migrate.args(["migrate", "fleet-classes", "--kubeconfig"]).arg(world.bed.cluster.admin_kubeconfig());
    let classes = command::run(migrate).await.unwrap();
    let file = world.bed.run.join("classes.yaml");
    std::fs::write(&file, &classes).unwrap();
    world.bed.kubectl.apply(&file).await.unwrap();
    says(true).await;
    world.looked(LOOKS, objects).await;
    assert_eq!(world.aws_writes(), [], "writes to AWS under {classes}");
    bounded_later(&mut world, objects).await;
    let retired = ["patch", "virtualnode/service-b", "-n", "apps", "--type=merge"];
    let patch = r#"{"spec":{"fleet":{"replicas":2}}}"#;
    world.bed.kubectl.run(&[&retired[..], &["-p", patch]].concat()).await.unwrap();
    wait::until("an instance is launched", LIMIT, async || {
        Ok(world.aws_writes().iter().any(|call| call.action() == "CreateFleet").then_some(()))
    })
    .await
    .unwrap();
}

/// The fleets of the release are as they were, and wait: until the operator has a permissions boundary it makes nothing and changes
/// nothing. With one it puts it on the roles, and gives each launch template a version that it may launch; no instance is replaced.
async fn bounded_later(world: &mut ReleaseWorld, objects: usize) {
    let condition = async |world: &ReleaseWorld, node: &str| {
        let found = world.bed.kubectl.json(&["get", "virtualnode", node, "-n", "apps"]).await.unwrap();
        let conditions = found["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let condition = conditions.into_iter().find(|one| one["type"] == "IdentityReady");
        (condition.unwrap_or_default()["reason"].clone(), found["status"]["iam"].clone())
    };
    for node in FLEETS {
        let (reason, status) = condition(world, node).await;
        assert_eq!(reason, "BoundaryRequired", "{node}");
        assert!(status["instanceProfileArn"].is_string(), "{node} has what it had: {status}");
    }
    let boundary = json!({ "operator": { "iam": { "permissionsBoundary": moto::BOUNDARY } } });
    world.bed.reconfigure(&chart().unwrap(), &boundary).await;
    wait::until("every identity is bounded", LIMIT, async || {
        for node in FLEETS {
            let (reason, status) = condition(world, node).await;
            anyhow::ensure!(status["permissionsBoundary"] == moto::BOUNDARY, "{node}: {reason} {status}");
        }
        Ok(Some(()))
    })
    .await
    .unwrap();
    world.looked(LOOKS, objects).await;
    let mut actions: Vec<String> = world.aws_writes().iter().map(Call::action).collect();
    actions.sort();
    let once = ["CreateLaunchTemplateVersion", "ModifyLaunchTemplate", "PutRolePermissionsBoundary"];
    let expected: Vec<&str> = once.iter().flat_map(|action| [*action; 3]).collect();
    assert_eq!(actions, expected, "what the boundary changes in AWS");
}
