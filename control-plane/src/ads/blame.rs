//! Which App Mesh objects a refusal is about. Pure.

use std::collections::BTreeSet;

use fleetmesh_model::{Kind, ResourceId};

use serde_json::Value;

use super::stream::Refusal;
use crate::snapshot::{Resource, ResourceType, Snapshot};
use crate::view::Record;

/// The shortest value, in bytes, that counts as quoted: a shorter one is in any text by chance.
const SHORTEST_QUOTE: usize = 3;

/// The objects that a refused answer is blamed on. Envoy's text is the only hint there is, so from the widest to the
/// narrowest, each step taken only when it leaves something:
/// 1. the resources that changed since the proxy's last acknowledgement; those that the text names;
/// 2. the objects they are made from; those whose version is not the one the proxy acknowledged; those of the kind
///    that makes that type of resource; those of whose spec the text quotes a value.
pub fn blamed(refusal: &Refusal, target: &Snapshot, acknowledged: Option<&Snapshot>) -> BTreeSet<ResourceId> {
    let all: Vec<&Resource> = refusal.content.resources.values().map(AsRef::as_ref).collect();
    let is_new = |resource: &&Resource| {
        let before = refusal.before.resources.get(&resource.name);
        before.is_none_or(|before| before.version != resource.version)
    };
    let suspects = narrow(all, is_new);
    let suspects = narrow(suspects, |resource| refusal.message.contains(&resource.name));
    let objects: Vec<&ResourceId> = suspects.into_iter().flat_map(|resource| &resource.objects).collect();
    let changed = |id: &&ResourceId| {
        let now = target.objects.get(*id);
        now.is_none_or(|now| !acknowledged.is_some_and(|acknowledged| acknowledged.contains(now)))
    };
    let objects = narrow(objects, changed);
    let objects = narrow(objects, |id| id.kind() == maker(refusal.kind));
    let quoted =
        |id: &&ResourceId| target.objects.get(*id).is_some_and(|record| quotes(&refusal.message, record));
    narrow(objects, quoted).into_iter().cloned().collect()
}

/// Whether the text repeats something that the spec says: Envoy quotes the regular expression or the format that it
/// cannot read.
fn quotes(message: &str, record: &Record) -> bool {
    fn any(value: &Value, message: &str) -> bool {
        match value {
            Value::String(text) => text.len() >= SHORTEST_QUOTE && message.contains(text.as_str()),
            Value::Array(values) => values.iter().any(|value| any(value, message)),
            Value::Object(members) => members.values().any(|value| any(value, message)),
            _ => false,
        }
    }
    serde_json::to_value(&record.spec).is_ok_and(|spec| any(&spec, message))
}

/// The kind of object that most of a resource of this type comes from.
fn maker(kind: ResourceType) -> Kind {
    match kind {
        ResourceType::Cluster | ResourceType::Endpoint | ResourceType::Listener => Kind::VirtualNode,
        ResourceType::Route => Kind::Route,
    }
}

/// Those of `all` for which `keep` holds; all of them when it holds for none.
fn narrow<T: Copy>(all: Vec<T>, keep: impl Fn(&T) -> bool) -> Vec<T> {
    let kept: Vec<T> = all.iter().copied().filter(|one| keep(one)).collect();
    if kept.is_empty() { all } else { kept }
}
