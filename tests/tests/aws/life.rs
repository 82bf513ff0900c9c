//! The whole life of an identity.

use fleetmesh_testbed::moto::BOUNDARY;
use fleetmesh_testbed::wait;
use serde_json::{Value, json};

use crate::account::{ACCOUNT, REGISTRY, policy_arn};
use crate::bed::{AwsBed, LIMIT, TIMEOUT};

/// The policy that AWS's guide writes by hand for a node.
fn least_privilege(arn: &Value) -> Value {
    json!({
        "Version": "2012-10-17",
        "Statement": [{ "Effect": "Allow", "Action": "appmesh:StreamAggregatedResources", "Resource": arn }],
    })
}

/// How the tag of a node lists `role`.
fn principals(role: &Value) -> String {
    let [arn, id] = ["arn", "id"].map(|member| role[member].as_str().unwrap());
    assert!(id.starts_with("AROA"), "{role}");
    format!("{arn} {}:{id}", arn.replace("/fleetmesh/", "/"))
}

#[tokio::test]
async fn an_identity_is_made_shown_changed_and_goes_without_a_trace() {
    let bed = AwsBed::shared().await;
    let (space, account) = (bed.space("life").await, bed.account());
    space.apply(&space.node("n", json!({ "iam": {} }))).await;
    space.ready("n").await;
    let name = space.role("n");
    let found = account.everything(&name).await;
    let object = space.get("n").await;
    let status = &object["status"];

    assert_eq!(found["role"]["arn"], format!("arn:aws:iam::{ACCOUNT}:role/fleetmesh/{name}"));
    assert_eq!(found["role"]["trust"]["Statement"][0]["Principal"]["Service"], "ec2.amazonaws.com");
    assert_eq!(found["role"]["boundary"], BOUNDARY);
    assert_eq!(status["iam"]["permissionsBoundary"], BOUNDARY);
    assert_eq!(found["role"]["attached"], json!([policy_arn(&name), REGISTRY]));
    assert_eq!(found["policy"]["document"], least_privilege(&status["arn"]));
    assert_eq!(found["instanceProfile"]["roles"], json!([name]));
    for kind in ["role", "policy", "instanceProfile"] {
        let tags = &found[kind]["tags"];
        assert_eq!(tags["fleetmesh.dev/owner-uid"], object["metadata"]["uid"], "{kind}");
        assert_eq!(tags["fleetmesh.dev/owner-cluster"], "bed", "{kind}");
    }
    assert_eq!(status["iam"]["roleArn"], found["role"]["arn"]);
    assert_eq!(status["iam"]["policyArn"], found["policy"]["arn"]);
    assert_eq!(status["iam"]["instanceProfileArn"], found["instanceProfile"]["arn"]);
    assert_eq!(status["iam"]["policyHash"].as_str().unwrap().len(), 64);
    assert_eq!(status["iam"]["roleId"], found["role"]["id"]);
    assert_eq!(space.tags("n").await["fleetmesh.dev/proxy-principals"], principals(&found["role"]));
    assert!(space.events("n", "DriftMended").await.is_empty(), "making is not mending");

    // Other managed policies: what the earlier spec attached goes.
    let iam = json!({ "managedPolicyArns": ["arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"] });
    space.apply(&space.node("n", json!({ "iam": iam }))).await;
    space.ready("n").await;
    let role = account.role(&name).await;
    let expected = [policy_arn(&name), "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore".to_owned()];
    assert_eq!(role["attached"], json!(expected));
    space.apply(&space.node("n", json!({ "iam": { "managedPolicyArns": [] } }))).await;
    space.ready("n").await;
    let role = account.role(&name).await;
    assert_eq!(role["attached"], json!([policy_arn(&name)]));
    assert_eq!(role["boundary"], BOUNDARY, "whatever changes");

    space.run(&["delete", "virtualnode/n", TIMEOUT]).await;
    assert_eq!(
        account.everything(&name).await,
        json!({ "role": null, "policy": null, "instanceProfile": null })
    );
    assert!(space.events("n", "DriftMended").await.is_empty(), "a change of the spec is no drift");
}

#[tokio::test]
async fn without_iam_in_the_spec_the_identity_goes_and_the_node_stays() {
    let bed = AwsBed::shared().await;
    let (space, account) = (bed.space("removal").await, bed.account());
    space.apply(&space.node("n", json!({ "iam": { "roleName": "removal-first" } }))).await;
    space.ready("n").await;
    assert_ne!(account.role("removal-first").await, Value::Null);
    space.apply(&space.node("n", json!({}))).await;
    wait::until("the identity is gone", LIMIT, async || {
        let object = space.get("n").await;
        anyhow::ensure!(object["status"]["iam"] == Value::Null, "{object}");
        Ok(Some(()))
    })
    .await
    .unwrap();
    assert_eq!(
        account.everything("removal-first").await,
        json!({ "role": null, "policy": null, "instanceProfile": null })
    );
    space.ready("n").await;
    assert_eq!(space.tags("n").await["fleetmesh.dev/proxy-principals"], Value::Null);
    let conditions = space.get("n").await["status"]["conditions"].to_string();
    assert!(!conditions.contains("IdentityReady"), "{conditions}");

    // Back again under another name.
    space.apply(&space.node("n", json!({ "iam": { "roleName": "removal-second" } }))).await;
    space.ready("n").await;
    assert_ne!(account.role("removal-second").await, Value::Null);
    space.run(&["delete", "virtualnode/n", TIMEOUT]).await;
    assert_eq!(account.role("removal-second").await, Value::Null);
}
