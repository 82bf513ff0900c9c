//! The operator's own rights: the document that `fleetmesh iam policy` prints. Every test of this suite runs its operator
//! with it; those here hold it against AWS's reference, and take one action away at a time.

mod app_mesh;
mod attacks;
mod gate;
mod less;
mod walk;

use std::collections::BTreeSet;
use std::process::Command;

use fleetmesh_testbed::{aws, command, tools};
use serde_json::{Value, json};

use crate::account::ACCOUNT;
use crate::bed::{CLUSTER, IDENTITIES};

/// What `fleetmesh iam policy` prints for the operator of a bed, all documents as one: IAM takes a union of them.
pub async fn generated() -> Value {
    let more = ["--ssm-parameter-prefix", "/images/", "--cloud-map-service", "*"];
    printed(CLUSTER, &[&IDENTITIES[..], &more].concat()).await
}

/// The same for this cluster, with other flags.
pub async fn printed(cluster: &str, flags: &[&str]) -> Value {
    let mut print = Command::new(tools::fleetmesh().unwrap());
    print.args(["iam", "policy", "--region", aws::REGION, "--account-id", ACCOUNT]);
    print.args(["--cluster-name", cluster]).args(flags);
    let documents: Value = serde_json::from_str(&command::run(print).await.unwrap()).unwrap();
    let documents = documents.as_object().unwrap();
    let statements = documents.values().flat_map(|document| document["Statement"].as_array().unwrap());
    json!({ "Version": "2012-10-17", "Statement": statements.collect::<Vec<_>>() })
}

/// What `fleetmesh control-plane --help` says that the control plane needs.
pub fn of_control_plane() -> Value {
    let actions = ["servicediscovery:DiscoverInstances", "servicediscovery:DiscoverInstancesRevision"];
    json!({ "Version": "2012-10-17",
        "Statement": [{ "Effect": "Allow", "Action": actions, "Resource": "*" }] })
}

/// Every action that a policy allows.
fn actions(policy: &Value) -> BTreeSet<String> {
    let statements = policy["Statement"].as_array().unwrap().iter();
    let statements = statements.filter(|statement| statement["Effect"] == "Allow");
    let actions = statements.flat_map(|statement| statement["Action"].as_array().unwrap());
    actions.map(|action| action.as_str().unwrap().to_owned()).collect()
}

/// What AWS's Service Authorization Reference does not know of a policy, a line each.
async fn complaints(policy: &str) -> String {
    let mut check = Command::new(tools::tool("python").unwrap());
    check.arg(tools::workspace_dir().unwrap().join("tests/testbed/moto/reference.py")).arg(policy);
    command::run(check).await.unwrap()
}

#[tokio::test]
async fn aws_knows_each_action_on_these_resources_under_these_conditions() {
    let policy = generated().await.to_string();
    assert_eq!(complaints(&policy).await, "");
    let limited = printed(CLUSTER, &attacks::limited()).await.to_string();
    assert_eq!(complaints(&limited).await, "");
    let cases = [
        ("iam:GetRole\"", "iam:GetRoles\"", "iam:GetRoles is no action"),
        ("ec2:NewInstanceProfile", "ec2:NewProfile", "ec2:AssociateIamInstanceProfile knows no resource"),
        (":role/*", ":rule/*", "iam:GetRole needs iam:role, too"),
        ("iam:PermissionsBoundary", "iam:Boundary", "iam:CreateRole knows no resource"),
    ];
    for (right, wrong, words) in cases {
        let found = complaints(&policy.replace(right, wrong)).await;
        assert!(found.contains(words), "{wrong} is not noticed: {found}");
    }
}
