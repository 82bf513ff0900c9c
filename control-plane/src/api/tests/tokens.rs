//! Client tokens make a request idempotent.

use std::sync::Arc;

use serde_json::json;

use super::service::{ApiService, identity, node, route, route_spec};
use crate::store::SqliteStore;

#[tokio::test]
async fn the_same_request_gets_the_same_answer() {
    let service = ApiService::scenario().await;
    let mut request = node("n", &[80]);
    request["clientToken"] = json!("t-1");
    let first = service.put("/meshes/apps/virtualNodes", request.clone()).await.ok();
    service.put("/meshes/apps/virtualNodes/n", json!({"spec": node("n", &[81])["spec"]})).await.ok();
    let again = service.put("/meshes/apps/virtualNodes", request).await.ok();
    assert_eq!(again, first);
}

#[tokio::test]
async fn an_update_that_comes_twice_counts_once() {
    let service = ApiService::scenario().await;
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
    let service = ApiService::scenario().await;
    let mut request = node("n", &[80]);
    request["clientToken"] = json!("t");
    service.put("/meshes/apps/virtualNodes", request.clone()).await.ok();
    request["spec"]["listeners"][0]["portMapping"]["port"] = json!(81);
    let message = service.put("/meshes/apps/virtualNodes", request).await.refused("ConflictException", 409);
    assert!(message.starts_with("clientToken: \"t\" was already spent"), "{message}");
}

/// The attack: who may write one mesh spends there what another mesh's operator is about to spend. Its tokens can be worked out of
/// what is to be seen of the resource.
#[tokio::test]
async fn a_token_that_was_spent_in_another_mesh_is_none_here() {
    let service = ApiService::scenario().await;
    service.put("/meshes", json!({"meshName": "attacker"})).await.ok();
    let request = |port: u16| {
        let mut request = node("n", &[port]);
        request["clientToken"] = json!("t");
        request
    };
    let spent = service.put("/meshes/attacker/virtualNodes", request(81)).await.ok();
    let first = service.put("/meshes/apps/virtualNodes", request(80)).await.ok();
    // Nor does either take what the other remembers.
    assert_eq!(service.put("/meshes/attacker/virtualNodes", request(81)).await.ok(), spent);
    assert_eq!(service.put("/meshes/apps/virtualNodes", request(80)).await.ok(), first);
    service.put("/meshes/apps/virtualNodes", request(82)).await.refused("ConflictException", 409);
}

#[tokio::test]
async fn a_token_ends_with_its_resource() {
    let service = ApiService::scenario().await;
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
    let service = ApiService::new();
    let mut request = node("n", &[80]);
    request["clientToken"] = json!("t");
    service.put("/meshes/m/virtualNodes", request.clone()).await.refused("NotFoundException", 404);
    service.put("/meshes", json!({"meshName": "m"})).await.ok();
    service.put("/meshes/m/virtualNodes", request).await.ok();
}

#[tokio::test]
async fn malformed_tokens_are_refused() {
    let service = ApiService::new();
    for token in ["", "a b", "0123456789012345678901234567890123456"] {
        let request = json!({"meshName": "m", "clientToken": token});
        let message = service.put("/meshes", request).await.refused("BadRequestException", 400);
        assert!(message.starts_with("clientToken: "), "{message}");
    }
}

/// Who may write one mesh, and updates with a large spec and a token of its own each: his mesh keeps the last tokens, without
/// what they were spent on, and another mesh's stay.
#[tokio::test]
async fn updates_with_a_token_each_fill_no_disk_and_take_no_other_meshs_tokens() {
    const BOUND: u32 = 10;
    let directory = tempfile::tempdir().expect("a directory");
    let open = || {
        let store = SqliteStore::open(directory.path(), &identity(), BOUND).expect("a store");
        ApiService::on(Arc::new(store), &[], None)
    };
    let bytes = || -> u64 {
        let files = std::fs::read_dir(directory.path()).expect("a folder").map(|file| file.expect("a file"));
        files.map(|file| file.metadata().expect("it exists").len()).sum()
    };
    let name = |index: usize| format!("{}.{index}.local", ["x".repeat(60), "y".repeat(60)].join("."));
    let backends: Vec<_> =
        (0..50).map(|index| json!({"virtualService": {"virtualServiceName": name(index)}})).collect();
    let update =
        |index: usize| json!({"spec": {"backends": backends}, "clientToken": format!("attack-{index}")});

    let service = open();
    for mesh in ["attacked", "other"] {
        service.put("/meshes", json!({"meshName": mesh})).await.ok();
    }
    service.put("/meshes/attacked/virtualNodes", node("n", &[80])).await.ok();
    service.put("/meshes/attacked/virtualNodes/n", update(0)).await.ok();
    let mut others = node("n", &[80]);
    others["clientToken"] = json!("other");
    let first = service.put("/meshes/other/virtualNodes", others.clone()).await.ok();
    drop(service);
    let before = bytes();

    let service = open();
    for index in 1..=100 {
        let answer = service.put("/meshes/attacked/virtualNodes/n", update(index)).await.ok();
        assert_eq!(answer["metadata"]["version"], index + 2);
    }
    let again = service.put("/meshes/attacked/virtualNodes/n", update(91)).await.ok();
    assert_eq!(again["metadata"]["version"], 93, "one of the last tokens");
    assert_eq!(service.put("/meshes/other/virtualNodes", others).await.ok(), first);
    let forgotten = service.put("/meshes/attacked/virtualNodes/n", update(90)).await.ok();
    assert_eq!(forgotten["metadata"]["version"], 103, "decided anew");
    drop(service);
    let grown = bytes() - before;
    assert!(grown < 64 * 1024, "{grown} bytes after 100 updates of {} bytes", update(0).to_string().len());
}
