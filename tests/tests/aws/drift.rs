//! What somebody changes in IAM is found and put back, with an Event that says what it was; what a person adds is reported
//! and left alone.

use std::time::Duration;

use fleetmesh_testbed::wait;
use serde_json::{Value, json};

use crate::account::{MotoAccount, REGISTRY, policy_arn};
use crate::bed::{AwsBed, LIMIT, TIMEOUT};
use crate::space::Space;

/// Awaits that everything is as it was, and that an Event says `words`.
async fn put_back(space: &Space, account: &MotoAccount<'_>, calm: &Value, words: &str) {
    wait::until(&format!("{words:?} is put back and reported"), LIMIT, async || {
        is_calm(space, account, calm).await?;
        let events = space.events("n", "DriftMended").await;
        anyhow::ensure!(events.iter().any(|event| event.contains(words)), "{events:?}");
        Ok(Some(()))
    })
    .await
    .unwrap();
}

async fn is_calm(space: &Space, account: &MotoAccount<'_>, calm: &Value) -> anyhow::Result<()> {
    let mut found = account.everything(&space.role("n")).await;
    // The version that somebody made stays, not in force.
    found["policy"]["versions"] = calm["policy"]["versions"].clone();
    anyhow::ensure!(found == *calm, "{found}");
    Ok(())
}

#[tokio::test]
async fn every_change_behind_our_back_is_put_back() {
    let bed = AwsBed::shared().await;
    let (space, account) = (bed.space("drift").await, bed.account());
    space.apply(&space.node("n", json!({ "iam": {} }))).await;
    space.ready("n").await;
    let name = space.role("n");
    let (name, arn) = (name.as_str(), policy_arn(&name));
    let calm = account.everything(name).await;
    let wide = json!({ "Version": "2012-10-17",
        "Statement": [{ "Effect": "Allow", "Action": "*", "Resource": "*" }] });
    let wide = wide.to_string();
    let trust = json!({ "Version": "2012-10-17",
        "Statement": [{ "Effect": "Allow", "Principal": { "AWS": "*" }, "Action": "sts:AssumeRole" }] });
    let trust = trust.to_string();
    let role = ["--role-name", name];
    let profile = ["--instance-profile-name", name];
    let policy = ["--policy-arn", &arn];
    let cases: [(&str, Vec<&str>, &[&str]); 10] = [
        (
            "the policy allowed",
            vec!["create-policy-version", "--policy-document", &wide, "--set-as-default"],
            &policy,
        ),
        (REGISTRY, vec!["detach-role-policy", "--policy-arn", REGISTRY], &role),
        (&arn, vec!["detach-role-policy", "--policy-arn", &arn], &role),
        ("the role trusted", vec!["update-assume-role-policy", "--policy-document", &trust], &role),
        ("no permissions boundary", vec!["delete-role-permissions-boundary"], &role),
        (
            "the boundary arn:aws:iam::aws:policy/ReadOnlyAccess",
            vec![
                "put-role-permissions-boundary",
                "--permissions-boundary",
                "arn:aws:iam::aws:policy/ReadOnlyAccess",
            ],
            &role,
        ),
        ("lost its role", vec!["remove-role-from-instance-profile", "--role-name", name], &profile),
        ("owner-name of the role", vec!["untag-role", "--tag-keys", "fleetmesh.dev/owner-name"], &role),
        ("owner-name of the policy", vec!["untag-policy", "--tag-keys", "fleetmesh.dev/owner-name"], &policy),
        (
            "owner-name of the instance profile",
            vec!["untag-instance-profile", "--tag-keys", "fleetmesh.dev/owner-name"],
            &profile,
        ),
    ];
    for (words, change, target) in cases {
        account.iam(&[&change, target].concat()).await;
        put_back(&space, &account, &calm, words).await;
    }

    // IAM keeps five versions of a policy: the oldest makes room.
    for _ in 0..2 {
        account.iam(&["create-policy-version", "--policy-document", &wide, "--policy-arn", &arn]).await;
    }
    assert_eq!(account.policy(name).await["versions"], 5);
    let last = ["--version-id", "v2"];
    account.iam(&[&["set-default-policy-version"], &last[..], &policy[..]].concat()).await;
    put_back(&space, &account, &calm, "the policy allowed").await;
    assert_eq!(account.policy(name).await["versions"], 5);
    space.ready("n").await;
    space.run(&["delete", "virtualnode/n", TIMEOUT]).await;
    let nothing = json!({ "role": null, "policy": null, "instanceProfile": null });
    assert_eq!(account.everything(name).await, nothing);
}

/// Deletes something in two steps and awaits that it is made anew and reported. The operator stands still meanwhile: it would
/// put the first step back while the second is done. What it mended a moment ago it may not have looked at again; then it cannot
/// know that this was deleted, makes it anew without a word, and is tried again.
async fn deleted(bed: &AwsBed, space: &Space, calm: &Value, words: &str, steps: [&[&str]; 2]) {
    let account = bed.account();
    wait::until(&format!("{words:?} is reported"), LIMIT, async || {
        let paused = bed.operator.pause().await?;
        for step in steps {
            account.iam(step).await;
        }
        drop(paused);
        let anew =
            wait::until("it is made anew", LIMIT, async || is_calm(space, &account, calm).await.map(Some));
        anew.await?;
        let reported = async || {
            let events = space.events("n", "DriftMended").await;
            Ok(events.iter().any(|event| event.contains(words)).then_some(()))
        };
        // An Event is written after what it reports.
        Ok(wait::until("an Event says so", Duration::from_secs(10), reported).await.ok())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn what_was_deleted_is_made_anew() {
    let bed = AwsBed::shared().await;
    let (space, account) = (bed.space("deleted").await, bed.account());
    space.apply(&space.node("n", json!({ "iam": {} }))).await;
    space.ready("n").await;
    let name = space.role("n");
    let calm = account.everything(&name).await;
    // What was made a moment ago may be hidden by IAM, so its absence is reported as drift only once it was seen: mending
    // anything takes a look at everything.
    account.iam(&["untag-role", "--role-name", &name, "--tag-keys", "fleetmesh.dev/owner-name"]).await;
    put_back(&space, &account, &calm, "owner-name of the role").await;
    let profile = ["--instance-profile-name", &name];
    let remove = [&["remove-role-from-instance-profile", "--role-name", &name], &profile[..]].concat();
    let delete = [&["delete-instance-profile"], &profile[..]].concat();
    deleted(&bed, &space, &calm, "the instance profile was deleted", [&remove, &delete]).await;
    let arn = policy_arn(&name);
    let detach = ["detach-role-policy", "--role-name", &name, "--policy-arn", &arn];
    let delete = ["delete-policy", "--policy-arn", &arn];
    deleted(&bed, &space, &calm, "the policy was deleted", [&detach, &delete]).await;
    space.run(&["delete", "virtualnode/n", TIMEOUT]).await;
}

#[tokio::test]
async fn what_a_person_attached_is_reported_and_left_and_holds_the_deletion() {
    let bed = AwsBed::shared().await;
    let (space, account) = (bed.space("foreign").await, bed.account());
    space.apply(&space.node("n", json!({ "iam": {} }))).await;
    space.ready("n").await;
    let name = space.role("n");
    let document = json!({ "Version": "2012-10-17",
        "Statement": [{ "Effect": "Allow", "Action": "s3:GetObject", "Resource": "*" }] });
    let document = document.to_string();
    let inline =
        ["put-role-policy", "--role-name", &name, "--policy-name", "theirs", "--policy-document", &document];
    account.iam(&inline).await;
    let theirs = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore";
    account.iam(&["attach-role-policy", "--role-name", &name, "--policy-arn", theirs]).await;
    wait::until("it is reported", LIMIT, async || {
        let message = space.until("n", "IdentityReady", "IdentityReady").await;
        Ok((message.contains(theirs) && message.contains("inline policy theirs")).then_some(()))
    })
    .await
    .unwrap();
    space.ready("n").await;
    wait::until("an Event names both", LIMIT, async || {
        let events = space.events("n", "ForeignPolicy").await;
        Ok(events.iter().any(|event| event.contains(theirs)).then_some(()))
    })
    .await
    .unwrap();
    assert!(account.role(&name).await["attached"].to_string().contains(theirs));

    space.run(&["delete", "virtualnode/n", "--wait=false"]).await;
    let message = space.until("n", "Ready", "DeletionBlocked").await;
    for words in [theirs, "inline policy theirs", "Detach or delete"] {
        assert!(message.contains(words), "{message}");
    }
    let left = account.everything(&name).await;
    assert_eq!((&left["policy"], &left["instanceProfile"]), (&Value::Null, &Value::Null));
    assert_eq!(left["role"]["attached"], json!([theirs]));
    account.iam(&["detach-role-policy", "--role-name", &name, "--policy-arn", theirs]).await;
    account.iam(&["delete-role-policy", "--role-name", &name, "--policy-name", "theirs"]).await;
    space.run(&["wait", "--for=delete", "virtualnode/n", TIMEOUT]).await;
    assert_eq!(account.role(&name).await, Value::Null);
}
