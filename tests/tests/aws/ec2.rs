//! What there is in EC2, asked with the real AWS CLI.

use std::net::IpAddr;

use fleetmesh_testbed::moto::Moto;
use serde_json::{Value, json};

use crate::space::Space;

/// The instances in moto that the filter finds, of any state but terminated.
pub async fn instances(moto: &Moto, filter: &str) -> Vec<Value> {
    let states = "Name=instance-state-name,Values=pending,running,stopping,stopped";
    let answer = moto.aws(&["ec2", "describe-instances", "--filters", filter, states]).await.unwrap();
    let reservations = answer["Reservations"].as_array().unwrap().iter();
    reservations.flat_map(|one| one["Instances"].as_array().unwrap().clone()).collect()
}

/// The same of a node's fleet.
pub async fn of_node(moto: &Moto, space: &Space, node: &str) -> Vec<Value> {
    let uid = space.get(node).await["metadata"]["uid"].as_str().unwrap().to_owned();
    instances(moto, &format!("Name=tag:fleetmesh.dev/owner-uid,Values={uid}")).await
}

/// The ids of a node's fleet, in order.
pub async fn ids_of(moto: &Moto, space: &Space, node: &str) -> Vec<String> {
    let instances = of_node(moto, space, node).await;
    let mut ids: Vec<String> =
        instances.iter().map(|one| one["InstanceId"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids
}

/// The private address of an instance.
pub async fn address(moto: &Moto, id: &str) -> IpAddr {
    let found = instances(moto, &format!("Name=instance-id,Values={id}")).await;
    found[0]["PrivateIpAddress"].as_str().unwrap().parse().unwrap()
}

/// The value of a tag; empty without it.
pub fn tag<'a>(thing: &'a Value, key: &str) -> &'a str {
    let tags = thing["Tags"].as_array().unwrap().iter();
    tags.clone().find(|tag| tag["Key"] == key).map_or("", |tag| tag["Value"].as_str().unwrap())
}

/// The ARN of an instance's profile; null without one.
pub async fn profile_of(moto: &Moto, id: &str) -> Value {
    let filter = format!("Name=instance-id,Values={id}");
    let arguments = ["ec2", "describe-iam-instance-profile-associations", "--filters", &filter];
    let answer = moto.aws(&arguments).await.unwrap();
    answer["IamInstanceProfileAssociations"][0]["IamInstanceProfile"]["Arn"].clone()
}

/// The launch templates of this name; there is one at the most, or something was made twice.
pub async fn template(moto: &Moto, name: &str) -> Value {
    let answer = moto.aws(&["ec2", "describe-launch-templates"]).await.unwrap();
    let templates = answer["LaunchTemplates"].as_array().unwrap().iter();
    let found: Vec<&Value> = templates.filter(|one| one["LaunchTemplateName"] == name).collect();
    assert!(found.len() <= 1, "{found:?}");
    found.first().map_or(json!(null), |found| (*found).clone())
}
