//! What a namespace's editor cannot do with a fleet: each test tries it with an operator, a cluster and an AWS account.

use fleetmesh_testbed::{fleet_class, http, wait};
use serde_json::{Value, json};

use crate::bed::{AwsBed, CLUSTER, LIMIT, TIMEOUT};
use crate::ec2::{ids_of, instances, of_node, profile_of};
use crate::fleet::fleet;
use crate::space::Space;

/// A fleet of the class `class`, whose instances may all be replaced at once: no proxy connects here.
fn of_class(class: &str, replicas: i32, container: &str) -> Value {
    let mut node = fleet(replicas, container);
    node["fleet"]["className"] = json!(class);
    node["fleet"]["rollout"] = json!({ "maxSurge": 1, "maxUnavailable": 9 });
    node
}

async fn until_running(bed: &AwsBed, space: &Space, node: &str, count: usize) -> Vec<String> {
    wait::until(&format!("{count} instances of {node} run"), LIMIT, async || {
        let found = of_node(&bed.moto, space, node).await;
        anyhow::ensure!(found.len() == count, "{} are there", found.len());
        Ok(Some(()))
    })
    .await
    .unwrap();
    ids_of(&bed.moto, space, node).await
}

/// Awaits that each node was looked at three times from now on.
pub async fn looked(bed: &AwsBed) {
    let reconciles = async || {
        let page = metrics(bed).await?;
        let lines = page.lines().filter(|line| line.contains("rounds_total") && line.contains("VirtualNode"));
        anyhow::Ok(lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>())
    };
    let nodes = bed.kubectl.json(&["get", "virtualnodes", "--all-namespaces"]).await.unwrap();
    let wanted = reconciles().await.unwrap() + 3.0 * nodes["items"].as_array().unwrap().len() as f64;
    wait::until("nodes were looked at", LIMIT, async || Ok((reconciles().await? >= wanted).then_some(())))
        .await
        .unwrap();
}

async fn metrics(bed: &AwsBed) -> anyhow::Result<String> {
    http::get(&format!("{}/metrics", bed.operator.health_url())).await
}

#[tokio::test]
async fn nothing_outside_of_the_class_is_launched() {
    let bed = AwsBed::shared().await;
    let space = bed.space("outside").await;
    let with = |members: Value| {
        let mut node = fleet(1, "app:v1");
        for (key, value) in members.as_object().unwrap() {
            node["fleet"][key] = value.clone();
        }
        node
    };
    let mut tagged = fleet(1, "app:v1");
    tagged["tags"] = json!({ "cost-center": "somebody-else" });
    let mut found = fleet(1, "app:v1");
    found["serviceDiscovery"] =
        json!({ "awsCloudMap": { "namespaceName": "prod.local", "serviceName": "db" } });
    let script = json!([{ "contentType": "text/x-shellscript", "content": "#!/bin/sh\nid" }]);
    let attacks = [
        ("types", with(json!({ "capacity": { "instanceTypes": ["p5.48xlarge"] } })), "p5.48xlarge"),
        (
            "subnet",
            with(json!({ "network": { "subnetIds": ["subnet-0123456789abcdef0"] } })),
            "subnet-0123456789abcdef0",
        ),
        (
            "group",
            with(json!({ "network": { "securityGroupIds": ["sg-0123456789abcdef0"] } })),
            "sg-0123456789abcdef0",
        ),
        ("image", with(json!({ "image": { "id": "ami-0123456789abcdef0" } })), "ami-0123456789abcdef0"),
        ("parameter", with(json!({ "image": { "ssmParameter": "/prod/password" } })), "/prod/password"),
        ("script", with(json!({ "app": { "port": 80, "userData": script } })), "fleet.app.userData"),
        ("tagged", tagged, "cost-center"),
        ("found", found, "db in prod.local"),
    ];
    for (name, node, _) in &attacks {
        space.apply(&space.node(name, node.clone())).await;
    }
    for (name, _, words) in &attacks {
        let message = space.until(name, "FleetReady", "ValueNotInClass").await;
        assert!(message.contains(words) && message.contains("FleetClass default"), "{name}: {message}");
    }
    let missing = of_class("nobodys", 1, "app:v1");
    space.apply(&space.node("missing", missing)).await;
    let message = space.until("missing", "FleetReady", "ClassRequired").await;
    assert!(message.contains("fleet.className is nobodys"), "{message}");
    let other = json!({ "allowedNamespaces": { "from": "Selector", "selector": { "matchLabels": { "team": "other" } } } });
    space.apply(&fleet_class::manifest("others", &other)).await;
    space.apply(&space.node("denied", of_class("others", 1, "app:v1"))).await;
    space.until("denied", "FleetReady", "ClassNotAllowed").await;
    let images = json!({ "images": { "owners": ["999999999999"] } });
    space.apply(&fleet_class::manifest("own-images", &images)).await;
    space.apply(&space.node("foreign", of_class("own-images", 1, "app:v1"))).await;
    let message = space.until("foreign", "FleetReady", "ValueNotInClass").await;
    assert!(message.contains("images.owners: 999999999999"), "{message}");
    for name in attacks.iter().map(|(name, ..)| *name).chain(["missing", "denied", "foreign"]) {
        assert_eq!(of_node(&bed.moto, &space, name).await.len(), 0, "{name}");
    }
    let templates = bed.moto.aws(&["ec2", "describe-launch-templates"]).await.unwrap();
    assert!(!templates.to_string().contains("mesh-outside-"), "{templates}");

    // A label of the namespace is all that is missing.
    bed.kubectl.run(&["label", "namespace", "outside", "team=other"]).await.unwrap();
    until_running(&bed, &space, "denied", 1).await;
    space.run(&["delete", "virtualnodes", "--all", TIMEOUT]).await;
}

#[tokio::test]
async fn the_value_of_a_parameter_that_is_no_ami_is_never_shown() {
    const SECRET: &str = "correct-horse-battery-staple";
    let bed = AwsBed::shared().await;
    let space = bed.space("secret").await;
    let put = ["ssm", "put-parameter", "--type", "String", "--name", "/images/secret", "--value", SECRET];
    bed.moto.aws(&put).await.unwrap();
    let mut node = fleet(1, "app:v1");
    node["fleet"]["image"] = json!({ "ssmParameter": "/images/secret" });
    space.apply(&space.node("n", node)).await;
    let message = space.until("n", "FleetReady", "Rejected").await;
    assert!(message.contains("the parameter /images/secret does not hold an AMI's id"), "{message}");
    looked(&bed).await;
    let events = space.run(&["get", "events", "-o", "json"]).await;
    let templates = bed.moto.aws(&["ec2", "describe-launch-templates"]).await.unwrap();
    assert!(!templates.to_string().contains("mesh-secret-n"), "{templates}");
    for (place, text) in [
        ("status", space.get("n").await.to_string()),
        ("Events", events),
        ("log", bed.operator.log().unwrap()),
        ("metrics", metrics(&bed).await.unwrap()),
    ] {
        assert!(!text.contains(SECRET), "in {place}");
    }
    space.run(&["delete", "virtualnode/n", TIMEOUT]).await;
}

#[tokio::test]
async fn fleets_that_are_launched_at_once_stay_within_the_limits_of_their_class() {
    let bed = AwsBed::shared().await;
    let (one, other) = (bed.space("limits-one").await, bed.space("limits-other").await);
    let limits = json!({ "limits": { "instances": 5, "instancesPerNamespace": 4 } });
    one.apply(&fleet_class::manifest("tight", &limits)).await;
    let nodes = [(&one, "a"), (&one, "b"), (&other, "a"), (&other, "b")];
    for (space, node) in nodes {
        space.apply(&space.node(node, of_class("tight", 3, "app:v1"))).await;
    }
    let mut uids = Vec::new();
    for (space, node) in nodes {
        uids.push(space.get(node).await["metadata"]["uid"].as_str().unwrap().to_owned());
    }
    let counts = async || {
        let mut counts = Vec::new();
        for uid in &uids {
            let filter = format!("Name=tag:fleetmesh.dev/owner-uid,Values={uid}");
            counts.push(instances(&bed.moto, &filter).await.len());
        }
        assert!(counts.iter().sum::<usize>() <= 5, "in all: {counts:?}");
        assert!(counts[0] + counts[1] <= 4 && counts[2] + counts[3] <= 4, "in a namespace: {counts:?}");
        counts
    };
    let used_up = async || Ok((counts().await.iter().sum::<usize>() == 5).then_some(()));
    wait::until("the class is used up", LIMIT, used_up).await.unwrap();
    looked(&bed).await;
    let short = nodes[counts().await.iter().position(|count| *count < 3).unwrap()];
    let message = short.0.until(short.1, "FleetReady", "ClassLimitReached").await;
    assert!(message.contains("FleetClass tight allows"), "{message}");
    // Who lets go of instances makes no room.
    let keeps =
        nodes.iter().zip(counts().await).find(|(_, count)| *count > 0).map(|(node, _)| *node).unwrap();
    let retain = ["patch", "--type=merge", "-p", r#"{"spec":{"deletionPolicy":"Retain"}}"#];
    let node = format!("virtualnode/{}", keeps.1);
    keeps.0.run(&[&retain[..1], &[&node], &retain[1..]].concat()).await;
    keeps.0.run(&["delete", &node, TIMEOUT]).await;
    keeps.0.apply(&keeps.0.node("again", of_class("tight", 3, "app:v1"))).await;
    keeps.0.until("again", "FleetReady", "ClassLimitReached").await;
    looked(&bed).await;
    counts().await;
    assert_eq!(of_node(&bed.moto, keeps.0, "again").await.len(), 0, "the room is not there");
    keeps.0.run(&["delete", "virtualnode/again", TIMEOUT]).await;
    // What one gives up another gets.
    let left = |node: &(&Space, &str)| (&node.0.name, node.1) != (&keeps.0.name, keeps.1);
    let mut others = nodes.iter().zip(counts().await).filter(|(node, count)| *count > 0 && left(node));
    let (full, _) = others.next().unwrap();
    full.0.run(&["delete", &format!("virtualnode/{}", full.1), TIMEOUT]).await;
    wait::until("others have the room", LIMIT, used_up).await.unwrap();
    for (space, node) in nodes {
        space.run(&["delete", &format!("virtualnode/{node}"), "--ignore-not-found", TIMEOUT]).await;
    }
}

#[tokio::test]
async fn when_its_class_goes_a_fleet_stays_as_it_is() {
    let bed = AwsBed::shared().await;
    let space = bed.space("stays").await;
    let class = fleet_class::manifest("passing", &Value::Null);
    space.apply(&class).await;
    space.apply(&space.node("n", of_class("passing", 2, "app:v1"))).await;
    let ids = until_running(&bed, &space, "n", 2).await;
    assert_eq!(space.get("n").await["status"]["fleet"]["className"], "passing");
    bed.kubectl.run(&["delete", "fleetclass", "passing"]).await.unwrap();
    space.until("n", "FleetReady", "ClassRequired").await;
    // Neither a roll nor a larger fleet.
    space.apply(&space.node("n", of_class("passing", 3, "app:v2"))).await;
    space.until("n", "FleetReady", "ClassRequired").await;
    looked(&bed).await;
    assert_eq!(ids_of(&bed.moto, &space, "n").await, ids);
    space.run(&["scale", "virtualnode/n", "--replicas", "1"]).await;
    let left = until_running(&bed, &space, "n", 1).await;
    assert!(ids.contains(&left[0]), "{left:?} of {ids:?}");
    space.apply(&class).await;
    wait::until("it is rolled", LIMIT, async || {
        Ok((ids_of(&bed.moto, &space, "n").await != left).then_some(()))
    })
    .await
    .unwrap();
    bed.kubectl.run(&["delete", "fleetclass", "passing"]).await.unwrap();
    let uid = space.get("n").await["metadata"]["uid"].as_str().unwrap().to_owned();
    space.run(&["delete", "virtualnode/n", TIMEOUT]).await;
    let left = instances(&bed.moto, &format!("Name=tag:fleetmesh.dev/owner-uid,Values={uid}")).await;
    assert_eq!(left.len(), 0, "nobody's class has to let a fleet go");
}

#[tokio::test]
async fn a_fleet_of_a_namespace_that_its_mesh_puts_out_does_not_grow() {
    let bed = AwsBed::shared().await;
    let space = bed.space("put-out").await;
    let allow = async |from: Value| {
        let patch = json!({ "spec": { "allowedNamespaces": from } }).to_string();
        bed.kubectl.run(&["patch", "mesh", "put-out", "--type=merge", "--patch", &patch]).await.unwrap();
    };
    space.apply(&space.node("bare", json!({}))).await;
    space.apply(&space.node("n", of_class("default", 3, "app:v1"))).await;
    space.ready("bare").await;
    let ids = until_running(&bed, &space, "n", 3).await;
    let nobody = json!({ "matchLabels": { "team": "nobody" } });
    allow(json!({ "from": "Selector", "selector": nobody })).await;
    let message = space.until("n", "Accepted", "NamespaceNotAllowed").await;
    assert!(message.contains("its fleet does not grow"), "{message}");
    // Neither a roll, nor a larger fleet, nor a role, nor another one for what ended.
    space.apply(&space.node("n", of_class("default", 4, "app:v2"))).await;
    for node in ["bare", "late"] {
        space.apply(&space.node(node, of_class("default", 1, "app:v1"))).await;
    }
    space.until("n", "FleetReady", "NamespaceNotAllowed").await;
    space.until("bare", "FleetReady", "NamespaceNotAllowed").await;
    space.until("late", "Accepted", "NamespaceNotAllowed").await;
    let ended = &ids[0];
    bed.moto.aws(&["ec2", "terminate-instances", "--instance-ids", ended]).await.unwrap();
    looked(&bed).await;
    assert_eq!(ids_of(&bed.moto, &space, "n").await, ids[1..]);
    for node in ["bare", "late"] {
        assert_eq!(of_node(&bed.moto, &space, node).await.len(), 0, "{node}");
        let role = space.role(node);
        assert!(bed.moto.aws(&["iam", "get-role", "--role-name", &role]).await.is_err(), "{node}");
    }
    space.run(&["scale", "virtualnode/n", "--replicas", "1"]).await;
    let left = until_running(&bed, &space, "n", 1).await;
    assert!(ids[1..].contains(&left[0]), "{left:?} of {ids:?}");
    // It goes on by itself.
    allow(json!({ "from": "All", "selector": null })).await;
    for node in ["bare", "late"] {
        until_running(&bed, &space, node, 1).await;
    }
    let uid = space.get("n").await["metadata"]["uid"].as_str().unwrap().to_owned();
    space.run(&["delete", "virtualnodes", "--all", TIMEOUT]).await;
    let left = instances(&bed.moto, &format!("Name=tag:fleetmesh.dev/owner-uid,Values={uid}")).await;
    assert_eq!(left.len(), 0);
}

#[tokio::test]
async fn an_instance_that_did_not_opt_in_is_neither_changed_nor_shown() {
    let bed = AwsBed::shared().await;
    let space = bed.space("opt-in").await;
    let launch = async |tags: &str| {
        let tags = format!("ResourceType=instance,Tags=[{tags}]");
        let run = ["ec2", "run-instances", "--image-id", "ami-12c6146b", "--tag-specifications", &tags];
        let launched = bed.moto.aws(&run).await.unwrap();
        launched["Instances"][0]["InstanceId"].as_str().unwrap().to_owned()
    };
    let victim = launch("{Key=opt,Value=database}").await;
    let elsewhere = launch("{Key=opt,Value=database},{Key=fleetmesh.dev/enroll,Value=another-cluster}").await;
    let ours = launch(&format!("{{Key=opt,Value=web}},{{Key=fleetmesh.dev/enroll,Value={CLUSTER}}}")).await;
    let enroll = |value: &str| json!({ "iam": {}, "fleet": { "enroll": { "tags": { "opt": value } } } });
    space.apply(&space.node("by-name", enroll("database"))).await;
    // EC2 takes it for every value.
    space.apply(&space.node("wild", enroll("*"))).await;
    space.apply(&space.node("web", enroll("web"))).await;
    wait::until("who opted in has the profile", LIMIT, async || {
        Ok(profile_of(&bed.moto, &ours).await.is_string().then_some(()))
    })
    .await
    .unwrap();
    let by_name = wait::until("the others are counted", LIMIT, async || {
        let object = space.get("by-name").await;
        let message = object["status"]["conditions"].to_string();
        Ok(message.contains("2 more have the tags of fleet.enroll").then_some(object))
    })
    .await
    .unwrap();
    looked(&bed).await;
    let wild = space.get("wild").await;
    for id in [&victim, &elsewhere] {
        assert_eq!(profile_of(&bed.moto, id).await, Value::Null);
        assert!(
            !by_name.to_string().contains(id.as_str()) && !wild.to_string().contains(id.as_str()),
            "{by_name} {wild}"
        );
    }
    // Who has the profile already, as before there was a tag to opt in by, keeps it.
    let forget = ["ec2", "delete-tags", "--resources", &ours, "--tags", "Key=fleetmesh.dev/enroll"];
    bed.moto.aws(&forget).await.unwrap();
    looked(&bed).await;
    assert!(profile_of(&bed.moto, &ours).await.is_string());
    for node in ["by-name", "wild", "web"] {
        space.run(&["delete", &format!("virtualnode/{node}"), TIMEOUT]).await;
    }
}

/// The key is the class's: instances are launched from a template that names it, and nothing in a node names another.
#[tokio::test]
async fn instances_start_from_volumes_of_the_class_s_key_and_no_node_names_another() {
    const DEVICE: &str = "/dev/xvda";
    let bed = AwsBed::shared().await;
    let space = bed.space("volumes").await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let made = bed.moto.aws(&["kms", "create-key"]).await.unwrap();
    let key = text(&made["KeyMetadata"]["Arn"]);
    let volume = json!({ "volume": { "deviceName": DEVICE, "kmsKeyId": key } });
    space.apply(&fleet_class::manifest("encrypted", &volume)).await;
    space.apply(&space.node("n", of_class("encrypted", 1, "app:v1"))).await;
    until_running(&bed, &space, "n", 1).await;
    let named = ["ec2", "describe-launch-template-versions", "--launch-template-name", "mesh-volumes-n"];
    let versions = bed.moto.aws(&named).await.unwrap();
    let mappings = &versions["LaunchTemplateVersions"][0]["LaunchTemplateData"]["BlockDeviceMappings"];
    let wanted = json!([{ "DeviceName": DEVICE, "Ebs": { "Encrypted": true, "KmsKeyId": key } }]);
    assert_eq!(*mappings, wanted);
    // moto makes volumes of its own whatever the template says, so it is not asked for them.

    // The attack: the volume of a node's own.
    let mut own = of_class("encrypted", 1, "app:v1");
    own["fleet"]["volume"] = json!({ "deviceName": DEVICE, "kmsKeyId": key.replace("key/", "key/0") });
    let file = bed.run.join("own-volume.json");
    std::fs::write(&file, space.node("own", own).to_string()).unwrap();
    let refused = bed.kubectl.capture(&["create", "-f", file.to_str().unwrap()]).await.unwrap();
    assert!(refused.stderr.contains("unknown field \"spec.fleet.volume\""), "{}", refused.stderr);
    space.run(&["delete", "virtualnodes", "--all", TIMEOUT]).await;
}
