//! The index of resources by the App Mesh names that they claim, have and name. No I/O.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fleetmesh_core::{Maker, Object, ObjectKey, Tagged};
use fleetmesh_model::{Kind, ResourceId};
use jiff::Timestamp;

use super::permission::is_refused_the_name;
use super::{Cache, CacheInner, Triggers};
use crate::queue::Trigger;

/// Where news of a resource comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewsSource {
    /// From a list: what the API server has, even where that is older than what was known, as after a restored backup.
    List,
    /// From a watch.
    Watch,
    /// From the answer to our own write, which must not trigger the object that we just looked at.
    OwnWrite,
}

/// What the tags of an App Mesh object say of who made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TagReading {
    /// There is no object.
    Absent,
    /// No resource of this cluster.
    Elsewhere,
    /// This resource.
    Resource(Tagged),
}

/// Claims and references.
#[derive(Debug, Default)]
pub(super) struct Index {
    claims: BTreeMap<ResourceId, BTreeSet<ObjectKey>>,
    referrers: BTreeMap<ResourceId, BTreeSet<ObjectKey>>,
    /// What the tags of App Mesh objects say of who made them, as far as they were read or written.
    tagged: BTreeMap<ResourceId, TagReading>,
    /// Who has each name. [`CacheInner::settle`] keeps it.
    pub(super) held: BTreeMap<ResourceId, ObjectKey>,
}

impl Index {
    /// The resource that has a name.
    pub(super) fn holder(&self, id: &ResourceId) -> Option<&ObjectKey> {
        self.held.get(id)
    }

    /// All resources that claim a name.
    pub(super) fn claimants(&self, id: &ResourceId) -> impl Iterator<Item = &ObjectKey> {
        self.claims.get(id).into_iter().flatten()
    }

    /// The resources whose specs name `id`.
    pub(super) fn referrers(&self, id: &ResourceId) -> impl Iterator<Item = &ObjectKey> + Clone {
        self.referrers.get(id).into_iter().flatten()
    }

    /// Who made the App Mesh object, as its tags say.
    pub(super) fn maker(&self, id: &ResourceId) -> Maker<'_> {
        match self.tagged.get(id) {
            None => Maker::Unread,
            Some(TagReading::Absent) => Maker::NoResource,
            Some(TagReading::Elsewhere) => Maker::Elsewhere,
            Some(TagReading::Resource(tagged)) => Maker::Resource(tagged),
        }
    }

    /// Notes what the tags say, unless nobody claims or names the object any more; gives whether that is news.
    pub(super) fn tag(&mut self, id: &ResourceId, tagged: TagReading) -> bool {
        self.is_named(id) && self.tagged.insert(id.clone(), tagged.clone()) != Some(tagged)
    }

    fn add(&mut self, object: &Object) {
        self.claims.entry(object.id.clone()).or_default().insert(object.key.clone());
        for reference in object.references() {
            self.referrers.entry(reference.target).or_default().insert(object.key.clone());
        }
    }

    fn remove(&mut self, object: &Object) {
        take(&mut self.claims, &object.id, &object.key);
        for reference in object.references() {
            take(&mut self.referrers, &reference.target, &object.key);
        }
    }

    /// Forgets what the tags said of the names that `object` claimed and named, unless others claim or name them: what becomes of
    /// the objects of these names nobody watches from now on.
    fn forget_tags(&mut self, object: &Object) {
        let names = object.references().into_iter().map(|reference| reference.target);
        for id in names.chain([object.id.clone()]) {
            if !self.is_named(&id) {
                self.tagged.remove(&id);
            }
        }
    }

    /// Whether a resource claims or names `id`.
    fn is_named(&self, id: &ResourceId) -> bool {
        self.claims.contains_key(id) || self.referrers.contains_key(id)
    }
}

/// Removes a member of a set in a map, and the set when it was the last.
fn take<K: Ord, V: Ord>(map: &mut BTreeMap<K, BTreeSet<V>>, key: &K, value: &V) {
    if let Some(set) = map.get_mut(key) {
        set.remove(value);
        if set.is_empty() {
            map.remove(key);
        }
    }
}

impl Cache {
    /// A resource was seen. News that is older than what is known is passed over.
    pub fn seen(&self, object: Object, source: NewsSource) -> Triggers {
        self.lock().seen(object, source)
    }

    /// A resource is gone. `uid` guards against news of an earlier one of the same name.
    pub fn gone(&self, key: &ObjectKey, uid: Option<&str>) -> Triggers {
        self.lock().gone(key, uid)
    }
}

impl CacheInner {
    fn seen(&mut self, object: Object, source: NewsSource) -> Triggers {
        let key = object.key.clone();
        let mut triggers = Triggers::new();
        let before = self.entries.get(&key).map(|entry| Arc::clone(&entry.object));
        if let Some(before) = &before {
            let newer = match source {
                NewsSource::List => object.resource_version != before.resource_version,
                NewsSource::Watch | NewsSource::OwnWrite => is_newer(&object, before),
            };
            if before.uid == object.uid && !newer {
                return triggers;
            }
            if before.uid != object.uid {
                triggers.extend(self.gone(&key, None));
            }
        }
        let before = before.filter(|before| before.uid == object.uid);
        let changed = match (&before, source) {
            (None, _) => true,
            (Some(before), NewsSource::List | NewsSource::Watch) => before.asks_for_a_look(&object),
            (Some(before), NewsSource::OwnWrite) => {
                before.generation != object.generation || before.deleting != object.deleting
            }
        };
        if changed {
            triggers.push((key.clone(), Trigger::Look));
        }
        let object = Arc::new(self.with_mesh_tls(object));
        let leaves = object.deleting;
        // Who is refused a name owns nothing that others would have to ask for.
        let refused = |object: &Object| {
            object.key.kind != Kind::Mesh && is_refused_the_name(object, self.index.maker(&object.id))
        };
        let says_other = before.as_ref().is_some_and(|before| {
            before.extension.permits_other_than(&object.extension) || refused(before) != refused(&object)
        });
        let begins_to_leave = leaves && before.as_ref().is_some_and(|before| !before.deleting);
        let former = before.clone();
        let matches_other =
            before.as_ref().is_none_or(|before| before.effective_spec != object.effective_spec);
        let mut unsettled = vec![object.id.clone()];
        match before {
            Some(before) => {
                let names_other = before.effective_spec != object.effective_spec
                    || before.declared_targets() != object.declared_targets();
                if before.id != object.id || names_other {
                    // What the spec does not name any more may be waiting for that.
                    triggers.extend(self.released(&before));
                    self.index.remove(&before);
                    self.index.add(&object);
                    self.index.forget_tags(&before);
                    unsettled.push(before.id.clone());
                    self.entries.names_no_more(&before);
                }
                self.entries.update(&object);
            }
            None => {
                self.index.add(&object);
                self.entries.begin(Arc::clone(&object));
            }
        }
        triggers.extend(self.settle(unsettled));
        if matches_other {
            triggers.extend(former.iter().flat_map(|former| self.tied(former)));
            triggers.extend(self.tied(&object));
        }
        triggers.extend(self.unread_owners(&object));
        if let Some(former) = former.filter(|_| says_other) {
            triggers.extend(self.consent_changed(&former, &object));
        }
        if begins_to_leave {
            triggers.extend(self.not_permitted_to_name(&object));
            if object.id.parent().is_none() {
                triggers.extend(self.members(&object));
            }
        }
        if object.key.kind == Kind::Mesh {
            triggers.extend(self.spread_tls(object.id.mesh_name()));
        }
        once(triggers)
    }

    fn gone(&mut self, key: &ObjectKey, uid: Option<&str>) -> Triggers {
        let known = self.entries.get(key).map(|entry| entry.object.uid.as_str());
        if known.is_none() || uid.is_some_and(|uid| Some(uid) != known) {
            return Triggers::new();
        }
        let Some(object) = self.entries.end(key) else { return Triggers::new() };
        self.index.remove(&object);
        self.index.forget_tags(&object);
        self.distributions.forget_removal(&object.id);
        self.ledger.end(&object.uid, Timestamp::now());
        let mut triggers = self.released(&object);
        // Who waited for the name gets it.
        triggers.extend(self.settle(vec![object.id.clone()]));
        triggers.extend(self.tied(&object));
        if object.canary().is_some() {
            triggers.extend(self.deleting_nodes(object.id.mesh_name()));
        }
        triggers.push((key.clone(), Trigger::Look));
        once(triggers)
    }

    /// The resources that are being deleted and that `object` kept from it.
    pub(super) fn released(&self, object: &Object) -> Triggers {
        let references = object.effective_spec.references(&object.id);
        let targets = references.iter().filter_map(|reference| self.holder(&reference.target));
        targets
            .filter(|key| self.entries.get(key).is_some_and(|entry| entry.object.deleting))
            .map(|key| (key.clone(), Trigger::Look))
            .collect()
    }
}

/// Each once.
pub(super) fn once(triggers: Triggers) -> Triggers {
    let mut seen = BTreeSet::new();
    triggers.into_iter().filter(|(key, trigger)| seen.insert((key.clone(), *trigger))).collect()
}

/// Whether `object` is newer than `known`. Resource versions of one API server are numbers that grow.
fn is_newer(object: &Object, known: &Object) -> bool {
    let number = |version: &str| version.parse::<u64>().ok();
    match (number(&object.resource_version), number(&known.resource_version)) {
        (Some(new), Some(old)) => new > old,
        _ => object.resource_version != known.resource_version,
    }
}
