//! Virtual nodes with an identity and with a fleet, struck at each of their writes, those to IAM and EC2 included.
//!
//! The operator lives in the test's own process, and AWS's SDK finds moto by the environment, which a program cannot
//! change safely for itself: the test runs itself again with the address.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use fleetmesh_testbed::moto::{self, Moto};
use fleetmesh_testbed::process::Process;
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::{http, tools};
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};

use crate::bed::{Bed, Ended};
use crate::faults::{Blow, Mode};
use crate::objects::NAMESPACE;

/// What is done to a node: its spec, or nothing when it is deleted.
type Phase = (&'static str, Option<fn() -> Value>);

/// An identity: made, changed, removed.
const IDENTITY: [Phase; 3] = [
    ("create", Some(|| identity("AmazonEC2ContainerRegistryReadOnly"))),
    ("change", Some(|| identity("AmazonSSMManagedInstanceCore"))),
    ("delete", None),
];

/// A fleet: made, scaled, rolled, removed.
const FLEET: [Phase; 4] = [
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
    let mut again = Command::new(tools::program().unwrap());
    again.args([name, "--exact", "--ignored", "--nocapture"]);
    moto.env(&mut again);
    let status = tokio::task::spawn_blocking(move || again.status()).await.unwrap().unwrap();
    assert!(status.success(), "{status}");
}

#[ignore = "an_identity_survives_a_blow_at_any_write runs it, with moto's address in the environment"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blows_at_an_identity() {
    blows(&IDENTITY, 45, usize::MAX).await;
}

#[ignore = "a_fleet_survives_a_blow_at_any_write runs it, with moto's address in the environment"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blows_at_a_fleet() {
    blows(&FLEET, 90, 4).await;
}

/// Strikes every write of every phase, from write `rotate` on in two of the three modes by turns; fewer than `least` plans
/// would mean that the writes are not seen any more.
async fn blows(phases: &[Phase], least: usize, rotate: usize) {
    let place = Place::start().await.unwrap();
    let mut calm = Vec::new();
    for phase in phases {
        calm.push((phase, place.strike(phase, None).await.unwrap()));
    }
    let most = calm.iter().map(|(_, ended)| ended.writes).max().unwrap();
    let mut plans = 0;
    for at in 1..=most {
        for (index, mode) in Mode::ALL.into_iter().enumerate() {
            if at >= rotate && index == at % Mode::ALL.len() {
                continue;
            }
            for (phase, calm) in &calm {
                let name = phase.0;
                let blow = (at <= calm.writes).then_some(Blow { at, mode });
                let ended = place
                    .strike(phase, blow)
                    .await
                    .unwrap_or_else(|error| panic!("{name} struck by {blow:?} does not end: {error:#}"));
                assert_eq!(ended.state, calm.state, "{name} struck by {blow:?} ends otherwise");
                plans += usize::from(ended.struck);
            }
        }
    }
    println!("{plans} plans");
    assert!(plans >= least, "{plans} plans");
}

/// A bed with an AWS account that can be looked at.
struct Place {
    account: String,
    _viewer: Process,
    bed: Bed,
    _run: RunDir,
}

impl Place {
    async fn start() -> Result<Self> {
        let endpoint = std::env::var("AWS_ENDPOINT_URL").context("moto's address")?;
        let run = RunDir::new("crash-account")?;
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/crash/account.py");
        let mut view = Command::new(tools::tool("python")?);
        view.arg(file);
        moto::environment(&endpoint, &mut view);
        let mut viewer = Process::spawn("account", &view, &run)?;
        let account = viewer.first_line(Duration::from_secs(30)).await?;
        let mut bed = Bed::start("crash-aws").await?;
        bed.look_often();
        bed.mesh().await?;
        Ok(Self { account, _viewer: viewer, bed, _run: run })
    }

    async fn strike(&self, phase: &Phase, blow: Option<Blow>) -> Result<Ended> {
        let nodes = self.bed.nodes();
        self.bed.play(blow, act(&nodes, phase), async || self.end(phase).await).await
    }

    /// The end of a phase, without what differs from run to run.
    async fn end(&self, phase: &Phase) -> Result<Value> {
        let node = self.bed.nodes().get_opt("crash").await?;
        if phase.1.is_none() {
            ensure!(node.is_none(), "the node is still there");
            let left = self.account("").await?;
            let members = left.as_object().context("an object")?.values();
            ensure!(members.clone().all(|list| *list == json!([])), "left in AWS: {left}");
            return Ok(left);
        }
        let node = node.context("the node is missing")?;
        let status = &node.data["status"];
        ensure!(status["observedGeneration"] == json!(node.metadata.generation), "an earlier generation");
        let conditions = status["conditions"].as_array().context("conditions")?;
        let holds = |kind: &str| conditions.iter().any(|one| one["type"] == kind && one["status"] == "True");
        ensure!(holds("IdentityReady") && holds("Programmed"), "not yet: {status}");
        let account = self.account(node.metadata.uid.as_deref().context("a uid")?).await?;
        let desired = &node.data["spec"]["fleet"]["replicas"];
        if let Some(replicas) = desired.as_u64() {
            let count = account["instances"].as_array().map_or(0, Vec::len) as u64;
            let fleet = &status["fleet"];
            ensure!(count == replicas, "{count} instances are there: {fleet}");
            ensure!(fleet["running"] == *desired && fleet["updated"] == *desired, "not yet: {fleet}");
        }
        Ok(json!({ "account": account, "iam": status["iam"], "version": status["version"] }))
    }

    async fn account(&self, uid: &str) -> Result<Value> {
        let text = http::get(&self.account).await?;
        let text = if uid.is_empty() { text } else { text.replace(uid, "UID") };
        let mut account: Value = serde_json::from_str(&text)?;
        // moto does not know client tokens: a request that the SDK repeats after a lost reply makes a version or a launch
        // more there, which EC2 would not. The numbers are no part of the end; that all are of the newest version is. The
        // hash of a template is another for each uid.
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
        Ok(account)
    }
}

async fn act(nodes: &Api<DynamicObject>, phase: &Phase) -> Result<()> {
    let Some(members) = phase.1 else {
        nodes.delete("crash", &DeleteParams::default()).await?;
        return Ok(());
    };
    let mut spec = members();
    spec["meshName"] = json!("crash");
    let manifest = json!({
        "apiVersion": "fleetmesh.dev/v1alpha1", "kind": "VirtualNode",
        "metadata": { "name": "crash", "namespace": NAMESPACE }, "spec": spec,
    });
    let params = PatchParams::apply("crash-test").force();
    nodes.patch("crash", &params, &Patch::Apply(&manifest)).await?;
    Ok(())
}
