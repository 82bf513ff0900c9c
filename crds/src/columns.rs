//! The columns that `kubectl get` prints, worded once for all kinds. Pure data.

use fleetmesh_model::Kind;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceColumnDefinition;

/// The columns of `kind`, left to right; the message appears with `-o wide`.
pub fn of(kind: Kind) -> Vec<CustomResourceColumnDefinition> {
    let mut columns = Vec::new();
    if kind != Kind::Mesh {
        columns.push(text("Mesh", ".spec.meshName", "The App Mesh name of the mesh"));
    }
    if kind == Kind::Route {
        columns.push(text("Router", ".spec.virtualRouterName", "The App Mesh name of the virtual router"));
    }
    columns.push(text("App Mesh Name", ".status.appMeshName", "The name in App Mesh"));
    match kind {
        Kind::VirtualNode => {
            let number = |name, path, description| CustomResourceColumnDefinition {
                type_: "integer".into(),
                ..text(name, path, description)
            };
            columns.push(number(
                "Proxies",
                ".status.proxies.connected",
                "The connected proxies that need the object",
            ));
            columns.push(number("Instances", ".status.fleet.running", "The EC2 instances that run"));
        }
        Kind::Route => columns.push(text("Weights", ".status.weights", "The weighted targets")),
        Kind::Mesh | Kind::VirtualRouter | Kind::VirtualService => {}
    }
    columns.push(ready("Ready", "status", "Whether everything holds"));
    columns.push(ready("Reason", "reason", "Why it is ready or not"));
    columns.push(CustomResourceColumnDefinition {
        priority: Some(1),
        ..ready("Message", "message", "What is missing and what to do about it")
    });
    columns.push(CustomResourceColumnDefinition {
        type_: "date".into(),
        ..text("Age", ".metadata.creationTimestamp", "The time since it was created")
    });
    columns
}

fn text(name: &str, json_path: &str, description: &str) -> CustomResourceColumnDefinition {
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
