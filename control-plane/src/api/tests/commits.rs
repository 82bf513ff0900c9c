//! Commits of several changes: decided together, stored as one or not at all, and each part is permitted as it is alone.

use std::collections::BTreeSet;
use std::sync::Arc;

use fleetmesh_api::commits::{CommitAnswer, CommitRefused, MAX_PARTS};
use fleetmesh_api::examples;
use http::Method;
use serde_json::{Value, json};

use super::service::{ApiService, ServiceAnswer, node, route, route_spec, router};
use crate::rights::{Access, KeyHolder, KeyPolicy, Rights};

const ROUTER: &str = "/meshes/apps/virtualRouters/serviceB";
const ROUTES: &str = "/meshes/apps/virtualRouter/serviceB/routes";
const ROUTE: &str = "/meshes/apps/virtualRouter/serviceB/routes/x";
const NODES: &str = "/meshes/apps/virtualNodes";
const NODE: &str = "/meshes/apps/virtualNodes/serviceB";

/// The scenario with an http2 route `x` to port 80 of the node.
async fn scenario() -> ApiService {
    let service = ApiService::scenario().await;
    let targets = json!([{"virtualNode": "serviceB", "weight": 1, "port": 80}]);
    service.put(ROUTES, route("x", &targets)).await.ok();
    service
}

/// A change of a spec.
fn spec(request: &Value, token: &str) -> Value {
    json!({"spec": request["spec"], "clientToken": token})
}

/// The router and its route speak tcp.
fn to_tcp() -> [(Method, &'static str, Value); 2] {
    let action = json!({"weightedTargets": [{"virtualNode": "serviceB", "weight": 1, "port": 80}]});
    let route = json!({"spec": {"tcpRoute": {"action": action}}, "clientToken": "t-2"});
    [(Method::PUT, ROUTER, spec(&router("serviceB", &[(80, "tcp")]), "t-1")), (Method::PUT, ROUTE, route)]
}

fn faults(answer: ServiceAnswer, error: &str, status: u16) -> Vec<(usize, String, String)> {
    assert_eq!((answer.error.as_deref(), answer.status), (Some(error), status), "{}", answer.body);
    let CommitRefused { message, faults } = serde_json::from_value(answer.body).expect("a refusal");
    assert!(message.starts_with("nothing was stored, because of part "), "{message}");
    for fault in &faults {
        assert!(message.contains(&fault.message), "{message}");
    }
    faults.into_iter().map(|fault| (fault.part, fault.kind, fault.message)).collect()
}

fn answers(answer: ServiceAnswer) -> Vec<Value> {
    let CommitAnswer { answers } = serde_json::from_value(answer.ok()).expect("an answer");
    answers
}

#[tokio::test]
async fn what_blocks_each_other_is_stored_together_in_any_order() {
    for turned in [false, true] {
        let service = scenario().await;
        let mut parts = to_tcp();
        for (method, path, body) in &parts {
            let alone = service.call(method.clone(), path, body).await;
            assert!(alone.status >= 400, "{path} is refused alone");
        }
        if turned {
            parts.reverse();
        }
        let stored = answers(service.commit("apps", &parts).await);
        for ((_, path, _), answer) in parts.iter().zip(&stored) {
            assert_eq!(
                service.get(path).await.ok(),
                *answer,
                "the answer that the request alone would have got"
            );
            assert_eq!(answer["metadata"]["version"], 2);
        }
        let ports =
            [(Method::PUT, NODE, spec(&node("serviceB", &[81]), "p-1")), (Method::PUT, ROUTE, to_81())];
        answers(service.commit("apps", &ports).await);
    }
}

fn to_81() -> Value {
    let action = json!({"weightedTargets": [{"virtualNode": "serviceB", "weight": 1, "port": 81}]});
    json!({"spec": {"tcpRoute": {"action": action}}, "clientToken": "p-2"})
}

#[tokio::test]
async fn every_operation_that_changes_something_can_be_a_part() {
    let service = scenario().await;
    let arn = "arn:aws:appmesh:us-west-2:111122223333:mesh/apps/virtualNode/serviceB";
    let (tag, untag) = (format!("/tag?resourceArn={arn}"), format!("/untag?resourceArn={arn}"));
    let provider = json!({"virtualRouter": {"virtualRouterName": "new"}});
    let parts = [
        (
            Method::PUT,
            "/meshes/apps/virtualServices",
            json!({"virtualServiceName": "s", "spec": {"provider": provider}}),
        ),
        (
            Method::PUT,
            "/meshes/apps/virtualRouter/new/routes",
            route("y", &json!([{"virtualNode": "n", "weight": 1}])),
        ),
        (Method::PUT, "/meshes/apps/virtualRouters", router("new", &[(80, "http2")])),
        (Method::PUT, NODES, node("n", &[80])),
        (Method::DELETE, ROUTE, Value::Null),
        (Method::DELETE, ROUTER, Value::Null),
        (Method::PUT, &tag, json!({"tags": [{"key": "a", "value": "b"}]})),
        (Method::PUT, &untag, json!({"tagKeys": ["c"]})),
        (Method::PUT, "/meshes/apps", json!({"spec": {"egressFilter": {"type": "ALLOW_ALL"}}})),
    ];
    let stored = answers(service.commit("apps", &parts).await);
    assert_eq!(stored[5]["status"]["status"], "DELETED");
    assert_eq!((&stored[6], &stored[7]), (&json!({}), &json!({})));
    assert_eq!(service.get("/meshes/apps/virtualServices/s").await.ok(), stored[0]);
    let tags = service.get(&format!("/tags?resourceArn={arn}")).await.ok();
    assert_eq!(tags["tags"], json!([{"key": "a", "value": "b"}]));
    service.get(ROUTER).await.refused("NotFoundException", 404);
    // What none of them may be.
    let parts = [
        (Method::GET, NODE, Value::Null),
        (Method::DELETE, "/meshes/apps", Value::Null),
        (Method::PUT, "/meshes", json!({"meshName": "more"})),
        (Method::PUT, "/meshes/apps/virtualThings", json!({})),
        (Method::PUT, NODES, json!([])),
        (Method::PUT, NODES, json!({"virtualNodeName": "n", "spec": {}, "more": 1})),
    ];
    let said = faults(service.commit("apps", &parts).await, "BadRequestException", 400);
    assert_eq!(
        said.iter().map(|(part, ..)| *part).collect::<Vec<_>>(),
        [0, 3, 4, 5],
        "what is none by itself"
    );
    let said = faults(service.commit("apps", &parts[1..3]).await, "BadRequestException", 400);
    assert_eq!(said.iter().map(|(part, ..)| *part).collect::<Vec<_>>(), [0, 1]);
}

#[tokio::test]
async fn a_part_at_fault_refuses_the_whole_and_is_named() {
    let service = scenario().await;
    let before = [service.get(ROUTER).await.ok(), service.get(ROUTE).await.ok()];
    let [on_tcp, of_tcp] = to_tcp();
    let grpc = json!({"spec": {"grpcRoute": {"action": {"weightedTargets": [{"virtualNode": "serviceB", "weight": 1}]},
        "match": {}}}});
    let said = faults(
        service.commit("apps", &[on_tcp.clone(), (Method::PUT, ROUTE, grpc)]).await,
        "BadRequestException",
        400,
    );
    assert_eq!((said.len(), said[0].0, said[0].1.as_str()), (1, 1, "BadRequestException"));
    assert!(said[0].2.contains("a route for grpc needs a listener for grpc"), "{said:?}");
    // Something that is not in the commit is in the way of one that is.
    let other = route("y", &json!([{"virtualNode": "serviceB", "weight": 1}]));
    service.put(ROUTES, other).await.ok();
    let said =
        faults(service.commit("apps", &[of_tcp.clone(), on_tcp.clone()]).await, "ConflictException", 409);
    assert_eq!((said.len(), said[0].0), (1, 1));
    assert!(said[0].2.contains("route/y would no longer fit"), "{said:?}");
    let twice = [(Method::PUT, ROUTER, on_tcp.2.clone()), (Method::DELETE, ROUTER, Value::Null)];
    let said = faults(service.commit("apps", &twice).await, "BadRequestException", 400);
    assert_eq!(said[0].0, 1);
    let mut same = [on_tcp, of_tcp];
    same[1].2["clientToken"] = json!("t-1");
    let said = faults(service.commit("apps", &same).await, "BadRequestException", 400);
    assert!(said[0].2.starts_with("clientToken: part 0 has the same"), "{said:?}");
    assert_eq!(
        [service.get(ROUTER).await.ok(), service.get(ROUTE).await.ok()],
        before,
        "nothing of it is stored"
    );
}

#[tokio::test]
async fn a_commit_that_comes_again_with_the_same_tokens_gets_the_same_answer() {
    let service = scenario().await;
    let parts = to_tcp();
    let first = answers(service.commit("apps", &parts).await);
    service.put(ROUTER, spec(&router("serviceB", &[(80, "tcp"), (81, "tcp")]), "later")).await.ok();
    assert_eq!(answers(service.commit("apps", &parts).await), first);
    assert_eq!(service.get(ROUTER).await.ok()["metadata"]["version"], 3, "nothing was decided again");
    // Each alone is the same request, too, and what is new beside them is carried out.
    assert_eq!(service.put(ROUTE, parts[1].2.clone()).await.ok(), first[1]);
    let [one, other] = parts;
    let more = [one, (Method::PUT, NODES, node("n", &[80])), other];
    let grown = answers(service.commit("apps", &more).await);
    assert_eq!((&grown[0], &grown[2]), (&first[0], &first[1]));
    assert_eq!(service.get("/meshes/apps/virtualNodes/n").await.ok(), grown[1]);
    let mut reused = to_tcp();
    reused[0].2["spec"] = router("serviceB", &[(82, "tcp")])["spec"].clone();
    let said = faults(service.commit("apps", &reused).await, "ConflictException", 409);
    assert!(said[0].0 == 0 && said[0].2.contains("already spent"), "{said:?}");
}

#[tokio::test]
async fn a_commit_has_bounds_and_unknown_members_are_refused() {
    let service = scenario().await;
    let parts = |count: usize| -> Vec<(Method, String, Value)> {
        (0..count).map(|at| (Method::PUT, NODES.to_owned(), node(&format!("n{at}"), &[80]))).collect()
    };
    let commit = async |parts: Vec<(Method, String, Value)>| {
        let parts: Vec<(Method, &str, Value)> =
            parts.iter().map(|(method, path, body)| (method.clone(), path.as_str(), body.clone())).collect();
        service.commit("apps", &parts).await
    };
    assert_eq!(answers(commit(parts(MAX_PARTS)).await).len(), MAX_PARTS);
    for count in [0, MAX_PARTS + 1] {
        let said = commit(parts(count)).await.refused("BadRequestException", 400);
        assert!(said.contains(&format!("1 to {MAX_PARTS} parts, not {count}")), "{said}");
    }
    for body in [
        "",
        "{}",
        "[]",
        r#"{"parts":[],"dryRun":true}"#,
        r#"{"parts":[{"method":"PUT","path":"/","bdy":1}]}"#,
    ] {
        let said = service.commit_body("apps", body.to_owned()).await.refused("BadRequestException", 400);
        assert!(said.starts_with("the body is no commit: "), "{said}");
    }
    let large = format!(r#"{{"parts":[{}]}}"#, " ".repeat(2 * 1024 * 1024));
    let said = service.commit_body("apps", large).await.refused("BadRequestException", 400);
    assert!(said.contains("larger than"), "{said}");
    for (method, path) in
        [("P T", "/v20190125/meshes/apps"), ("PUT", "no path"), ("PUT", "http://other/v20190125/meshes/apps")]
    {
        let body = json!({"parts": [{"method": method, "path": path}]}).to_string();
        let said = faults(service.commit_body("apps", body).await, "BadRequestException", 400);
        assert_eq!(said.len(), 1, "{method} {path}: {said:?}");
    }
    let said = service.commit("never", &to_tcp()).await.refused("NotFoundException", 404);
    assert!(said.contains("does not exist"), "{said}");
    let said = service.commit("apps?meshOwnr=1", &to_tcp()).await.refused("BadRequestException", 400);
    assert!(said.contains("the query string is malformed"), "{said}");
}

fn key(meshes: &[&str], access: Access) -> Rights {
    let meshes: BTreeSet<String> = meshes.iter().map(|name| (*name).to_owned()).collect();
    let policy = KeyPolicy { account: None, meshes: Some(meshes), access };
    Rights::Key(Arc::new(KeyHolder { id: "FMKYTEST".into(), name: "test".into(), policy }))
}

/// The attack: a part that the caller may not write goes along with those that it may.
#[tokio::test]
async fn a_part_that_the_caller_may_not_write_refuses_the_whole() {
    let mut service = scenario().await;
    service.put("/meshes", json!({"meshName": "other"})).await.ok();
    service.put("/meshes/other/virtualNodes", node("n", &[80])).await.ok();
    let before = service.get("/meshes/other/virtualNodes/n").await.ok();
    let foreign = (Method::PUT, "/meshes/other/virtualNodes/n", json!({"spec": {}}));
    let arn = "/tag?resourceArn=arn:aws:appmesh:us-west-2:111122223333:mesh/other/virtualNode/n";
    let tag = (Method::PUT, arn, json!({"tags": [{"key": "fleetmesh.dev/proxy-principals", "value": "x"}]}));
    let own = (Method::PUT, NODE, spec(&node("serviceB", &[80, 81]), "own"));
    // Whoever may write both does not by a commit of one of them.
    for part in [&foreign, &tag] {
        let said =
            faults(service.commit("apps", &[own.clone(), part.clone()]).await, "BadRequestException", 400);
        assert!(said[0].0 == 1 && said[0].2.contains("is not in the mesh \"apps\""), "{said:?}");
    }
    service.rights = key(&["apps"], Access::Write);
    for part in [&foreign, &tag] {
        let said =
            faults(service.commit("apps", &[own.clone(), part.clone()]).await, "AccessDeniedException", 403);
        assert!(said.len() == 1 && said[0].0 == 1, "{said:?}");
    }
    for (rights, mesh) in [
        (key(&["apps"], Access::Read), "apps"),
        (key(&["other"], Access::Write), "apps"),
        (key(&["apps"], Access::Write), "other"),
    ] {
        service.rights = rights;
        let said =
            service.commit(mesh, std::slice::from_ref(&own)).await.refused("AccessDeniedException", 403);
        assert!(said.contains("is not authorized to perform: fleetmesh:Commit on"), "{said}");
    }
    service.rights = key(&["apps"], Access::Write);
    assert_eq!(service.get(NODE).await.ok()["metadata"]["version"], 1, "nothing of it is stored");
    answers(service.commit("apps", &[own]).await);
    service.rights = Rights::Local;
    assert_eq!(service.get("/meshes/other/virtualNodes/n").await.ok(), before);
}

#[tokio::test]
async fn in_a_shared_mesh_an_account_commits_what_it_made_and_nothing_else() {
    let directory = tempfile::tempdir().expect("a directory");
    let shares = json!([{"meshOwner": "111122223333", "meshName": "apps", "accounts": ["444455556666"]}]);
    std::fs::write(directory.path().join("shares"), shares.to_string()).expect("written");
    let service = ApiService::of_accounts(directory.path(), &[]);
    let (owner, consumer) = (service.called_by(None), service.called_by(Some("444455556666")));
    let stranger = service.called_by(Some("777788889999"));
    owner.put("/meshes", json!({"meshName": "apps"})).await.ok();
    owner.put(NODES, node("serviceB", &[80])).await.ok();
    let of = |path: &str| format!("{path}?meshOwner=111122223333");
    let (nodes, theirs) = (of(NODES), of(NODE));
    let own = (Method::PUT, nodes.as_str(), node("theirs", &[80]));
    let others = (Method::PUT, theirs.as_str(), json!({"spec": {}}));
    let mesh = "apps?meshOwner=111122223333";
    let said = faults(consumer.commit(mesh, &[own.clone(), others]).await, "ForbiddenException", 403);
    assert_eq!((said.len(), said[0].0), (1, 1));
    // Without the owner it is a mesh of its own, which does not exist.
    consumer.commit("apps", std::slice::from_ref(&own)).await.refused("NotFoundException", 404);
    stranger.commit(mesh, std::slice::from_ref(&own)).await.refused("NotFoundException", 404);
    let made = answers(consumer.commit(mesh, &[own]).await);
    assert_eq!(made[0]["metadata"]["resourceOwner"], "444455556666");
}

#[tokio::test]
async fn the_contract_s_example_is_served() {
    let service = ApiService::scenario().await;
    service.put(NODES, node("serviceBv1", &[80])).await.ok();
    let targets = json!([{"virtualNode": "serviceB", "weight": 1}]);
    service.put(ROUTES, route("serviceB", &targets)).await.ok();
    service.put(&format!("{ROUTES}/serviceB"), json!({"spec": route_spec(&targets)})).await.ok();
    // What an example cannot know are times and uids.
    let same = |mut answer: Value| {
        for part in answer["answers"].as_array_mut().expect("answers") {
            for member in ["createdAt", "lastUpdatedAt", "uid"] {
                assert!(!part["metadata"][member].take().is_null(), "{part}");
            }
        }
        answer
    };
    let answer = service.commit_body("apps", examples::COMMIT_REQUEST.to_owned()).await;
    let expected: Value = serde_json::from_str(examples::COMMIT_ANSWER).expect("the example");
    let mut answer = same(answer.ok());
    answer["answers"][2]["spec"] = json!({});
    assert_eq!(answer, same(expected));

    let service = ApiService::scenario().await;
    service.put(ROUTES, route("serviceB", &targets)).await.ok();
    let request: Value = serde_json::from_str(examples::COMMIT_REQUEST).expect("the example");
    let mut parts = request["parts"].clone();
    parts[0]["body"]["spec"] = router("serviceB", &[(80, "http2")])["spec"].clone();
    let body = json!({"parts": [parts[0], parts[1]]}).to_string();
    let refused = service.commit_body("apps", body).await;
    let expected: Value = serde_json::from_str(examples::COMMIT_REFUSED).expect("the example");
    assert_eq!(refused.body, expected);
}
