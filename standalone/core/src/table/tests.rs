use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Columns, IncludeObject, TableOptions, partial_list};
use crate::resource::{Origin, Resource, Resources};

fn resource(group: &str, version: &str, plural: &str) -> Resource {
    let resources = Resources::new(&fleetmesh_crds::all());
    resources.get(group, version, plural).expect(plural).as_ref().clone()
}

fn now() -> Timestamp {
    "2026-01-02T03:04:05Z".parse().expect("a time")
}

fn options(include: IncludeObject) -> TableOptions<'static> {
    TableOptions { version: "v1", include, headers: true, now: now() }
}

fn cells(resource: &Resource, object: &Value) -> Value {
    let columns = Columns::of(resource).expect("columns").expect("rows");
    columns.table(json!({}), &[object], options(IncludeObject::None))["rows"][0]["cells"].clone()
}

#[test]
fn every_resource_of_ours_has_columns_whose_paths_can_be_read() {
    for resource in Resources::new(&fleetmesh_crds::all()).iter() {
        let columns = Columns::of(resource).unwrap_or_else(|error| panic!("{}: {error}", resource.plural));
        assert_eq!(columns.is_none(), resource.is_review(), "{}", resource.plural);
        let Some(columns) = columns else { continue };
        let table = columns.table(json!({}), &[&json!({})], options(IncludeObject::None));
        let (definitions, cells) = (&table["columnDefinitions"], &table["rows"][0]["cells"]);
        assert_eq!(
            definitions.as_array().map(Vec::len),
            cells.as_array().map(Vec::len),
            "{}",
            resource.plural
        );
    }
}

#[test]
fn a_mesh_is_a_row_of_what_its_columns_say() {
    let mesh = json!({
        "metadata": { "name": "shop", "creationTimestamp": "2026-01-02T03:03:05Z" },
        "status": { "appMeshName": "shop", "conditions": [{ "type": "Ready", "status": "True", "reason": "Synced" }] },
    });
    let expected = json!(["shop", "shop", null, "True", "Synced", null, "60s"]);
    assert_eq!(cells(&resource("fleetmesh.dev", "v1alpha1", "meshes"), &mesh), expected);
    let class = json!({
        "metadata": { "name": "c", "annotations": { "fleetmesh.dev/is-default-class": "true" } },
        "spec": { "instanceTypes": ["t3.small", "t3.large"] },
    });
    let row = cells(&resource("fleetmesh.dev", "v1alpha1", "fleetclasses"), &class);
    assert_eq!((&row[1], &row[5]), (&json!("true"), &json!("[\"t3.small\",\"t3.large\"]")));
}

#[test]
fn a_row_holds_as_much_of_its_object_as_was_asked_for() {
    let resource = resource("", "v1", "configmaps");
    let columns = Columns::of(&resource).expect("columns").expect("rows");
    let object =
        json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "c" }, "data": { "a": "b" } });
    let row = |include| columns.table(json!({}), &[&object], options(include))["rows"][0]["object"].clone();
    let partial = json!({ "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": { "name": "c" } });
    assert_eq!(row(IncludeObject::Metadata), partial);
    assert_eq!(row(IncludeObject::None), Value::Null);
    assert_eq!(row(IncludeObject::Object), object);
    assert_eq!(IncludeObject::parse(""), Ok(IncludeObject::Metadata));
    assert_eq!(IncludeObject::parse("Object"), Ok(IncludeObject::Object));
    assert!(IncludeObject::parse("All").is_err_and(|message| message.contains("\"All\"")));
    let list = partial_list(json!({ "resourceVersion": "7" }), &[&object], "v1");
    assert_eq!(list["items"], json!([partial]));
    assert_eq!(list["metadata"]["resourceVersion"], "7");
}

#[test]
fn columns_are_described_once_in_a_watch() {
    let columns = Columns::of(&resource("", "v1", "secrets")).expect("columns").expect("rows");
    let later = TableOptions { headers: false, ..options(IncludeObject::None) };
    assert_eq!(columns.table(json!({}), &[], later)["columnDefinitions"], Value::Null);
    let first = columns.table(json!({}), &[], options(IncludeObject::None));
    assert_eq!(first["columnDefinitions"][0]["format"], "name");
    assert_eq!(first["rows"], json!([]));
}

#[test]
fn events_are_rows_alike_in_both_versions() {
    let old = json!({
        "metadata": { "name": "e" }, "type": "Normal", "reason": "R", "message": " m\n", "count": 3,
        "involvedObject": { "kind": "VirtualNode", "name": "web", "fieldPath": "spec.x" },
        "source": { "component": "op", "host": "h" },
        "firstTimestamp": "2020-01-02T03:04:05Z", "lastTimestamp": "2026-01-02T03:03:05Z",
    });
    let expected = json!(["60s", "Normal", "R", "virtualnode/web", "spec.x", "op, h", "m", "6y2d", 3, "e"]);
    assert_eq!(cells(&resource("", "v1", "events"), &old), expected);
    let new = json!({
        "metadata": { "name": "e" }, "reason": "R", "note": "m", "regarding": { "kind": "Mesh" },
        "reportingController": "op", "reportingInstance": "i", "eventTime": "2026-01-02T03:02:05.000000Z",
        "deprecatedFirstTimestamp": null,
    });
    let expected = json!(["2m", "", "R", "mesh", "", "op, i", "m", "2m", 1, "e"]);
    assert_eq!(cells(&resource("events.k8s.io", "v1", "events"), &new), expected);
    let mut series = new;
    series["series"] = json!({ "count": 5, "lastObservedTime": "2026-01-02T03:04:00.000000Z" });
    let row = cells(&resource("events.k8s.io", "v1", "events"), &series);
    assert_eq!((&row[0], &row[7], &row[8]), (&json!("5s"), &json!("2m"), &json!(5)));
}

#[test]
fn a_path_that_cannot_be_read_is_named_with_its_column() {
    let mut resource = resource("fleetmesh.dev", "v1alpha1", "meshes");
    let mut definition = resource.definition().expect("a definition").clone();
    definition.columns[0].json_path = ".spec..x".to_owned();
    resource.origin = Origin::Custom(definition.into());
    let error = Columns::of(&resource).expect_err("a path that cannot be read");
    assert_eq!(
        error.to_string(),
        "column \"App Mesh Name\" has the JSONPath \".spec..x\", of which \"..x\" cannot be read"
    );
}
