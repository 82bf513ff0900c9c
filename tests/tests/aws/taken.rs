//! What a namespace's editor does to have the rights of others' roles: those of another class, those that somebody let go of, and
//! the names that other nodes have.

use fleetmesh_testbed::{fleet_class, wait};
use serde_json::{Value, json};

use crate::account::ACCOUNT;
use crate::bed::{AwsBed, LIMIT, TIMEOUT};
use crate::ec2::{of_node, profile_of};
use crate::fleet_class::looked;
use crate::space::Space;

const POLICY: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}"#;

/// Makes a managed policy that nodes may name; gives its ARN.
async fn policy(bed: &AwsBed, name: &str) -> String {
    let create =
        ["create-policy", "--path", "/fleetmesh/", "--policy-name", name, "--policy-document", POLICY];
    bed.account().iam(&create).await["Policy"]["Arn"].as_str().unwrap().to_owned()
}

/// A fleet of the class that brings user data of its own.
fn script(class: &str, replicas: i32, iam: Value) -> Value {
    let user_data = json!([{ "contentType": "text/x-shellscript", "content": "#!/bin/sh\nid" }]);
    json!({ "iam": iam, "fleet": { "className": class, "replicas": replicas, "app": { "port": 80, "userData": user_data } } })
}

async fn one_of(bed: &AwsBed, space: &Space, node: &str) -> String {
    let what = format!("an instance of {node}");
    let found =
        wait::until(&what, LIMIT, async || Ok(of_node(&bed.moto, space, node).await.first().cloned()));
    found.await.unwrap()["InstanceId"].as_str().unwrap().to_owned()
}

async fn attached(bed: &AwsBed, role: &str) -> Vec<String> {
    let role = bed.account().role(role).await;
    role["attached"].as_array().into_iter().flatten().map(|arn| arn.as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn nobody_runs_under_one_class_what_another_class_s_policies_allow() {
    let bed = AwsBed::shared().await;
    let space = bed.space("mixed").await;
    let allowed = policy(&bed, "mixed-p").await;
    let missing = format!("arn:aws:iam::{ACCOUNT}:policy/fleetmesh/mixed-q");
    space.apply(&fleet_class::manifest("mixed-a", &json!({ "managedPolicyArns": [allowed] }))).await;
    let scripts = json!({ "managedPolicyArns": [missing], "userData": "Allowed" });
    space.apply(&fleet_class::manifest("mixed-b", &scripts)).await;
    let quiet = json!({ "iam": { "managedPolicyArns": [allowed] }, "fleet": {
        "className": "mixed-a", "replicas": 0, "app": { "port": 80, "container": "app:v1" } } });
    space.apply(&space.node("n", quiet)).await;
    space.until("n", "IdentityReady", "IdentityReady").await;
    assert!(attached(&bed, "mesh-mixed-n").await.contains(&allowed));

    // The attack: what the other class wants cannot be attached.
    space.apply(&space.node("n", script("mixed-b", 1, json!({ "managedPolicyArns": [missing] })))).await;
    space.until("n", "IdentityReady", "RefNotFound").await;
    let id = one_of(&bed, &space, "n").await;
    let named = ["ec2", "describe-launch-template-versions", "--launch-template-name", "mesh-mixed-n"];
    let versions = bed.moto.aws(&named).await.unwrap();
    let profile = &versions["LaunchTemplateVersions"][0]["LaunchTemplateData"]["IamInstanceProfile"]["Arn"];
    assert!(profile.as_str().unwrap().ends_with("/mesh-mixed-n"), "{versions}");
    let has = attached(&bed, "mesh-mixed-n").await;
    assert!(!has.contains(&allowed), "{id} runs user data with {has:?}");
    space.run(&["delete", "virtualnode/n", TIMEOUT]).await;
}

#[tokio::test]
async fn a_role_that_was_let_go_of_is_not_another_namespace_s_nor_its_instances_get_more() {
    let bed = AwsBed::shared().await;
    let (space, evil) = (bed.space("let-go").await, bed.space("evil").await);
    let adopts = |role: &str, policies: Value| json!({ "adoptionPolicy": "Adopt", "iam": { "roleName": role, "managedPolicyArns": policies } });
    let scripts = json!({ "managedPolicyArns": [], "userData": "Allowed" });
    space.apply(&fleet_class::manifest("let-go", &scripts)).await;
    let mut left = script("let-go", 1, json!({ "roleName": "let-go-role", "managedPolicyArns": [] }));
    left["deletionPolicy"] = json!("Retain");
    space.apply(&space.node("keepme", left)).await;
    // The name of another's role, while that has none.
    evil.apply(&evil.node("squat", json!({ "iam": { "roleName": "mesh-let-go-payments" } }))).await;
    let id = one_of(&bed, &space, "keepme").await;
    let message = evil.until("squat", "IdentityReady", "NameNotAllowed").await;
    assert!(message.contains("spec.iam.roleName is mesh-let-go-payments"), "{message}");
    space.apply(&space.node("payments", json!({ "iam": {} }))).await;
    space.until("payments", "IdentityReady", "IdentityReady").await;
    // EC2 shows the profile of an instance that a fleet launched; moto shows what was given by hand.
    let associate = ["ec2", "associate-iam-instance-profile", "--instance-id", &id];
    bed.moto.aws(&[&associate[..], &["--iam-instance-profile", "Name=let-go-role"]].concat()).await.unwrap();
    let profile = profile_of(&bed.moto, &id).await;
    assert!(profile.as_str().unwrap().ends_with(":instance-profile/fleetmesh/let-go-role"), "{profile}");
    space.run(&["delete", "virtualnode/keepme", TIMEOUT]).await;

    evil.apply(&evil.node("thief", adopts("let-go-role", json!([])))).await;
    let message = evil.until("thief", "IdentityReady", "NotOwned").await;
    assert!(message.contains("another namespace"), "{message}");
    let tags = bed.account().role("let-go-role").await["tags"].clone();
    assert_eq!(tags["fleetmesh.dev/owner-namespace"], "let-go", "{tags}");

    // What still runs with it was judged by a class that has no such policy.
    let more = policy(&bed, "let-go-p").await;
    space.apply(&space.node("heir", adopts("let-go-role", json!([more])))).await;
    let message = space.until("heir", "IdentityReady", "PolicyNotAllowed").await;
    assert!(message.contains("1 instance that is not this node's") && !message.contains(&id), "{message}");
    looked(&bed).await;
    let has = attached(&bed, "let-go-role").await;
    assert!(!has.contains(&more), "{id} has {has:?}");
    let found = bed
        .moto
        .aws(&[
            "ec2",
            "describe-iam-instance-profile-associations",
            "--filters",
            &format!("Name=instance-id,Values={id}"),
        ])
        .await
        .unwrap();
    let association = found["IamInstanceProfileAssociations"][0]["AssociationId"].as_str().unwrap();
    let take = ["ec2", "disassociate-iam-instance-profile", "--association-id", association];
    bed.moto.aws(&take).await.unwrap();
    bed.moto.aws(&["ec2", "terminate-instances", "--instance-ids", &id]).await.unwrap();
    space.until("heir", "IdentityReady", "IdentityReady").await;
    assert!(attached(&bed, "let-go-role").await.contains(&more));
    evil.run(&["delete", "virtualnodes", "--all", TIMEOUT]).await;
    space.run(&["delete", "virtualnodes", "--all", TIMEOUT]).await;
}
