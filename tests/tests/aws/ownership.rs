//! A role belongs to one resource: nobody else's is touched, until it is adopted.

use serde_json::{Value, json};

use crate::bed::{Bed, TIMEOUT};

#[tokio::test]
async fn somebody_elses_role_is_not_touched_until_adopted() {
    let bed = Bed::shared().await;
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
