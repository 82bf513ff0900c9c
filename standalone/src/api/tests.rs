use std::time::Duration;

use axum::body::to_bytes;
use futures::StreamExt as _;
use http::StatusCode;
use serde_json::{Value, json};

use super::*;

mod pieces;

/// An API with what every cluster has, in memory.
async fn api() -> Api {
    let store = Arc::new(Store::in_memory().expect("a store"));
    let definitions = fleetmesh_crds::all();
    let resources = Arc::new(Resources::new(&definitions));
    crate::seed::seed(&store, &resources, &definitions).await.expect("seeded");
    Api::new(store, resources, "127.0.0.1:6443", CancellationToken::new()).expect("schemas")
}

async fn raw(api: &Api, method: &str, path: &str, media_type: &str, body: impl Into<Body>) -> Response {
    let request = Request::builder().method(method).uri(path).header("content-type", media_type);
    let request = request.body(body.into()).expect("a request");
    api.answer(&Caller::administrator("tester"), request).await
}

async fn json_of(response: Response) -> (u16, Value) {
    let code = response.status().as_u16();
    let bytes = to_bytes(response.into_body(), usize::MAX).await.expect("a body");
    (code, serde_json::from_slice(&bytes).unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into()))
}

async fn ask(api: &Api, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let media_type = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
    let body = if body.is_null() { String::new() } else { body.to_string() };
    json_of(raw(api, method, path, media_type, body).await).await
}

async fn get(api: &Api, path: &str) -> (u16, Value) {
    ask(api, "GET", path, &Value::Null).await
}

fn mesh(name: &str) -> Value {
    json!({"apiVersion": "fleetmesh.dev/v1alpha1", "kind": "Mesh", "metadata": {"name": name}, "spec": {}})
}

const MESHES: &str = "/apis/fleetmesh.dev/v1alpha1/meshes";

#[tokio::test]
async fn an_object_is_created_read_changed_and_deleted() {
    let api = api().await;
    let (code, created) = ask(&api, "POST", MESHES, &mesh("apps")).await;
    assert_eq!((code, &created["metadata"]["generation"]), (201, &json!(1)), "{created}");
    let path = format!("{MESHES}/apps");
    assert_eq!(get(&api, &path).await, (200, created.clone()));
    let (code, list) = get(&api, MESHES).await;
    assert_eq!((code, &list["kind"], &list["items"]), (200, &json!("MeshList"), &json!([created])));
    assert_eq!(list["metadata"]["continue"], "", "as lists of custom resources say it");
    let (code, nothing) = get(&api, "/api/v9").await;
    assert_eq!((code, &nothing["reason"]), (404, &json!("NotFound")), "{nothing}");
    let (code, patched) = ask(&api, "PATCH", &path, &json!({"metadata": {"labels": {"a": "b"}}})).await;
    assert_eq!((code, &patched["metadata"]["labels"]), (200, &json!({"a": "b"})));
    let (code, stale) = ask(&api, "PUT", &path, &created).await;
    assert_eq!((code, &stale["reason"]), (409, &json!("Conflict")), "{stale}");
    let (code, gone) = ask(&api, "DELETE", &path, &Value::Null).await;
    assert_eq!((code, &gone["status"], &gone["details"]["kind"]), (200, &json!("Success"), &json!("meshes")));
    let (code, missing) = get(&api, &path).await;
    assert_eq!((code, &missing["message"]), (404, &json!("meshes.fleetmesh.dev \"apps\" not found")));
}

#[tokio::test]
async fn nothing_is_stored_of_a_dry_run() {
    let api = api().await;
    let before = api.store.read(|ledger| ledger.state.revision());
    let (code, object) = ask(&api, "POST", &format!("{MESHES}?dryRun=All"), &mesh("a")).await;
    assert_eq!((code, &object["metadata"]["name"]), (201, &json!("a")));
    assert!(object["metadata"]["uid"].is_string() && object["metadata"].get("resourceVersion").is_none());
    assert_eq!(ask(&api, "POST", &format!("{MESHES}?dryRun=Some"), &mesh("a")).await.0, 422);
    assert_eq!(api.store.read(|ledger| ledger.state.revision()), before);
}

#[tokio::test]
async fn a_watch_shows_what_there_is_and_what_changes_and_goes_on_where_it_was() {
    let api = api().await;
    ask(&api, "POST", MESHES, &mesh("a")).await;
    let response = raw(&api, "GET", &format!("{MESHES}?watch=1"), "", Body::empty()).await;
    assert_eq!(response.status(), StatusCode::OK);
    let mut lines = response.into_body().into_data_stream();
    let mut next = async || -> Vec<Value> {
        let chunk = lines.next().await.expect("a line").expect("a chunk");
        let text = String::from_utf8(chunk.to_vec()).expect("UTF-8");
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    };
    let first = next().await;
    assert_eq!((&first[0]["type"], &first[0]["object"]["metadata"]["name"]), (&json!("ADDED"), &json!("a")));
    let (_, b) = ask(&api, "POST", MESHES, &mesh("b")).await;
    assert_eq!(next().await, [json!({"type": "ADDED", "object": b})]);
    let (_, changed) =
        ask(&api, "PATCH", &format!("{MESHES}/a"), &json!({"spec": {"tags": {"x": "y"}}})).await;
    ask(
        &api,
        "POST",
        "/api/v1/namespaces",
        &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}}),
    )
    .await;
    assert_eq!(next().await, [json!({"type": "MODIFIED", "object": changed})]);
    let from = b["metadata"]["resourceVersion"].as_str().expect("a version");
    let path = format!("{MESHES}?watch=1&resourceVersion={from}");
    let response = raw(&api, "GET", &path, "", Body::empty()).await;
    let again = response.into_body().into_data_stream().next().await.expect("a line").expect("a chunk");
    assert_eq!(serde_json::from_slice::<Value>(&again).expect("JSON")["type"], "MODIFIED");
}

#[tokio::test(start_paused = true)]
async fn a_watch_is_sent_bookmarks_and_ends_in_time() {
    let api = api().await;
    let query = "watch=1&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&timeoutSeconds=90";
    let response = raw(&api, "GET", &format!("{MESHES}?{query}"), "", Body::empty()).await;
    let (_, all) = json_of(response).await;
    let text = all.as_str().expect("lines");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert!(lines.iter().all(|line| line["type"] == "BOOKMARK" && line["object"]["kind"] == "Mesh"));
    assert_eq!(lines[0]["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
    assert!(lines[1]["object"]["metadata"].get("annotations").is_none());
}

#[tokio::test]
async fn a_watch_of_what_is_not_there_yet_is_refused() {
    let api = api().await;
    let (code, status) = get(&api, &format!("{MESHES}?watch=1&resourceVersion=999999")).await;
    assert_eq!((code, &status["reason"]), (504, &json!("Timeout")), "{status}");
}

#[tokio::test]
async fn a_request_in_the_name_of_another_is_refused() {
    let api = api().await;
    for header in ["impersonate-user", "Impersonate-Group", "impersonate-extra-scope"] {
        let request = Request::get(MESHES).header(header, "someone").body(Body::empty()).expect("a request");
        let answer = api.answer(&Caller::administrator("test"), request).await;
        assert_eq!(answer.status(), 501, "{header}");
    }
}

#[tokio::test]
async fn both_views_of_events_show_the_same_objects() {
    let api = api().await;
    let event = json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "e"}, "reason": "R", "type": "Normal",
        "note": "hello", "regarding": {"kind": "Mesh", "name": "a"}, "reportingController": "c", "action": "Do",
        "reportingInstance": "i", "eventTime": "2024-01-01T00:00:00.000000Z",
    });
    let (view, core) =
        ("/apis/events.k8s.io/v1/namespaces/default/events", "/api/v1/namespaces/default/events");
    let (code, created) = ask(&api, "POST", view, &event).await;
    assert_eq!((code, &created["note"]), (201, &json!("hello")), "{created}");
    let (_, shown) = get(&api, &format!("{core}/e")).await;
    assert_eq!((&shown["message"], &shown["involvedObject"]["name"]), (&json!("hello"), &json!("a")));
    assert_eq!(shown["apiVersion"], "v1");
    let series = json!({"series": {"count": 2, "lastObservedTime": "2024-01-01T00:00:01.000000Z"}});
    let (_, patched) = ask(&api, "PATCH", &format!("{view}/e"), &series).await;
    assert_eq!(
        (&patched["series"]["count"], &patched["apiVersion"]),
        (&json!(2), &json!("events.k8s.io/v1"))
    );
    assert_eq!(get(&api, &format!("{core}/e")).await.1["series"], patched["series"]);
    // Only core's version changes anything else of it.
    let (code, refused) = ask(&api, "PATCH", &format!("{view}/e"), &json!({"note": "again"})).await;
    assert_eq!((code, &refused["details"]["causes"][0]["field"]), (422, &json!("message")), "{refused}");
    assert_eq!(ask(&api, "PATCH", &format!("{core}/e"), &json!({"message": "again"})).await.0, 200);
    assert_eq!(get(&api, &format!("{view}/e")).await.1["note"], "again");
}

#[tokio::test]
async fn writers_of_one_object_overtake_each_other_and_lose_nothing() {
    let api = api().await;
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}});
    ask(&api, "POST", "/api/v1/namespaces/default/configmaps", &map).await;
    let writes = (0..32).map(|at| {
        let api = api.clone();
        async move {
            let patch = json!({"data": {format!("k{at}"): "v"}});
            ask(&api, "PATCH", "/api/v1/namespaces/default/configmaps/m", &patch).await.0
        }
    });
    let codes = futures::future::join_all(writes).await;
    assert!(codes.iter().all(|code| *code == 200), "{codes:?}");
    let (_, map) = get(&api, "/api/v1/namespaces/default/configmaps/m").await;
    assert_eq!(map["data"].as_object().map(serde_json::Map::len), Some(32));
}

#[tokio::test]
async fn definitions_of_ours_stay_as_they_are() {
    let api = api().await;
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let one = format!("{path}/meshes.fleetmesh.dev");
    let (code, definition) = get(&api, &one).await;
    assert_eq!((code, &definition["spec"]["names"]["kind"]), (200, &json!("Mesh")));
    let labelled = ask(&api, "PATCH", &one, &json!({"metadata": {"labels": {"a": "b"}}})).await;
    assert_eq!(labelled.0, 200, "{}", labelled.1);
    let (code, refused) = ask(&api, "PATCH", &one, &json!({"spec": {"scope": "Namespaced"}})).await;
    assert_eq!(code, 403);
    let message = refused["message"].as_str().expect("a message");
    assert!(message.contains("install the version of fleetmesh that has this one"), "{message}");
    assert_eq!(ask(&api, "DELETE", &one, &Value::Null).await.0, 403);
    let other = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "x.y.z"}, "spec": {}});
    assert_eq!(ask(&api, "POST", path, &other).await.0, 403);
}

#[tokio::test]
async fn the_scale_of_a_node_is_the_size_of_its_fleet() {
    let api = api().await;
    let nodes = "/apis/fleetmesh.dev/v1alpha1/namespaces/default/virtualnodes";
    let node = json!({
        "apiVersion": "fleetmesh.dev/v1alpha1", "kind": "VirtualNode", "metadata": {"name": "n"},
        "spec": {"meshName": "m", "iam": {}, "fleet": {
            "replicas": 1, "capacity": {"instanceTypes": ["t3.small"]},
            "app": {"port": 80, "container": "registry.example.com/a:v1"},
        }},
    });
    ask(&api, "POST", nodes, &node).await;
    let scale = format!("{nodes}/n/scale");
    let (code, scaled) = ask(&api, "PATCH", &scale, &json!({"spec": {"replicas": 3}})).await;
    assert_eq!(
        (code, &scaled["kind"], &scaled["spec"]["replicas"]),
        (200, &json!("Scale"), &json!(3)),
        "{scaled}"
    );
    let (_, node) = get(&api, &format!("{nodes}/n")).await;
    assert_eq!((&node["spec"]["fleet"]["replicas"], &node["metadata"]["generation"]), (&json!(3), &json!(2)));
    assert_eq!(get(&api, &scale).await.1["spec"]["replicas"], 3);
}

#[tokio::test]
async fn bodies_that_are_too_large_or_of_no_known_type_are_refused() {
    let api = api().await;
    let large = "x".repeat(body::LARGEST + 1);
    let (code, status) = json_of(raw(&api, "POST", MESHES, "application/json", large).await).await;
    assert_eq!((code, &status["reason"]), (413, &json!("RequestEntityTooLarge")));
    let (code, status) = json_of(raw(&api, "POST", MESHES, "text/plain", "x").await).await;
    assert_eq!((code, &status["reason"]), (415, &json!("UnsupportedMediaType")));
    let (code, _) = json_of(raw(&api, "POST", MESHES, "application/json", "{").await).await;
    assert_eq!(code, 400);
    let yaml = "apiVersion: fleetmesh.dev/v1alpha1\nkind: Mesh\nmetadata: {name: a}\nspec: {}\n";
    let (code, created) = json_of(raw(&api, "POST", MESHES, "application/yaml", yaml).await).await;
    assert_eq!((code, &created["metadata"]["name"]), (201, &json!("a")), "{created}");
}

#[tokio::test]
async fn who_asks_learns_that_it_may_do_everything() {
    let api = api().await;
    let review =
        |kind: &str, group: &str| json!({"apiVersion": format!("{group}/v1"), "kind": kind, "spec": {}});
    let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let mut access = review("SelfSubjectAccessReview", "authorization.k8s.io");
    assert_eq!(ask(&api, "POST", path, &access).await.0, 422, "it asks nothing");
    access["spec"]["resourceAttributes"] = json!({"verb": "get", "resource": "secrets"});
    let (code, answer) = ask(&api, "POST", path, &access).await;
    assert_eq!((code, &answer["status"]["allowed"]), (201, &json!(true)));
    let path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    let (_, answer) = ask(&api, "POST", path, &review("SelfSubjectReview", "authentication.k8s.io")).await;
    assert_eq!(answer["status"]["userInfo"]["username"], "tester");
    assert_eq!(get(&api, path).await.0, 405);
}

#[tokio::test]
async fn a_namespace_takes_its_contents_along() {
    let api = api().await;
    let stop = CancellationToken::new();
    let collector =
        tokio::spawn(crate::collector::run(Arc::clone(&api.store), Arc::clone(&api.resources), stop.clone()));
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}});
    ask(&api, "POST", "/api/v1/namespaces", &namespace).await;
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}});
    assert_eq!(ask(&api, "POST", "/api/v1/namespaces/n/configmaps", &map).await.0, 201);
    let mut revisions = api.store.revisions();
    let (code, marked) = ask(&api, "DELETE", "/api/v1/namespaces/n", &Value::Null).await;
    assert_eq!((code, &marked["status"]["phase"]), (200, &json!("Terminating")));
    while get(&api, "/api/v1/namespaces/n").await.0 != 404 {
        tokio::time::timeout(Duration::from_secs(10), revisions.changed())
            .await
            .expect("in time")
            .expect("served");
    }
    assert_eq!(get(&api, "/api/v1/namespaces/n/configmaps/m").await.0, 404);
    stop.cancel();
    collector.await.expect("no panic");
}

#[tokio::test]
async fn a_client_of_kube_works_without_a_socket() {
    use fleetmesh_crds::Mesh;
    use kube::api::{ObjectMeta, Patch, PatchParams, PostParams};
    let api = api().await;
    let client = crate::service::ApiService::new(api, Caller::administrator("operator")).client();
    let meshes: kube::Api<Mesh> = kube::Api::all(client);
    let mesh: Mesh = serde_json::from_value(mesh("apps")).expect("a mesh");
    let created = meshes.create(&PostParams::default(), &mesh).await.expect("created");
    assert!(created.metadata.uid.is_some());
    let patch = Patch::Merge(json!({"metadata": {"finalizers": ["fleetmesh.dev/cleanup"]}}));
    let patched = meshes.patch("apps", &PatchParams::default(), &patch).await.expect("patched");
    assert_eq!(patched.metadata.finalizers.as_deref(), Some(&["fleetmesh.dev/cleanup".to_owned()][..]));
    let error = meshes.create(&PostParams::default(), &mesh).await.expect_err("it is there");
    assert!(matches!(error, kube::Error::Api(status) if status.reason == "AlreadyExists"));
    let ObjectMeta { name, .. } = meshes.get("apps").await.expect("there").metadata;
    assert_eq!(name.as_deref(), Some("apps"));
}

/// Clients keep a document by its hash until another address is in the index.
#[tokio::test]
async fn openapi_is_found_by_its_index_and_kept_by_its_hash() {
    let api = api().await;
    let (code, index) = get(&api, "/openapi/v3").await;
    assert_eq!(code, 200, "{index}");
    let address =
        index["paths"]["apis/fleetmesh.dev/v1alpha1"]["serverRelativeURL"].as_str().expect("an address");
    let ask = async |path: &str| raw(&api, "GET", path, "application/json", "").await;
    let response = ask(address).await;
    assert_eq!(response.headers()["cache-control"], "public, immutable");
    let tag = response.headers()["etag"].to_str().expect("a tag").to_owned();
    let (code, document) = json_of(response).await;
    assert_eq!(code, 200);
    assert!(document["components"]["schemas"].to_string().contains("VirtualNode"), "our kinds");
    let moved = ask("/openapi/v3/apis/fleetmesh.dev/v1alpha1?hash=0").await;
    assert_eq!((moved.status().as_u16(), moved.headers()["location"].as_bytes()), (301, address.as_bytes()));
    let known =
        Request::builder().uri("/openapi/v3/apis/fleetmesh.dev/v1alpha1").header("if-none-match", tag);
    let known =
        api.answer(&Caller::administrator("tester"), known.body(Body::empty()).expect("a request")).await;
    assert_eq!(known.status(), StatusCode::NOT_MODIFIED);
    let (code, swagger) = get(&api, "/openapi/v2").await;
    assert_eq!((code, &swagger["swagger"]), (200, &json!("2.0")));
    assert_eq!(ask("/openapi/v3/apis/none/v1").await.status(), StatusCode::NOT_FOUND);
    assert_eq!(raw(&api, "POST", "/openapi/v3", "application/json", "").await.status(), 405);
}
