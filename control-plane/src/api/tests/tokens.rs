//! Client tokens make a request idempotent.

use serde_json::json;

use super::service::{Service, node, route, route_spec};

#[tokio::test]
async fn the_same_request_gets_the_same_answer() {
    let service = Service::scenario().await;
    let mut request = node("n", &[80]);
    request["clientToken"] = json!("t-1");
    let first = service.put("/meshes/apps/virtualNodes", request.clone()).await.ok();
    service.put("/meshes/apps/virtualNodes/n", json!({"spec": node("n", &[81])["spec"]})).await.ok();
    let again = service.put("/meshes/apps/virtualNodes", request).await.ok();
    assert_eq!(again, first);
}

#[tokio::test]
async fn an_update_that_comes_twice_counts_once() {
    let service = Service::scenario().await;
    let routes = "/meshes/apps/virtualRouter/serviceB/routes";
    service.put(routes, route("x", &json!([{"virtualNode": "serviceB", "weight": 1}]))).await.ok();
    let spec = route_spec(&json!([{"virtualNode": "serviceB", "weight": 2}]));
    let request = json!({"spec": spec, "clientToken": "t"});
    let first = service.put(&format!("{routes}/x"), request.clone()).await.ok();
    let again = service.put(&format!("{routes}/x"), request).await.ok();
    assert_eq!(first["metadata"]["version"], 2);
    assert_eq!(again, first);
}

#[tokio::test]
async fn another_request_with_a_spent_token_is_a_conflict() {
    let service = Service::scenario().await;
    let mut request = node("n", &[80]);
    request["clientToken"] = json!("t");
    service.put("/meshes/apps/virtualNodes", request.clone()).await.ok();
    request["spec"]["listeners"][0]["portMapping"]["port"] = json!(81);
    let message = service.put("/meshes/apps/virtualNodes", request).await.refused("ConflictException", 409);
    assert!(message.starts_with("clientToken: \"t\" was already spent"), "{message}");
}

#[tokio::test]
async fn a_token_ends_with_its_resource() {
    let service = Service::scenario().await;
    let mut request = node("n", &[80]);
    request["clientToken"] = json!("t");
    let first = service.put("/meshes/apps/virtualNodes", request.clone()).await.ok();
    service.delete("/meshes/apps/virtualNodes/n").await.ok();
    let second = service.put("/meshes/apps/virtualNodes", request).await.ok();
    assert_ne!(first["metadata"]["uid"], second["metadata"]["uid"]);
    service.get("/meshes/apps/virtualNodes/n").await.ok();
}

#[tokio::test]
async fn a_refused_request_spends_no_token() {
    let service = Service::new();
    let mut request = node("n", &[80]);
    request["clientToken"] = json!("t");
    service.put("/meshes/m/virtualNodes", request.clone()).await.refused("NotFoundException", 404);
    service.put("/meshes", json!({"meshName": "m"})).await.ok();
    service.put("/meshes/m/virtualNodes", request).await.ok();
}

#[tokio::test]
async fn malformed_tokens_are_refused() {
    let service = Service::new();
    for token in ["", "a b", "0123456789012345678901234567890123456"] {
        let request = json!({"meshName": "m", "clientToken": token});
        let message = service.put("/meshes", request).await.refused("BadRequestException", 400);
        assert!(message.starts_with("clientToken: "), "{message}");
    }
}
