//! Which App Mesh objects a NACK is about. Pure.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use fleetmesh_model::foreign::printable;
use fleetmesh_model::{Kind, ResourceId};
use serde_json::Value;

use super::stream::Nack;
use crate::distribution::{NodeRejection, same_snapshot};
use crate::snapshot::{Resource, ResourceType, Snapshot};
use crate::view::Record;

/// The shortest value, in bytes, that counts as quoted: a shorter one is in any text by chance.
const SHORTEST_QUOTE: usize = 3;

/// What the nacks of one stream are blamed on. To find that out is dear, as the whole text is searched for each name and each
/// value: it is done once for a nack and what the proxy is to run, however often it is asked for.
#[derive(Default)]
pub struct Blames {
    known: HashMap<ResourceType, KnownVersions>,
    /// How often it was done.
    #[cfg(test)]
    done: usize,
}

struct KnownVersions {
    nack: Arc<Nack>,
    target: Arc<Snapshot>,
    acknowledged: Option<Arc<Snapshot>>,
    rejection: NodeRejection,
}

impl KnownVersions {
    fn is_of(&self, nack: &Arc<Nack>, target: &Arc<Snapshot>, acknowledged: Option<&Arc<Snapshot>>) -> bool {
        same_snapshot(self.acknowledged.as_ref(), acknowledged)
            && Arc::ptr_eq(&self.nack, nack)
            && Arc::ptr_eq(&self.target, target)
    }
}

impl Blames {
    /// What `nacks` are about, as [`blamed`] finds it.
    pub fn rejections<'a>(
        &mut self,
        nacks: impl Iterator<Item = &'a Arc<Nack>>,
        target: &Arc<Snapshot>,
        acknowledged: Option<&Arc<Snapshot>>,
    ) -> Vec<NodeRejection> {
        let mut before = std::mem::take(&mut self.known);
        let mut rejections = Vec::new();
        for nack in nacks {
            let known = before.remove(&nack.kind).filter(|known| known.is_of(nack, target, acknowledged));
            let known = known.unwrap_or_else(|| {
                #[cfg(test)]
                {
                    self.done += 1;
                }
                let objects = blamed(nack, target, acknowledged.map(AsRef::as_ref));
                KnownVersions {
                    nack: Arc::clone(nack),
                    target: Arc::clone(target),
                    acknowledged: acknowledged.cloned(),
                    rejection: NodeRejection { objects, message: printable(&nack.message) },
                }
            });
            rejections.push(known.rejection.clone());
            self.known.insert(nack.kind, known);
        }
        rejections
    }
}

/// The objects that a refused answer is blamed on. Envoy's text is the only hint there is, so from the widest to the
/// narrowest, each step taken only when it leaves something:
/// 1. the resources that changed since the proxy's last acknowledgement; those that the text names;
/// 2. the objects they are made from; those whose version is not the one the proxy acknowledged; those of the kind
///    that makes that type of resource; those of whose spec the text quotes a value.
pub fn blamed(nack: &Nack, target: &Snapshot, acknowledged: Option<&Snapshot>) -> BTreeSet<ResourceId> {
    let all: Vec<&Resource> = nack.content.resources.values().map(AsRef::as_ref).collect();
    let is_new = |resource: &&Resource| {
        let before = nack.before.resources.get(&resource.name);
        before.is_none_or(|before| before.version != resource.version)
    };
    let suspects = narrow(all, is_new);
    let suspects = narrow(suspects, |resource| nack.message.contains(&resource.name));
    let objects: Vec<&ResourceId> = suspects.into_iter().flat_map(|resource| &resource.objects).collect();
    let changed = |id: &&ResourceId| {
        let now = target.objects.get(*id);
        now.is_none_or(|now| !acknowledged.is_some_and(|acknowledged| acknowledged.contains(now)))
    };
    let objects = narrow(objects, changed);
    let objects = narrow(objects, |id| makes(id.kind()).contains(&nack.kind));
    narrow(objects, |id| is_quoted(&nack.message, target, id)).into_iter().cloned().collect()
}

/// The objects that a part of an answer is blamed on, made in `target` as `form`, of which it is certain that Envoy refuses it: of
/// those that [`changed`], those that the text names or quotes, and of these those of the kind that makes this type of resource;
/// each step taken only when it leaves something.
pub(super) fn of_part(
    message: &str,
    kind: ResourceType,
    form: &Resource,
    target: &Snapshot,
    good: Option<&Snapshot>,
) -> BTreeSet<ResourceId> {
    let changed = changed(form, target, good);
    let suspects = narrow(changed.iter().collect(), |id| {
        // A virtual host has the name of its virtual service.
        let named = id.name() == form.name && message.contains(id.name());
        named || is_quoted(message, target, id)
    });
    narrow(suspects, |id| makes(id.kind()).contains(&kind)).into_iter().cloned().collect()
}

/// The objects whose newest version makes the difference between `form`, made in `target`, and what was acknowledged in `good`:
/// the mesh and the node itself, which everything is made from, only when nothing else changed.
pub(super) fn changed(form: &Resource, target: &Snapshot, good: Option<&Snapshot>) -> BTreeSet<ResourceId> {
    let is_own = |id: &ResourceId| id.kind() == Kind::Mesh || *id == target.node;
    let is_new = |id: &&ResourceId| {
        let now = target.objects.get(*id);
        now.is_none_or(|now| !good.is_some_and(|good| good.contains(now)))
    };
    let new: Vec<&ResourceId> = narrow(form.objects.iter().collect(), is_new);
    narrow(new, |id| !is_own(id)).into_iter().cloned().collect()
}

/// Whether the text repeats something that the spec of an object in `target` says.
pub(super) fn is_quoted(message: &str, target: &Snapshot, id: &ResourceId) -> bool {
    target.objects.get(id).is_some_and(|record| quotes(message, record))
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

/// The types of resources of which most comes from objects of a kind.
fn makes(kind: Kind) -> &'static [ResourceType] {
    match kind {
        Kind::VirtualNode => {
            &[ResourceType::Cluster, ResourceType::Endpoint, ResourceType::Secret, ResourceType::Listener]
        }
        Kind::VirtualGateway => &[ResourceType::Secret, ResourceType::Listener],
        Kind::Route | Kind::GatewayRoute => &[ResourceType::Route],
        Kind::Mesh | Kind::VirtualRouter | Kind::VirtualService => &[],
    }
}

/// Those of `all` for which `keep` holds; all of them when it holds for none.
fn narrow<T: Copy>(all: Vec<T>, keep: impl Fn(&T) -> bool) -> Vec<T> {
    let kept: Vec<T> = all.iter().copied().filter(|one| keep(one)).collect();
    if kept.is_empty() { all } else { kept }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Content;
    use crate::testing::view;

    fn target() -> Arc<Snapshot> {
        let view = view(&[("virtualNode/a", serde_json::json!({}))]);
        let node = ResourceId::virtual_node("apps", "a");
        Arc::new(Snapshot::build(&view, &crate::cloud_map::Discovered::default(), &node).expect("a snapshot"))
    }

    fn nack(message: &str) -> Arc<Nack> {
        let content = || Arc::new(Content::default());
        let (kind, message) = (ResourceType::Cluster, message.to_owned());
        Arc::new(Nack { kind, content: content(), wanted: String::new(), before: content(), message })
    }

    #[test]
    fn a_refusal_is_blamed_once_for_what_the_proxy_is_to_run() {
        let (mut blames, one, target) = (Blames::default(), nack("no"), self::target());
        for _ in 0..1000 {
            let rejections = blames.rejections([&one].into_iter(), &target, None);
            assert_eq!(rejections.len(), 1);
        }
        assert_eq!(blames.done, 1);
        blames.rejections([&nack("never")].into_iter(), &target, None);
        assert_eq!(blames.done, 2, "another nack");
        blames.rejections([&one].into_iter(), &target, None);
        blames.rejections([&one].into_iter(), &self::target(), None);
        assert_eq!(blames.done, 4, "another target");
        blames.rejections([&one].into_iter(), &target, Some(&target));
        assert_eq!(blames.done, 5, "another snapshot that it acknowledged");
        assert!(blames.rejections([].into_iter(), &target, None).is_empty() && blames.known.is_empty());
    }
}
