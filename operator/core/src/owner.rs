//! Ownership of App Mesh objects, as their tags say. Pure.

use std::fmt;

use fleetmesh_api::tags::{
    ANSWERED, ASKED, HTTP_TAGS, OWNER_CLUSTER_TAG, OWNER_GRANTS_TAG, OWNER_KIND_TAG, OWNER_NAME_TAG,
    OWNER_NAMESPACE_TAG, OWNER_UID_TAG, PROXY_DNS_TAG, PROXY_PRINCIPALS_TAG, TAG_PREFIX,
};
use fleetmesh_crds::management::MAX_USER_TAGS;
use fleetmesh_crds::{AdoptionPolicy, Http, IamStatus};
use fleetmesh_model::tag::{MAX_TAGS, Tags};

use crate::iam::Place;
use crate::object::Object;

/// The tags that mark an App Mesh object as `object`'s, and the tags that the object asks for.
pub fn desired_tags(object: &Object, cluster: &str) -> Tags {
    let mut tags = asked_tags(object);
    tags.extend(owner_tags(object, cluster));
    tags
}

/// The tags of the App Mesh object of `object` when an operator that asks for grants makes or adopts it, or finds that it rests on
/// one: as of [`desired_tags`], and that it asked, where the object may name others' and there is room.
pub fn judged_tags(object: &Object, cluster: &str) -> Tags {
    let mut tags = desired_tags(object, cluster);
    let names = object.key.kind.info().names_others();
    // The role of a node's proxies becomes known later.
    if names && tags.len() + 1 < MAX_TAGS {
        tags.insert(OWNER_GRANTS_TAG.to_owned(), ASKED.to_owned());
    }
    tags
}

/// Whether an operator that asks for grants wrote an App Mesh object with `tags`. One without room for that tag
/// counts as well: the tags of its user must not make it an exception.
pub fn is_judged(tags: &Tags) -> bool {
    tags.contains_key(OWNER_GRANTS_TAG) || tags.len() + 1 >= MAX_TAGS
}

/// The tags that `object` asks for: those its user wants, how its proxies take HTTP, whether names resolve on its machines where
/// there is room to say so, and the role of its proxies once that is known.
pub fn asked_tags(object: &Object) -> Tags {
    let mut tags = object.management.tags.clone();
    tags.extend(object.extension.http().iter().flat_map(Http::tags));
    let resolves = object.fleet().and_then(|fleet| fleet.proxy.as_ref()).is_some_and(|proxy| proxy.dns);
    if resolves && tags.len() < MAX_USER_TAGS {
        tags.insert(PROXY_DNS_TAG.to_owned(), ANSWERED.to_owned());
    }
    // A status may have been written by anybody who may: it cannot name another role than the resource's.
    let name = object.iam().map(|iam| Place::name_of(iam, &object.id));
    let own = |iam: &&IamStatus| {
        let role = iam.role_arn.as_deref().and_then(|arn| arn.rsplit_once('/'));
        role.map(|(_, name)| name) == name.as_deref()
    };
    let role = object.status.iam().filter(own).and_then(IamStatus::principals);
    if let Some(role) = role.filter(|_| object.iam().is_some()) {
        tags.insert(PROXY_PRINCIPALS_TAG.to_owned(), role);
    }
    tags
}

/// The tags that mark a thing as `object`'s.
pub fn owner_tags(object: &Object, cluster: &str) -> Tags {
    let mut tags = Tags::new();
    tags.insert(OWNER_KIND_TAG.to_owned(), object.key.kind.as_str().to_owned());
    tags.insert(OWNER_NAME_TAG.to_owned(), object.key.name.clone());
    tags.insert(OWNER_UID_TAG.to_owned(), object.uid.clone());
    tags.insert(OWNER_CLUSTER_TAG.to_owned(), cluster.to_owned());
    if let Some(namespace) = &object.key.namespace {
        tags.insert(OWNER_NAMESPACE_TAG.to_owned(), namespace.clone());
    }
    tags
}

/// Whether the tags say that the App Mesh object is `object`'s. The uid decides: it is unique in time and over clusters.
pub fn owns(object: &Object, tags: &Tags) -> bool {
    tags.get(OWNER_UID_TAG) == Some(&object.uid)
}

/// Whether the `tags` of a thing in AWS name the resource and the cluster that `owner` names, as of [`owner_tags`].
pub fn is_of(tags: &Tags, owner: &Tags) -> bool {
    share(tags, owner, &[OWNER_UID_TAG, OWNER_CLUSTER_TAG])
}

/// Whether `tags` say the same as `owner` under each of `keys`, and `owner` says something.
pub fn share(tags: &Tags, owner: &Tags, keys: &[&str]) -> bool {
    keys.iter().all(|key| owner.contains_key(*key) && tags.get(*key) == owner.get(*key))
}

/// Whether something that is not `object`'s may be taken over by it: it asks for that, and the tags name no cluster or ours.
/// What another cluster has is never to be had.
pub fn may_adopt(object: &Object, tags: &Tags, cluster: &str) -> bool {
    object.management.adoption_policy == AdoptionPolicy::Adopt && !is_of_another_cluster(tags, cluster)
}

/// Whether an App Mesh object that is not `object`'s may be taken over by it: as of [`may_adopt`], and no other namespace had it
/// last, whose resources may still name it.
pub fn may_take_over(object: &Object, tags: &Tags, cluster: &str) -> bool {
    may_adopt(object, tags, cluster) && !is_of_another_namespace(object, tags)
}

/// Whether the tags name another namespace than that of `object`, as what it retained or left.
pub fn is_of_another_namespace(object: &Object, tags: &Tags) -> bool {
    tags.get(OWNER_NAMESPACE_TAG).is_some_and(|other| Some(other) != object.key.namespace.as_ref())
}

/// Whether the tags name the namespace of `object`.
pub fn is_of_its_namespace(object: &Object, tags: &Tags) -> bool {
    tags.contains_key(OWNER_NAMESPACE_TAG) && !is_of_another_namespace(object, tags)
}

/// Whose the tags of an App Mesh object say that it is, as far as an editor of the namespace of `object` is to know it: the
/// names of other namespaces' and clusters' resources are for the operator's log ([`Owner::of`]).
pub fn in_words(object: &Object, tags: &Tags, cluster: &str) -> String {
    let other = is_of_another_namespace(object, tags);
    match (tags.contains_key(OWNER_KIND_TAG), is_of_another_cluster(tags, cluster)) {
        (_, true) => "it belongs to another cluster".to_owned(),
        (false, _) if other => "another namespace retained it".to_owned(),
        (false, _) => "somebody else made it without Fleetmesh".to_owned(),
        (true, _) if other => "it belongs to a resource of another namespace".to_owned(),
        (true, _) => Owner::of(tags).to_string(),
    }
}

/// Whether the tags name another cluster than `cluster`.
pub fn is_of_another_cluster(tags: &Tags, cluster: &str) -> bool {
    tags.get(OWNER_CLUSTER_TAG).is_some_and(|owner| owner != cluster)
}

/// What to do about something that belongs to somebody else, where `name_field` is how to take another name.
pub fn way_out(tags: &Tags, cluster: &str, name_field: &str) -> String {
    if is_of_another_cluster(tags, cluster) {
        return format!(
            "What another cluster has is never taken over: delete it there, or let that cluster let go of it (deletionPolicy: Retain), or take another name in {name_field}"
        );
    }
    format!("To take it over set spec.adoptionPolicy to Adopt, or take another name in {name_field}")
}

/// As [`way_out`], for an App Mesh object that `object` does not own.
pub fn way_out_in_mesh(object: &Object, tags: &Tags, cluster: &str, name_field: &str) -> String {
    if is_of_another_cluster(tags, cluster) || !is_of_another_namespace(object, tags) {
        return way_out(tags, cluster, name_field);
    }
    format!(
        "What another namespace had is not taken over: its resources may still name it. Whoever answers for the mesh can hand it over by removing the tag {OWNER_NAMESPACE_TAG} from it; or take another name in {name_field}"
    )
}

/// Whom the tags of an App Mesh object name as its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner(String);

impl Owner {
    /// The owner that `tags` name; somebody outside of Fleetmesh when they name none.
    pub fn of(tags: &Tags) -> Self {
        let Some(kind) = tags.get(OWNER_KIND_TAG) else {
            return Self("somebody else made it without Fleetmesh".to_owned());
        };
        let text = |tag: &str| tags.get(tag).map_or("?", String::as_str);
        let namespace =
            tags.get(OWNER_NAMESPACE_TAG).map(|namespace| format!("{namespace}/")).unwrap_or_default();
        Self(format!(
            "it belongs to {kind} {namespace}{} (uid {}) of cluster {}",
            text(OWNER_NAME_TAG),
            text(OWNER_UID_TAG),
            text(OWNER_CLUSTER_TAG)
        ))
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What to change in the tags `actual` so that `desired` holds: tags to set and keys to remove. Tags of others stay
/// when nobody asked for them; only keys of Fleetmesh and those of `former` (what the user wanted before) are removed. What `spec.http`
/// says no more is left from before even where nobody remembers it: no user may set these.
pub fn tag_changes(desired: &Tags, actual: &Tags, former: &Tags) -> (Tags, Vec<String>) {
    let set = desired.iter().filter(|(key, value)| actual.get(*key) != Some(*value));
    let set = set.map(|(key, value)| (key.clone(), value.clone())).collect();
    let ours = |key: &str| {
        let owners = key.starts_with(TAG_PREFIX) && key.contains("/owner-");
        owners || HTTP_TAGS.contains(&key) || former.contains_key(key)
    };
    let remove = actual.keys().filter(|key| !desired.contains_key(*key) && ours(key)).cloned().collect();
    (set, remove)
}
