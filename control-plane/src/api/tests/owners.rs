//! Several accounts on one control plane: none sees or changes what is another's.

use http::Method;
use serde_json::{Value, json};

use super::service::{ApiService, gateway, gateway_route, node, route, route_spec, router};

const FIRST: &str = "111122223333";
const SECOND: &str = "444455556666";

/// The lists of what is in a mesh of [`fill`].
const LISTS: [&str; 6] = [
    "/virtualNodes",
    "/virtualRouters",
    "/virtualServices",
    "/virtualGateways",
    "/virtualRouter/serviceB/routes",
    "/virtualGateway/edge/gatewayRoutes",
];

fn arn(account: &str, resource: &str) -> String {
    format!("arn:aws:appmesh:us-west-2:{account}:{resource}")
}

/// A mesh `apps` of whoever calls, with one resource of each kind.
async fn fill(service: &ApiService) {
    let targets = json!([{"virtualNode": "serviceB", "weight": 1}]);
    service.put("/meshes", json!({"meshName": "apps"})).await.ok();
    service.put("/meshes/apps/virtualNodes", node("serviceB", &[80])).await.ok();
    service.put("/meshes/apps/virtualRouters", router("serviceB", &[(80, "http2")])).await.ok();
    service.put("/meshes/apps/virtualRouter/serviceB/routes", route("r", &targets)).await.ok();
    let provider = json!({"virtualRouter": {"virtualRouterName": "serviceB"}});
    let name = json!({"virtualServiceName": "s.local", "spec": {"provider": provider}});
    service.put("/meshes/apps/virtualServices", name).await.ok();
    service.put("/meshes/apps/virtualGateways", gateway("edge")).await.ok();
    service.put("/meshes/apps/virtualGateway/edge/gatewayRoutes", gateway_route("g", "s.local")).await.ok();
}

/// Every operation on what [`fill`] made or may make, except for that on the list of meshes, each with a place for a query.
fn operations() -> Vec<(Method, String, Value)> {
    let targets = json!([{"virtualNode": "serviceB", "weight": 2}]);
    let spec_of = |request: Value| json!({"spec": request["spec"]});
    let mut operations = Vec::new();
    let mut add = |method: Method, path: &str, body: Value| operations.push((method, path.to_owned(), body));
    add(Method::GET, "/meshes/apps", Value::Null);
    for path in LISTS {
        add(Method::GET, &format!("/meshes/apps{path}"), Value::Null);
    }
    for (path, body) in [
        ("", json!({"spec": {"egressFilter": {"type": "ALLOW_ALL"}}})),
        ("/virtualNodes/serviceB", spec_of(node("serviceB", &[80, 81]))),
        ("/virtualRouters/serviceB", spec_of(router("serviceB", &[(80, "http2")]))),
        ("/virtualRouter/serviceB/routes/r", json!({"spec": route_spec(&targets)})),
        ("/virtualServices/s.local", json!({"spec": {}})),
        ("/virtualGateways/edge", spec_of(gateway("edge"))),
        ("/virtualGateway/edge/gatewayRoutes/g", spec_of(gateway_route("g", "s.local"))),
    ] {
        let path = format!("/meshes/apps{path}");
        add(Method::GET, &path, Value::Null);
        add(Method::PUT, &path, body);
        add(Method::DELETE, &path, Value::Null);
    }
    add(Method::PUT, "/meshes/apps/virtualNodes", node("new", &[80]));
    add(Method::PUT, "/meshes/apps/virtualRouters", router("new", &[(80, "http2")]));
    add(Method::PUT, "/meshes/apps/virtualRouter/serviceB/routes", route("new", &targets));
    add(Method::PUT, "/meshes/apps/virtualServices", json!({"virtualServiceName": "new", "spec": {}}));
    add(Method::PUT, "/meshes/apps/virtualGateways", gateway("new"));
    add(Method::PUT, "/meshes/apps/virtualGateway/edge/gatewayRoutes", gateway_route("new", "s.local"));
    operations
}

/// Everything that whoever calls may see, by the paths of the lists.
async fn seen(service: &ApiService) -> Vec<Value> {
    let mut all = vec![service.get("/meshes").await.ok()];
    for path in LISTS {
        all.push(service.get(&format!("/meshes/apps{path}")).await.ok());
    }
    all
}

fn unshared() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("shares"), "[]").expect("written");
    directory
}

#[tokio::test]
async fn nothing_of_another_account_is_there_by_any_operation() {
    let directory = unshared();
    let service = ApiService::of_accounts(directory.path(), &[]);
    let (first, second) = (service.called_by(None), service.called_by(Some(SECOND)));
    fill(&first).await;
    assert_eq!(second.get("/meshes").await.ok(), json!({"meshes": []}));
    let before = seen(&first).await;
    let never = second.get("/meshes/never").await.refused("NotFoundException", 404);
    for (method, path, body) in operations() {
        // By its own name, by the owner's, and by that of an account that is not served.
        for query in ["", "?meshOwner=111122223333", "?meshOwner=222233334444"] {
            let answer = second.call(method.clone(), &format!("{path}{query}"), &body).await;
            let message = answer.refused("NotFoundException", 404);
            assert_eq!(message, never.replace("never", "apps"), "{method} {path}{query}");
        }
    }
    let resources = ["mesh/apps", "mesh/apps/virtualNode/serviceB", "mesh/apps/virtualNode/never"];
    for (account, resource) in [FIRST, "222233334444"].iter().flat_map(|of| resources.map(|one| (*of, one))) {
        let path = format!("resourceArn={}", arn(account, resource));
        for (method, path, body) in [
            (Method::GET, format!("/tags?{path}"), Value::Null),
            (Method::PUT, format!("/tag?{path}"), json!({"tags": [{"key": "a", "value": "b"}]})),
            (Method::PUT, format!("/untag?{path}"), json!({"tagKeys": ["a"]})),
        ] {
            let message = second.call(method, &path, &body).await.refused("NotFoundException", 404);
            assert_eq!(message, never.replace("never", "apps"), "{path}");
        }
    }
    let create = |owner: &str| format!("/meshes?meshOwner={owner}");
    for name in ["apps", "new"] {
        let answer = second.put(&create(FIRST), json!({"meshName": name})).await;
        let message = answer.refused("ForbiddenException", 403);
        assert!(!message.contains("exists"), "{message}");
    }
    assert_eq!(seen(&first).await, before, "nothing of it changed");
    assert_eq!(seen(&service).await, before, "callers of this host are the first account");
    let stranger = service.called_by(Some("222233334444"));
    stranger.get("/meshes").await.refused("AccessDeniedException", 403);
    stranger.put("/meshes", json!({"meshName": "apps"})).await.refused("AccessDeniedException", 403);
}

#[tokio::test]
async fn two_accounts_have_meshes_of_one_name_and_each_its_own() {
    let directory = unshared();
    let service = ApiService::of_accounts(directory.path(), &["meshes=1"]);
    let (first, second) = (service.called_by(None), service.called_by(Some(SECOND)));
    fill(&first).await;
    let before = seen(&first).await;
    fill(&second).await;
    second.put("/meshes", json!({"meshName": "more"})).await.refused("LimitExceededException", 400);
    let theirs = second.get("/meshes/apps/virtualNodes/serviceB").await.ok();
    let metadata = &theirs["metadata"];
    assert_eq!(metadata["arn"], arn(SECOND, "mesh/apps/virtualNode/serviceB"));
    assert_eq!((&metadata["meshOwner"], &metadata["resourceOwner"]), (&json!(SECOND), &json!(SECOND)));
    assert_eq!(
        theirs,
        second.get(&format!("/meshes/apps/virtualNodes/serviceB?meshOwner={SECOND}")).await.ok()
    );
    let path = format!("/tag?resourceArn={}", arn(SECOND, "mesh/apps"));
    second.put(&path, json!({"tags": [{"key": "whose", "value": "second"}]})).await.ok();
    let tags = format!("/tags?resourceArn={}", arn(FIRST, "mesh/apps"));
    assert_eq!(first.get(&tags).await.ok(), json!({"tags": []}));
    // The same token for the same request is another one in another account.
    let request = json!({"spec": {"egressFilter": {"type": "ALLOW_ALL"}}, "clientToken": "t"});
    assert_eq!(second.put("/meshes/apps", request.clone()).await.ok()["metadata"]["version"], 2);
    assert_eq!(seen(&first).await, before);
    let others = seen(&second).await;
    drop((first, second, service));
    // The same after a restart, also for the tokens.
    let service = ApiService::of_accounts(directory.path(), &[]);
    let (first, second) = (service.called_by(Some(FIRST)), service.called_by(Some(SECOND)));
    assert_eq!((seen(&first).await, seen(&second).await), (before.clone(), others));
    assert_eq!(second.put("/meshes/apps", request.clone()).await.ok()["metadata"]["version"], 2);
    assert_eq!(first.put("/meshes/apps", request.clone()).await.ok()["metadata"]["version"], 2);
    assert_eq!(first.put("/meshes/apps", request).await.ok()["metadata"]["version"], 2);
    // What one deletes is the other's no less.
    for path in [
        "/virtualGateway/edge/gatewayRoutes/g",
        "/virtualGateways/edge",
        "/virtualServices/s.local",
        "/virtualRouter/serviceB/routes/r",
        "/virtualRouters/serviceB",
        "/virtualNodes/serviceB",
    ] {
        second.delete(&format!("/meshes/apps{path}")).await.ok();
    }
    second.delete("/meshes/apps").await.ok();
    second.get("/meshes/apps").await.refused("NotFoundException", 404);
    assert_eq!(seen(&first).await[1..], before[1..]);
}

/// Where the first account has nothing of these names, what a spec names and what names it is found in its own mesh.
#[tokio::test]
async fn what_a_spec_names_is_in_its_own_mesh() {
    let directory = unshared();
    let service = ApiService::of_accounts(directory.path(), &[]);
    let second = service.called_by(Some(SECOND));
    fill(&second).await;
    let provider = json!({"virtualNode": {"virtualNodeName": "serviceB"}});
    let direct = json!({"virtualServiceName": "t.local", "spec": {"provider": provider}});
    second.put("/meshes/apps/virtualServices", direct).await.ok();
    for used in ["/virtualNodes/serviceB", "/virtualRouters/serviceB", "/virtualServices/s.local", ""] {
        second.delete(&format!("/meshes/apps{used}")).await.refused("ResourceInUseException", 409);
    }
    let targets = json!([{"virtualNode": "none", "weight": 1}]);
    let nowhere = second.put("/meshes/apps/virtualRouter/serviceB/routes", route("x", &targets)).await;
    let message = nowhere.refused("NotFoundException", 404);
    assert!(message.contains("mesh/apps@444455556666"), "{message}");
}

#[tokio::test]
async fn a_mesh_is_not_called_like_the_mesh_of_another_account() {
    let service = ApiService::new();
    let message = service.put("/meshes", json!({"meshName": "apps@444455556666"})).await;
    let message = message.refused("BadRequestException", 400);
    assert!(message.contains("the mesh \"apps\" of account 444455556666"), "{message}");
    service.put("/meshes", json!({"meshName": "apps@4444"})).await.ok();
}
