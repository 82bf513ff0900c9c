//! kstatus' rules for kinds that it does not know by name (`sigs.k8s.io/cli-utils/pkg/kstatus`, v0.37), written anew.

use serde_json::Value;

/// What kstatus calls an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KstatusVerdict {
    Terminating,
    InProgress,
    Failed,
    Current,
}

/// The verdict on an object as the API server shows it.
pub fn verdict(object: &Value) -> KstatusVerdict {
    let (metadata, status) = (&object["metadata"], &object["status"]);
    if metadata["deletionTimestamp"].is_string() {
        return KstatusVerdict::Terminating;
    }
    if let (Some(generation), Some(observed)) =
        (metadata["generation"].as_i64(), status["observedGeneration"].as_i64())
        && generation != observed
    {
        return KstatusVerdict::InProgress;
    }
    let conditions: Vec<(&str, &str)> = status["conditions"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|condition| (condition["type"].as_str().unwrap(), condition["status"].as_str().unwrap()))
        .collect();
    for condition in &conditions {
        match condition {
            ("Reconciling", "True") => return KstatusVerdict::InProgress,
            ("Stalled", "True") => return KstatusVerdict::Failed,
            _ => {}
        }
    }
    match conditions.iter().find(|(kind, _)| *kind == "Ready") {
        Some((_, "False" | "Unknown")) => KstatusVerdict::InProgress,
        // Whoever says nothing is taken for done.
        Some(_) | None => KstatusVerdict::Current,
    }
}
