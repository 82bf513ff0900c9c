//! Fleets over availability zones, in front of an EC2 that refuses duplicate pools and runs out of capacity zone by zone.

use std::collections::{BTreeMap, BTreeSet};

use fleetmesh_testbed::{fleet_class, wait};
use serde_json::{Value, json};

use crate::bed::{AwsBed, LIMIT, TIMEOUT};
use crate::ec2::{ids_of, of_node};
use crate::fleet::fleet;
use crate::front::Manner;
use crate::space::Space;

/// A bed, and a space with a class over three zones, the first of which has two subnets.
struct ZonesStage {
    bed: AwsBed,
    space: Space,
    zones: Vec<String>,
    /// Of the first zone: the one with more addresses.
    roomy: String,
}

/// So many subnets of EC2's own VPC, with their zones.
async fn default_subnets(bed: &AwsBed) -> Vec<(String, String)> {
    let filter = "Name=default-for-az,Values=true";
    let answer = bed.moto.aws(&["ec2", "describe-subnets", "--filters", filter]).await.unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let subnets = answer["Subnets"].as_array().unwrap().iter();
    let mut subnets: Vec<_> =
        subnets.map(|one| (text(&one["AvailabilityZone"]), text(&one["SubnetId"]))).collect();
    subnets.sort();
    subnets
}

impl ZonesStage {
    async fn new() -> Self {
        let bed = AwsBed::start("zones").await;
        let space = bed.space("zones").await;
        let subnets = default_subnets(&bed).await;
        let (zones, mut ids): (Vec<String>, Vec<String>) = subnets.into_iter().take(3).unzip();
        // moto's have 4,091 addresses each.
        let vpcs = bed.moto.aws(&["ec2", "describe-vpcs"]).await.unwrap();
        let vpc = vpcs["Vpcs"][0]["VpcId"].as_str().unwrap();
        let create = ["ec2", "create-subnet", "--cidr-block", "172.31.128.0/18", "--vpc-id", vpc];
        let made = bed.moto.aws(&[&create[..], &["--availability-zone", &zones[0]]].concat()).await.unwrap();
        let roomy = made["Subnet"]["SubnetId"].as_str().unwrap().to_owned();
        ids.push(roomy.clone());
        let members = json!({ "network": { "subnetIds": ids }, "instanceTypes": ["t3.small", "t3a.small"] });
        space.apply(&fleet_class::manifest("three", &members)).await;
        Self { bed, space, zones, roomy }
    }

    async fn apply(&self, node: &str, replicas: i32, container: &str) {
        let mut spec = fleet(replicas, container);
        spec["fleet"]["className"] = json!("three");
        // No proxy connects here, so that none is ever ready.
        spec["fleet"]["rollout"] = json!({ "maxSurge": 1, "maxUnavailable": 9 });
        self.space.apply(&self.space.node(node, spec)).await;
    }

    /// How many instances of a node each zone has, once there are so many in all and the status says so.
    async fn until_running(&self, node: &str, count: usize) -> Vec<usize> {
        wait::until(&format!("{count} instances of {node} run"), LIMIT, async || {
            let status = self.space.get(node).await["status"]["fleet"].take();
            let found = of_node(&self.bed.moto, &self.space, node).await;
            anyhow::ensure!(
                found.len() == count && status["running"] == count,
                "{} there: {status}",
                found.len()
            );
            let mut zones: BTreeMap<&str, usize> = self.zones.iter().map(|zone| (zone.as_str(), 0)).collect();
            for instance in &found {
                let zone = instance["Placement"]["AvailabilityZone"].as_str().unwrap();
                *zones.get_mut(zone).unwrap() += 1;
            }
            Ok(Some(zones.into_values().collect()))
        })
        .await
        .unwrap()
    }

    async fn says(&self, node: &str, reason: &str, words: &[&str]) {
        wait::until(&format!("FleetReady of {node} says {reason} and {words:?}"), LIMIT, async || {
            let message = self.space.until(node, "FleetReady", reason).await;
            anyhow::ensure!(words.iter().all(|word| message.contains(word)), "{message}");
            Ok(Some(()))
        })
        .await
        .unwrap();
    }

    async fn deleted(&self, node: &str) {
        self.space.run(&["delete", &format!("virtualnode/{node}"), TIMEOUT]).await;
    }

    /// The launches that name a subnet or type.
    fn launches_of(&self, words: &str) -> usize {
        let calls = self.bed.front.calls().into_iter();
        calls.filter(|call| call.action == "CreateFleet" && call.body.contains(words)).count()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_are_spread_over_zones_that_have_capacity_and_never_asked_for_twice() {
    let stage = ZonesStage::new().await;
    zones_are_level(&stage).await;
    capacity_runs_out(&stage).await;
    errors_beside_a_full_launch(&stage).await;
    ec2_limits_launches(&stage).await;
}

async fn zones_are_level(stage: &ZonesStage) {
    stage.apply("n", 7, "app:v1").await;
    assert_eq!(stage.until_running("n", 7).await, [3, 2, 2]);
    let found = of_node(&stage.bed.moto, &stage.space, "n").await;
    let of_first = found.iter().filter(|one| one["Placement"]["AvailabilityZone"] == stage.zones[0].as_str());
    let subnets: BTreeSet<&str> = of_first.map(|one| one["SubnetId"].as_str().unwrap()).collect();
    assert_eq!(subnets, BTreeSet::from([stage.roomy.as_str()]), "the subnet with more addresses");
    // The first launches may have come before EC2 knew the profile.
    let launched = stage.space.events("n", "Launched").await;
    for zone in &stage.zones {
        let given = |event: &&String| event.contains(&format!(" in {zone}: i-"));
        assert_eq!(launched.iter().filter(given).count(), 1, "one launch for {zone}: {launched:?}");
    }
    stage.space.run(&["scale", "virtualnode/n", "--replicas", "4"]).await;
    let left = stage.until_running("n", 4).await;
    assert!(left.iter().max().unwrap() - left.iter().min().unwrap() <= 1, "{left:?}");
    stage.deleted("n").await;
}

async fn capacity_runs_out(stage: &ZonesStage) {
    let ZonesStage { bed, space, zones, .. } = stage;
    let second = default_subnets(bed).await[1].1.clone();
    for type_ in ["t3.small", "t3a.small"] {
        bed.front.has(type_, &zones[1], Some(0));
    }
    let before = stage.launches_of(&second);
    stage.apply("out", 4, "app:v1").await;
    assert_eq!(stage.until_running("out", 4).await, [2, 0, 2], "the others take what the second has not");
    stage.says("out", "FleetProgressing", &["0 of 4"]).await;
    assert!(stage.launches_of(&second) > before);
    let asked = stage.launches_of(&second);
    // It is remembered, for all fleets.
    stage.apply("out", 6, "app:v1").await;
    stage.apply("other", 2, "app:v1").await;
    assert_eq!(stage.until_running("out", 6).await, [3, 0, 3]);
    assert_eq!(stage.until_running("other", 2).await, [1, 0, 1]);
    assert_eq!(stage.launches_of(&second), asked, "the zone is not asked again");
    for (zone, type_) in [(0, "t3.small"), (2, "t3.small"), (0, "t3a.small"), (2, "t3a.small")] {
        bed.front.has(type_, &zones[zone], Some(0));
    }
    space.run(&["scale", "virtualnode/out", "--replicas", "8"]).await;
    let [first, third] = [0, 2].map(|zone| format!("{}: no capacity for t3.small until", zones[zone]));
    stage.says("out", "LaunchFailed", &["InsufficientInstanceCapacity", &first, &third]).await;
    space.run(&["scale", "virtualnode/out", "--replicas", "6"]).await;
    stage.says("out", "FleetProgressing", &["0 of 6"]).await;
    assert_eq!(ids_of(&bed.moto, space, "out").await.len(), 6);
    for zone in zones {
        for type_ in ["t3.small", "t3a.small"] {
            bed.front.has(type_, zone, None);
        }
    }
    stage.deleted("out").await;
    stage.deleted("other").await;
}

/// All that was asked for is there: what EC2 could not do meanwhile is an Event, and nothing is wrong.
async fn errors_beside_a_full_launch(stage: &ZonesStage) {
    let ZonesStage { bed, space, .. } = stage;
    // Another purchase is another capacity.
    bed.front.meets("CreateFleet", Some(Manner::AddsError("InsufficientHostCapacity")));
    let mut spec = fleet(1, "app:v1");
    spec["fleet"]["className"] = json!("three");
    spec["fleet"]["capacity"]["purchase"] = json!("Spot");
    space.apply(&space.node("full", spec)).await;
    stage.until_running("full", 1).await;
    bed.front.meets("CreateFleet", None);
    stage.says("full", "FleetProgressing", &["0 of 1"]).await;
    let events = space.events("full", "LaunchedElsewhere").await;
    assert!(events.iter().any(|event| event.contains("InsufficientHostCapacity")), "{events:?}");
    stage.deleted("full").await;
}

/// EC2 limits launches inside an answer that says 200: they are tried again, more and more slowly.
async fn ec2_limits_launches(stage: &ZonesStage) {
    let ZonesStage { bed, space, .. } = stage;
    for code in ["RequestLimitExceeded", "MaxFleetCountExceeded"] {
        bed.front.meets("CreateFleet", Some(Manner::GivesError(code)));
        let node = code.to_lowercase();
        let mut spec = fleet(1, "app:v1");
        spec["fleet"]["className"] = json!("three");
        spec["fleet"]["capacity"]["purchase"] = json!("Spot");
        let before = bed.front.calls().len();
        space.apply(&space.node(&node, spec)).await;
        stage.says(&node, "LaunchFailed", &[code]).await;
        let launches = wait::until("it is tried three times", LIMIT, async || {
            let calls: Vec<_> = bed.front.calls().into_iter().skip(before).collect();
            let launches: Vec<_> =
                calls.iter().filter(|call| call.action == "CreateFleet").map(|call| call.at).collect();
            Ok((launches.len() >= 3).then_some(launches))
        })
        .await
        .unwrap();
        let waits = [launches[1] - launches[0], launches[2] - launches[1]].map(|wait| wait.as_secs());
        assert!(waits[0] >= 5 && waits[1] >= 10, "{code}: {waits:?}");
        bed.front.meets("CreateFleet", None);
        stage.deleted(&node).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_is_protected_from_termination_holds_up_neither_launches_nor_other_instances() {
    let stage = ZonesStage::new().await;
    let ZonesStage { bed, space, .. } = &stage;
    stage.apply("n", 3, "app:v1").await;
    stage.until_running("n", 3).await;
    let old = ids_of(&bed.moto, space, "n").await;
    bed.front.protect(&old[0], true);
    stage.apply("n", 3, "app:v2").await;
    stage.says("n", "Rejected", &["TerminateInstances", &old[0], "disableApiTermination"]).await;
    wait::until("all others are replaced", LIMIT, async || {
        let ids = ids_of(&bed.moto, space, "n").await;
        let left: Vec<_> = ids.iter().filter(|id| old.contains(id)).collect();
        anyhow::ensure!(left == [&old[0]] && ids.len() == 4, "{ids:?}");
        Ok(Some(()))
    })
    .await
    .unwrap();
    bed.front.protect(&old[0], false);
    stage.until_running("n", 3).await;
    let ids = ids_of(&bed.moto, space, "n").await;
    assert!(ids.iter().all(|id| !old.contains(id)), "{old:?} {ids:?}");
    stage.deleted("n").await;
}

/// EC2 ends what was launched: the reason is reported, and launches become rarer until what is launched changes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_that_end_after_their_launch_are_launched_again_more_and_more_slowly() {
    let stage = ZonesStage::new().await;
    let ZonesStage { bed, space, .. } = &stage;
    bed.front.meets("DescribeInstances", Some(Manner::EndedBy("Client.InvalidKMSKey.InvalidState")));
    stage.apply("n", 1, "app:v1").await;
    let mut launched = Vec::new();
    for _ in 0..2 {
        let found = wait::until("one is launched", LIMIT, async || {
            let ids = ids_of(&bed.moto, space, "n").await;
            Ok(ids.into_iter().next())
        });
        let id = found.await.unwrap();
        let calls = bed.front.calls();
        launched.push(calls.iter().rev().find(|call| call.action == "CreateFleet").unwrap().at);
        bed.moto.aws(&["ec2", "terminate-instances", "--instance-ids", &id]).await.unwrap();
        stage.says("n", "LaunchFailed", &["Client.InvalidKMSKey.InvalidState", &id]).await;
        let events = space.events("n", "DiedAtLaunch").await;
        assert!(events.iter().any(|event| event.contains(&id)), "{events:?}");
    }
    assert!((launched[1] - launched[0]).as_secs() >= 28, "half a minute, to the second: {launched:?}");
    stage.says("n", "LaunchFailed", &["2 launches in a row"]).await;
    stage.apply("n", 1, "app:v2").await;
    stage.until_running("n", 1).await;
    assert!(launched[1].elapsed().as_secs() < 60, "a change is launched at once");
    stage.deleted("n").await;
}
