//! A custom resource gives back the App Mesh request that it was written from. Pure.
#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use fleetmesh_crds::{AdoptionPolicy, DeletionPolicy, Mesh, MeshResource, Route, VirtualNode};
use fleetmesh_model::ResourceId;
use serde_json::{Value, json};

fn read<K: MeshResource>(metadata_name: &str, spec: &Value) -> K {
    let manifest = json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        "metadata": { "name": metadata_name },
        "spec": spec,
    });
    serde_json::from_value(manifest).expect("a custom resource")
}

#[test]
fn the_own_name_defaults_to_metadata_name() {
    let spec = json!({ "meshName": "apps", "virtualRouterName": "serviceB" });
    let route: Route = read("service-b", &spec);
    assert_eq!(route.resource_id(), ResourceId::route("apps", "serviceB", "service-b"));

    let spec = json!({ "meshName": "apps", "virtualRouterName": "serviceB", "routeName": "Serious" });
    let route: Route = read("service-b", &spec);
    assert_eq!(route.resource_id(), ResourceId::route("apps", "serviceB", "Serious"));

    let mesh: Mesh = read("apps", &json!({}));
    assert_eq!(mesh.resource_id(), ResourceId::mesh("apps"));
}

#[test]
fn the_app_mesh_spec_is_the_request_without_what_only_kubernetes_has() {
    let request = json!({
        "listeners": [{ "portMapping": { "port": 80, "protocol": "http2" } }],
        "serviceDiscovery": { "dns": { "hostname": "serviceB.apps.local" } },
    });
    let mut spec = request.clone();
    spec["meshName"] = json!("apps");
    spec["virtualNodeName"] = json!("serviceB");
    spec["deletionPolicy"] = json!("Retain");
    spec["tags"] = json!({ "team": "a" });

    let node: VirtualNode = read("service-b", &spec);
    assert_eq!(serde_json::to_value(node.app_mesh_spec()).expect("JSON"), request);
    assert_eq!(node.management().deletion_policy, DeletionPolicy::Retain);
    assert_eq!(node.management().adoption_policy, AdoptionPolicy::Refuse);
    assert_eq!(node.management().tags["team"], "a");
    assert_eq!(serde_json::to_value(&node.spec).expect("JSON")["virtualNodeName"], "serviceB");
}

#[test]
fn a_status_can_be_set_where_there_was_none() {
    let mut mesh: Mesh = read("apps", &json!({}));
    assert!(mesh.status().is_none());
    mesh.status_mut().get_or_insert_default().version = Some(3);
    assert_eq!(mesh.status().and_then(|status| status.version), Some(3));
}
