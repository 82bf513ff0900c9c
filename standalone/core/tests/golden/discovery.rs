use fleetmesh_standalone_core::discovery::{self, Root};
use fleetmesh_standalone_core::resource::Resources;
use serde_json::Value;

use super::{lines, resources};

/// What is answered at `path` for the header `accept`.
fn answer(resources: &Resources, path: &str, accept: &str, address: &str) -> Option<Value> {
    let aggregated = discovery::accept(accept)?.transform.is_some();
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    match (parts.as_slice(), aggregated) {
        (["api"], true) => Some(discovery::aggregated(resources, Root::Api)),
        (["apis"], true) => Some(discovery::aggregated(resources, Root::Apis)),
        (["api"], false) => Some(discovery::core_versions(address)),
        (["apis"], false) => Some(discovery::groups(resources)),
        (["api", version], _) => discovery::resource_list(resources, "", version),
        (["apis", group], _) => discovery::group(resources, group),
        (["apis", group, version], _) => discovery::resource_list(resources, group, version),
        _ => None,
    }
}

/// The recorded answer of a whole cluster without what is not served here.
fn served_here(resources: &Resources, mut answer: Value) -> Value {
    let known = |group: &str| resources.iter().any(|one| one.group == group);
    let name_of = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if let Some(groups) = answer.get_mut("groups").and_then(Value::as_array_mut) {
        groups.retain(|group| known(&name_of(&group["name"])));
    }
    if let Some(items) = answer.get_mut("items").and_then(Value::as_array_mut) {
        items.retain(|item| known(&name_of(&item["metadata"]["name"])));
        for item in items {
            let group = name_of(&item["metadata"]["name"]);
            let versions = item["versions"].as_array_mut().expect("versions");
            versions.retain(|version| resources.has_version(&group, &name_of(&version["version"])));
            for version in versions {
                let name = name_of(&version["version"]);
                let listed = version["resources"].as_array_mut().expect("resources");
                listed.retain(|one| resources.get(&group, &name, &name_of(&one["resource"])).is_some());
                listed.iter_mut().for_each(without_other_subresources);
            }
        }
    }
    if let Some(listed) = answer["resources"].as_array().cloned() {
        let (group, version) = match answer["groupVersion"].as_str().expect("a version").split_once('/') {
            Some((group, version)) => (group.to_owned(), version.to_owned()),
            None => (String::new(), name_of(&answer["groupVersion"])),
        };
        let kept = listed.into_iter().filter(|one| {
            let name = name_of(&one["name"]);
            let (plural, subresource) = name.split_once('/').unwrap_or((&name, ""));
            let here = resources.get(&group, &version, plural).is_some();
            here && matches!(subresource, "" | "finalize" | "status" | "scale")
        });
        let mut kept: Vec<Value> = kept.collect();
        // The API server lists custom resources in no order, but each before its subresources.
        kept.sort_by_key(|one| name_of(&one["name"]).split('/').next().map(str::to_owned));
        answer["resources"] = kept.into();
    }
    answer
}

/// `token` of a service account is for parts of a cluster that are not here.
fn without_other_subresources(resource: &mut Value) {
    if let Some(subresources) = resource.get_mut("subresources").and_then(Value::as_array_mut) {
        subresources
            .retain(|one| ["finalize", "status", "scale"].iter().any(|known| one["subresource"] == *known));
        if subresources.is_empty() {
            resource.as_object_mut().expect("an object").remove("subresources");
        }
    }
}

#[test]
fn discovery_is_that_of_the_api_server_without_what_is_not_here() {
    let resources = resources();
    let mut address = String::new();
    for line in lines(include_str!("data/discovery.jsonl")) {
        let (path, accept) =
            (line["path"].as_str().expect("a path"), line["accept"].as_str().expect("a header"));
        let recorded: Option<Value> = line["body"].as_str().and_then(|body| serde_json::from_str(body).ok());
        let recorded = recorded.filter(|_| line["code"] == 200);
        if let Some(at) =
            recorded.as_ref().and_then(|body| body["serverAddressByClientCIDRs"][0]["serverAddress"].as_str())
        {
            address = at.to_owned();
        }
        let recorded = recorded.map(|body| served_here(&resources, body));
        assert_eq!(answer(&resources, path, accept, &address), recorded, "{path} {accept}");
    }
}
