//! The columns that `kubectl get` prints, worded once for all kinds. Pure data.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceColumnDefinition;

use crate::resource::MeshResource;

/// The columns of a kind: its own, then those of every kind.
pub fn of<K: MeshResource>() -> Vec<CustomResourceColumnDefinition> {
    let mut columns = K::columns();
    columns.push(ready("Ready", "status", "Whether everything holds"));
    columns.push(ready("Reason", "reason", "Why it is ready or not"));
    columns.push(wide(ready("Message", "message", "What is missing and what to do about it")));
    columns.push(age());
    columns
}

/// The App Mesh name of the mesh that a resource is in.
pub(crate) fn mesh() -> CustomResourceColumnDefinition {
    text("Mesh", ".spec.meshName", "The App Mesh name of the mesh")
}

/// The App Mesh name of a resource.
pub(crate) fn name() -> CustomResourceColumnDefinition {
    text("App Mesh Name", ".status.appMeshName", "The name in App Mesh")
}

/// A column of numbers.
pub(crate) fn number(name: &str, json_path: &str, description: &str) -> CustomResourceColumnDefinition {
    CustomResourceColumnDefinition { type_: "integer".into(), ..text(name, json_path, description) }
}

/// The column that every kind ends with.
pub(crate) fn age() -> CustomResourceColumnDefinition {
    CustomResourceColumnDefinition {
        type_: "date".into(),
        ..text("Age", ".metadata.creationTimestamp", "The time since it was created")
    }
}

/// The column, only with `-o wide`.
pub(crate) fn wide(column: CustomResourceColumnDefinition) -> CustomResourceColumnDefinition {
    CustomResourceColumnDefinition { priority: Some(1), ..column }
}

/// A column of text.
pub(crate) fn text(name: &str, json_path: &str, description: &str) -> CustomResourceColumnDefinition {
    CustomResourceColumnDefinition {
        name: name.into(),
        json_path: json_path.into(),
        description: Some(description.into()),
        type_: "string".into(),
        ..CustomResourceColumnDefinition::default()
    }
}

fn ready(name: &str, member: &str, description: &str) -> CustomResourceColumnDefinition {
    text(name, &format!(".status.conditions[?(@.type==\"Ready\")].{member}"), description)
}
