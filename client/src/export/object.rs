//! One object, without what belongs to the API that it is from. Pure.

use fleetmesh_standalone_core::manifests::LABEL;
use serde_json::{Map, Value};

use super::ExportOptions;

/// What `kubectl apply` remembers of its last time.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// The label that every namespace has by itself.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";
/// The ConfigMap that Kubernetes puts into each namespace.
const ROOT_CA: &str = "kube-root-ca.crt";
/// Tokens are of the API that gave them.
const TOKEN: &str = "kubernetes.io/service-account-token";
/// Phases of a route whose weights are those of its spec.
const SETTLED: [&str; 4] = ["", "Stable", "Promoted", "RolledBack"];

/// What becomes of an object.
#[derive(Debug, PartialEq)]
pub enum Kept {
    /// It is exported like this, and a person has to know that.
    Yes(Value, Vec<&'static str>),
    /// It is not, for a reason.
    No(&'static str),
    /// It is not, and nobody misses it.
    Silent,
    /// Nothing is exported because of it.
    Refused(&'static str),
}

/// What becomes of `object`.
pub fn judge(mut object: Value, options: ExportOptions) -> Kept {
    let kind = object["kind"].as_str().unwrap_or_default().to_owned();
    if object["metadata"]["deletionTimestamp"].is_string() {
        return Kept::No("it is being deleted");
    }
    match kind.as_str() {
        "RouteAction" => return Kept::No("it acts on a rollout, and would once more"),
        "ConfigMap" if object["metadata"]["name"] == ROOT_CA => return Kept::Silent,
        "Secret" if object["type"] == TOKEN => return Kept::Silent,
        "Secret" if !options.secrets => return Kept::No("Secrets are exported with --secrets, to --output"),
        _ => {}
    }
    let phase = object["status"]["phase"].as_str().unwrap_or_default();
    if object["spec"]["canary"].is_object() && !SETTLED.contains(&phase) && !options.rollouts {
        return Kept::Refused(
            "its weights in force are in the status, which is not exported, so that all of its requests would go where the spec says at \
             once: let its rollout end, or write the targets in force into its spec, or accept it with --rollouts",
        );
    }
    let notes = notes(&object);
    strip(&mut object, &kind);
    if kind == "Namespace" && is_everywhere(&object["metadata"]) {
        return Kept::Silent;
    }
    Kept::Yes(object, notes)
}

/// Whether a namespace is in every cluster, and nothing is written in it that another's has not.
fn is_everywhere(metadata: &Value) -> bool {
    let name = metadata["name"].as_str().unwrap_or_default();
    let is_plain = metadata["labels"].is_null() && metadata["annotations"].is_null();
    is_plain && (name == "default" || name.starts_with("kube-"))
}

fn notes(object: &Value) -> Vec<&'static str> {
    let (metadata, spec) = (&object["metadata"], &object["spec"]);
    let mut notes = Vec::new();
    if metadata["ownerReferences"].as_array().is_some_and(|owners| !owners.is_empty()) {
        notes.push("it is exported without its owner, which is known by a uid of this API");
    }
    if spec["fleet"].is_object() {
        notes.push("its instances are not taken over: the operator there launches its own, and these run until you terminate them");
    }
    if spec["iam"].is_object() {
        notes.push("its role is taken over by an operator with --iam-adopt");
    }
    notes
}

/// Leaves what a person would write.
fn strip(object: &mut Value, kind: &str) {
    let Some(members) = object.as_object_mut() else { return };
    members.remove("status");
    if kind == "Namespace" {
        members.remove("spec");
    }
    // A definition gives every kind with an App Mesh object of its own a default here.
    if let Some(policy) = members.get_mut("spec").and_then(|spec| spec.get_mut("adoptionPolicy")) {
        *policy = "Adopt".into();
    }
    if let Some(metadata) = members.get_mut("metadata").and_then(Value::as_object_mut) {
        *metadata = kept(metadata);
    }
}

fn kept(metadata: &Map<String, Value>) -> Map<String, Value> {
    let mut kept = Map::new();
    for member in ["name", "namespace", "labels", "annotations"] {
        let Some(mut value) = metadata.get(member).cloned() else { continue };
        if let Some(entries) = value.as_object_mut() {
            [LAST_APPLIED, NAME_LABEL, LABEL].iter().for_each(|key| drop(entries.remove(*key)));
            if entries.is_empty() {
                continue;
            }
        }
        kept.insert(member.to_owned(), value);
    }
    kept
}
