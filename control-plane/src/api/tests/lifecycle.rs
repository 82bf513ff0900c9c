//! Create, describe, update and delete of every kind.

use serde_json::{Value, json};

use super::service::{ApiService, node, route, route_spec};

const ROUTES: &str = "/meshes/apps/virtualRouter/serviceB/routes";

fn kinds() -> Vec<(&'static str, String, Value, Value)> {
    let one = json!([{"virtualNode": "serviceB", "weight": 100}]);
    let two = json!([{"virtualNode": "serviceB", "weight": 1}]);
    let to_node = json!({"provider": {"virtualNode": {"virtualNodeName": "serviceB"}}});
    let mut other_node = node("n", &[80])["spec"].clone();
    other_node["backends"] = json!([{"virtualService": {"virtualServiceName": "later.local"}}]);
    vec![
        (
            "/meshes",
            "other".into(),
            json!({"meshName": "other"}),
            json!({"egressFilter": {"type": "ALLOW_ALL"}}),
        ),
        ("/meshes/apps/virtualNodes", "n".into(), node("n", &[80]), other_node),
        (
            "/meshes/apps/virtualRouters",
            "r".into(),
            json!({"virtualRouterName": "r", "spec": {}}),
            json!({"listeners": [{"portMapping": {"port": 1, "protocol": "tcp"}}]}),
        ),
        (ROUTES, "x".into(), route("x", &one), route_spec(&two)),
        (
            "/meshes/apps/virtualServices",
            "b%2Elocal%3A80".into(),
            json!({"virtualServiceName": "b.local:80", "spec": {}}),
            to_node,
        ),
    ]
}

#[tokio::test]
async fn every_kind_comes_back_as_it_was_put() {
    let service = ApiService::scenario().await;
    for (collection, name, request, new_spec) in kinds() {
        let spec = request.get("spec").cloned().unwrap_or(json!({}));
        let created = service.put(collection, request).await.ok();
        assert_eq!(created["spec"], spec);
        assert_eq!(created["metadata"]["version"], 1);
        assert_eq!(created["status"], json!({"status": "ACTIVE"}));
        let one = format!("{collection}/{name}");
        assert_eq!(service.get(&one).await.ok(), created);

        let updated = service.put(&one, json!({"spec": new_spec})).await.ok();
        assert_eq!(updated["spec"], new_spec);
        assert_eq!(updated["metadata"]["version"], 2);
        for member in ["uid", "arn", "createdAt", "meshOwner", "resourceOwner"] {
            assert_eq!(updated["metadata"][member], created["metadata"][member], "{member}");
        }
        assert!(updated["metadata"]["lastUpdatedAt"].as_f64() >= created["metadata"]["createdAt"].as_f64());
        assert_eq!(service.get(&one).await.ok(), updated);

        let deleted = service.delete(&one).await.ok();
        assert_eq!(deleted["status"], json!({"status": "DELETED"}));
        assert_eq!(deleted["metadata"], updated["metadata"]);
        service.get(&one).await.refused("NotFoundException", 404);
        service.delete(&one).await.refused("NotFoundException", 404);
    }
}

#[tokio::test]
async fn arns_and_owners_are_those_of_the_account() {
    let service = ApiService::scenario().await;
    let targets = json!([{"virtualNode": "serviceB", "weight": 100}]);
    let created = service.put(ROUTES, route("x", &targets)).await.ok();
    let arn = "arn:aws:appmesh:us-west-2:111122223333:mesh/apps/virtualRouter/serviceB/route/x";
    assert_eq!(created["metadata"]["arn"], arn);
    assert_eq!(created["metadata"]["meshOwner"], "111122223333");
    assert_eq!(created["virtualRouterName"], "serviceB");
    assert_eq!((&created["meshName"], &created["routeName"]), (&json!("apps"), &json!("x")));
}

#[tokio::test]
async fn a_resource_made_again_has_another_uid() {
    let service = ApiService::scenario().await;
    let first = service.get("/meshes/apps/virtualNodes/serviceB").await.ok();
    service.delete("/meshes/apps/virtualNodes/serviceB").await.ok();
    let second = service.put("/meshes/apps/virtualNodes", node("serviceB", &[80])).await.ok();
    assert_ne!(first["metadata"]["uid"], second["metadata"]["uid"]);
    assert_eq!(second["metadata"]["version"], 1);
}

#[tokio::test]
async fn a_health_check_gets_its_listeners_port_and_nothing_else() {
    let service = ApiService::scenario().await;
    let mut request = node("n", &[8080]);
    request["spec"]["listeners"][0]["healthCheck"] = json!({
        "healthyThreshold": 2, "intervalMillis": 5000, "protocol": "http2", "path": "/ping",
        "timeoutMillis": 2000, "unhealthyThreshold": 2,
    });
    let mut expected = request["spec"].clone();
    expected["listeners"][0]["healthCheck"]["port"] = json!(8080);
    assert_eq!(service.put("/meshes/apps/virtualNodes", request).await.ok()["spec"], expected);
}

#[tokio::test]
async fn null_members_count_as_absent() {
    let service = ApiService::scenario().await;
    let body =
        json!({"virtualServiceName": "a", "spec": {"provider": null}, "tags": null, "clientToken": null});
    assert_eq!(service.put("/meshes/apps/virtualServices", body).await.ok()["spec"], json!({}));
}
