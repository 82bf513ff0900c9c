//! What is exported of which objects.

use serde_json::{Value, json};

use super::object::{Kept, judge};
use super::{Export, ExportOptions};
use crate::fetch::Target;
use crate::resources::Resource;

fn resource(plural: &str, is_namespaced: bool) -> Resource {
    Resource { plural: plural.to_owned(), is_namespaced, ..Resource::default() }
}

fn target(resource: &Resource, namespace: &str, mut object: Value) -> Target {
    let name = object["metadata"]["name"].as_str().unwrap().to_owned();
    if !namespace.is_empty() {
        object["metadata"]["namespace"] = namespace.into();
    }
    let (resource, namespace) = (resource.clone(), namespace.to_owned());
    Target { resource, namespace, name, object, source: String::new() }
}

fn object(kind: &str, name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name}})
}

#[test]
fn what_a_server_sets_is_left_out_and_app_mesh_objects_are_adopted() {
    let metadata = json!({
        "name": "a", "namespace": "n", "uid": "u", "resourceVersion": "5", "generation": 2, "creationTimestamp": "t",
        "managedFields": [], "finalizers": ["fleetmesh.dev/cleanup"], "generateName": "a-", "selfLink": "/",
        "ownerReferences": [{"uid": "o"}],
        "labels": {"team": "x", "fleetmesh.dev/manifests": "true"},
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"},
    });
    let spec = json!({"meshName": "m", "adoptionPolicy": "Refuse"});
    let found = json!({"apiVersion": "fleetmesh.dev/v1alpha1", "kind": "VirtualNode", "metadata": metadata, "spec": spec, "status": {"x": 1}});
    let Kept::Yes(kept, notes) = judge(found, ExportOptions::default()) else { panic!("it is kept") };
    assert_eq!(
        kept,
        json!({
            "apiVersion": "fleetmesh.dev/v1alpha1", "kind": "VirtualNode",
            "metadata": {"name": "a", "namespace": "n", "labels": {"team": "x"}},
            "spec": {"meshName": "m", "adoptionPolicy": "Adopt"},
        })
    );
    assert_eq!(notes.len(), 1, "{notes:?}");
}

#[test]
fn what_would_do_harm_is_left_out_or_refused() {
    let options = ExportOptions::default();
    let mut deleted = object("Mesh", "a");
    deleted["metadata"]["deletionTimestamp"] = "t".into();
    assert!(matches!(judge(deleted, options), Kept::No(_)));
    assert!(matches!(judge(object("RouteAction", "a"), options), Kept::No(_)));
    assert_eq!(judge(object("ConfigMap", "kube-root-ca.crt"), options), Kept::Silent);
    let mut default = object("Namespace", "default");
    default["metadata"]["labels"] = json!({"kubernetes.io/metadata.name": "default"});
    assert_eq!(judge(default.clone(), options), Kept::Silent);
    default["metadata"]["labels"]["team"] = "x".into();
    assert!(matches!(judge(default, options), Kept::Yes(..)));
    assert!(matches!(judge(object("Secret", "a"), options), Kept::No(_)));
    let with = ExportOptions { secrets: true, rollouts: false };
    assert!(matches!(judge(object("Secret", "a"), with), Kept::Yes(..)));
    let mut token = object("Secret", "a");
    token["type"] = "kubernetes.io/service-account-token".into();
    assert_eq!(judge(token, with), Kept::Silent);
    for (phase, is_settled) in [
        ("Stable", true),
        ("Promoted", true),
        ("RolledBack", true),
        ("Progressing", false),
        ("Aborted", false),
        ("Held", false),
    ] {
        let mut route = object("Route", "a");
        route["spec"] = json!({"canary": {}});
        route["status"] = json!({"phase": phase});
        let accepted = ExportOptions { secrets: false, rollouts: true };
        assert!(matches!(judge(route.clone(), accepted), Kept::Yes(..)));
        assert_eq!(matches!(judge(route, options), Kept::Yes(..)), is_settled, "{phase}");
    }
}

#[test]
fn namespaces_are_first_and_only_those_that_are_used() {
    let (namespaces, maps) = (resource("namespaces", false), resource("configmaps", true));
    let (nodes, meshes) = (resource("virtualnodes", true), resource("meshes", false));
    let beside = vec![
        (
            namespaces.clone(),
            vec![
                target(&namespaces, "", object("Namespace", "apps")),
                target(&namespaces, "", object("Namespace", "other")),
            ],
        ),
        (
            maps.clone(),
            vec![
                target(&maps, "apps", object("ConfigMap", "one")),
                target(&maps, "other", object("ConfigMap", "two")),
            ],
        ),
    ];
    let ours = vec![
        (nodes.clone(), vec![target(&nodes, "apps", object("VirtualNode", "a"))]),
        (meshes.clone(), vec![target(&meshes, "", object("Mesh", "m"))]),
    ];
    let export = Export { cluster: "uid".to_owned(), ..Export::default() };
    let export = export.with(beside, ours, ExportOptions::default()).unwrap();
    let names: Vec<String> = export.files().into_iter().map(|file| file.name).collect();
    assert_eq!(names, ["00-namespaces.yaml", "01-configmaps.yaml", "03-meshes.yaml", "04-virtualnodes.yaml"]);
    let text = export.text();
    assert!(text.starts_with("# By fleetmesh export: ") && text.contains("--cluster-name uid"), "{text}");
    assert!(!text.contains("two") && !text.contains("other"), "{text}");
    assert_eq!((export.len(), text.matches("---\n").count()), (4, 3));
}
