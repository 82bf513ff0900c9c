//! Virtual nodes with an identity and with a fleet, struck at each of their writes, those to IAM and EC2 included.
//!
//! The operator lives in the test's own process, and AWS's SDK finds moto by the environment, which a program cannot
//! change safely for itself: the test runs itself again with the address.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use fleetmesh_testbed::moto::{self, Moto};
use fleetmesh_testbed::process::Process;
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::{http, tools};
use kube::api::DeleteParams;
use serde_json::{Value, json};

use crate::bed::{CrashBed, CrashLane};
use crate::faults::{Blow, turns_each};
use crate::lanes;
use crate::life::EndedLife;
use crate::objects::CrashKind;

/// Plans under way at a time. More would wait for moto, which does one thing at a time.
const LANES: usize = 6;

/// What is done to a node: its spec, or nothing when it is deleted.
type AwsPhase = (&'static str, Option<fn() -> Value>);

/// An identity: made, changed, removed.
const IDENTITY: [AwsPhase; 3] = [
    ("create", Some(|| identity("AmazonEC2ContainerRegistryReadOnly"))),
    ("change", Some(|| identity("AmazonSSMManagedInstanceCore"))),
    ("delete", None),
];

/// A fleet: made, scaled, rolled, removed.
const FLEET: [AwsPhase; 4] = [
    ("create", Some(|| fleet(2, "app:v1"))),
    ("scale", Some(|| fleet(3, "app:v1"))),
    ("roll", Some(|| fleet(3, "app:v2"))),
    ("delete", None),
];

fn identity(policy: &str) -> Value {
    json!({ "iam": { "managedPolicyArns": [format!("arn:aws:iam::aws:policy/{policy}")] } })
}

/// No proxy connects to instances of moto's, so none is ever ready: a roll goes on because all may be unavailable.
fn fleet(replicas: i32, container: &str) -> Value {
    json!({ "iam": {}, "fleet": {
        "replicas": replicas,
        "capacity": { "instanceTypes": ["t3.small"] },
        "image": { "id": "ami-12c6146b" },
        "app": { "port": 8000, "container": container },
        "rollout": { "maxSurge": 1, "maxUnavailable": 3 },
    } })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_identity_survives_a_blow_at_any_write() {
    again("aws::blows_at_an_identity").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_survives_a_blow_at_any_write() {
    again("aws::blows_at_a_fleet").await;
}

/// Runs the ignored test `name` in a process of its own, with a moto of its own.
async fn again(name: &str) {
    let run = RunDir::new("crash-moto").unwrap();
    let moto = Moto::start(&run).await.unwrap();
    moto.boundary().await.unwrap();
    let mut again = Command::new(tools::program().unwrap());
    again.args([name, "--exact", "--ignored", "--nocapture"]);
    moto.env(&mut again);
    let status = tokio::task::spawn_blocking(move || again.status()).await.unwrap().unwrap();
    assert!(status.success(), "{status}");
}

#[ignore = "an_identity_survives_a_blow_at_any_write runs it, with moto's address in the environment"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blows_at_an_identity() {
    blows(&IDENTITY, 20).await;
}

#[ignore = "a_fleet_survives_a_blow_at_any_write runs it, with moto's address in the environment"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blows_at_a_fleet() {
    blows(&FLEET, 40).await;
}

/// Strikes every write of every phase; fewer than `least` plans a turn would mean that the writes are not seen any more.
async fn blows(phases: &[AwsPhase], least: usize) {
    let (place, mut lanes) = CrashPlace::start().await.unwrap();
    let mut calm = Vec::new();
    for phase in phases {
        calm.push((phase, place.strike(&lanes[0], phase, None).await.unwrap()));
    }
    let most = calm.iter().map(|(_, ended)| ended.writes).max().unwrap();
    let plans = lanes::share(&mut lanes, Blow::turns(most), async |lane, (at, turn)| {
        let mut plans = 0;
        for (index, (phase, calm)) in calm.iter().enumerate() {
            let name = phase.0;
            let blow = (at <= calm.writes).then(|| Blow::in_turn(at, index, turn));
            let ended = place
                .strike(lane, phase, blow)
                .await
                .unwrap_or_else(|error| panic!("{name} struck by {blow:?} does not end: {error:#}"));
            assert_eq!(ended.state, calm.state, "{name} struck by {blow:?} ends otherwise");
            plans += usize::from(ended.struck);
        }
        plans
    });
    let plans: usize = plans.await.into_iter().sum();
    // Also what bears no lane's name.
    assert!(is_empty(&place.account("").await.unwrap()), "something is left in AWS");
    println!("{plans} plans");
    assert!(plans >= least * turns_each(), "{plans} plans");
}

/// Lanes with an AWS account that can be looked at.
struct CrashPlace {
    account: String,
    node: CrashKind,
    _viewer: Process,
    _bed: CrashBed,
    _run: RunDir,
}

impl CrashPlace {
    async fn start() -> Result<(Self, Vec<CrashLane>)> {
        let endpoint = std::env::var("AWS_ENDPOINT_URL").context("moto's address")?;
        let run = RunDir::new("crash-account")?;
        let mut view = Command::new(tools::tool("python")?);
        view.arg("tests/crash/account.py");
        moto::environment(&endpoint, &mut view);
        let mut viewer = Process::spawn("account", &view, &run)?;
        let bed = CrashBed::start("crash-aws", &[]).await?;
        let account = viewer.first_line(Duration::from_secs(30)).await?;
        let [mesh, node, ..] = CrashKind::all();
        let mut lanes = bed.lanes(LANES).await?;
        for lane in &mut lanes {
            lane.look_often();
            lane.make_identities();
            lane.apply(&mesh, &mesh.manifest(&lane.name, false)).await?;
        }
        Ok((Self { account, node, _viewer: viewer, _bed: bed, _run: run }, lanes))
    }

    async fn strike(&self, lane: &CrashLane, phase: &AwsPhase, blow: Option<Blow>) -> Result<EndedLife> {
        lane.play(blow, self.act(lane, phase), async || self.end(lane, phase).await).await
    }

    async fn act(&self, lane: &CrashLane, phase: &AwsPhase) -> Result<()> {
        let Some(members) = phase.1 else {
            lane.api(&self.node).delete("crash", &DeleteParams::default()).await?;
            return Ok(());
        };
        let mut spec = members();
        spec["meshName"] = json!(lane.name);
        let manifest = json!({
            "apiVersion": "fleetmesh.dev/v1alpha1", "kind": "VirtualNode",
            "metadata": { "name": "crash", "namespace": lane.name }, "spec": spec,
        });
        lane.apply(&self.node, &manifest).await
    }

    /// The end of a phase, without what differs from run to run. The account, which takes longest, is looked at last.
    async fn end(&self, lane: &CrashLane, phase: &AwsPhase) -> Result<Value> {
        let node = lane.api(&self.node).get_opt("crash").await?;
        if phase.1.is_none() {
            ensure!(node.is_none(), "the node is still there");
            let left = self.account(&lane.name).await?;
            ensure!(is_empty(&left), "left in AWS: {left}");
            return Ok(left);
        }
        let node = node.context("the node is missing")?;
        let status = &node.data["status"];
        ensure!(status["observedGeneration"] == json!(node.metadata.generation), "an earlier generation");
        let conditions = status["conditions"].as_array().context("conditions")?;
        let holds = |kind: &str| conditions.iter().any(|one| one["type"] == kind && one["status"] == "True");
        ensure!(holds("IdentityReady") && holds("Programmed"), "not yet: {status}");
        let (desired, fleet) = (&node.data["spec"]["fleet"]["replicas"], &status["fleet"]);
        if desired.is_u64() {
            ensure!(fleet["running"] == *desired && fleet["updated"] == *desired, "not yet: {fleet}");
        }
        let uid = node.metadata.uid.as_deref().context("a uid")?;
        let account = self.account(&lane.name).await?.to_string().replace(uid, "UID");
        let account = without_chance(serde_json::from_str(&account)?);
        if let Some(replicas) = desired.as_u64() {
            let count = account["instances"].as_array().map_or(0, Vec::len) as u64;
            ensure!(count == replicas, "{count} instances are there: {fleet}");
        }
        let mut iam = status["iam"].clone();
        // The policy names the lane's mesh.
        ensure!(iam["policyHash"].is_string(), "no policy: {status}");
        iam["policyHash"] = json!("the lane's");
        // IAM draws it.
        ensure!(iam["roleId"].is_string(), "no unique id: {status}");
        iam["roleId"] = json!("the role's");
        Ok(json!({ "account": account, "iam": iam, "version": status["version"] }))
    }

    /// What there is with `name` in its name or tags.
    async fn account(&self, name: &str) -> Result<Value> {
        let text = http::get(&format!("{}/{name}", self.account)).await?;
        Ok(serde_json::from_str(&text)?)
    }
}

fn is_empty(account: &Value) -> bool {
    account.as_object().is_some_and(|lists| lists.values().all(|list| *list == json!([])))
}

/// moto does not know client tokens: a request that the SDK repeats after a lost reply makes a version or a launch more
/// there, which EC2 would not. The numbers are no part of the end; that all are of the newest version is. The hash of a
/// template is another for each uid.
fn without_chance(mut account: Value) -> Value {
    let newest = account["templates"][0][1].to_string();
    for template in account["templates"].as_array_mut().into_iter().flatten() {
        template[1] = json!("some");
    }
    for instance in account["instances"].as_array_mut().into_iter().flatten() {
        for tag in instance[1].as_array_mut().into_iter().flatten() {
            match tag[0].as_str() {
                Some("fleetmesh.dev/launch" | "fleetmesh.dev/template-hash") => tag[1] = json!("some"),
                Some("fleetmesh.dev/template-version") if tag[1] == json!(newest) => {
                    tag[1] = json!("the newest");
                }
                _ => {}
            }
        }
    }
    account
}
