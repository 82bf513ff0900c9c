//! What whoever may write a node's status, or choose the name of its role, makes of it: nothing of what others have becomes the
//! node's own. The API server of these tests lets him; the chart's ValidatingAdmissionPolicy is another suite's.

use fleetmesh_testbed::moto::Moto;
use fleetmesh_testbed::wait;
use serde_json::{Value, json};

use crate::bed::{AwsBed, LIMIT, TIMEOUT};
use crate::ec2::of_node;
use crate::fleet::fleet;
use crate::fleet_class::looked;
use crate::space::Space;

async fn one_runs(bed: &AwsBed, space: &Space, node: &str) -> Value {
    wait::until(&format!("an instance of {node} runs"), LIMIT, async || {
        let found = of_node(&bed.moto, space, node).await;
        anyhow::ensure!(found.len() == 1, "{} are there", found.len());
        Ok(found.into_iter().next())
    })
    .await
    .unwrap()
}

/// How many versions the launch template of a node has.
async fn versions(moto: &Moto, template: &str) -> usize {
    let describe = ["ec2", "describe-launch-template-versions", "--launch-template-name", template];
    moto.aws(&describe).await.unwrap()["LaunchTemplateVersions"].as_array().unwrap().len()
}

async fn forge(space: &Space, node: &str, status: Value) {
    let patch = json!({ "status": status }).to_string();
    let node = format!("virtualnode/{node}");
    space.run(&["patch", &node, "--subresource=status", "--type=merge", "-p", &patch]).await;
}

#[tokio::test]
async fn nothing_that_others_have_becomes_a_nodes_own_by_its_status_or_its_roles_name() {
    let bed = AwsBed::shared().await;
    let space = bed.space("forged").await;
    let mut known = fleet(1, "app:v1");
    known["iam"] = json!({ "roleName": "forged-victim" });
    space.apply(&space.node("victim", known.clone())).await;
    space.apply(&space.node("n", fleet(1, "app:v1"))).await;
    let (victim, own) = (one_runs(&bed, &space, "victim").await, one_runs(&bed, &space, "n").await);
    let profile =
        space.get("victim").await["status"]["iam"]["instanceProfileArn"].as_str().unwrap().to_owned();
    assert!(profile.ends_with("/forged-victim"), "{profile}");

    // The victim's identity by its name: one of the same boundary.
    space.apply(&space.node("thief", known)).await;
    space.until("thief", "IdentityReady", "NotOwned").await;

    // The same, and an instance that is nobody's, by the status.
    let run = ["ec2", "run-instances", "--image-id", "ami-12c6146b"];
    let foreign =
        bed.moto.aws(&run).await.unwrap()["Instances"][0]["InstanceId"].as_str().unwrap().to_owned();
    let status = space.get("n").await["status"].take();
    let mut instances = status["fleet"]["instances"].as_array().unwrap().clone();
    let mut another = instances[0].clone();
    another["id"] = json!(foreign);
    instances.push(another);
    forge(
        &space,
        "n",
        json!({ "iam": { "instanceProfileArn": profile }, "fleet": { "instances": instances } }),
    )
    .await;
    looked(&bed).await;
    assert_eq!(of_node(&bed.moto, &space, "thief").await.len(), 0, "launched with the victim's identity");
    assert_eq!(versions(&bed.moto, "mesh-forged-n").await, 1, "a version with the victim's identity");
    assert_eq!(one_runs(&bed, &space, "n").await["InstanceId"], own["InstanceId"]);
    wait::until("the status is what is so", LIMIT, async || {
        let status = space.get("n").await["status"].take();
        let said =
            (&status["iam"]["instanceProfileArn"], status["fleet"]["instances"].as_array().map(Vec::len));
        anyhow::ensure!(
            said == (&json!(profile.replace("forged-victim", "mesh-forged-n")), Some(1)),
            "{said:?}"
        );
        Ok(Some(()))
    })
    .await
    .unwrap();

    // A role whose name the operator does not allow, by a status that says that it is there.
    let mut outside = fleet(1, "app:v1");
    outside["iam"] = json!({ "roleName": "Outsider" });
    space.apply(&space.node("outsider", outside)).await;
    space.until("outsider", "IdentityReady", "NameNotAllowed").await;
    forge(&space, "outsider", json!({ "iam": { "name": "/fleetmesh/Outsider" } })).await;
    wait::until("the operator does not believe it", LIMIT, async || {
        let status = space.get("outsider").await["status"].take();
        anyhow::ensure!(status["iam"]["name"].is_null(), "{}", status["iam"]);
        Ok(Some(()))
    })
    .await
    .unwrap();
    space.until("outsider", "IdentityReady", "NameNotAllowed").await;
    let made = bed.moto.aws(&["iam", "get-role", "--role-name", "Outsider"]).await;
    assert!(made.is_err(), "a role that the operator does not allow was made: {made:?}");

    // An end takes along what is its own.
    forge(&space, "n", json!({ "fleet": { "instances": instances } })).await;
    space.run(&["delete", "virtualnode/n", "virtualnode/thief", "virtualnode/outsider", TIMEOUT]).await;
    let log = bed.operator.log().unwrap();
    assert!(!log.contains(&foreign), "the operator does something about {foreign}");
    assert_eq!(one_runs(&bed, &space, "victim").await["InstanceId"], victim["InstanceId"]);
    space.run(&["delete", "virtualnode/victim", TIMEOUT]).await;
}
