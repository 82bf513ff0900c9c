//! Every command of the scenario, with its JSON bodies unchanged.

use fleetmesh_testbed::aws::AppMesh;
use fleetmesh_testbed::control_plane::ControlPlane;
use fleetmesh_testbed::run_dir::RunDir;
use serde_json::{Value, json};

/// The commands in the scenario's order: operation and what stands after `--cli-input-json`.
const COMMANDS: [(&str, &str); 11] = [
    ("create-mesh", r#"{"meshName":"apps"}"#),
    ("create-virtual-service", r#"{"meshName":"apps","spec":{},"virtualServiceName":"serviceb.apps.local"}"#),
    (
        "create-virtual-node",
        r#"{"meshName":"apps","spec":{"listeners":[{"portMapping":{"port":80,"protocol":"http2"}}],"serviceDiscovery":{"dns":{"hostname":"serviceB.apps.local"}}},"virtualNodeName":"serviceB"}"#,
    ),
    (
        "create-virtual-router",
        r#"{"meshName":"apps","spec":{"listeners":[{"portMapping":{"port":80,"protocol":"http2"}}]},"virtualRouterName":"serviceB"}"#,
    ),
    (
        "create-route",
        r#"{"meshName":"apps","routeName":"serviceB","spec":{"http2Route":{"action":{"weightedTargets":[{"virtualNode":"serviceB","weight":100}]},"match":{"prefix":"/"}}},"virtualRouterName":"serviceB"}"#,
    ),
    (
        "create-virtual-node",
        r#"{"meshName":"apps","spec":{"listeners":[{"portMapping":{"port":80,"protocol":"http2"}}],"serviceDiscovery":{"dns":{"hostname":"serviceBv2.apps.local"}}},"virtualNodeName":"serviceBv2"}"#,
    ),
    (
        "create-virtual-node",
        r#"{"meshName":"apps","spec":{"backends":[{"virtualService":{"virtualServiceName":"serviceb.apps.local"}}],"listeners":[{"portMapping":{"port":80,"protocol":"http2"}}],"serviceDiscovery":{"dns":{"hostname":"servicea.apps.local"}}},"virtualNodeName":"serviceA"}"#,
    ),
    (
        "update-virtual-service",
        r#"{"meshName":"apps","spec":{"provider":{"virtualRouter":{"virtualRouterName":"serviceB"}}},"virtualServiceName":"serviceb.apps.local"}"#,
    ),
    (
        "update-route",
        r#"{"meshName":"apps","routeName":"serviceB","spec":{"http2Route":{"action":{"weightedTargets":[{"virtualNode":"serviceB","weight":75},{"virtualNode":"serviceBv2","weight":25}]},"match":{"prefix":"/"}}},"virtualRouterName":"serviceB"}"#,
    ),
    (
        "create-virtual-service",
        r#"{"meshName":"apps","spec":{"provider":{"virtualNode":{"virtualNodeName":"serviceA"}}},"virtualServiceName":"servicea.apps.local"}"#,
    ),
    (
        "update-route",
        r#"{"meshName":"apps","routeName":"serviceB","spec":{"http2Route":{"action":{"weightedTargets":[{"virtualNode":"serviceB","weight":0},{"virtualNode":"serviceBv2","weight":100}]},"match":{"prefix":"/"}}},"virtualRouterName":"serviceB"}"#,
    ),
];

/// What a command's object is called in its answer and in the operation's name: `virtualNode` and `virtual-node`.
fn kind(operation: &str) -> (&'static str, &str) {
    let words = operation.split_once('-').expect("a verb and a kind").1;
    let member = match words {
        "mesh" => "mesh",
        "virtual-node" => "virtualNode",
        "virtual-router" => "virtualRouter",
        "route" => "route",
        "virtual-service" => "virtualService",
        other => panic!("{other} is no kind of the scenario"),
    };
    (member, words)
}

/// The members of `input` that name an object.
fn names(input: &Value) -> Value {
    let named = input.as_object().expect("an object").iter().filter(|(member, _)| member.ends_with("Name"));
    Value::Object(named.map(|(member, name)| (member.clone(), name.clone())).collect())
}

#[tokio::test]
async fn every_command_of_the_scenario_does_what_it_says() {
    let run = RunDir::new("aws-cli").unwrap();
    let mut control_plane = ControlPlane::start(&run).await.unwrap();
    let aws = AppMesh::new(&control_plane.endpoint());

    let mut versions = std::collections::BTreeMap::new();
    for (operation, body) in COMMANDS {
        let input: Value = serde_json::from_str(body).unwrap();
        let (member, words) = kind(operation);
        let answer = aws.run(&[operation, "--cli-input-json", body]).await.unwrap();
        let object = &answer[member];

        let version = versions.entry(object["metadata"]["arn"].to_string()).or_insert(0);
        *version += 1;
        assert_eq!(object["metadata"]["version"], json!(*version), "{operation} {body}");
        assert_eq!(object["spec"], input.get("spec").cloned().unwrap_or(json!({})));
        assert_eq!(object["status"], json!({ "status": "ACTIVE" }));
        for (member, name) in names(&input).as_object().unwrap() {
            assert_eq!(&object[member], name, "{operation}");
        }
        // The review of the scenario: describe-* shows what was put.
        let described = aws.call(&format!("describe-{words}"), &names(&input)).await.unwrap();
        assert_eq!(described, answer, "{operation}");
    }

    let before = everything(&aws).await;
    control_plane.kill();
    control_plane.restart(&run).await.unwrap();
    assert_eq!(everything(&aws).await, before, "a killed control plane has lost or changed something");

    // Created last, deleted first.
    for (operation, body) in COMMANDS.iter().rev().filter(|(operation, _)| operation.starts_with("create")) {
        let (member, words) = kind(operation);
        // A route's target and a service's provider are held, so what holds them goes first.
        if words == "virtual-node" || words == "mesh" || words == "virtual-router" {
            continue;
        }
        let deleted =
            aws.call(&format!("delete-{words}"), &names(&serde_json::from_str(body).unwrap())).await;
        assert_eq!(deleted.unwrap()[member]["status"], json!({ "status": "DELETED" }));
    }
    for held in ["virtual-router", "virtual-node", "mesh"] {
        for (operation, body) in
            COMMANDS.iter().filter(|(operation, _)| *operation == format!("create-{held}"))
        {
            let (_, words) = kind(operation);
            let input = names(&serde_json::from_str(body).unwrap());
            aws.call(&format!("delete-{words}"), &input).await.unwrap();
        }
    }
    assert_eq!(aws.run(&["list-meshes"]).await.unwrap(), json!({ "meshes": [] }));
}

/// All objects of the scenario as they are described.
async fn everything(aws: &AppMesh) -> Vec<Value> {
    let mut all = Vec::new();
    for (operation, body) in COMMANDS.iter().filter(|(operation, _)| operation.starts_with("create")) {
        let input = names(&serde_json::from_str(body).unwrap());
        all.push(aws.call(&format!("describe-{}", kind(operation).1), &input).await.unwrap());
    }
    all
}

#[tokio::test]
async fn tags_come_and_go_by_the_cli() {
    let run = RunDir::new("aws-tags").unwrap();
    let control_plane = ControlPlane::start(&run).await.unwrap();
    let aws = AppMesh::new(&control_plane.endpoint());
    let mesh = aws.run(&["create-mesh", "--mesh-name", "apps", "--tags", "key=a,value=1"]).await.unwrap();
    let arn = mesh["mesh"]["metadata"]["arn"].as_str().unwrap();
    aws.run(&["tag-resource", "--resource-arn", arn, "--tags", "key=b,value=2"]).await.unwrap();
    aws.run(&["untag-resource", "--resource-arn", arn, "--tag-keys", "a"]).await.unwrap();
    let tags = aws.run(&["list-tags-for-resource", "--resource-arn", arn]).await.unwrap();
    assert_eq!(tags, json!({ "tags": [{ "key": "b", "value": "2" }] }));
}
