//! AWS's public walkthroughs, request by request (`tests/data/corpus`): every valid request is taken, and every object is in
//! force or reported with a reason.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use fleetmesh_mesh::cloud_map::Discovered;
use fleetmesh_mesh::snapshot::{Snapshot, unserved};
use fleetmesh_mesh::store::TOKENS_PER_MESH;
use fleetmesh_model::{Collection, KINDS, Kind, ResourceId};
use http::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};

use super::service::{ApiService, ServiceAnswer, identity};
use crate::store::{SqliteStore, Store};
use crate::views::Views as _;

/// Members that are stored and not in force, by a part of their paths and reasons.
const UNSERVED: [&str; 1] = ["acm: "];

fn walkthroughs() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/corpus");
    let files = std::fs::read_dir(folder).expect("the corpus").map(|file| file.expect("a file").path());
    let mut files: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|end| end == "jsonl")).collect();
    files.sort();
    files
}

/// An API on a store whose views can be looked at.
fn service() -> (ApiService, Arc<SqliteStore>, tempfile::TempDir) {
    let directory = tempfile::tempdir().expect("a directory");
    let store = SqliteStore::open(directory.path(), &identity(), TOKENS_PER_MESH).expect("a store");
    let store = Arc::new(store);
    let kept = Arc::clone(&store) as Arc<dyn Store>;
    (ApiService::on(kept, &[], None), store, directory)
}

/// The identity in an input, and the rest of it. All speak as the one account that is served here.
fn identified(kind: Kind, mut input: Map<String, Value>) -> (ResourceId, Map<String, Value>) {
    input.remove("meshOwner");
    let mut name = |of: Kind| {
        let name = input.remove(of.info().member).unwrap_or_else(|| panic!("{kind}: {}", of.info().member));
        name.as_str().expect("a name").to_owned()
    };
    let parents = std::iter::successors(kind.info().parent, |of| of.info().parent);
    let mut id: Option<ResourceId> = None;
    for of in parents.collect::<Vec<_>>().into_iter().rev().chain([kind]) {
        id = Some(Collection::of(of, id.as_ref()).expect("a collection").member(&name(of)));
    }
    (id.expect("an identity"), input)
}

async fn send(
    service: &ApiService,
    operation: &str,
    input: Map<String, Value>,
) -> (ResourceId, ServiceAnswer) {
    let (verb, words) = operation.split_once('-').expect("a verb");
    let kind = KINDS.iter().position(|info| info.words.replace(' ', "-") == words).expect("a kind");
    let (id, mut body) = identified(Kind::ALL[kind], input);
    let encode = |part: &str| utf8_percent_encode(part, NON_ALPHANUMERIC).to_string();
    let collection = id.collection();
    let path: Vec<String> = collection.path().into_iter().map(encode).collect();
    let mut path = format!("/{}", path.join("/"));
    match verb {
        "create" => {
            body.insert(id.kind().info().member.to_owned(), Value::String(id.name().to_owned()));
        }
        "update" => path.push_str(&format!("/{}", encode(id.name()))),
        other => panic!("{other}"),
    }
    let answer = service.call(Method::PUT, &path, &Value::Object(body)).await;
    (id, answer)
}

#[tokio::test]
async fn every_request_of_the_walkthroughs_is_taken_and_in_force_or_reported() {
    let (mut sent, mut of_gateways, mut wrong) = (0, 0, Vec::new());
    for file in walkthroughs() {
        let of = file.file_stem().expect("a name").to_string_lossy().into_owned();
        let (service, store, _directory) = service();
        for line in std::fs::read_to_string(&file).expect("text").lines() {
            let request: Value = serde_json::from_str(line).expect("JSON");
            let operation = request["operation"].as_str().expect("an operation");
            let input = request["input"].as_object().expect("an input").clone();
            let (id, answer) = send(&service, operation, input).await;
            sent += 1;
            of_gateways += usize::from(operation.contains("gateway"));
            if answer.status != 200 {
                wrong.push(format!("{of}: {operation} {id}: {}", answer.body["message"]));
            }
        }
        for mesh in store.mesh_names() {
            let view = store.mesh(&mesh).expect("the mesh");
            for record in view.resources.values() {
                for path in unserved(&view, &Discovered::default(), record) {
                    if !UNSERVED.iter().any(|known| path.contains(known)) {
                        wrong.push(format!("{of}: {} is not in force: {path}", record.id));
                    }
                }
                if record.id.kind().info().has_proxies {
                    let snapshot = Snapshot::build(&view, &Discovered::default(), &record.id);
                    assert!(snapshot.is_some(), "{of}: {}", record.id);
                }
            }
        }
    }
    println!("{sent} requests, {of_gateways} of gateways");
    assert!(sent > 600 && of_gateways > 130, "{sent} requests, {of_gateways} of gateways");
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}
