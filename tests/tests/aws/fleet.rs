//! The whole life of a fleet: launched, scaled, rolled, mended, ended; and of instances that are enrolled.

use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use fleetmesh_testbed::moto::MotoKey;
use fleetmesh_testbed::{tools, wait};
use serde_json::{Value, json};

use crate::bed::{AwsBed, LIMIT, TIMEOUT};
use crate::ec2::{instances, of_node, profile_of, tag};
use crate::joiner::Joiner;
use crate::space::Space;

/// How long a roll of three instances may take: each step is looked at every five seconds.
const ROLL: Duration = Duration::from_secs(240);

pub fn fleet(replicas: i32, container: &str) -> Value {
    json!({ "iam": {}, "fleet": {
        "replicas": replicas,
        "capacity": { "instanceTypes": ["t3.small"] },
        "image": { "id": "ami-12c6146b" },
        "app": { "port": 8000, "container": container },
    } })
}

pub fn is_ready(object: &Value) -> bool {
    let current = object["status"]["observedGeneration"] == object["metadata"]["generation"];
    let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
    current && conditions.clone().any(|one| one["type"] == "Ready" && one["status"] == "True")
}

/// Lets instances join until all nodes are Ready; gives them. Watches meanwhile that no more than `most` ever run.
async fn until_ready(
    joiner: &mut Joiner,
    bed: &AwsBed,
    space: &Space,
    nodes: &[&str],
    most: usize,
) -> Vec<Value> {
    wait::until(&format!("{nodes:?} are Ready"), ROLL, async || {
        let objects = joiner.follow(bed, space, nodes).await;
        for object in &objects {
            let running = object["status"]["fleet"]["running"].as_u64().unwrap_or_default();
            assert!(running <= most as u64, "{running} instances run: {}", object["status"]["fleet"]);
        }
        let late = objects.iter().find(|object| !is_ready(object));
        anyhow::ensure!(late.is_none(), "{}", late.map_or(&Value::Null, |late| &late["status"]));
        Ok(Some(objects))
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn a_fleet_is_launched_scaled_rolled_mended_and_ended() {
    if !fleetmesh_testbed::userns::wanted() {
        return;
    }
    let bed = AwsBed::shared().await;
    let space = bed.space("fleet").await;
    let mut joiner = Joiner::new(&bed).await;
    let run = ["ec2", "run-instances", "--image-id", "ami-12c6146b", "--tag-specifications"];
    let tags = "ResourceType=instance,Tags=[{Key=owner,Value=somebody}]";
    bed.moto.aws(&[&run[..], &[tags]].concat()).await.unwrap();

    space.apply(&space.node("n", fleet(3, "app:v1"))).await;
    let object = until_ready(&mut joiner, &bed, &space, &["n"], 3).await.remove(0);
    let status = &object["status"]["fleet"];
    assert_eq!(
        json!([status["desired"], status["running"], status["ready"], status["updated"]]),
        json!([3, 3, 3, 3])
    );
    assert!(status["instances"].as_array().unwrap().iter().all(|one| one["proxy"] == "Acknowledged"));
    let found = of_node(&bed.moto, &space, "n").await;
    assert_eq!(found.len(), 3);
    for instance in &found {
        assert_eq!(tag(instance, "fleetmesh.dev/owner-cluster"), "bed");
        assert_eq!(tag(instance, "fleetmesh.dev/template-version"), "1");
    }
    // One launch for each zone; the first ones may have come before EC2 knew the profile.
    let launches: BTreeSet<&str> =
        found.iter().map(|instance| tag(instance, "fleetmesh.dev/launch")).collect();
    assert_eq!(launches.len(), 3, "{launches:?}");
    assert!(status["launches"].as_i64().unwrap() >= 3, "{status}");
    template_is_as_wanted(&bed, &object).await;
    let columns = space.run(&["get", "virtualnodes"]).await;
    let header: Vec<&str> = columns.lines().next().unwrap().split_whitespace().collect();
    assert!(header.contains(&"PROXIES") && header.contains(&"INSTANCES"), "{columns}");

    for replicas in [5, 1, 0] {
        space.run(&["scale", "virtualnode/n", "--replicas", &replicas.to_string()]).await;
        until_ready(&mut joiner, &bed, &space, &["n"], 5).await;
        assert_eq!(of_node(&bed.moto, &space, "n").await.len(), replicas, "after a scale to {replicas}");
    }

    space.apply(&space.node("n", fleet(2, "app:v1"))).await;
    until_ready(&mut joiner, &bed, &space, &["n"], 2).await;
    space.apply(&space.node("n", fleet(2, "app:v2"))).await;
    let object = until_ready(&mut joiner, &bed, &space, &["n"], 3).await.remove(0);
    assert_eq!(object["status"]["fleet"]["templateVersion"], 2);
    let found = of_node(&bed.moto, &space, "n").await;
    assert_eq!(found.len(), 2);
    assert!(found.iter().all(|instance| tag(instance, "fleetmesh.dev/template-version") == "2"));

    let victim = found[0]["InstanceId"].as_str().unwrap();
    bed.moto.aws(&["ec2", "terminate-instances", "--instance-ids", victim]).await.unwrap();
    wait::until("the instance is replaced", LIMIT, async || {
        let found = of_node(&bed.moto, &space, "n").await;
        let replaced = found.iter().all(|one| one["InstanceId"] != victim) && found.len() == 2;
        Ok(replaced.then_some(()))
    })
    .await
    .unwrap();
    until_ready(&mut joiner, &bed, &space, &["n"], 3).await;
    for reason in ["Launched", "Terminated", "LaunchTemplateCreated", "LaunchTemplateChanged"] {
        assert!(!space.events("n", reason).await.is_empty(), "{reason}");
    }

    let uid = space.get("n").await["metadata"]["uid"].as_str().unwrap().to_owned();
    space.run(&["delete", "virtualnode/n", TIMEOUT]).await;
    assert_eq!(
        instances(&bed.moto, &format!("Name=tag:fleetmesh.dev/owner-uid,Values={uid}")).await.len(),
        0
    );
    let templates = bed.moto.aws(&["ec2", "describe-launch-templates"]).await.unwrap();
    let named = |one: &Value| one["LaunchTemplateName"] == "mesh-fleet-n";
    assert!(!templates["LaunchTemplates"].as_array().unwrap().iter().any(named), "{templates}");
    assert_eq!(bed.account().role(&space.role("n")).await, Value::Null);
    assert_eq!(instances(&bed.moto, "Name=tag:owner,Values=somebody").await.len(), 1, "others' stay");
}

/// What the fleet's first template version holds, and its user data.
async fn template(bed: &AwsBed, object: &Value) -> (Value, String) {
    let id = object["status"]["fleet"]["launchTemplateId"].as_str().unwrap();
    let arguments = ["ec2", "describe-launch-template-versions", "--launch-template-id", id];
    let answer = bed.moto.aws(&arguments).await.unwrap();
    let data = answer["LaunchTemplateVersions"][0]["LaunchTemplateData"].clone();
    let text = BASE64_STANDARD.decode(data["UserData"].as_str().unwrap()).unwrap();
    (data, String::from_utf8(text).unwrap())
}

/// The template demands IMDSv2, carries the profile, and its user data names the node and no secret.
async fn template_is_as_wanted(bed: &AwsBed, object: &Value) {
    let (data, text) = template(bed, object).await;
    assert_eq!(data["MetadataOptions"]["HttpTokens"], "required");
    assert_eq!(data["MetadataOptions"]["HttpPutResponseHopLimit"], 1);
    assert_eq!(data["IamInstanceProfile"]["Arn"], object["status"]["iam"]["instanceProfileArn"]);
    assert!(text.contains("mesh/fleet/virtualNode/n") && text.contains("app:v1"), "{text}");
    let MotoKey { id, secret } = &bed.operator_key;
    assert!(!text.contains(id) && !text.contains(secret), "no secret is in it");
}

/// Awaits that something of the virtual gateway `edge` is so; gives it then.
async fn gateway_is(space: &Space, what: &str, is: impl Fn(&Value) -> bool) -> Value {
    wait::until(what, LIMIT, async || {
        let object = space.run(&["get", "virtualgateway/edge", "-o", "json"]).await;
        let object: Value = serde_json::from_str(&object)?;
        anyhow::ensure!(is(&object), "{}", object["status"]);
        Ok(Some(object))
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn a_gateway_runs_on_instances_of_its_own_with_a_role_for_its_arn() {
    let bed = AwsBed::shared().await;
    let space = bed.space("edges").await;
    // A node of the same name has its own role and template.
    space.apply(&space.node("edge", fleet(1, "app:v1"))).await;
    let capacity = json!({ "instanceTypes": ["t3.small"] });
    let members = json!({ "replicas": 2, "capacity": capacity, "image": { "id": "ami-12c6146b" } });
    let gateway = |fleet: &Value| {
        json!({
            "apiVersion": "fleetmesh.dev/v1alpha1", "kind": "VirtualGateway",
            "metadata": { "name": "edge", "namespace": space.name },
            "spec": {
                "meshName": space.name, "iam": {}, "fleet": fleet,
                "listeners": [{ "portMapping": { "port": 80, "protocol": "http" } }],
            },
        })
    };
    space.apply(&gateway(&members)).await;
    let object = gateway_is(&space, "two instances of the gateway run", |object| {
        object["status"]["fleet"]["running"] == 2 && object["status"]["iam"]["instanceProfileArn"].is_string()
    })
    .await;

    let (data, text) = template(&bed, &object).await;
    assert_eq!(data["IamInstanceProfile"]["Arn"], object["status"]["iam"]["instanceProfileArn"]);
    assert!(text.contains("mesh/edges/virtualGateway/edge"), "{text}");
    assert!(
        !text.contains("iptables") && !text.contains("start_application"),
        "nothing is intercepted: {text}"
    );
    let account = bed.account();
    let policy = account.policy("mesh-edges-gateway-edge").await.to_string();
    assert!(policy.contains(":mesh/edges/virtualGateway/edge\""), "{policy}");
    assert_ne!(account.role("mesh-edges-edge").await, Value::Null, "the node's");
    let arn = object["status"]["arn"].as_str().unwrap();
    let tags = space.app_mesh.run(&["list-tags-for-resource", "--resource-arn", arn]).await.unwrap();
    assert!(tags.to_string().contains("fleetmesh.dev/proxy-principals"), "its instances may join: {tags}");

    let mut fewer = members.clone();
    fewer["replicas"] = json!(1);
    space.apply(&gateway(&fewer)).await;
    gateway_is(&space, "one instance of the gateway runs", |object| {
        object["status"]["fleet"]["running"] == 1
    })
    .await;
    space.run(&["delete", "virtualgateway/edge", TIMEOUT]).await;
    let uid = object["metadata"]["uid"].as_str().unwrap();
    let left = instances(&bed.moto, &format!("Name=tag:fleetmesh.dev/owner-uid,Values={uid}")).await;
    assert_eq!(left.len(), 0, "{left:?}");
    assert_eq!(account.role("mesh-edges-gateway-edge").await, Value::Null);
    space.run(&["delete", "virtualnode/edge", TIMEOUT]).await;
}

#[tokio::test]
async fn instances_that_exist_are_enrolled_by_tag_and_let_go() {
    let bed = AwsBed::shared().await;
    let space = bed.space("enroll").await;
    let run = ["ec2", "run-instances", "--image-id", "ami-12c6146b", "--count", "2", "--tag-specifications"];
    let tags = "ResourceType=instance,Tags=[{Key=app,Value=enrolled},{Key=fleetmesh.dev/enroll,Value=bed}]";
    let launched = bed.moto.aws(&[&run[..], &[tags]].concat()).await.unwrap();
    let id = |index: usize| launched["Instances"][index]["InstanceId"].as_str().unwrap().to_owned();
    let (ours, theirs) = (id(0), id(1));
    let account = bed.account();
    account.iam(&["create-instance-profile", "--instance-profile-name", "theirs"]).await;
    let foreign =
        ["ec2", "associate-iam-instance-profile", "--instance-id", &theirs, "--iam-instance-profile"];
    bed.moto.aws(&[&foreign[..], &["Name=theirs"]].concat()).await.unwrap();

    let enroll = json!({ "iam": {}, "fleet": { "enroll": { "tags": { "app": "enrolled" } } } });
    space.apply(&space.node("n", enroll)).await;
    let message = space.until("n", "FleetReady", "NotOwned").await;
    assert!(message.contains(&theirs) && !message.contains(&ours), "{message}");
    let profile = space.get("n").await["status"]["iam"]["instanceProfileArn"].clone();
    assert_eq!(profile_of(&bed.moto, &ours).await, profile);
    assert!(profile_of(&bed.moto, &theirs).await.as_str().unwrap().ends_with("/theirs"));

    bed.moto.aws(&["ec2", "delete-tags", "--resources", &ours, "--tags", "Key=app"]).await.unwrap();
    wait::until("it loses the profile with the tag", LIMIT, async || {
        Ok((profile_of(&bed.moto, &ours).await == Value::Null).then_some(()))
    })
    .await
    .unwrap();
    bed.moto
        .aws(&["ec2", "create-tags", "--resources", &ours, "--tags", "Key=app,Value=enrolled"])
        .await
        .unwrap();
    wait::until("it gets it again", LIMIT, async || {
        Ok((profile_of(&bed.moto, &ours).await == profile).then_some(()))
    })
    .await
    .unwrap();

    space.run(&["delete", "virtualnode/n", TIMEOUT]).await;
    assert_eq!(profile_of(&bed.moto, &ours).await, Value::Null);
    assert!(profile_of(&bed.moto, &theirs).await.as_str().unwrap().ends_with("/theirs"));
    assert_eq!(instances(&bed.moto, "Name=tag:app,Values=enrolled").await.len(), 2, "they run on");
    assert_eq!(account.role(&space.role("n")).await, Value::Null);
}

#[tokio::test]
async fn the_sample_becomes_ready_and_leaves_no_trace() {
    if !fleetmesh_testbed::userns::wanted() {
        return;
    }
    let joins = [
        ("FLEETMESH_PROXY_CONTROL_PLANE", "https://mesh.example:18000"),
        ("FLEETMESH_PROXY_JOIN_IMAGE", "registry.example/fleetmesh-proxy:v1"),
        ("FLEETMESH_PROXY_JOIN_CONTROL_PLANE", "https://mesh.example:9443"),
    ];
    let bed = AwsBed::start_with("fleet-sample", &joins).await;
    let mut joiner = Joiner::new(&bed).await;
    // The sample has a class of its own, which is the default.
    bed.kubectl.run(&["delete", "fleetclass", "default"]).await.unwrap();
    let folder = tools::workspace_dir().unwrap().join("samples/fleet");
    bed.kubectl.apply(&folder).await.unwrap();
    let space = Space::existing("apps", &bed);
    let nodes = ["service-a", "service-b", "service-b-v2"];
    let objects = until_ready(&mut joiner, &bed, &space, &nodes, 2).await;
    for object in &objects {
        let status = &object["status"];
        let role = status["iam"]["roleArn"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        assert_ne!(bed.account().role(&role).await, Value::Null);
        assert_eq!(status["fleet"]["running"], object["spec"]["fleet"]["replicas"]);
        let (_, user_data) = template(&bed, object).await;
        for (name, value) in joins {
            assert!(user_data.contains(value), "{name} reaches the instances: {user_data}");
        }
    }
    // A namespace would stay for want of its controller; what is in it goes in any order.
    let files = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<String> = files
        .filter(|file| !file.ends_with("00-namespace.yaml"))
        .map(|file| file.display().to_string())
        .collect();
    let files = files.iter().flat_map(|file| ["-f", file.as_str()]);
    let delete: Vec<&str> = ["delete", TIMEOUT].into_iter().chain(files).collect();
    bed.kubectl.run(&delete).await.unwrap();
    assert_eq!(instances(&bed.moto, "Name=tag-key,Values=fleetmesh.dev/owner-uid").await.len(), 0);
    let roles = bed.account().roles().await;
    assert!(!roles.iter().any(|role| role.starts_with("mesh-")), "{roles:?}");
    let templates = bed.moto.aws(&["ec2", "describe-launch-templates"]).await.unwrap();
    assert_eq!(templates["LaunchTemplates"], json!([]));
}
