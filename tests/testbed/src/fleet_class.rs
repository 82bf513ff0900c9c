//! FleetClasses for tests that are about something else.

use anyhow::Result;
use serde_json::{Value, json};

use crate::kubectl::Kubectl;
use crate::run_dir::RunDir;

/// A class of this name that lets every namespace launch what the tests' fleets are made of; `members` are more of its spec,
/// or others.
pub fn manifest(name: &str, members: &Value) -> Value {
    let mut spec = json!({
        "cloudMapServices": [],
        "images": { "ids": ["ami-12c6146b", "ami-03cf127a", "ami-1e749f67"], "ssmParameters": ["/images/"] },
        "instanceTypes": ["t3.small"],
        "limits": { "instances": 1000 },
        "tagKeys": ["team"],
    });
    if let (Some(spec), Some(members)) = (spec.as_object_mut(), members.as_object()) {
        spec.extend(members.clone());
    }
    json!({ "apiVersion": "fleetmesh.dev/v1alpha1", "kind": "FleetClass", "metadata": { "name": name }, "spec": spec })
}

/// Applies such a class, and makes it the default.
///
/// # Errors
/// The API server refuses it.
pub async fn apply_default(kubectl: &Kubectl, run: &RunDir, members: &Value) -> Result<()> {
    let mut class = manifest("default", members);
    class["metadata"]["annotations"] = json!({ "fleetmesh.dev/is-default-class": "true" });
    let file = run.join("fleet-class.json");
    std::fs::write(&file, class.to_string())?;
    kubectl.apply(&file).await.map(drop)
}
