//! What a client finds out about the API before it uses it: groups, versions, resources and verbs
//! (<https://kubernetes.io/docs/concepts/overview/kubernetes-api/#discovery-api>).
//!
//! There are two forms. The older one has a document for each level; the aggregated one has everything in the two documents at
//! `/api` and `/apis`, and is asked for by a transform in `Accept` (see [`accept`]).

mod aggregated;

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256, Sha512};

use crate::accept::{self, Accepted};
use crate::resource::{Resource, Resources, Verb};
use crate::store::state::NAMESPACES;
pub use aggregated::{AGGREGATED, Root, aggregated};

/// What may be asked of a subresource.
const SUBRESOURCE_VERBS: [&str; 3] = ["get", "patch", "update"];
/// What may be asked of the finalizers of a namespace.
const FINALIZE_VERBS: [&str; 1] = ["update"];

/// The verbs of a custom resource in the order in which the API server lists them; those of other resources are in that of the
/// alphabet.
const CUSTOM_VERBS: [Verb; 8] = [
    Verb::Delete,
    Verb::DeleteCollection,
    Verb::Get,
    Verb::List,
    Verb::Patch,
    Verb::Create,
    Verb::Update,
    Verb::Watch,
];

/// The groups of Kubernetes itself by the priority that the API server gives them; those of definitions follow.
const PRIORITIES: [&str; 5] = [
    "events.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "apiextensions.k8s.io",
    "coordination.k8s.io",
];

/// In which form `/api` and `/apis` are wanted by the header `Accept`: with a transform for the aggregated one. `None` is a
/// `NotAcceptable`.
pub fn accept(header: &str) -> Option<Accepted> {
    accept::negotiate(header, false, |transform| {
        let wanted = (transform.group.as_str(), transform.version.as_str(), transform.kind.as_str());
        wanted == ("apidiscovery.k8s.io", "v2", "APIGroupDiscoveryList")
    })
}

/// The tag of a document, for `ETag` and to compare with `If-None-Match`, in its quotes.
pub fn etag(body: &[u8]) -> String {
    format!("\"{}\"", hash(body))
}

/// SHA-512 in upper-case hexadecimal, which the API server uses for tags and in addresses of documents.
pub(crate) fn hash(body: &[u8]) -> String {
    Sha512::digest(body).iter().map(|byte| format!("{byte:02X}")).collect()
}

/// `/api`: the versions of the core group. `address` is where the server listens, as `HOST:PORT`.
pub fn core_versions(address: &str) -> Value {
    json!({
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{ "clientCIDR": "0.0.0.0/0", "serverAddress": address }],
    })
}

/// `/apis`: all groups but core's.
pub fn groups(resources: &Resources) -> Value {
    let groups: Vec<Value> = group_names(resources)
        .into_iter()
        .filter(|group| !group.is_empty())
        .map(|group| Value::Object(group_members(resources, group)))
        .collect();
    json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": groups })
}

/// `/apis/GROUP`, if there is such a group.
pub fn group(resources: &Resources, group: &str) -> Option<Value> {
    if group.is_empty() || versions(resources, group).is_empty() {
        return None;
    }
    let mut members = group_members(resources, group);
    members.insert("kind".to_owned(), "APIGroup".into());
    members.insert("apiVersion".to_owned(), "v1".into());
    Some(Value::Object(members))
}

/// `/api/v1` for the empty group, else `/apis/GROUP/VERSION`, if there is such a version.
pub fn resource_list(resources: &Resources, group: &str, version: &str) -> Option<Value> {
    let served = of_version(resources, group, version);
    let first = served.first()?;
    let listed: Vec<Value> = served.iter().flat_map(|resource| entries(resources, resource)).collect();
    let mut list = json!({
        "kind": "APIResourceList",
        "groupVersion": first.api_version(),
        "resources": listed,
    });
    if !group.is_empty() {
        list["apiVersion"] = "v1".into();
    }
    Some(list)
}

/// The names of the groups with the core group first.
fn group_names(resources: &Resources) -> Vec<&str> {
    let all: BTreeSet<&str> = resources.iter().map(|resource| resource.group.as_str()).collect();
    let rank = |group: &str| match PRIORITIES.iter().position(|known| *known == group) {
        Some(place) => place + 1,
        None if group.is_empty() => 0,
        None => PRIORITIES.len() + 1,
    };
    let mut names: Vec<&str> = all.into_iter().collect();
    names.sort_by_key(|group| rank(group));
    names
}

fn group_members(resources: &Resources, group: &str) -> Map<String, Value> {
    let versions: Vec<Value> = versions(resources, group)
        .into_iter()
        .map(|version| json!({ "groupVersion": format!("{group}/{version}"), "version": version }))
        .collect();
    let mut members = Map::new();
    members.insert("name".to_owned(), group.into());
    members.insert("preferredVersion".to_owned(), versions.first().cloned().unwrap_or_default());
    members.insert("versions".to_owned(), versions.into());
    members
}

/// The versions of a group, the preferred one first: stable ones before beta and alpha, the higher before the lower.
fn versions<'a>(resources: &'a Resources, group: &str) -> Vec<&'a str> {
    let all = resources.iter().filter(|resource| resource.group == group);
    let all: BTreeSet<&str> = all.map(|resource| resource.version.as_str()).collect();
    let mut versions: Vec<&str> = all.into_iter().collect();
    versions.sort_by_key(|version| std::cmp::Reverse(rank_of_version(version)));
    versions
}

/// How stable a version is, then its number and that of its pre-release; what is no such version comes last.
fn rank_of_version(version: &str) -> (u8, u64, u64) {
    let number = |text: &str| text.parse::<u64>().ok();
    let Some(rest) = version.strip_prefix('v') else { return (0, 0, 0) };
    let end = rest.find(|character: char| !character.is_ascii_digit()).unwrap_or(rest.len());
    let (major, stage) = rest.split_at(end);
    let ranked = match (number(major), stage) {
        (Some(major), "") => Some((3, major, 0)),
        (Some(major), _) => ["alpha", "beta"]
            .iter()
            .zip(1..)
            .find_map(|(name, rank)| Some((rank, major, number(stage.strip_prefix(name)?)?))),
        (None, _) => None,
    };
    ranked.unwrap_or_default()
}

/// The resources of one version by name.
fn of_version<'a>(resources: &'a Resources, group: &str, version: &str) -> Vec<&'a Resource> {
    let served = resources.iter().filter(|one| one.group == group && one.version == version);
    let mut served: Vec<&Resource> = served.map(AsRef::as_ref).collect();
    served.sort_by(|one, other| one.plural.cmp(&other.plural));
    served
}

/// The verbs of `resource` in the API server's order.
fn verbs(resource: &Resource) -> Vec<&'static str> {
    if resource.definition().is_some() {
        return CUSTOM_VERBS.into_iter().filter(|verb| resource.has(*verb)).map(Verb::name).collect();
    }
    let mut verbs: Vec<&str> = resource.verbs.iter().map(|verb| verb.name()).collect();
    verbs.sort_unstable();
    verbs
}

/// `resource` and its subresources in a list of the older form.
fn entries(resources: &Resources, resource: &Resource) -> Vec<Value> {
    let mut own = json!({
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": verbs(resource),
    });
    names_into(&mut own, resource);
    if !resource.is_review() {
        own["storageVersionHash"] = storage_version_hash(resources, resource).into();
    }
    let of_own_kind = |name: &str, verbs: &[&str]| {
        json!({
            "name": format!("{}/{name}", resource.plural),
            "singularName": "",
            "namespaced": resource.namespaced,
            "kind": resource.kind,
            "verbs": verbs,
        })
    };
    let finalize = has_finalize(resource).then(|| of_own_kind("finalize", &FINALIZE_VERBS));
    let status = resource.has_status.then(|| of_own_kind("status", &SUBRESOURCE_VERBS));
    let scale = resource.scale.as_ref().map(|_| {
        json!({
            "name": format!("{}/scale", resource.plural),
            "singularName": "",
            "namespaced": resource.namespaced,
            "group": "autoscaling",
            "version": "v1",
            "kind": "Scale",
            "verbs": SUBRESOURCE_VERBS,
        })
    });
    [Some(own), finalize, status, scale].into_iter().flatten().collect()
}

/// Whether objects of the resource have finalizers in their specs, beside those of every object.
fn has_finalize(resource: &Resource) -> bool {
    resource.store == NAMESPACES
}

/// Short names and categories, which are absent when there are none.
fn names_into(entry: &mut Value, resource: &Resource) {
    if !resource.short_names.is_empty() {
        entry["shortNames"] = resource.short_names.clone().into();
    }
    if !resource.categories.is_empty() {
        entry["categories"] = resource.categories.clone().into();
    }
}

/// A hash of the type that objects of `resource` are stored as, by which a client sees that this has changed. Resources that are
/// views of the same objects have the same.
fn storage_version_hash(resources: &Resources, resource: &Resource) -> String {
    let stored = resources.iter().find(|one| one.store == resource.store).map_or(resource, AsRef::as_ref);
    // The API server itself still stores definitions in the version before the one that it serves.
    let version = if stored.group == "apiextensions.k8s.io" { "v1beta1" } else { &stored.version };
    let hash = Sha256::digest(format!("{}/{version}/{}", stored.group, stored.kind));
    BASE64_STANDARD.encode(hash.get(..8).unwrap_or_default())
}

#[cfg(test)]
mod tests;
