//! What a resource may not have of IAM: each is reported in a condition, and nothing of it is done.

use fleetmesh_testbed::moto::BOUNDARY;
use fleetmesh_testbed::wait;
use serde_json::{Value, json};

use crate::account::{REGISTRY, policy_arn};
use crate::bed::{AwsBed, LIMIT, TIMEOUT};

const ADMIN: &str = "arn:aws:iam::aws:policy/AdministratorAccess";

/// Whoever may write a VirtualNode does not become admin of the account by it.
#[tokio::test]
async fn a_policy_that_is_not_allowed_is_reported_and_not_attached() {
    let bed = AwsBed::shared().await;
    let (space, account) = (bed.space("refused").await, bed.account());
    let admin = json!({ "iam": { "managedPolicyArns": [ADMIN] } });
    space.apply(&space.node("new", admin.clone())).await;
    let message = space.until("new", "IdentityReady", "PolicyNotAllowed").await;
    for words in [ADMIN, "--iam-managed-policy", "/fleetmesh/"] {
        assert!(message.contains(words), "{message}");
    }
    let nothing = json!({ "role": null, "policy": null, "instanceProfile": null });
    assert_eq!(account.everything(&space.role("new")).await, nothing);
    assert_eq!(space.get("new").await["status"]["iam"], Value::Null);

    // One that exists keeps what it has, and its boundary.
    space.apply(&space.node("old", json!({ "iam": {} }))).await;
    space.ready("old").await;
    let role = space.role("old");
    let calm = account.everything(&role).await;
    assert_eq!(calm["role"]["boundary"], BOUNDARY);
    space.apply(&space.node("old", admin)).await;
    space.until("old", "IdentityReady", "PolicyNotAllowed").await;
    account.iam(&["delete-role-permissions-boundary", "--role-name", &role]).await;
    wait::until("the boundary is put back all the same", LIMIT, async || {
        Ok((account.role(&role).await["boundary"] == BOUNDARY).then_some(()))
    })
    .await
    .unwrap();
    // The default that the spec names no more goes.
    assert_eq!(account.role(&role).await["attached"], json!([policy_arn(&role)]));
    space.apply(&space.node("old", json!({ "iam": {} }))).await;
    space.ready("old").await;
    assert_eq!(account.role(&role).await["attached"], json!([policy_arn(&role), REGISTRY]));
    space.run(&["delete", "virtualnode/old", "virtualnode/new", TIMEOUT]).await;
    assert_eq!(account.everything(&role).await, nothing);
}

/// Another cluster's role, and the rights that it has, are not to be had.
#[tokio::test]
async fn what_another_cluster_has_is_not_adopted() {
    let bed = AwsBed::shared().await;
    let (space, account) = (bed.space("neighbour").await, bed.account());
    let trust = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;
    let make =
        ["create-role", "--path", "/fleetmesh/", "--assume-role-policy-document", trust, "--role-name"];
    let tags = ["--tags", "Key=fleetmesh.dev/owner-cluster,Value=other"];
    account.iam(&[&make[..], &["neighbour-secrets"], &tags].concat()).await;
    let rights = json!({ "Version": "2012-10-17",
        "Statement": [{ "Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": "*" }] });
    let rights = rights.to_string();
    let put = ["put-role-policy", "--role-name", "neighbour-secrets", "--policy-name", "secrets"];
    account.iam(&[&put[..], &["--policy-document", &rights]].concat()).await;
    let before = account.everything("neighbour-secrets").await;

    let iam = json!({ "iam": { "roleName": "neighbour-secrets" }, "adoptionPolicy": "Adopt" });
    space.apply(&space.node("n", iam)).await;
    let message = space.until("n", "IdentityReady", "NotOwned").await;
    assert!(message.contains("What another cluster has is never taken over"), "{message}");
    assert!(!message.contains("adoptionPolicy to Adopt"), "no way out that is none: {message}");
    assert_eq!(account.everything("neighbour-secrets").await, before);
    assert_eq!(space.get("n").await["status"]["iam"]["instanceProfileArn"], Value::Null);
    space.run(&["delete", "virtualnode/n", TIMEOUT]).await;
    assert_eq!(account.everything("neighbour-secrets").await, before);

    // The same of App Mesh's objects.
    let spec = r#"{"listeners":[],"backends":[]}"#;
    let make =
        ["create-virtual-node", "--mesh-name", "neighbour", "--virtual-node-name", "m", "--spec", spec];
    let tags = ["--tags", "key=fleetmesh.dev/owner-cluster,value=other"];
    let theirs = space.app_mesh.run(&[&make[..], &tags].concat()).await.unwrap();
    space.apply(&space.node("m", json!({ "adoptionPolicy": "Adopt" }))).await;
    let message = space.until("m", "Accepted", "NotOwned").await;
    assert!(message.contains("What another cluster has is never taken over"), "{message}");
    let describe = ["describe-virtual-node", "--mesh-name", "neighbour", "--virtual-node-name", "m"];
    let found = space.app_mesh.run(&describe).await.unwrap();
    assert_eq!(found["virtualNode"], theirs["virtualNode"]);
    space.run(&["delete", "virtualnode/m", TIMEOUT]).await;
    assert_eq!(space.app_mesh.run(&describe).await.unwrap(), found);
}
