//! Meshes that are shared with another account: what that one may do in them, and what it may not.

use std::path::Path;

use http::Method;
use serde_json::{Value, json};

use super::service::{ApiService, gateway, gateway_route, node, route, route_spec, router};
use crate::rights::{KeyPolicy, Rights};

const OWNER: &str = "111122223333";
const CONSUMER: &str = "444455556666";

/// The file of shares: the mesh `apps` of the first account is shared with the second.
const SHARED: &str = r#"[{"meshOwner": "111122223333", "meshName": "apps", "accounts": ["444455556666"]}]"#;

struct Accounts {
    owner: ApiService,
    consumer: ApiService,
    third: ApiService,
}

/// A mesh `apps` with node, router and route of its owner, shared with the consumer, who has a mesh `apps` of its own, too.
async fn accounts(directory: &Path) -> Accounts {
    std::fs::write(directory.join("shares"), SHARED).expect("written");
    let service = ApiService::of_accounts(directory, &[]);
    let accounts = Accounts {
        owner: service.called_by(None),
        consumer: service.called_by(Some(CONSUMER)),
        third: service.called_by(Some("777788889999")),
    };
    let owner = &accounts.owner;
    owner.put("/meshes", json!({"meshName": "apps"})).await.ok();
    owner.put("/meshes/apps/virtualNodes", node("ours", &[80])).await.ok();
    owner.put("/meshes/apps/virtualRouters", router("ours", &[(80, "http2")])).await.ok();
    let targets = json!([{"virtualNode": "ours", "weight": 1}]);
    owner.put("/meshes/apps/virtualRouter/ours/routes", route("ours", &targets)).await.ok();
    accounts.consumer.put("/meshes", json!({"meshName": "apps"})).await.ok();
    accounts
}

fn shared(path: &str) -> String {
    format!("/meshes/apps{path}?meshOwner={OWNER}")
}

fn arn(resource: &str) -> String {
    format!("arn:aws:appmesh:us-west-2:{OWNER}:{resource}")
}

#[tokio::test]
async fn consumers_make_resources_of_their_own_that_name_the_owners() {
    let directory = tempfile::tempdir().expect("a directory");
    let Accounts { owner, consumer, third } = accounts(directory.path()).await;
    let made = consumer.put(&shared("/virtualNodes"), node("theirs", &[80])).await.ok();
    let metadata = &made["metadata"];
    assert_eq!((&metadata["meshOwner"], &metadata["resourceOwner"]), (&json!(OWNER), &json!(CONSUMER)));
    assert_eq!(metadata["arn"], arn("mesh/apps/virtualNode/theirs"));
    consumer.put(&shared("/virtualRouters"), router("theirs", &[(80, "http2")])).await.ok();
    let both = json!([{"virtualNode": "ours", "weight": 1}, {"virtualNode": "theirs", "weight": 1}]);
    consumer.put(&shared("/virtualRouter/theirs/routes"), route("theirs", &both)).await.ok();
    let service = json!({"virtualServiceName": "s.local", "spec": {
        "provider": {"virtualRouter": {"virtualRouterName": "theirs"}},
    }});
    consumer.put(&shared("/virtualServices"), service).await.ok();
    // The owner's route may lead to the consumer's node, which is not deleted then.
    let update = json!({"spec": route_spec(&both)});
    owner.put("/meshes/apps/virtualRouter/ours/routes/ours", update.clone()).await.ok();
    consumer.delete(&shared("/virtualNodes/theirs")).await.refused("ResourceInUseException", 409);
    // Both see all of it in the same way, and the third nothing.
    for path in ["", "/virtualNodes", "/virtualRouters", "/virtualServices", "/virtualRouter/ours/routes"] {
        let seen = owner.get(&format!("/meshes/apps{path}")).await.ok();
        assert_eq!(seen, consumer.get(&shared(path)).await.ok(), "{path}");
        third.get(&shared(path)).await.refused("NotFoundException", 404);
    }
    let nodes = owner.get("/meshes/apps/virtualNodes").await.ok();
    let owners: Vec<_> = nodes["virtualNodes"].as_array().expect("a list").iter().collect();
    let owners: Vec<_> =
        owners.iter().map(|node| (&node["virtualNodeName"], &node["resourceOwner"])).collect();
    assert_eq!(owners, [(&json!("ours"), &json!(OWNER)), (&json!("theirs"), &json!(CONSUMER))]);
    let meshes = consumer.get("/meshes").await.ok();
    let owners: Vec<_> = meshes["meshes"].as_array().expect("a list").iter().collect();
    let owners: Vec<_> = owners.iter().map(|mesh| (&mesh["meshName"], &mesh["meshOwner"])).collect();
    assert_eq!(owners, [(&json!("apps"), &json!(CONSUMER)), (&json!("apps"), &json!(OWNER))]);
    let first = consumer.get("/meshes?limit=1").await.ok();
    let path = format!("/meshes?nextToken={}", first["nextToken"].as_str().expect("there is more"));
    assert_eq!(consumer.get(&path).await.ok()["meshes"], json!([meshes["meshes"][1]]));
    assert_eq!(owner.get("/meshes").await.ok()["meshes"].as_array().map(Vec::len), Some(1));
    // Nothing of it is in the consumer's own mesh of that name.
    assert_eq!(consumer.get("/meshes/apps/virtualNodes").await.ok(), json!({"virtualNodes": []}));
    owner.delete("/meshes/apps").await.refused("ResourceInUseException", 409);
    // It outlives the process.
    drop((owner, consumer, third));
    let service = ApiService::of_accounts(directory.path(), &[]);
    let again = service.called_by(Some(CONSUMER)).get(&shared("/virtualNodes/theirs")).await.ok();
    assert_eq!(again["metadata"], made["metadata"]);
    assert_eq!(service.get("/meshes/apps/virtualNodes").await.ok(), nodes);
}

/// What each of them may do to what the other made; the owner of the mesh may delete it.
#[tokio::test]
async fn neither_changes_what_the_other_made() {
    let directory = tempfile::tempdir().expect("a directory");
    let Accounts { owner, consumer, .. } = accounts(directory.path()).await;
    consumer.put(&shared("/virtualNodes"), node("theirs", &[80])).await.ok();
    consumer.put(&shared("/virtualRouters"), router("theirs", &[(80, "http2")])).await.ok();
    let targets = json!([{"virtualNode": "ours", "weight": 1}]);
    let spec = |request: Value| json!({"spec": request["spec"]});
    let (tag, untag) = (json!({"tags": [{"key": "a", "value": "b"}]}), json!({"tagKeys": ["a"]}));
    let attempts = |name: &str| {
        let tagged = arn(&format!("mesh/apps/virtualNode/{name}"));
        let router = format!("/virtualRouter/{name}/routes");
        vec![
            (Method::PUT, shared(&format!("/virtualNodes/{name}")), spec(node(name, &[80, 81]))),
            (
                Method::PUT,
                shared(&format!("/virtualRouters/{name}")),
                spec(self::router(name, &[(80, "http2")])),
            ),
            (Method::PUT, shared(&router), route("intruder", &targets)),
            (Method::GET, format!("/tags?resourceArn={tagged}"), Value::Null),
            (Method::PUT, format!("/tag?resourceArn={tagged}"), tag.clone()),
            (Method::PUT, format!("/untag?resourceArn={tagged}"), untag.clone()),
        ]
    };
    let forbidden = async |who: &ApiService, (method, path, body): &(Method, String, Value)| {
        who.call(method.clone(), path, body).await.refused("ForbiddenException", 403);
    };
    for attempt in attempts("ours") {
        forbidden(&consumer, &attempt).await;
    }
    for attempt in attempts("theirs") {
        forbidden(&owner, &attempt).await;
    }
    for attempt in [
        (Method::DELETE, shared("/virtualRouter/ours/routes/ours"), Value::Null),
        (Method::DELETE, shared("/virtualNodes/ours"), Value::Null),
        (Method::PUT, shared(""), json!({"spec": {"egressFilter": {"type": "ALLOW_ALL"}}})),
        (Method::DELETE, shared(""), Value::Null),
        (Method::PUT, format!("/tag?resourceArn={}", arn("mesh/apps")), tag.clone()),
        (Method::GET, format!("/tags?resourceArn={}", arn("mesh/apps")), Value::Null),
    ] {
        forbidden(&consumer, &attempt).await;
    }
    // Only the mesh's owner makes gateways, which the consumer sees.
    let (gateways, routes) = (shared("/virtualGateways"), shared("/virtualGateway/edge/gatewayRoutes"));
    forbidden(&consumer, &(Method::PUT, gateways.clone(), gateway("edge"))).await;
    owner.put(&gateways, gateway("edge")).await.ok();
    let name = json!({"virtualServiceName": "s.local", "spec": {}});
    owner.put("/meshes/apps/virtualServices", name).await.ok();
    forbidden(&consumer, &(Method::PUT, routes.clone(), gateway_route("g", "s.local"))).await;
    owner.put(&routes, gateway_route("g", "s.local")).await.ok();
    assert_eq!(consumer.get(&routes).await.ok(), owner.get(&routes).await.ok());
    // With their own both do as they like; neither gets the other's answer for the other's token.
    let token = |name: &str, token: &str| {
        let mut request = node(name, &[80]);
        request["clientToken"] = json!(token);
        request
    };
    owner.put("/meshes/apps/virtualNodes", token("new", "t")).await.ok();
    consumer.put(&shared("/virtualNodes"), token("new", "t")).await.refused("ConflictException", 409);
    consumer.put(&shared("/virtualNodes"), token("new", "u")).await.refused("ConflictException", 409);
    for (method, path, body) in attempts("theirs") {
        consumer.call(method, &path, &body).await.ok();
    }
    owner.delete("/meshes/apps/virtualRouter/theirs/routes/intruder").await.ok();
    owner.delete("/meshes/apps/virtualNodes/theirs").await.ok();
    // What has its name next is the owner's alone.
    owner.put("/meshes/apps/virtualNodes", node("theirs", &[80])).await.ok();
    consumer.delete(&shared("/virtualNodes/theirs")).await.refused("ForbiddenException", 403);
}

/// A key for the mesh `apps` of its own account is none for the one that another account shares.
#[tokio::test]
async fn a_key_covers_another_accounts_mesh_by_its_whole_name_only() {
    let directory = tempfile::tempdir().expect("a directory");
    let Accounts { mut consumer, .. } = accounts(directory.path()).await;
    let Rights::Key(holder) = consumer.rights.clone() else { panic!("it is a key") };
    for (mesh, own, others) in [("apps", true, false), ("apps@111122223333", false, true)] {
        let meshes = Some([mesh.to_owned()].into());
        let policy = KeyPolicy { meshes, ..holder.policy.clone() };
        consumer.rights = Rights::Key(crate::rights::KeyHolder { policy, ..(*holder).clone() }.into());
        for (path, allowed) in [("/meshes/apps".to_owned(), own), (shared(""), others)] {
            let answer = consumer.get(&path).await;
            let status = if allowed { 200 } else { 403 };
            assert_eq!(answer.status, status, "{mesh} {path}: {}", answer.body);
        }
    }
}

/// When a share ends, what the consumer made stays and is the owner's to delete.
#[tokio::test]
async fn a_share_that_ended_leaves_nothing_to_the_consumer() {
    let directory = tempfile::tempdir().expect("a directory");
    let Accounts { owner, consumer, third } = accounts(directory.path()).await;
    consumer.put(&shared("/virtualNodes"), node("theirs", &[80])).await.ok();
    drop((owner, consumer, third));
    std::fs::write(directory.path().join("shares"), "[]").expect("written");
    let service = ApiService::of_accounts(directory.path(), &[]);
    let (owner, consumer) = (service.called_by(None), service.called_by(Some(CONSUMER)));
    for path in ["", "/virtualNodes", "/virtualNodes/theirs", "/virtualNodes/ours"] {
        consumer.get(&shared(path)).await.refused("NotFoundException", 404);
    }
    consumer.delete(&shared("/virtualNodes/theirs")).await.refused("NotFoundException", 404);
    consumer.put(&shared("/virtualNodes"), node("more", &[80])).await.refused("NotFoundException", 404);
    owner.get("/meshes/apps/virtualNodes/theirs").await.ok();
    owner.delete("/meshes/apps/virtualNodes/theirs").await.ok();
}
