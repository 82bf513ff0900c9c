use super::*;

#[test]
fn every_definition_of_ours_is_a_resource() {
    let definitions = fleetmesh_crds::all();
    let resources = Resources::new(&definitions);
    let node = resources.get("fleetmesh.dev", "v1alpha1", "virtualnodes").expect("virtual nodes");
    assert_eq!((node.kind.as_str(), node.list_kind().as_str()), ("VirtualNode", "VirtualNodeList"));
    assert!(node.namespaced && node.has_status && node.has(Verb::DeleteCollection));
    let scale = node.scale.as_ref().expect("a scale");
    assert_eq!(scale.spec_replicas, ".spec.fleet.replicas");
    let schema = &node.definition().expect("a definition").schema;
    assert_eq!(schema["properties"]["spec"]["type"], "object");
    let mesh = resources.of_kind("fleetmesh.dev", "v1alpha1", "Mesh").expect("meshes");
    assert!(!mesh.namespaced && mesh.api_version() == "fleetmesh.dev/v1alpha1");
    let custom = resources.iter().filter(|one| one.definition().is_some()).count();
    assert_eq!(custom, definitions.len());
}

#[test]
fn both_events_are_views_of_one_store_and_no_other_two_resources_are() {
    let resources = Resources::new(&fleetmesh_crds::all());
    let of = |group| resources.get(group, "v1", "events").expect("events");
    assert_eq!(of("").store, of("events.k8s.io").store);
    let kept = resources.iter().filter(|one| !one.is_review());
    let stores: Vec<&str> = kept.map(|one| one.store.as_str()).collect();
    let mut apart = stores.clone();
    apart.sort_unstable();
    apart.dedup();
    assert_eq!(apart.len() + 1, stores.len());
    assert!(resources.has_version("", "v1") && !resources.has_version("apps", "v1"));
}
