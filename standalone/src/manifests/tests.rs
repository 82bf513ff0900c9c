use std::fs;
use std::sync::Arc;

use fleetmesh_standalone_core::resource::Resources;
use http::Method;
use serde_json::json;

use super::*;
use crate::store::Store;

/// An API in memory, a directory, and what applies it.
struct Bed {
    folder: tempfile::TempDir,
    client: ManifestClient,
    manifests: Manifests,
}

impl Bed {
    async fn new() -> Self {
        let store = Arc::new(Store::in_memory().expect("a store"));
        let definitions = fleetmesh_crds::all();
        let resources = Arc::new(Resources::new(&definitions));
        crate::seed::seed(&store, &resources, &definitions).await.expect("seeded");
        let api = Api::new(store, resources, "127.0.0.1:6443", CancellationToken::new()).expect("schemas");
        let folder = tempfile::tempdir().expect("a folder");
        let manifests = Manifests::new(api.clone(), folder.path()).expect("a directory");
        Self { folder, client: ManifestClient::new(api, Caller::administrator("somebody")), manifests }
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.folder.path().join(file), text).expect("written");
    }

    fn remove(&self, file: &str) {
        fs::remove_file(self.folder.path().join(file)).expect("removed");
    }

    /// Brings the API in step; whether all of it is.
    async fn bring(&mut self) -> bool {
        !self.manifests.bring(tree::look(self.folder.path()), true).await
    }

    async fn get(&self, path: &str) -> Option<Value> {
        let (code, object) = self.client.ask(Method::GET, path, "application/json", &Value::Null).await;
        (code == 200).then_some(object)
    }

    /// Somebody else makes a ConfigMap.
    async fn make(&self, namespace: &str, name: &str) {
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "theirs"}});
        let path = format!("/api/v1/namespaces/{namespace}/configmaps");
        let (code, answer) = self.client.ask(Method::POST, &path, "application/json", &object).await;
        assert_eq!(code, 201, "{answer}");
    }

    async fn events(&self, namespace: &str) -> Vec<String> {
        let list = self.get(&format!("/api/v1/namespaces/{namespace}/events")).await.expect("a list");
        let items = list["items"].as_array().expect("items").iter();
        items.map(|event| event["message"].as_str().expect("a message").to_owned()).collect()
    }
}

fn map(name: &str, value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{a: {value}}}\n")
}

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const MESH: &str = "apiVersion: fleetmesh.dev/v1alpha1\nkind: Mesh\nmetadata: {name: apps}\nspec: {}\n";

#[tokio::test]
async fn what_is_written_is_applied_and_what_is_removed_is_pruned() {
    let mut bed = Bed::new().await;
    bed.write("maps.yaml", &format!("{}---\n{}", map("one", "x"), map("two", "x")));
    bed.write("mesh.yaml", MESH);
    assert!(bed.bring().await);
    let one = bed.get(&format!("{MAPS}/one")).await.expect("applied");
    assert_eq!(one["data"], json!({"a": "x"}));
    assert_eq!(one["metadata"]["managedFields"][0]["manager"], "fleetmesh-manifests");
    assert!(bed.bring().await);
    assert_eq!(bed.get(&format!("{MAPS}/one")).await, Some(one), "nothing changed");

    bed.write("maps.yaml", &map("one", "changed"));
    assert!(bed.bring().await);
    let one = bed.get(&format!("{MAPS}/one")).await.expect("applied");
    assert_eq!(one["data"], json!({"a": "changed"}));
    assert!(bed.get(&format!("{MAPS}/two")).await.is_none(), "pruned");
    let mesh = "/apis/fleetmesh.dev/v1alpha1/meshes/apps";
    assert!(bed.get(mesh).await.is_some());
    bed.remove("mesh.yaml");
    assert!(bed.bring().await);
    assert!(bed.get(mesh).await.is_none(), "pruned");
}

#[tokio::test]
async fn what_others_made_is_changed_where_it_is_written_and_never_pruned() {
    let mut bed = Bed::new().await;
    bed.make("default", "theirs").await;
    bed.write("a.yaml", &map("theirs", "ours"));
    bed.write("b.yaml", &map("other", "x"));
    assert!(bed.bring().await);
    let theirs = bed.get(&format!("{MAPS}/theirs")).await.expect("there");
    assert_eq!(theirs["data"], json!({"a": "ours"}));
    assert!(theirs["metadata"].get("labels").is_none(), "{theirs}");
    // A copy of one of ours, label and all, is another's, too.
    let mut copy = bed.get(&format!("{MAPS}/other")).await.expect("there");
    copy["metadata"] = json!({"name": "copy", "labels": copy["metadata"]["labels"]});
    assert!(copy["metadata"]["labels"].is_object());
    let (code, answer) = bed.client.ask(Method::POST, MAPS, "application/json", &copy).await;
    assert_eq!(code, 201, "{answer}");
    bed.remove("a.yaml");
    assert!(bed.bring().await);
    for name in ["theirs", "copy", "other"] {
        assert!(bed.get(&format!("{MAPS}/{name}")).await.is_some(), "{name}");
    }
}

#[tokio::test]
async fn after_a_restart_what_was_made_before_is_known() {
    let mut bed = Bed::new().await;
    bed.write("a.yaml", &map("a", "x"));
    bed.write("b.yaml", &map("b", "x"));
    assert!(bed.bring().await);
    bed.manifests.applied.clear();
    bed.manifests.files.clear();
    bed.remove("b.yaml");
    assert!(bed.bring().await);
    assert!(bed.get(&format!("{MAPS}/a")).await.is_some());
    assert!(bed.get(&format!("{MAPS}/b")).await.is_none());
}

#[tokio::test]
async fn nothing_is_pruned_while_something_may_be_hidden() {
    let mut bed = Bed::new().await;
    bed.write("a.yaml", &map("a", "x"));
    bed.write("b.yaml", &map("b", "x"));
    assert!(bed.bring().await);
    bed.write("a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: [secret\n");
    bed.remove("b.yaml");
    assert!(!bed.bring().await);
    assert!(!bed.bring().await);
    for name in ["a", "b"] {
        assert!(bed.get(&format!("{MAPS}/{name}")).await.is_some(), "{name}");
    }
    let events = bed.events("default").await;
    assert_eq!(events.len(), 1, "reported once: {events:?}");
    assert!(events[0].starts_with("a.yaml: document 1 is no YAML at line "), "{events:?}");
    assert!(!events[0].contains("secret"), "{events:?}");

    bed.remove("a.yaml");
    assert!(!bed.bring().await, "an empty directory is one that is not mounted");
    assert!(bed.get(&format!("{MAPS}/a")).await.is_some(), "and prunes nothing");
    let events = bed.events("default").await;
    assert!(events.iter().any(|event| event.contains("2 objects were made for it")), "{events:?}");
    bed.write("c.yaml", &map("c", "x"));
    assert!(bed.bring().await);
    assert!(bed.get(&format!("{MAPS}/a")).await.is_none());
}

#[tokio::test]
async fn what_the_api_refuses_is_said_with_file_document_and_field_and_keeps_nothing_else() {
    let mut bed = Bed::new().await;
    let bad = MESH.replace("spec: {}", "spec: {egressFilter: {type: SOME}}");
    bed.write("a.yaml", &format!("{}---\n{bad}", map("a", "x")));
    bed.write("b.yaml", &map("b", "x"));
    assert!(!bed.bring().await);
    for name in ["a", "b"] {
        assert!(bed.get(&format!("{MAPS}/{name}")).await.is_some(), "{name}");
    }
    let events = bed.events("default").await;
    assert_eq!(events.len(), 1, "{events:?}");
    assert!(events[0].starts_with("a.yaml, document 2 (Mesh apps), spec.egressFilter.type: "), "{events:?}");
    bed.write("a.yaml", &format!("{}---\n{MESH}", map("a", "x")));
    assert!(bed.bring().await);
}

#[tokio::test]
async fn a_namespace_is_pruned_with_what_is_ours_and_stays_with_what_is_not() {
    let mut bed = Bed::new().await;
    let namespace = |name: &str| format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}}}\n");
    bed.write("a.yaml", &map("a", "x"));
    bed.write("b.yaml", &format!("{}---\n{}", namespace("empty"), namespace("used")));
    assert!(bed.bring().await);
    bed.make("used", "theirs").await;
    bed.remove("b.yaml");
    assert!(!bed.bring().await);
    let used = bed.get("/api/v1/namespaces/used").await.expect("there");
    assert!(used["metadata"].get("deletionTimestamp").is_none());
    let empty = bed.get("/api/v1/namespaces/empty").await;
    assert!(empty.is_none_or(|empty| empty["metadata"]["deletionTimestamp"].is_string()));
    let events = bed.events("default").await;
    assert!(events.iter().any(|event| event.contains("ConfigMap used/theirs is in it")), "{events:?}");
}
