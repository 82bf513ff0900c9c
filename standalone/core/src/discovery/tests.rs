use serde_json::json;

use super::{
    AGGREGATED, Root, accept, aggregated, core_versions, etag, group, groups, rank_of_version, resource_list,
};
use crate::resource::Resources;

fn resources() -> Resources {
    Resources::new(&fleetmesh_crds::all())
}

#[test]
fn groups_come_in_the_order_of_their_priority() {
    let groups = groups(&resources());
    let names: Vec<_> =
        groups["groups"].as_array().expect("groups").iter().map(|group| &group["name"]).collect();
    let expected = [
        "events.k8s.io",
        "authentication.k8s.io",
        "authorization.k8s.io",
        "apiextensions.k8s.io",
        "coordination.k8s.io",
        "fleetmesh.dev",
    ];
    assert_eq!(names, expected);
    assert_eq!(group(&resources(), "none"), None);
    assert_eq!(group(&resources(), ""), None, "core is no group of /apis");
    assert_eq!(core_versions("h:1")["serverAddressByClientCIDRs"][0]["serverAddress"], "h:1");
}

#[test]
fn stable_versions_come_before_others() {
    let mut versions = ["v1alpha1", "v2", "other", "v1beta2", "v10", "v1beta10", "v1"];
    versions.sort_by_key(|version| std::cmp::Reverse(rank_of_version(version)));
    assert_eq!(versions, ["v10", "v2", "v1", "v1beta10", "v1beta2", "v1alpha1", "other"]);
}

#[test]
fn both_forms_have_the_same_resources() {
    let resources = resources();
    let aggregated = aggregated(&resources, Root::Apis);
    for item in aggregated["items"].as_array().expect("groups") {
        let group = item["metadata"]["name"].as_str().expect("a name");
        for version in item["versions"].as_array().expect("versions") {
            let list = resource_list(&resources, group, version["version"].as_str().expect("a version"));
            let plain = list.expect("a list");
            let plain = plain["resources"].as_array().expect("resources");
            let own = plain.iter().filter(|entry| !entry["name"].as_str().expect("a name").contains('/'));
            let own: Vec<_> = own.map(|entry| (&entry["name"], &entry["verbs"])).collect();
            let listed = version["resources"].as_array().expect("resources").iter();
            assert_eq!(listed.map(|entry| (&entry["resource"], &entry["verbs"])).collect::<Vec<_>>(), own);
        }
    }
}

#[test]
fn the_scale_of_a_node_is_a_subresource_in_both_forms() {
    let resources = resources();
    let list = resource_list(&resources, "fleetmesh.dev", "v1alpha1").expect("a list");
    let scale = json!({
        "name": "virtualnodes/scale", "singularName": "", "namespaced": true, "group": "autoscaling", "version": "v1",
        "kind": "Scale", "verbs": ["get", "patch", "update"],
    });
    assert!(list["resources"].as_array().expect("resources").contains(&scale));
    let all = aggregated(&resources, Root::Apis).to_string();
    assert!(all.contains(
        r#""responseKind":{"group":"autoscaling","kind":"Scale","version":"v1"},"subresource":"scale""#
    ));
}

#[test]
fn the_aggregated_form_is_given_to_those_who_ask_for_it() {
    let of = |header| accept(header).map(|accepted| accepted.transform.is_some());
    assert_eq!(of(AGGREGATED), Some(true));
    let older = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";
    let kubectl = format!("{AGGREGATED},{older}");
    assert_eq!(of(&kubectl), Some(true));
    assert_eq!(of(older), Some(false), "a client that knows no other version gets the older form");
    assert_eq!(of("application/json;g=apidiscovery.k8s.io;v=v9;as=APIGroupDiscoveryList"), None);
    assert_eq!(of(""), Some(false));
    assert_eq!(of("text/html"), None);
}

#[test]
fn a_tag_stands_for_the_content() {
    assert_eq!(etag(b"a"), etag(b"a"));
    assert_ne!(etag(b"a"), etag(b"b"));
    assert!(etag(b"a").starts_with("\"1F40FC92"));
}
