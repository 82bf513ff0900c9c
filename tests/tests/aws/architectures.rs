//! Fleets on types of another architecture than x86-64, in front of an EC2 that does not start what does not match.

use fleetmesh_testbed::{fleet_class, wait};
use serde_json::{Value, json};

use crate::bed::{AwsBed, LIMIT, TIMEOUT};
use crate::ec2::of_node;
use crate::fleet::fleet;
use crate::space::Space;

const ARM64: &str = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64";

async fn apply(space: &Space, types: &[&str], image: Value) {
    let mut spec = fleet(1, "app:v1");
    spec["fleet"]["className"] = json!("graviton");
    spec["fleet"]["capacity"]["instanceTypes"] = json!(types);
    spec["fleet"]["image"] = image;
    space.apply(&space.node("n", spec)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_has_the_ami_of_its_types_and_what_does_not_match_is_never_asked_for() {
    let bed = AwsBed::start("architectures").await;
    let space = bed.space("graviton").await;
    let types = ["t4g.small", "t3.small"];
    let named = json!({ "ids": ["ami-12c6146b"], "ssmParameters": ["/aws/service/"] });
    space
        .apply(&fleet_class::manifest("graviton", &json!({ "instanceTypes": types, "images": named })))
        .await;

    apply(&space, &types, Value::Null).await;
    let message = space.until("n", "FleetReady", "ValueNotInClass").await;
    assert!(message.contains("t4g.small (arm64), t3.small (x86_64)"), "{message}");
    apply(&space, &types[..1], json!({ "id": "ami-12c6146b" })).await;
    wait::until("the AMI is refused", LIMIT, async || {
        let message = space.until("n", "FleetReady", "ValueNotInClass").await;
        let words = "the AMI ami-12c6146b of fleet.image is for x86_64";
        anyhow::ensure!(message.contains(words), "{message}");
        Ok(Some(()))
    })
    .await
    .unwrap();
    assert_eq!(bed.front.count("CreateFleet"), 0);

    let mut class = fleet_class::manifest("graviton", &json!({ "instanceTypes": types }));
    class["spec"].as_object_mut().unwrap().remove("images");
    space.apply(&class).await;
    apply(&space, &types[..1], Value::Null).await;
    let found = wait::until("one runs", LIMIT, async || {
        let found = of_node(&bed.moto, &space, "n").await;
        anyhow::ensure!(found.len() == 1, "{}", space.get("n").await["status"]);
        Ok(Some(found))
    })
    .await
    .unwrap();
    let parameter = bed.moto.aws(&["ssm", "get-parameter", "--name", ARM64]).await.unwrap();
    assert_eq!(found[0]["ImageId"], parameter["Parameter"]["Value"]);
    assert_eq!(found[0]["InstanceType"], "t4g.small");
    space.run(&["delete", "virtualnode/n", TIMEOUT]).await;
}
