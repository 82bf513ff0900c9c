//! Events of `events.k8s.io/v1`: another view of the objects that core's `v1` has. What is stored is core's form.

use serde_json::{Map, Value};

/// The members that have another name in each form: core's, and the one of `events.k8s.io`.
const NAMES: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("reportingComponent", "reportingController"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
];

fn renamed(object: &Value, version: &str, name: impl Fn(&str) -> Option<&'static str>) -> Value {
    let members = object.as_object().into_iter().flatten();
    let mut renamed: Map<String, Value> = members
        .map(|(member, value)| (name(member).map_or_else(|| member.clone(), str::to_owned), value.clone()))
        .collect();
    renamed.insert("apiVersion".into(), version.into());
    renamed.into()
}

/// An Event as `events.k8s.io/v1` has it, of one in core's form.
pub fn view(event: &Value) -> Value {
    let name = |member: &str| NAMES.iter().find(|(core, _)| *core == member).map(|(_, view)| *view);
    let mut view = renamed(event, "events.k8s.io/v1", name);
    if let Some(members) = view.as_object_mut() {
        members.retain(|member, value| !(member.starts_with("reporting") && value == ""));
    }
    view
}

/// An Event in core's form, of one as `events.k8s.io/v1` has it.
pub fn stored(event: &Value) -> Value {
    let name = |member: &str| NAMES.iter().find(|(_, view)| *view == member).map(|(core, _)| *core);
    renamed(event, "v1", name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_forms_have_the_same_members_under_their_names() {
        let core = json!({
            "apiVersion": "v1", "kind": "Event", "metadata": {"name": "a"}, "involvedObject": {"name": "b"},
            "message": "m", "reason": "R", "type": "Normal", "count": 2, "source": {"component": "c"},
            "reportingComponent": "r", "reportingInstance": "i", "lastTimestamp": "2020-01-01T00:00:00Z",
        });
        let shown = view(&core);
        assert_eq!(shown["apiVersion"], "events.k8s.io/v1");
        assert_eq!((&shown["note"], &shown["regarding"]["name"]), (&json!("m"), &json!("b")));
        assert_eq!((&shown["deprecatedCount"], &shown["reportingController"]), (&json!(2), &json!("r")));
        assert!(shown.get("message").is_none() && shown.get("source").is_none());
        assert_eq!(stored(&shown), core);
    }
}
