//! What is changed outside of Kubernetes in a fleet: the AMI behind a parameter, the launch template, tags. Each is found
//! at the drift interval, and put back or reported by an Event that says what differed.

use fleetmesh_testbed::wait;
use serde_json::{Value, json};

use crate::bed::{AwsBed, LIMIT, TIMEOUT};
use crate::ec2::{ids_of, instances, of_node, template};
use crate::space::Space;

const TEMPLATE: &str = "mesh-changed-n";
const AMIS: [&str; 3] = ["ami-12c6146b", "ami-03cf127a", "ami-1e749f67"];

/// No proxy connects here, so that none is ever ready: a roll goes on because all may be unavailable.
fn spot(parameter: &str) -> Value {
    let mut node = crate::fleet::fleet(2, "app:v1");
    node["fleet"]["capacity"]["purchase"] = json!("Spot");
    node["fleet"]["image"] = json!({ "ssmParameter": parameter });
    node["fleet"]["rollout"] = json!({ "maxSurge": 1, "maxUnavailable": 2 });
    node["tags"] = json!({ "team": "web" });
    node
}

async fn ec2(bed: &AwsBed, arguments: &[&str]) -> Value {
    bed.moto.aws(&[&["ec2"], arguments].concat()).await.unwrap()
}

async fn put(bed: &AwsBed, parameter: &str, ami: &str) {
    let put =
        ["ssm", "put-parameter", "--type", "String", "--overwrite", "--name", parameter, "--value", ami];
    bed.moto.aws(&put).await.unwrap();
}

/// Awaits that two instances run, all from this version and AMI; gives their ids.
async fn until_running(bed: &AwsBed, space: &Space, version: i64, ami: &str) -> Vec<String> {
    wait::until(&format!("two instances of version {version} run"), LIMIT, async || {
        let fleet = space.get("n").await["status"]["fleet"].take();
        let found = json!([fleet["running"], fleet["updated"], fleet["templateVersion"]]);
        anyhow::ensure!(found == json!([2, 2, version]), "{fleet}");
        let found = of_node(&bed.moto, space, "n").await;
        anyhow::ensure!(found.len() == 2, "{} are there", found.len());
        assert!(
            found.iter().all(|one| one["ImageId"] == ami && one["InstanceLifecycle"] == "spot"),
            "{found:?}"
        );
        Ok(Some(()))
    })
    .await
    .unwrap();
    ids_of(&bed.moto, space, "n").await
}

/// Awaits an Event with this reason and these words.
async fn event_says(space: &Space, reason: &str, words: &str) {
    wait::until(&format!("{reason} says {words:?}"), LIMIT, async || {
        let events = space.events("n", reason).await;
        anyhow::ensure!(events.iter().any(|event| event.contains(words)), "{events:?}");
        Ok(Some(()))
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn what_changes_outside_is_followed_put_back_or_reported() {
    let bed = AwsBed::shared().await;
    let space = bed.space("changed").await;
    put(&bed, "/images/web", AMIS[0]).await;
    put(&bed, "/images/other", AMIS[2]).await;
    space.apply(&space.node("n", spot("/images/web"))).await;
    let first = until_running(&bed, &space, 1, AMIS[0]).await;
    put(&bed, "/images/web", AMIS[1]).await;
    let second = until_running(&bed, &space, 2, AMIS[1]).await;
    assert!(second.iter().all(|id| !first.contains(id)), "{first:?} {second:?}");
    space.apply(&space.node("n", spot("/images/other"))).await;
    let ids = until_running(&bed, &space, 3, AMIS[2]).await;
    assert!(ids.iter().all(|id| !second.contains(id)), "{second:?} {ids:?}");

    the_template_changes(&bed, &space).await;
    assert_eq!(until_running(&bed, &space, 1, AMIS[2]).await, ids, "nothing was replaced");
    tags_are_taken(&bed, &space, &ids).await;
    assert_eq!(until_running(&bed, &space, 1, AMIS[2]).await, ids, "nothing was replaced");
    an_instance_is_taken(&bed, &space, &ids).await;
}

/// Its tags are not changed here: moto goes on showing those that it was made with.
async fn the_template_changes(bed: &AwsBed, space: &Space) {
    let named = ["--launch-template-name", TEMPLATE];
    let default = async |version: i64| {
        let what = format!("version {version} is the default again");
        wait::until(&what, LIMIT, async || {
            Ok((template(&bed.moto, TEMPLATE).await["DefaultVersionNumber"] == version).then_some(()))
        })
        .await
        .unwrap();
    };
    default(3).await;
    ec2(bed, &[&["modify-launch-template", "--default-version", "1"], &named[..]].concat()).await;
    default(3).await;
    event_says(
        space,
        "LaunchTemplateChanged",
        "version 3 is the default of the launch template, which was version 1",
    )
    .await;

    let theirs = r#"{"ImageId":"ami-12c6146b"}"#;
    ec2(bed, &[&["create-launch-template-version", "--launch-template-data", theirs], &named[..]].concat())
        .await;
    event_says(space, "ForeignTemplateVersion", "version 4 of the launch template is not what the spec says")
        .await;
    wait::until("the condition says it, too", LIMIT, async || {
        let message = space.until("n", "FleetReady", "FleetProgressing").await;
        anyhow::ensure!(message.ends_with("instances come from version 3"), "{message}");
        Ok(Some(()))
    })
    .await
    .unwrap();
    assert_eq!(space.events("n", "ForeignTemplateVersion").await.len(), 1, "it is reported once");

    let id = template(&bed.moto, TEMPLATE).await["LaunchTemplateId"].as_str().unwrap().to_owned();
    ec2(bed, &[&["delete-launch-template"], &named[..]].concat()).await;
    event_says(space, "DriftMended", &format!("the launch template {id} was deleted")).await;
}

async fn tags_are_taken(bed: &AwsBed, space: &Space, ids: &[String]) {
    let before = of_node(&bed.moto, space, "n").await;
    let calm = |found: &[Value]| -> Vec<Value> {
        let sorted = |one: &Value| {
            let mut tags = one["Tags"].as_array().unwrap().clone();
            tags.sort_by_key(|tag| tag["Key"].to_string());
            json!([one["InstanceId"], tags])
        };
        let mut all: Vec<Value> = found.iter().map(sorted).collect();
        all.sort_by_key(ToString::to_string);
        all
    };
    let id = ids[0].as_str();
    let keys = ["owner-uid", "owner-cluster", "template-hash", "template-version"];
    let keys = keys.map(|key| format!("Key=fleetmesh.dev/{key}"));
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    ec2(bed, &[&["delete-tags", "--resources", id, "--tags"], &keys[..], &["Key=team"]].concat()).await;
    let all = "fleetmesh.dev/owner-cluster, fleetmesh.dev/owner-uid, fleetmesh.dev/template-hash, fleetmesh.dev/template-version, team";
    event_says(space, "DriftMended", &format!("tags {all} of {id}")).await;
    let changed = ["Key=fleetmesh.dev/template-hash,Value=other", "Key=team,Value=other"];
    ec2(bed, &[&["create-tags", "--resources", id, "--tags"], &changed[..]].concat()).await;
    event_says(space, "DriftMended", &format!("tags fleetmesh.dev/template-hash, team of {id}")).await;
    wait::until("all tags are as they were", LIMIT, async || {
        let found = of_node(&bed.moto, space, "n").await;
        anyhow::ensure!(calm(&found) == calm(&before), "{found:?}");
        Ok(Some(()))
    })
    .await
    .unwrap();
}

/// An instance that somebody tags as another's does not count any more, is replaced and reported, and left alone for good.
async fn an_instance_is_taken(bed: &AwsBed, space: &Space, ids: &[String]) {
    let tags = ["--tags", "Key=fleetmesh.dev/owner-uid,Value=another"];
    ec2(bed, &[&["create-tags", "--resources", &ids[0]], &tags[..]].concat()).await;
    event_says(space, "NotOwned", &format!("the tags of {} were changed", ids[0])).await;
    let found = until_running(bed, space, 1, AMIS[2]).await;
    assert!(!found.contains(&ids[0]) && found.contains(&ids[1]), "{ids:?} {found:?}");
    space.run(&["delete", "virtualnode/n", TIMEOUT]).await;
    assert_eq!(template(&bed.moto, TEMPLATE).await, Value::Null);
    let left = instances(&bed.moto, "Name=tag:fleetmesh.dev/owner-uid,Values=another").await;
    assert_eq!(left.len(), 1, "what is another's stays: {left:?}");
    ec2(bed, &["terminate-instances", "--instance-ids", &ids[0]]).await;
}
