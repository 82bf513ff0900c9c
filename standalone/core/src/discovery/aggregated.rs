//! The aggregated form: `APIGroupDiscoveryList` of `apidiscovery.k8s.io/v2`. Kubernetes took `v2beta1` away in 1.36; clients that know no
//! other take the older form.

use serde_json::{Value, json};

use super::{
    FINALIZE_VERBS, SUBRESOURCE_VERBS, group_names, has_finalize, names_into, of_version, verbs, versions,
};
use crate::resource::{Resource, Resources};

/// Which of the two documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Root {
    /// `/api`: the core group.
    Api,
    /// `/apis`: all others.
    Apis,
}

/// The media type of the answer, which repeats what was asked for.
pub const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// Everything that is served under `root`.
pub fn aggregated(resources: &Resources, root: Root) -> Value {
    let groups = group_names(resources).into_iter().filter(|group| group.is_empty() == (root == Root::Api));
    let items: Vec<Value> = groups.map(|group| of_group(resources, group)).collect();
    json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": items,
    })
}

fn of_group(resources: &Resources, group: &str) -> Value {
    let versions: Vec<Value> = versions(resources, group)
        .into_iter()
        .map(|version| {
            let served = of_version(resources, group, version);
            let served: Vec<Value> = served.into_iter().map(entry).collect();
            json!({ "version": version, "resources": served, "freshness": "Current" })
        })
        .collect();
    let metadata = if group.is_empty() { json!({}) } else { json!({ "name": group }) };
    json!({ "metadata": metadata, "versions": versions })
}

fn entry(resource: &Resource) -> Value {
    let kind =
        |group: &str, version: &str, kind: &str| json!({ "group": group, "version": version, "kind": kind });
    let own = match resource.definition() {
        Some(_) => kind(&resource.group, &resource.version, &resource.kind),
        // The API server leaves out what a kind of its own has in common with the version that it is listed in.
        None => kind("", "", &resource.kind),
    };
    let subresource = |name: &str, kind: Value, verbs: &[&str]| json!({ "subresource": name, "responseKind": kind, "verbs": verbs });
    let finalize = has_finalize(resource).then(|| subresource("finalize", own.clone(), &FINALIZE_VERBS));
    let status = resource.has_status.then(|| subresource("status", own.clone(), &SUBRESOURCE_VERBS));
    let scale = kind("autoscaling", "v1", "Scale");
    let scale = resource.scale.as_ref().map(|_| subresource("scale", scale, &SUBRESOURCE_VERBS));
    let subresources: Vec<Value> = [finalize, status, scale].into_iter().flatten().collect();
    let mut entry = json!({
        "resource": resource.plural,
        "responseKind": own,
        "scope": if resource.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": resource.singular,
        "verbs": verbs(resource),
    });
    names_into(&mut entry, resource);
    if !subresources.is_empty() {
        entry["subresources"] = subresources.into();
    }
    entry
}
