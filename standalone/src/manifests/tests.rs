mod put_back;

use std::fs;
use std::sync::Arc;

use fleetmesh_standalone_core::manifests::is_owned;
use fleetmesh_standalone_core::resource::Resources;
use http::Method;
use serde_json::{Value, json};
use tokio_util::sync::DropGuard;

use super::*;
use crate::store::Store;

/// An API in memory, a directory, and what applies it.
struct Bed {
    folder: tempfile::TempDir,
    client: ManifestClient,
    manifests: Manifests,
    api: Api,
    store: Arc<Store>,
}

impl Bed {
    async fn new() -> Self {
        let store = Arc::new(Store::in_memory().expect("a store"));
        let definitions = fleetmesh_crds::all();
        let resources = Arc::new(Resources::new(&definitions));
        crate::seed::seed(&store, &resources, &definitions).await.expect("seeded");
        let api = Api::new(Arc::clone(&store), resources, "127.0.0.1:6443", CancellationToken::new())
            .expect("schemas");
        let folder = tempfile::tempdir().expect("a folder");
        let manifests = Manifests::new(api.clone(), folder.path()).expect("a directory");
        let client = ManifestClient::new(api.clone(), Caller::administrator("somebody"));
        Self { folder, client, manifests, api, store }
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

#[tokio::test]
async fn what_is_in_a_namespace_that_does_not_exist_is_in_an_event_that_can_be_found() {
    let mut bed = Bed::new().await;
    let inside = map("a", "x").replace("{name: a}", "{name: a, namespace: shop}");
    bed.write("a.yaml", &inside);
    assert!(!bed.bring().await);
    assert!(!bed.bring().await);
    let events = bed.events("default").await;
    assert_eq!(events.len(), 1, "reported once: {events:?}");
    let begins = "a.yaml, document 1 (ConfigMap shop/a), metadata.namespace: there is no namespace \"shop\": add a manifest";
    assert!(events[0].starts_with(begins), "{events:?}");
    let list = bed.get("/api/v1/namespaces/default/events").await.expect("a list");
    let about = &list["items"][0]["involvedObject"];
    assert_eq!(about, &json!({"apiVersion": "v1", "kind": "Namespace", "name": "shop"}));
    bed.write("b.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n");
    assert!(bed.bring().await, "and it is applied when there is one");
}

#[tokio::test]
async fn what_people_write_wrong_is_said_with_the_member_and_the_way_out() {
    let mut bed = Bed::new().await;
    let head = |kind: &str| format!("apiVersion: v1\nkind: {kind}\nmetadata: {{name: a}}\n");
    bed.write("secret.yaml", &format!("{}data: {{password: hunter2}}\n", head("Secret")));
    bed.write("number.yaml", &format!("{}data: {{port: 8080}}\n", head("ConfigMap")));
    bed.write("twice.yaml", &format!("{}data: {{a: b}}\ndata: {{c: d}}\n", head("ServiceAccount")));
    assert!(!bed.bring().await);
    let events = bed.events("default").await;
    assert_eq!(events.len(), 3, "{events:?}");
    for begins in [
        "secret.yaml, document 1 (Secret default/a), data[password]: it is no base64: encode it",
        "number.yaml, document 1 (ConfigMap default/a), data[port]: 8080 is a number, and it has to be a text: put it in quotes",
        "twice.yaml: document 1 has the key \"data\" twice in one map, again at line 5, column 1: keep one of them",
    ] {
        assert!(events.iter().any(|event| event.starts_with(begins)), "{begins}: {events:?}");
    }
    assert!(events.iter().all(|event| !event.contains("hunter2")), "{events:?}");
}

#[tokio::test]
async fn nothing_is_pruned_by_a_look_that_is_not_true_any_more() {
    let mut bed = Bed::new().await;
    bed.write("a.yaml", &map("a", "x"));
    bed.write("b.yaml", &map("b", "x"));
    assert!(bed.bring().await);
    let first = bed.get(&format!("{MAPS}/a")).await.expect("there");
    // What is in `a.yaml`, which has changed, moves to a new file between the look and the reading.
    bed.write("a.yaml", &map("a", "changed"));
    let looked = tree::look(bed.folder.path());
    bed.write("c.yaml", &map("a", "changed"));
    bed.write("a.yaml", &map("d", "x"));
    assert!(!bed.manifests.bring(looked, true).await);
    assert!(bed.bring().await);
    let moved = bed.get(&format!("{MAPS}/a")).await.expect("there");
    assert_eq!(metadata(&moved, "uid"), metadata(&first, "uid"), "it is the same object");
    assert_eq!(moved["data"], json!({"a": "changed"}));
}

/// Until `look` finds what it waits for; much longer than that takes, and much shorter than all is applied again.
async fn until<T>(look: impl AsyncFn() -> Option<T>) -> T {
    let found = async {
        loop {
            match look().await {
                Some(found) => return found,
                None => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), found).await.expect("within a minute")
}

impl Bed {
    async fn patch(&self, path: &str, patch: &Value) -> Value {
        let media_type = "application/merge-patch+json";
        let path = format!("{path}?fieldManager=somebody");
        let (code, answer) = self.client.ask(Method::PATCH, &path, media_type, patch).await;
        assert_eq!(code, 200, "{answer}");
        answer
    }

    async fn delete(&self, path: &str) {
        let (code, answer) = self.client.ask(Method::DELETE, path, "application/json", &Value::Null).await;
        assert_eq!(code, 200, "{answer}");
    }

    /// Runs it from now on, until the guard is dropped.
    fn run(&mut self) -> DropGuard {
        let next = Manifests::new(self.api.clone(), self.folder.path()).expect("a directory");
        let shutdown = CancellationToken::new();
        tokio::spawn(std::mem::replace(&mut self.manifests, next).run(shutdown.clone()));
        shutdown.drop_guard()
    }

    /// The value that the map has.
    async fn value(&self, name: &str) -> Option<String> {
        let map = self.get(&format!("{MAPS}/{name}")).await?;
        map["data"]["a"].as_str().map(str::to_owned)
    }
}

fn metadata(object: &Value, member: &str) -> String {
    object["metadata"][member].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn what_somebody_changes_or_deletes_is_put_back_at_once_and_what_no_file_has_stays() {
    let mut bed = Bed::new().await;
    bed.write("a.yaml", &map("a", "x"));
    bed.write("b.yaml", &map("b", "x"));
    let _running = bed.run();
    let (a, b) = (format!("{MAPS}/a"), format!("{MAPS}/b"));
    until(async || bed.get(&b).await).await;
    let begun = Instant::now();
    bed.patch(&a, &json!({"data": {"a": "theirs"}})).await;
    until(async || bed.value("a").await.filter(|value| value == "x")).await;
    bed.patch(&a, &json!({"data": {"z": "theirs"}})).await;
    let first = bed.get(&b).await.expect("there");
    bed.delete(&b).await;
    let second = until(async || bed.get(&b).await).await;
    assert_ne!(metadata(&first, "uid"), metadata(&second, "uid"));
    assert_eq!(second["data"], json!({"a": "x"}));
    assert!(is_owned(&second), "what it makes again is pruned again: {second}");
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
    let changed = bed.get(&a).await.expect("there");
    assert_eq!(changed["data"], json!({"a": "x", "z": "theirs"}));
}

#[tokio::test]
async fn what_is_not_in_a_file_changes_without_a_request_of_the_manifests() {
    let mut bed = Bed::new().await;
    bed.write("a.yaml", &map("a", "x"));
    bed.write("b.yaml", &map("b", "x"));
    let _running = bed.run();
    until(async || bed.get(&format!("{MAPS}/b")).await).await;
    let a = format!("{MAPS}/a");
    let changed = bed.patch(&a, &json!({"data": {"z": "theirs"}, "metadata": {"labels": {"l": "1"}}})).await;
    // Seen after that, and put back.
    bed.delete(&format!("{MAPS}/b")).await;
    until(async || bed.get(&format!("{MAPS}/b")).await).await;
    assert_eq!(bed.get(&a).await, Some(changed));
}

#[tokio::test]
async fn two_parties_that_fight_are_slowed_down_and_a_person_is_shown_who_it_is() {
    let mut bed = Bed::new().await;
    bed.write("a.yaml", &map("a", "x"));
    let _running = bed.run();
    let begun = Instant::now();
    for _ in 0..3 {
        until(async || bed.value("a").await.filter(|value| value == "x")).await;
        bed.patch(&format!("{MAPS}/a"), &json!({"data": {"a": "theirs"}})).await;
    }
    until(async || bed.value("a").await.filter(|value| value == "x")).await;
    // At once, after a second, and after two more.
    assert!(begun.elapsed() >= Duration::from_secs(3), "{:?}", begun.elapsed());
    let shown = async || bed.events("default").await.into_iter().find(|event| event.contains("by somebody"));
    let event = until(shown).await;
    assert!(event.starts_with("a.yaml, document 1 (ConfigMap default/a): it is changed again"), "{event}");
}

#[tokio::test]
async fn a_namespace_that_somebody_deletes_is_made_again_with_what_was_in_it() {
    let mut bed = Bed::new().await;
    let namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n";
    let inside = map("a", "x").replace("{name: a}", "{name: a, namespace: shop}");
    bed.write("a.yaml", &format!("{inside}---\n{namespace}"));
    let _running = bed.run();
    let collecting = CancellationToken::new();
    let (store, resources) = (Arc::clone(&bed.store), Arc::new(Resources::new(&fleetmesh_crds::all())));
    tokio::spawn(crate::collector::run(store, resources, collecting.clone()));
    let _collecting = collecting.drop_guard();
    let path = "/api/v1/namespaces/shop/configmaps/a";
    let first = until(async || bed.get(path).await).await;
    bed.delete("/api/v1/namespaces/shop").await;
    let again = async || bed.get(path).await.filter(|map| metadata(map, "uid") != metadata(&first, "uid"));
    let second = until(again).await;
    assert_eq!(second["data"], json!({"a": "x"}));
    assert_eq!(bed.events("default").await, Vec::<String>::new(), "nothing was tried too early");
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_misses_changes_says_so() {
    let bed = Bed::new().await;
    let mut watches = Watches::new(bed.client.clone());
    let resource = bed.client.resources().of_kind("", "v1", "ConfigMap").map(Arc::clone).expect("a resource");
    watches.keep([&resource].into_iter()).await;
    watches.keep([].into_iter()).await;
    watches.seen().await;
    assert!(watches.take().lost.is_empty(), "it was ended here");
    watches.start(&resource, u64::MAX);
    watches.seen().await;
    assert_eq!(watches.take().lost, BTreeSet::from([watches::key(&resource)]));
    watches.keep([&resource].into_iter()).await;
    bed.make("default", "seen").await;
    watches.seen().await;
    assert_eq!(watches.take().changes.len(), 1, "it is followed again");
}
