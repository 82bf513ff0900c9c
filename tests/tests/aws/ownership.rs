//! A role belongs to one resource: nobody else's is touched, until it is adopted.

use serde_json::{Value, json};

use crate::bed::{AwsBed, TIMEOUT};
use crate::space::Space;

#[tokio::test]
async fn somebody_elses_role_is_not_touched_until_adopted() {
    let bed = AwsBed::shared().await;
    let (space, account) = (bed.space("adopt").await, bed.account());
    let name = "adopt-theirs";
    let trust = json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": { "Service": "lambda.amazonaws.com" }, "Action": "sts:AssumeRole" }] });
    let trust = trust.to_string();
    let make = [
        "create-role",
        "--role-name",
        name,
        "--path",
        "/fleetmesh/",
        "--assume-role-policy-document",
        &trust,
    ];
    account.iam(&[&make[..], &["--tags", "Key=team,Value=cli"]].concat()).await;
    let made = account.everything(name).await;

    let iam = json!({ "roleName": name });
    space.apply(&space.node("n", json!({ "iam": iam }))).await;
    let message = space.until("n", "IdentityReady", "NotOwned").await;
    for words in ["role /fleetmesh/adopt-theirs exists", "spec.adoptionPolicy to Adopt", "spec.iam.roleName"]
    {
        assert!(message.contains(words), "{message}");
    }
    assert_eq!(account.everything(name).await, made);
    assert_eq!(principals(&space).await, Value::Null, "who has that role runs no proxy");
    space.run(&["delete", "virtualnode/n", TIMEOUT]).await;
    assert_eq!(
        account.everything(name).await,
        made,
        "to delete the resource is not to delete what was never its"
    );

    space.apply(&space.node("n", json!({ "iam": iam, "adoptionPolicy": "Adopt" }))).await;
    space.ready("n").await;
    let adopted = account.everything(name).await;
    assert_eq!(adopted["role"]["arn"], made["role"]["arn"]);
    assert_eq!(adopted["role"]["tags"]["team"], "cli", "a tag of others stays");
    assert_eq!(adopted["role"]["tags"]["fleetmesh.dev/owner-name"], "n");
    assert_eq!(adopted["role"]["trust"]["Statement"][0]["Principal"]["Service"], "ec2.amazonaws.com");
    assert_eq!(space.events("n", "Adopted").await.len(), 1);

    // Of two resources of one cluster that want one role, the second does not take it, however it asks.
    space.apply(&space.node("rival", json!({ "iam": iam, "adoptionPolicy": "Adopt" }))).await;
    let message = space.until("rival", "IdentityReady", "NotOwned").await;
    assert!(message.contains("VirtualNode adopt/n"), "{message}");
    assert_eq!(account.everything(name).await, adopted);

    space.run(&["delete", "virtualnode/rival", "virtualnode/n", TIMEOUT]).await;
    let nothing = json!({ "role": null, "policy": null, "instanceProfile": null });
    assert_eq!(account.everything(name).await, nothing);
    assert_eq!(Value::Null, account.role(name).await);
}

/// How the tag of the node `n` in `space` lists its role.
async fn principals(space: &Space) -> Value {
    space.tags("n").await["fleetmesh.dev/proxy-principals"].clone()
}

#[tokio::test]
async fn a_role_that_somebody_made_again_under_the_same_name_is_not_listed() {
    let bed = AwsBed::shared().await;
    let (space, account) = (bed.space("again").await, bed.account());
    space.apply(&space.node("n", json!({ "iam": {} }))).await;
    space.ready("n").await;
    let name = space.role("n");
    let first = account.role(&name).await;
    let listed = principals(&space).await;
    assert!(listed.as_str().unwrap().ends_with(first["id"].as_str().unwrap()), "{listed}");
    let role = ["--role-name", &name];
    let paused = bed.operator.pause().await.unwrap();
    for arn in first["attached"].as_array().unwrap() {
        account
            .iam(&[&["detach-role-policy", "--policy-arn", arn.as_str().unwrap()], &role[..]].concat())
            .await;
    }
    let profile = ["remove-role-from-instance-profile", "--instance-profile-name", &name];
    account.iam(&[&profile[..], &role].concat()).await;
    account.iam(&[&["delete-role"], &role[..]].concat()).await;
    let trust = first["trust"].to_string();
    let again = ["create-role", "--path", "/fleetmesh/", "--assume-role-policy-document", &trust];
    account.iam(&[&again[..], &role].concat()).await;
    drop(paused);
    space.until("n", "IdentityReady", "NotOwned").await;
    assert_eq!(account.role(&name).await["arn"], first["arn"]);
    assert_eq!(principals(&space).await, listed, "the one that is there has another id");

    // The operator's own is listed as soon as it is made. A reconcile that saw the first role before the pause, and the
    // instance profile after it, has put the name back into the profile.
    let _ = account.try_iam(&[&profile[..], &role].concat()).await;
    account.iam(&[&["delete-role"], &role[..]].concat()).await;
    space.ready("n").await;
    let made = account.role(&name).await;
    assert_ne!(made["id"], first["id"]);
    let [old, new] = [&first, &made].map(|role| role["id"].as_str().unwrap());
    assert_eq!(principals(&space).await, listed.as_str().unwrap().replace(old, new));
    space.run(&["delete", "virtualnode/n", TIMEOUT]).await;
}
