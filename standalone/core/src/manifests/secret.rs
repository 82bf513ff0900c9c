//! Secrets are applied as they are kept: `stringData` is never read back, so that what was applied of it would be owned under a name that
//! nobody's change takes away.

use base64::Engine as _;
use serde_json::{Map, Value};

use super::Manifest;

/// The object of `manifest` as it is applied: texts of a Secret's `stringData` are in its `data`, where they win as in the API. What has
/// a mistake stays as it is written, for the API to reject.
#[must_use]
pub fn stored(manifest: &Manifest) -> Value {
    let moved = if manifest.name.is_secret() { moved(&manifest.object) } else { None };
    moved.unwrap_or_else(|| manifest.object.clone())
}

fn moved(object: &Value) -> Option<Value> {
    let mut members = object.as_object()?.clone();
    let texts = members.remove("stringData")?;
    let mut data = match members.remove("data") {
        None | Some(Value::Null) => Map::new(),
        Some(data) => data.as_object()?.clone(),
    };
    for (name, text) in texts.as_object()? {
        data.insert(name.clone(), base64::engine::general_purpose::STANDARD.encode(text.as_str()?).into());
    }
    members.insert("data".to_owned(), data.into());
    Some(members.into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::manifests::read;
    use crate::resource::Resources;

    fn applied(kind: &str, members: Value) -> Value {
        let mut object =
            json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": "a", "namespace": "default"}});
        let into = object.as_object_mut().expect("an object");
        into.extend(members.as_object().expect("members").clone());
        let found = read("x.yaml", vec![object], &Resources::new(&fleetmesh_crds::all()));
        let mut stored = stored(&found.into_iter().next().expect("one").expect("a manifest"));
        let stored = stored.as_object_mut().expect("an object");
        ["apiVersion", "kind", "metadata"].iter().for_each(|member| _ = stored.remove(*member));
        stored.clone().into()
    }

    #[test]
    fn texts_of_a_secret_are_applied_as_data() {
        let both = json!({"data": {"a": "eA==", "b": "eQ=="}, "stringData": {"b": "y\n", "c": ""}, "type": "Opaque"});
        let data = json!({"data": {"a": "eA==", "b": "eQo=", "c": ""}, "type": "Opaque"});
        assert_eq!(applied("Secret", both), data);
        assert_eq!(applied("Secret", json!({"stringData": {"a": "x"}})), json!({"data": {"a": "eA=="}}));
    }

    #[test]
    fn what_has_none_or_a_mistake_is_applied_as_it_is_written() {
        for members in [
            json!({}),
            json!({"data": {"a": "no base64"}}),
            json!({"stringData": {"a": "x", "pin": 4711}}),
            json!({"stringData": ["x"]}),
            json!({"data": ["x"], "stringData": {"a": "x"}}),
        ] {
            assert_eq!(applied("Secret", members.clone()), members);
        }
        let texts = json!({"stringData": {"a": "x"}});
        assert_eq!(applied("ConfigMap", texts.clone()), texts);
    }
}
