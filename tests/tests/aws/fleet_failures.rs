//! What EC2 refuses, loses or does not show yet: each gives a reason of its own in `FleetReady`, and nothing twice.

use std::sync::Arc;

use fleetmesh_testbed::wait;
use serde_json::{Value, json};

use crate::bed::{AwsBed, LIMIT, TIMEOUT};
use crate::ec2::{ids_of, of_node, profile_of, tag, template};
use crate::front::{AwsFront, Manner};
use crate::space::Space;

/// No proxy connects here, so that none is ever ready: a roll goes on because all may be unavailable.
fn fleet(replicas: i32, container: &str) -> Value {
    let mut fleet = crate::fleet::fleet(replicas, container);
    fleet["fleet"]["rollout"] = json!({ "maxSurge": 1, "maxUnavailable": 3 });
    fleet
}

/// A front, a bed behind it, and a space.
struct FailureStage {
    front: Arc<AwsFront>,
    bed: AwsBed,
    space: Space,
}

impl FailureStage {
    async fn new() -> Self {
        let bed = AwsBed::start("ec2-front").await;
        let front = Arc::clone(&bed.front);
        let space = bed.space("faulty").await;
        Self { front, bed, space }
    }

    async fn apply(&self, replicas: i32, container: &str) {
        self.space.apply(&self.space.node("n", fleet(replicas, container))).await;
    }

    /// An action is refused: `FleetReady` names it and has this reason. It goes on being refused.
    async fn refused(&self, action: &str, status: u16, code: &'static str, reason: &str) {
        self.front.meets(action, Some(Manner::Refuses(status, code)));
        self.says(action, reason).await;
    }

    async fn says(&self, words: &str, reason: &str) {
        wait::until(&format!("FleetReady says {reason} and {words:?}"), LIMIT, async || {
            let message = self.space.until("n", "FleetReady", reason).await;
            anyhow::ensure!(message.contains(words), "{message}");
            Ok(Some(()))
        })
        .await
        .unwrap();
    }

    /// Awaits that an action is asked for more often.
    async fn asked_again(&self, action: &str, times: usize) {
        let before = self.front.count(action);
        wait::until(&format!("{action} is asked for again"), LIMIT, async || {
            Ok((self.front.count(action) >= before + times).then_some(()))
        })
        .await
        .unwrap();
    }

    /// Awaits that exactly so many instances run, all from this version; gives their ids.
    async fn until_running(&self, count: usize, version: i64) -> Vec<String> {
        wait::until(&format!("{count} instances of version {version} run"), LIMIT, async || {
            let fleet = self.space.get("n").await["status"]["fleet"].take();
            let wanted = json!([count, count, version]);
            let found = json!([fleet["running"], fleet["updated"], fleet["templateVersion"]]);
            anyhow::ensure!(found == wanted, "{fleet}");
            let found = of_node(&self.bed.moto, &self.space, "n").await;
            anyhow::ensure!(found.len() == count, "{} instances are there", found.len());
            let version = version.to_string();
            assert!(found.iter().all(|one| tag(one, "fleetmesh.dev/template-version") == version));
            Ok(Some(()))
        })
        .await
        .unwrap();
        ids_of(&self.bed.moto, &self.space, "n").await
    }

    /// The number of the newest version of the one template.
    async fn newest(&self) -> i64 {
        template(&self.bed.moto, "mesh-faulty-n").await["LatestVersionNumber"].as_i64().unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_and_lost_replies_of_ec2_have_reasons_and_launch_nothing_twice() {
    let stage = FailureStage::new().await;
    a_launch(&stage).await;
    a_roll(&stage).await;
    what_is_not_shown(&stage).await;
    let FailureStage { front: _, bed, space } = &stage;
    space.run(&["delete", "virtualnode/n", TIMEOUT]).await;
    assert_eq!(template(&bed.moto, "mesh-faulty-n").await, Value::Null);
    an_association(&stage).await;
}

async fn a_launch(stage: &FailureStage) {
    let FailureStage { front, space, .. } = stage;
    front.meets("CreateLaunchTemplate", Some(Manner::Refuses(403, "UnauthorizedOperation")));
    stage.apply(2, "app:v1").await;
    let message = space.until("n", "FleetReady", "AccessDenied").await;
    assert!(
        message.contains("CreateLaunchTemplate") && message.contains("fleetmesh iam policy"),
        "{message}"
    );

    front.meets("CreateFleet", Some(Manner::Refuses(503, "RequestLimitExceeded")));
    front.meets("CreateLaunchTemplate", Some(Manner::LosesReply(1)));
    stage.says("CreateFleet", "Throttled").await;
    front.meets("CreateLaunchTemplate", None);
    assert_eq!(stage.newest().await, 1, "made once, though the reply was lost");
    stage.refused("CreateFleet", 400, "InvalidLaunchTemplateId.NotFound", "Pending").await;
    stage.refused("CreateFleet", 400, "VcpuLimitExceeded", "LaunchFailed").await;
    stage.refused("CreateFleet", 400, "UnsupportedOperation", "Rejected").await;
    // Every attempt of the SDK is carried out and its reply lost, and EC2 does not show yet what was launched: the token
    // of the launch brings the same instances.
    front.meets("DescribeInstances", Some(Manner::FindsNothing));
    front.meets("CreateFleet", Some(Manner::LosesReply(3)));
    wait::until("the loss is reported", LIMIT, async || {
        let events = space.events("n", "EndpointUnreachable").await;
        Ok(events.iter().any(|event| event.contains("CreateFleet")).then_some(()))
    })
    .await
    .unwrap();
    front.meets("CreateFleet", None);
    stage.says("EC2 to show what was launched before", "FleetProgressing").await;
    let launches = front.count("CreateFleet");
    stage.asked_again("DescribeInstances", 3).await;
    assert_eq!(front.count("CreateFleet"), launches, "while EC2 shows nothing, nothing more is launched");
    front.meets("DescribeInstances", None);
    stage.until_running(2, 1).await;
    front.meets("CreateFleet", Some(Manner::LosesReply(1)));
    stage.apply(3, "app:v1").await;
    stage.until_running(3, 1).await;
    front.meets("CreateFleet", None);
}

async fn a_roll(stage: &FailureStage) {
    let FailureStage { front, bed, space } = stage;
    front.meets("CreateLaunchTemplateVersion", Some(Manner::Refuses(500, "InternalError")));
    stage.apply(3, "app:v2").await;
    stage.says("CreateLaunchTemplateVersion", "EndpointFailed").await;
    let old = ids_of(&bed.moto, space, "n").await;
    front.meets("TerminateInstances", Some(Manner::Refuses(403, "UnauthorizedOperation")));
    front.meets("CreateLaunchTemplateVersion", Some(Manner::LosesReply(1)));
    stage.says("TerminateInstances", "AccessDenied").await;
    front.meets("CreateLaunchTemplateVersion", None);
    stage.refused("TerminateInstances", 400, "InvalidInstanceID.NotFound", "Pending").await;
    front.meets("TerminateInstances", Some(Manner::LosesReply(1)));
    let new = stage.until_running(3, 2).await;
    front.meets("TerminateInstances", None);
    assert!(new.iter().all(|id| !old.contains(id)), "{old:?} {new:?}");
    assert_eq!(stage.newest().await, 2, "one version, though the reply was lost");
    let launched: i64 = space.get("n").await["status"]["fleet"]["launches"].as_i64().unwrap();
    assert!(launched <= 6, "{launched} launches for six instances, one in a zone at the most");
}

/// EC2 does not show everywhere what there is, or shows nothing at all: nothing is made anew, and the status goes on
/// reporting what was known.
async fn what_is_not_shown(stage: &FailureStage) {
    let FailureStage { front, bed, space } = stage;
    let ids = ids_of(&bed.moto, space, "n").await;
    let launches = front.count("CreateFleet");
    front.meets("DescribeInstanceStatus", Some(Manner::Refuses(400, "InvalidInstanceID.NotFound")));
    // It asks for each of the three alone in the end, several times.
    stage.asked_again("DescribeInstanceStatus", 15).await;
    let message = space.until("n", "FleetReady", "FleetProgressing").await;
    assert!(message.contains("0 of 3 instances are ready, 3 from the newest"), "{message}");
    front.meets("DescribeInstanceStatus", None);

    let code = "InvalidLaunchTemplateName.NotFoundException";
    front.meets("DescribeLaunchTemplates", Some(Manner::Refuses(400, code)));
    stage.says("CreateLaunchTemplate", "Pending").await;
    front.meets("DescribeLaunchTemplates", None);
    stage.refused("DescribeInstances", 503, "RequestLimitExceeded", "Throttled").await;
    assert_eq!(space.get("n").await["status"]["fleet"]["running"], 3, "what was known stays");
    stage.refused("DescribeInstances", 401, "AuthFailure", "CredentialsInvalid").await;
    front.meets("DescribeInstances", None);
    space.until("n", "FleetReady", "FleetProgressing").await;
    assert_eq!(ids_of(&bed.moto, space, "n").await, ids);
    assert_eq!((front.count("CreateFleet"), stage.newest().await), (launches, 2));
}

async fn an_association(stage: &FailureStage) {
    let FailureStage { front, bed, space } = stage;
    let run = ["ec2", "run-instances", "--image-id", "ami-12c6146b", "--tag-specifications"];
    let tags = "ResourceType=instance,Tags=[{Key=app,Value=enrolled},{Key=fleetmesh.dev/enroll,Value=bed}]";
    let launched = bed.moto.aws(&[&run[..], &[tags]].concat()).await.unwrap();
    let id = launched["Instances"][0]["InstanceId"].as_str().unwrap();
    front.meets("AssociateIamInstanceProfile", Some(Manner::Refuses(400, "InvalidInstanceID.NotFound")));
    let enroll = json!({ "iam": {}, "fleet": { "enroll": { "tags": { "app": "enrolled" } } } });
    space.apply(&space.node("n", enroll)).await;
    stage.says("AssociateIamInstanceProfile", "Pending").await;
    front.meets("AssociateIamInstanceProfile", Some(Manner::LosesReply(1)));
    wait::until("it has the profile", LIMIT, async || {
        let profile = space.get("n").await["status"]["iam"]["instanceProfileArn"].take();
        Ok((profile_of(&bed.moto, id).await == profile && profile.is_string()).then_some(()))
    })
    .await
    .unwrap();
    space.until("n", "FleetReady", "FleetProgressing").await;
    assert!(space.events("n", "Rejected").await.iter().all(|event| !event.contains("Associate")));
    space.run(&["delete", "virtualnode/n", TIMEOUT]).await;
    assert_eq!(profile_of(&bed.moto, id).await, Value::Null);
}
