use serde_json::{Value, json};

use super::{OpenApiV2, OpenApiV3};
use crate::resource::Resources;

fn parsed(body: &[u8]) -> Value {
    serde_json::from_slice(body).expect("JSON")
}

#[test]
fn the_index_leads_to_a_document_for_each_version() {
    let open_api = OpenApiV3::new(&Resources::new(&fleetmesh_crds::all()), "1.36");
    let index = parsed(&open_api.index().body);
    let paths: Vec<&String> = index["paths"].as_object().expect("paths").keys().collect();
    assert_eq!(
        paths,
        [
            "api/v1",
            "apis/apiextensions.k8s.io/v1",
            "apis/authentication.k8s.io/v1",
            "apis/authorization.k8s.io/v1",
            "apis/coordination.k8s.io/v1",
            "apis/events.k8s.io/v1",
            "apis/fleetmesh.dev/v1alpha1",
        ]
    );
    let address = open_api.address("api/v1").expect("an address");
    assert_eq!(index["paths"]["api/v1"]["serverRelativeURL"], address.as_str());
    let document = open_api.group("api/v1").expect("a document");
    assert!(address.ends_with(&document.hash));
    assert_eq!(document.etag(), format!("\"{}\"", document.hash));
    assert_eq!(open_api.group("api/v2"), None);
    assert_eq!(open_api.address("apis/none/v1"), None);
}

/// kubectl leaves validation to a server whose PATCH has this parameter, and else validates by itself.
#[test]
fn every_patch_takes_field_validation() {
    let open_api = OpenApiV3::new(&Resources::new(&fleetmesh_crds::all()), "1.36");
    let mut patches = 0;
    for path in ["api/v1", "apis/fleetmesh.dev/v1alpha1", "apis/coordination.k8s.io/v1"] {
        let document = parsed(&open_api.group(path).expect("a document").body);
        for (path, item) in document["paths"].as_object().expect("paths") {
            let Some(patch) = item.get("patch") else { continue };
            let names: Vec<&Value> =
                patch["parameters"].as_array().expect("parameters").iter().map(|one| &one["name"]).collect();
            for name in ["dryRun", "fieldManager", "fieldValidation", "force"] {
                assert!(names.contains(&&json!(name)), "{path}: {names:?}");
            }
            patches += 1;
        }
    }
    assert!(patches > 20, "{patches}");
}

/// No reference leads nowhere, or a client gives up on the whole document.
#[test]
fn every_reference_leads_to_a_schema() {
    fn check(value: &Value, root: &Value) {
        match value {
            Value::Object(members) => {
                if let Some(to) = members.get("$ref").and_then(Value::as_str) {
                    let pointer = to.strip_prefix('#').expect("a reference within the document");
                    assert!(root.pointer(pointer).is_some(), "{to}");
                }
                members.values().for_each(|value| check(value, root));
            }
            Value::Array(items) => items.iter().for_each(|value| check(value, root)),
            _ => {}
        }
    }
    let open_api = OpenApiV3::new(&Resources::new(&fleetmesh_crds::all()), "1.36");
    let paths = parsed(&open_api.index().body)["paths"].as_object().expect("paths").clone();
    for path in paths.keys() {
        let document = parsed(&open_api.group(path).expect("a document").body);
        check(&document, &document);
    }
    let open_api = OpenApiV2::new(&Resources::new(&fleetmesh_crds::all()), "1.36");
    let v2 = parsed(&open_api.json.body);
    check(&v2, &v2);
    assert!(v2["definitions"].as_object().expect("definitions").len() > 80);
    assert_eq!(open_api.protobuf.hash, open_api.json.hash);
}
