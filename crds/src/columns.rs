//! The columns that `kubectl get` prints, worded once for all kinds. Pure data.

use fleetmesh_model::Kind;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceColumnDefinition;

/// The columns of `kind`, left to right; what has little room appears with `-o wide`.
pub fn of(kind: Kind) -> Vec<CustomResourceColumnDefinition> {
    let mut columns = Vec::new();
    let mesh = text("Mesh", ".spec.meshName", "The App Mesh name of the mesh");
    let name = text("App Mesh Name", ".status.appMeshName", "The name in App Mesh");
    match kind {
        Kind::Mesh => columns.push(name),
        Kind::VirtualRouter | Kind::VirtualService => columns.extend([mesh, name]),
        Kind::VirtualNode => {
            let number = |name, path, description| CustomResourceColumnDefinition {
                type_: "integer".into(),
                ..text(name, path, description)
            };
            columns.extend([mesh, name]);
            columns.push(number(
                "Proxies",
                ".status.proxies.connected",
                "The connected proxies that need the object",
            ));
            columns.push(number("Instances", ".status.fleet.running", "The EC2 instances that run"));
            columns.push(wide(text("Class", ".status.fleet.className", "The FleetClass of the instances")));
        }
        // A rollout takes five columns; mesh and name are where there is room.
        Kind::Route => columns.extend([
            wide(mesh),
            text("Router", ".spec.virtualRouterName", "The App Mesh name of the virtual router"),
            wide(name),
            text("Phase", ".status.phase", "Where the route is on its way"),
            text("Step", ".status.rollout.step", "The step of the rollout"),
            text("Weights", ".status.weights", "The weighted targets in force"),
            text("Hold", ".status.rollout.hold.reason", "What keeps the rollout where it is"),
        ]),
    }
    columns.push(ready("Ready", "status", "Whether everything holds"));
    columns.push(ready("Reason", "reason", "Why it is ready or not"));
    columns.push(wide(ready("Message", "message", "What is missing and what to do about it")));
    columns.push(age());
    columns
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
