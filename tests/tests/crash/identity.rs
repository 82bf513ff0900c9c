//! A virtual node with an IAM identity, struck at each of its writes, those to IAM included.
//!
//! The operator lives in the test's own process, and AWS's SDK finds moto by the environment, which a program cannot
//! change safely for itself: the test runs itself again with the address.

use std::process::Command;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use fleetmesh_testbed::moto::{self, Moto};
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::{tools, wait};
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};

use crate::bed::{Bed, Life, RECOVERY};
use crate::faults::{Blow, Mode, Striker};
use crate::objects::{NAMESPACE, Phase};

/// Fewer plans than this would mean that the operator's writes are not seen any more.
const LEAST_PLANS: usize = 45;
const NAME: &str = "mesh-crash-crash";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_identity_survives_a_blow_at_any_write() {
    let run = RunDir::new("crash-moto").unwrap();
    let moto = Moto::start(&run).await.unwrap();
    let mut again = Command::new(tools::program().unwrap());
    again.args(["identity::blows", "--exact", "--ignored", "--nocapture"]);
    moto.env(&mut again);
    let status = tokio::task::spawn_blocking(move || again.status()).await.unwrap().unwrap();
    assert!(status.success(), "{status}");
}

#[ignore = "an_identity_survives_a_blow_at_any_write runs it, with moto's address in the environment"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blows() {
    let endpoint = std::env::var("AWS_ENDPOINT_URL").expect("moto's address");
    let bed = Bed::start("crash-iam").await.unwrap();
    bed.mesh().await.unwrap();
    let mut calm = Vec::new();
    for phase in Phase::ALL {
        let ended = strike(&bed, &endpoint, phase, None).await.unwrap();
        assert!(ended.0 >= 5, "{phase:?}: {} writes", ended.0);
        calm.push((phase, ended.0, ended.2));
    }
    let most = calm.iter().map(|(_, writes, _)| *writes).max().unwrap();
    let mut plans = 0;
    for at in 1..=most {
        for mode in Mode::ALL {
            for (phase, writes, state) in &calm {
                let blow = (at <= *writes).then_some(Blow { at, mode });
                let (_, struck, ended) = strike(&bed, &endpoint, *phase, blow)
                    .await
                    .unwrap_or_else(|error| panic!("{phase:?} struck by {blow:?} does not end: {error:#}"));
                assert_eq!(ended, *state, "{phase:?} struck by {blow:?} ends otherwise");
                plans += usize::from(struck);
            }
        }
    }
    println!("{plans} plans");
    assert!(plans >= LEAST_PLANS, "{plans} plans");
}

/// One phase: the writes of the first life, whether the blow fell, and what there is in the end.
async fn strike(bed: &Bed, endpoint: &str, phase: Phase, blow: Option<Blow>) -> Result<(usize, bool, Value)> {
    let striker = Arc::new(Striker::new(blow));
    let mut fallen = striker.fallen();
    let mut life = Life::begin(bed.args(), Arc::clone(&striker))?;
    act(&bed.nodes(), phase).await?;
    let end = async || {
        let what = "the identity is as wanted";
        wait::until(what, RECOVERY, async || end(&bed.nodes(), endpoint, phase).await.map(Some)).await
    };
    let mut calm = None;
    tokio::select! {
        fallen = fallen.wait_for(|fallen| *fallen) => drop(fallen?),
        end = end() => calm = Some(end?),
    }
    let struck = calm.is_none();
    if struck && blow.is_some_and(|blow| blow.mode != Mode::ReplyLost) {
        drop(life);
        life = Life::begin(bed.args(), Arc::new(Striker::new(None)))?;
    }
    let state = match calm {
        Some(state) => state,
        None => end().await?,
    };
    drop(life);
    Ok((striker.writes(), struck, state))
}

async fn act(nodes: &Api<DynamicObject>, phase: Phase) -> Result<()> {
    if phase == Phase::Delete {
        nodes.delete("crash", &DeleteParams::default()).await?;
        return Ok(());
    }
    let managed = match phase {
        Phase::Change => json!(["arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"]),
        _ => json!(["arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryReadOnly"]),
    };
    let manifest = json!({
        "apiVersion": "fleetmesh.dev/v1alpha1", "kind": "VirtualNode",
        "metadata": { "name": "crash", "namespace": NAMESPACE },
        "spec": { "meshName": "crash", "iam": { "managedPolicyArns": managed } },
    });
    let params = PatchParams::apply("crash-test").force();
    nodes.patch("crash", &params, &Patch::Apply(&manifest)).await?;
    Ok(())
}

/// The end of a phase, without what differs from run to run.
async fn end(nodes: &Api<DynamicObject>, endpoint: &str, phase: Phase) -> Result<Value> {
    let node = nodes.get_opt("crash").await?;
    if phase == Phase::Delete {
        ensure!(node.is_none(), "the node is still there");
        let account = account(endpoint, "").await?;
        ensure!(account == json!([[], [], []]), "left in IAM: {account}");
        return Ok(account);
    }
    let node = node.context("the node is missing")?;
    let status = &node.data["status"];
    let conditions = status["conditions"].as_array().context("conditions")?;
    let ready = conditions.iter().find(|condition| condition["type"] == "Ready").context("Ready")?;
    ensure!(ready["status"] == "True", "not ready: {ready}");
    ensure!(status["observedGeneration"] == json!(node.metadata.generation), "an earlier generation");
    let uid = node.metadata.uid.as_deref().context("a uid")?;
    let iam = account(endpoint, uid).await?;
    Ok(json!({ "iam": iam, "status": status["iam"], "version": status["version"] }))
}

/// Everything of ours that is in IAM: roles with what is attached, policies with documents, instance profiles.
async fn account(endpoint: &str, uid: &str) -> Result<Value> {
    let aws = async |arguments: &[&str]| -> Result<Value> {
        let mut command = Command::new(tools::tool("aws")?);
        command.args(["--output", "json", "iam"]).args(arguments).env("AWS_PAGER", "");
        moto::environment(endpoint, &mut command);
        let text = fleetmesh_testbed::command::capture(command).await?.success()?;
        let text = if uid.is_empty() { text } else { text.replace(uid, "UID") };
        Ok(serde_json::from_str(&text)?)
    };
    let roles = aws(&["list-roles", "--query", "Roles[].RoleName"]).await?;
    let policies = aws(&["list-policies", "--scope", "Local", "--query", "Policies[].Arn"]).await?;
    let profiles = "InstanceProfiles[].[InstanceProfileName,Roles[].RoleName,Tags]";
    let profiles = aws(&["list-instance-profiles", "--query", profiles]).await?;
    if roles == json!([]) {
        return Ok(json!([roles, policies, profiles]));
    }
    let role = aws(&["get-role", "--role-name", NAME, "--query", "Role.[Arn,AssumeRolePolicyDocument,Tags]"])
        .await?;
    let attached =
        ["list-attached-role-policies", "--role-name", NAME, "--query", "AttachedPolicies[].PolicyArn"];
    let attached = aws(&attached).await?;
    Ok(json!([roles, role, attached, policies, profiles]))
}
