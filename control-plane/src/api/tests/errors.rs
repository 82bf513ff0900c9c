//! Every error class of the model, provoked; and what each message names.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use fleetmesh_mesh::snapshot::VersionKeys;
use fleetmesh_mesh::store::{Binding, CommitError, JointCommit, JointError};
use fleetmesh_mesh::view::{MeshView, Record};
use fleetmesh_model::MeshName;
use futures::future::BoxFuture;
use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::service::{ApiService, node, route, route_spec, router};
use crate::store::Store;
use crate::views::Views;

const SERVICES: &str = "/meshes/apps/virtualServices";
const ROUTES: &str = "/meshes/apps/virtualRouter/serviceB/routes";

fn target(node: &str) -> Value {
    json!([{"virtualNode": node, "weight": 100}])
}

#[tokio::test]
async fn bad_requests_name_field_value_and_bound() {
    let service = ApiService::scenario().await;
    let cases = [
        (
            json!([{"virtualNode": "serviceB", "weight": 101}]),
            "spec.http2Route.action.weightedTargets[0].weight: 101 is greater than the maximum of 100",
        ),
        (
            json!([{"virtualNode": "serviceB", "weight": 0}]),
            "spec.http2Route.action.weightedTargets: weightedTargets must have a weight greater than 0 (found only 0)",
        ),
        (
            json!([{"virtualNode": "serviceB", "weight": 1, "port": 81}]),
            "spec.http2Route.action.weightedTargets[0].port: 81 is no listener port of the virtual node \"serviceB\", which has 80",
        ),
    ];
    for (targets, expected) in cases {
        let answer = service.put(ROUTES, route("x", &targets)).await;
        assert_eq!(answer.refused("BadRequestException", 400), expected);
    }
    let message = service.put(ROUTES, json!({"routeName": "x"})).await.refused("BadRequestException", 400);
    assert_eq!(message, "spec: is required");
    let message = service.put("/meshes", json!({"spec": {}})).await.refused("BadRequestException", 400);
    assert_eq!(message, "meshName: is required");
    let message =
        service.put("/meshes", json!({"meshName": "a/b"})).await.refused("BadRequestException", 400);
    assert!(message.starts_with("meshName: \"a/b\" has the character '/'"), "{message}");
    let long = "x".repeat(256);
    let message = service.put("/meshes", json!({"meshName": long})).await.refused("BadRequestException", 400);
    assert_eq!(message, "meshName: must have 1 to 255 characters, this has 256");
    let provider = json!({});
    let dotted = json!({"virtualServiceName": "dot.local.", "spec": provider});
    let message = service.put(SERVICES, dotted).await.refused("BadRequestException", 400);
    assert!(
        message
            .starts_with("virtualServiceName: no request can be for a virtual service called \"dot.local.\""),
        "{message}"
    );
    let misspelt = json!({"meshName": "m", "sepc": {}});
    let message = service.put("/meshes", misspelt).await.refused("BadRequestException", 400);
    assert_eq!(message, "sepc: there is no such member; check its name");
}

#[tokio::test]
async fn a_target_of_a_node_with_several_ports_needs_one_of_them() {
    let service = ApiService::scenario().await;
    service.put("/meshes/apps/virtualNodes", node("two", &[80, 81])).await.ok();
    let message = service.put(ROUTES, route("x", &target("two"))).await.refused("BadRequestException", 400);
    assert_eq!(
        message,
        "spec.http2Route.action.weightedTargets[0].port: is required, because the virtual node \"two\" has several \
         listeners: 80, 81"
    );
    let with_port = json!([{"virtualNode": "two", "weight": 1, "port": 81}]);
    service.put(ROUTES, route("x", &with_port)).await.ok();
    let one = node("two", &[80])["spec"].clone();
    let answer = service.put("/meshes/apps/virtualNodes/two", json!({"spec": one})).await;
    let message = answer.refused("ConflictException", 409);
    assert!(message.contains("mesh/apps/virtualRouter/serviceB/route/x would no longer fit"), "{message}");
}

#[tokio::test]
async fn protocols_of_routes_and_routers_agree() {
    let service = ApiService::scenario().await;
    let http = json!({"routeName": "x", "spec": {"httpRoute":
        {"action": {"weightedTargets": target("serviceB")}, "match": {"prefix": "/"}}}});
    let message = service.put(ROUTES, http).await.refused("BadRequestException", 400);
    assert_eq!(
        message,
        "spec.httpRoute: a route for http needs a listener for http, the virtual router has http2 on port 80"
    );
    let mut other_port = route("x", &target("serviceB"));
    other_port["spec"]["http2Route"]["match"]["port"] = json!(81);
    let message = service.put(ROUTES, other_port).await.refused("BadRequestException", 400);
    assert_eq!(
        message,
        "spec.http2Route.match.port: 81 is no port of the virtual router, which has http2 on port 80"
    );
    service.put(ROUTES, route("x", &target("serviceB"))).await.ok();
    let tcp = router("serviceB", &[(80, "tcp")])["spec"].clone();
    let answer = service.put("/meshes/apps/virtualRouters/serviceB", json!({"spec": tcp})).await;
    let message = answer.refused("ConflictException", 409);
    assert!(message.contains("route/x would no longer fit"), "{message}");
    // The way out that the message names.
    let both = router("serviceB", &[(80, "http2"), (81, "tcp")])["spec"].clone();
    service.put("/meshes/apps/virtualRouters/serviceB", json!({"spec": both})).await.ok();
    let tcp_route = json!({"spec": {"tcpRoute": {"action": {"weightedTargets": target("serviceB")}}}});
    service.put(&format!("{ROUTES}/x"), tcp_route).await.ok();
    let last = router("serviceB", &[(81, "tcp")])["spec"].clone();
    service.put("/meshes/apps/virtualRouters/serviceB", json!({"spec": last})).await.ok();
}

#[tokio::test]
async fn what_is_referred_to_must_exist() {
    let service = ApiService::scenario().await;
    let message = service.put(ROUTES, route("x", &target("no"))).await.refused("NotFoundException", 404);
    assert_eq!(
        message,
        "spec.http2Route.action.weightedTargets[0].virtualNode: VirtualNode \"no\" does not exist in mesh/apps; \
         create it first"
    );
    let by_router = json!({"virtualServiceName": "s", "spec": {"provider": {"virtualRouter": {"virtualRouterName": "no"}}}});
    let message =
        service.put("/meshes/apps/virtualServices", by_router).await.refused("NotFoundException", 404);
    assert!(
        message.starts_with("spec.provider.virtualRouter.virtualRouterName: VirtualRouter \"no\""),
        "{message}"
    );
    let message = service
        .put("/meshes/apps/virtualRouter/no/routes", route("x", &target("serviceB")))
        .await
        .refused("NotFoundException", 404);
    assert_eq!(message, "VirtualRouter \"no\" does not exist in mesh/apps");
    let message =
        service.put("/meshes/no/virtualNodes", node("n", &[80])).await.refused("NotFoundException", 404);
    assert_eq!(message, "Mesh \"no\" does not exist");
    let answer = service.put("/meshes/apps/virtualNodes/no", json!({"spec": {}})).await;
    answer.refused("NotFoundException", 404);
}

#[tokio::test]
async fn what_is_used_is_not_deleted() {
    let service = ApiService::scenario().await;
    service.put(ROUTES, route("x", &target("serviceB"))).await.ok();
    let by_router = json!({"virtualServiceName": "s", "spec": {"provider": {"virtualRouter": {"virtualRouterName": "serviceB"}}}});
    service.put("/meshes/apps/virtualServices", by_router).await.ok();
    let in_use = [
        (
            "/meshes/apps",
            "mesh/apps/virtualNode/serviceB, mesh/apps/virtualRouter/serviceB, mesh/apps/virtualRouter/serviceB/route/x, mesh/apps/virtualService/s",
        ),
        ("/meshes/apps/virtualNodes/serviceB", "mesh/apps/virtualRouter/serviceB/route/x"),
        (
            "/meshes/apps/virtualRouters/serviceB",
            "mesh/apps/virtualRouter/serviceB/route/x, mesh/apps/virtualService/s",
        ),
    ];
    for (path, users) in in_use {
        let message = service.delete(path).await.refused("ResourceInUseException", 409);
        assert!(message.contains(&format!("is in use by {users}; delete")), "{message}");
    }
    for path in [
        "/meshes/apps/virtualServices/s",
        "/meshes/apps/virtualRouter/serviceB/routes/x",
        "/meshes/apps/virtualRouters/serviceB",
        "/meshes/apps/virtualNodes/serviceB",
        "/meshes/apps",
    ] {
        service.delete(path).await.ok();
    }
}

#[tokio::test]
async fn a_backend_does_not_hold_its_service() {
    let service = ApiService::scenario().await;
    let mut caller = node("caller", &[80]);
    caller["spec"]["backends"] = json!([{"virtualService": {"virtualServiceName": "s"}}]);
    service.put("/meshes/apps/virtualNodes", caller).await.ok();
    service.put("/meshes/apps/virtualServices", json!({"virtualServiceName": "s", "spec": {}})).await.ok();
    service.delete("/meshes/apps/virtualServices/s").await.ok();
}

#[tokio::test]
async fn an_existing_name_is_a_conflict() {
    let service = ApiService::scenario().await;
    let answer = service.put("/meshes/apps/virtualNodes", node("serviceB", &[80])).await;
    let message = answer.refused("ConflictException", 409);
    assert_eq!(message, "mesh/apps/virtualNode/serviceB exists already; update it, or choose another name");
}

#[tokio::test]
async fn quotas_are_limits_exceeded() {
    let service = ApiService::with(&["meshes=1", "routes=1"], None);
    service.put("/meshes", json!({"meshName": "apps"})).await.ok();
    let message =
        service.put("/meshes", json!({"meshName": "b"})).await.refused("LimitExceededException", 400);
    assert!(message.starts_with("mesh/b: the quota of 1 meshes is used up"), "{message}");
    service.put("/meshes/apps/virtualNodes", node("serviceB", &[80])).await.ok();
    for name in ["serviceB", "other"] {
        service.put("/meshes/apps/virtualRouters", router(name, &[(80, "http2")])).await.ok();
        let routes = format!("/meshes/apps/virtualRouter/{name}/routes");
        service.put(&routes, route("x", &target("serviceB"))).await.ok();
        let answer = service.put(&routes, route("y", &target("serviceB"))).await;
        let message = answer.refused("LimitExceededException", 400);
        assert!(message.contains(&format!("1 routes in mesh/apps/virtualRouter/{name}")), "{message}");
    }
}

#[tokio::test]
async fn a_resource_has_at_most_50_tags() {
    let service = ApiService::scenario().await;
    let tags = |from: usize, to: usize| -> Value {
        (from..to).map(|index| json!({"key": format!("k{index}"), "value": ""})).collect()
    };
    let path = "/tag?resourceArn=arn:aws:appmesh:us-west-2:111122223333:mesh/apps";
    service.put(path, json!({"tags": tags(0, 50)})).await.ok();
    service.put(path, json!({"tags": tags(0, 50)})).await.ok();
    let message = service.put(path, json!({"tags": tags(50, 51)})).await.refused("TooManyTagsException", 400);
    assert_eq!(message, "tags: a resource has at most 50 tags, this would make 51");
    let create = json!({"meshName": "m", "tags": tags(0, 51)});
    service.put("/meshes", create).await.refused("BadRequestException", 400);
}

#[tokio::test]
async fn another_account_is_forbidden() {
    let service = ApiService::scenario().await;
    let message = service.get("/meshes/apps?meshOwner=999999999999").await.refused("ForbiddenException", 403);
    assert!(
        message.starts_with("meshOwner: this control plane serves account 111122223333 only"),
        "{message}"
    );
    let path = "/tags?resourceArn=arn:aws:appmesh:us-west-2:999999999999:mesh/apps";
    service.get(path).await.refused("ForbiddenException", 403);
    service.get("/meshes/apps?meshOwner=111122223333").await.ok();
}

#[tokio::test]
async fn too_many_requests_are_refused() {
    let service = ApiService::with(&[], Some(2));
    service.get("/meshes").await.ok();
    service.get("/meshes").await.ok();
    let message = service.get("/meshes").await.refused("TooManyRequestsException", 429);
    assert!(message.starts_with("more than 2 requests a second"), "{message}");
}

#[tokio::test]
async fn nothing_is_served_after_a_stop_was_asked_for() {
    let service = ApiService::scenario().await;
    service.shutdown.cancel();
    service.get("/meshes").await.refused("ServiceUnavailableException", 503);
}

#[tokio::test]
async fn bodies_that_are_no_json_object_are_refused() {
    let service = ApiService::new();
    for (body, expected) in
        [(json!([]), "the body is not a JSON object"), (Value::Null, "the body is not JSON")]
    {
        let answer = service.call(Method::PUT, "/meshes", &body).await;
        let message = answer.refused("BadRequestException", 400);
        assert!(message.starts_with(expected), "{message}");
    }
}

#[tokio::test]
async fn an_update_of_nothing_names_what_is_missing() {
    let service = ApiService::new();
    let spec = json!({"spec": route_spec(&target("a"))});
    let message =
        service.put("/meshes/m/virtualRouter/r/routes/x", spec).await.refused("NotFoundException", 404);
    assert_eq!(message, "Mesh \"m\" does not exist");
}

/// A store that fails every commit.
struct Failing(CommitError);

impl Views for Failing {
    fn mesh(&self, _: &MeshName) -> Option<Arc<MeshView>> {
        None
    }

    fn mesh_names(&self) -> Vec<MeshName> {
        Vec::new()
    }

    fn revisions(&self) -> watch::Receiver<u64> {
        watch::channel(0).1
    }

    fn version_keys(&self) -> Arc<VersionKeys> {
        Arc::new(VersionKeys::new([]))
    }
}

impl Store for Failing {
    fn commit_together(&self, _: JointCommit) -> BoxFuture<'_, Result<Vec<Arc<Record>>, JointError>> {
        Box::pin(async { Err(self.0.clone().into()) })
    }

    fn renew_keys(&self, _: Timestamp) -> BoxFuture<'_, Result<(), CommitError>> {
        Box::pin(async { Err(self.0.clone()) })
    }

    fn bind(&self, _: Binding, _: Timestamp) -> BoxFuture<'_, Result<bool, CommitError>> {
        Box::pin(async { Err(self.0.clone()) })
    }

    fn forget_tokens(&self, _: Timestamp) -> BoxFuture<'_, Result<bool, CommitError>> {
        Box::pin(async { Err(self.0.clone()) })
    }

    fn ended(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test]
async fn a_store_that_fails_is_unavailable_or_an_internal_error() {
    let failures = [
        (CommitError::Unavailable { reason: "the disk is full".into() }, "ServiceUnavailableException", 503),
        (CommitError::Internal { reason: "a rule panicked".into() }, "InternalServerErrorException", 500),
    ];
    for (failure, error, status) in failures {
        let service = ApiService::on(Arc::new(Failing(failure)), &[], None);
        let message = service.put("/meshes", json!({"meshName": "m"})).await.refused(error, status);
        assert!(message.starts_with("mesh/m"), "{message}");
    }
}

/// Whoever answers earlier leaves a part of the request on the connection, which costs its client that connection.
#[tokio::test]
async fn nothing_is_answered_before_the_whole_request_has_arrived() {
    let service = ApiService::new();
    let foreign = "/tag?resourceArn=arn:aws:appmesh:us-west-2:999999999999:mesh/apps";
    for path in [foreign, "/meshes/nowhere/virtualNodes", "/no-operation"] {
        let (arrive, arrived) = tokio::sync::oneshot::channel::<Bytes>();
        let rest = futures::stream::once(arrived);
        let mut answer = Box::pin(service.send(Method::PUT, path, Body::from_stream(rest)));
        assert!(futures::poll!(&mut answer).is_pending(), "{path}");
        arrive.send(Bytes::from_static(b"{}")).expect("the body is awaited");
        assert!(answer.await.status >= 400, "{path}");
    }
}
