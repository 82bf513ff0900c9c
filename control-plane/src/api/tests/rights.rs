//! What a key may do with each operation: a key for another mesh and a read-only key, on everything that exists.

use std::collections::BTreeSet;
use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};

use super::service::{ApiService, node, route, route_spec, router};
use crate::rights::{Access, KeyHolder, KeyPolicy, Rights};

fn key(meshes: &[&str], access: Access) -> Rights {
    let named: BTreeSet<String> = meshes.iter().map(|name| (*name).to_owned()).collect();
    let policy = KeyPolicy { account: None, meshes: (!named.is_empty()).then_some(named), access };
    Rights::Key(Arc::new(KeyHolder { id: "FMKYTEST".into(), name: "test".into(), policy }))
}

/// A mesh `apps` with one resource of each kind, and a mesh `other`.
async fn service() -> ApiService {
    let service = ApiService::scenario().await;
    let targets = json!([{"virtualNode": "serviceB", "weight": 1}]);
    service.put("/meshes/apps/virtualRouter/serviceB/routes", route("r", &targets)).await.ok();
    let name = json!({"virtualServiceName": "s.local", "spec": {}});
    service.put("/meshes/apps/virtualServices", name).await.ok();
    service.put("/meshes", json!({"meshName": "other"})).await.ok();
    service
}

fn arn(resource: &str) -> String {
    format!("arn:aws:appmesh:us-west-2:111122223333:{resource}")
}

/// Every operation on the mesh `apps` that reads, and what its refusal calls it.
fn reads() -> Vec<(String, &'static str)> {
    let tags = arn("mesh/apps/virtualNode/serviceB");
    [
        ("/meshes/apps", "DescribeMesh"),
        ("/meshes/apps/virtualNodes", "ListVirtualNodes"),
        ("/meshes/apps/virtualNodes/serviceB", "DescribeVirtualNode"),
        ("/meshes/apps/virtualRouters", "ListVirtualRouters"),
        ("/meshes/apps/virtualRouters/serviceB", "DescribeVirtualRouter"),
        ("/meshes/apps/virtualRouter/serviceB/routes", "ListRoutes"),
        ("/meshes/apps/virtualRouter/serviceB/routes/r", "DescribeRoute"),
        ("/meshes/apps/virtualServices", "ListVirtualServices"),
        ("/meshes/apps/virtualServices/s.local", "DescribeVirtualService"),
        (&format!("/tags?resourceArn={tags}"), "ListTagsForResource"),
    ]
    .map(|(path, action)| (path.to_owned(), action))
    .into()
}

/// Every operation on it that writes, in an order in which each would succeed.
fn writes() -> Vec<(Method, String, Value, &'static str)> {
    let tagged = arn("mesh/apps/virtualNode/serviceB");
    let (tag, untag) = (json!({"tags": [{"key": "a", "value": "b"}]}), json!({"tagKeys": ["a"]}));
    let spec = json!({"spec": {}});
    let targets = json!([{"virtualNode": "serviceB", "weight": 2}]);
    let routes = "/meshes/apps/virtualRouter/serviceB/routes";
    let one = |name: &str, member: &str| json!({ member: name, "spec": {} });
    [
        (Method::PUT, "/meshes", json!({"meshName": "apps", "spec": {}}), "CreateMesh"),
        (Method::PUT, "/meshes/apps", spec.clone(), "UpdateMesh"),
        (Method::PUT, "/meshes/apps/virtualNodes", node("new", &[80]), "CreateVirtualNode"),
        (Method::PUT, "/meshes/apps/virtualNodes/new", spec_of(&node("new", &[80])), "UpdateVirtualNode"),
        (Method::DELETE, "/meshes/apps/virtualNodes/new", Value::Null, "DeleteVirtualNode"),
        (Method::PUT, "/meshes/apps/virtualRouters", router("new", &[(80, "http2")]), "CreateVirtualRouter"),
        (Method::DELETE, "/meshes/apps/virtualRouters/new", Value::Null, "DeleteVirtualRouter"),
        (Method::PUT, routes, route("new", &targets), "CreateRoute"),
        (Method::PUT, &format!("{routes}/new"), json!({"spec": route_spec(&targets)}), "UpdateRoute"),
        (Method::DELETE, &format!("{routes}/new"), Value::Null, "DeleteRoute"),
        (
            Method::PUT,
            "/meshes/apps/virtualServices",
            one("new", "virtualServiceName"),
            "CreateVirtualService",
        ),
        (Method::PUT, "/meshes/apps/virtualServices/new", spec, "UpdateVirtualService"),
        (Method::DELETE, "/meshes/apps/virtualServices/new", Value::Null, "DeleteVirtualService"),
        (Method::PUT, &format!("/tag?resourceArn={tagged}"), tag, "TagResource"),
        (Method::PUT, &format!("/untag?resourceArn={tagged}"), untag, "UntagResource"),
        (Method::DELETE, "/meshes/apps", Value::Null, "DeleteMesh"),
    ]
    .map(|(method, path, body, action)| (method, path.to_owned(), body, action))
    .into()
}

fn spec_of(request: &Value) -> Value {
    json!({"spec": request["spec"]})
}

#[tokio::test]
async fn a_key_that_reads_writes_nothing() {
    let mut service = service().await;
    service.rights = key(&["apps"], Access::Read);
    for (path, _) in reads() {
        service.get(&path).await.ok();
    }
    let before = service.get("/meshes/apps/virtualNodes").await.ok();
    for (method, path, body, action) in writes() {
        let refused = service.call(method, &path, &body).await.refused("AccessDeniedException", 403);
        let words =
            format!("access key FMKYTEST (\"test\") is not authorized to perform: appmesh:{action} on");
        assert!(refused.starts_with(&words), "{refused}");
        assert!(refused.ends_with("its policy gives read access, and this takes write access"), "{refused}");
    }
    assert_eq!(service.get("/meshes/apps/virtualNodes").await.ok(), before);
}

#[tokio::test]
async fn a_key_of_another_mesh_neither_reads_nor_writes_nor_learns_what_exists() {
    let mut service = service().await;
    service.rights = key(&["other"], Access::Write);
    let refused = |message: &str, action: &str| {
        assert!(message.contains(&format!("is not authorized to perform: appmesh:{action} on")), "{message}");
        assert!(
            message.ends_with("its policy covers the mesh \"other\", not the mesh \"apps\""),
            "{message}"
        );
    };
    for (path, action) in reads() {
        refused(&service.get(&path).await.refused("AccessDeniedException", 403), action);
    }
    for (method, path, body, action) in writes() {
        let answer = service.call(method, &path, &body).await;
        refused(&answer.refused("AccessDeniedException", 403), action);
    }
    let message = service.get("/meshes").await.refused("AccessDeniedException", 403);
    assert!(message.contains("appmesh:ListMeshes on resource: *"), "{message}");
    // The same words about what exists and what does not, and its own mesh is its own.
    let there = service.get("/meshes/apps").await.refused("AccessDeniedException", 403);
    let not = service.get("/meshes/none").await.refused("AccessDeniedException", 403);
    assert_eq!(there.replace("apps", "none"), not);
    service.put("/meshes/other/virtualNodes", node("new", &[80])).await.ok();
    service.delete("/meshes/other/virtualNodes/new").await.ok();
    service.delete("/meshes/other").await.ok();
    service.put("/meshes", json!({"meshName": "other"})).await.ok();
}
