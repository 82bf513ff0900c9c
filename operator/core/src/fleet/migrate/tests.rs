#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use fleetmesh_crds::VirtualNode;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn node(namespace: &str, name: &str, fleet: &Value, more: &Value) -> Object {
    let mut spec = json!({ "meshName": "m", "iam": {}, "fleet": fleet });
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let node: VirtualNode = serde_json::from_value(json!({
        "apiVersion": "fleetmesh.dev/v1alpha1", "kind": "VirtualNode",
        "metadata": { "name": name, "namespace": namespace, "uid": format!("{namespace}-{name}") }, "spec": spec,
        "status": { "fleet": { "launches": 1 } },
    }))
    .unwrap();
    Object::read(&node)
}

fn fleet() -> impl Strategy<Value = Value> {
    let network = prop::sample::select(vec![
        json!(null),
        json!({ "subnetIds": ["subnet-1"] }),
        json!({ "subnetIds": ["subnet-2"], "securityGroupIds": ["sg-1"] }),
        json!({ "securityGroupIds": ["sg-2", "sg-1"] }),
    ]);
    let image = prop::sample::select(vec![
        json!(null),
        json!({ "id": "ami-12345678" }),
        json!({ "id": "ami-87654321" }),
        json!({ "ssmParameter": "/images/web" }),
    ]);
    let proxy = prop::sample::select(vec![
        json!(null),
        json!({ "image": "Envoy" }),
        json!({ "image": "registry.example/proxy:v1", "uid": 0 }),
        json!({ "uid": 101 }),
    ]);
    let types = prop::sample::subsequence(vec!["t3.small", "t3.large", "m7g.large"], 1..=3);
    let app = prop::sample::select(vec![
        json!({ "port": 80, "container": "app" }),
        json!({ "port": 80, "container": "app", "metadata": true }),
        json!({ "port": 80, "userData": [{ "contentType": "text/x-shellscript", "content": "#!" }] }),
    ]);
    let launched = (network, image, types, app, proxy, 0..9_i32).prop_map(|(network, image, types, app, proxy, replicas)| {
        let mut fleet = json!({ "replicas": replicas, "app": app, "capacity": { "instanceTypes": types, "purchase": "OnDemand" } });
        for (key, value) in [("network", network), ("image", image), ("proxy", proxy)] {
            if !value.is_null() {
                fleet[key] = value;
            }
        }
        fleet
    });
    let enrolled =
        prop::sample::select(vec!["a", "b"]).prop_map(|app| json!({ "enroll": { "tags": { "app": app } } }));
    prop_oneof![4 => launched, 1 => enrolled]
}

fn more() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        json!({}),
        json!({ "tags": { "team": "a" } }),
        json!({ "iam": { "managedPolicyArns": ["arn:aws:iam::111122223333:policy/fleetmesh/one"] } }),
        json!({ "serviceDiscovery": { "awsCloudMap": { "namespaceName": "n.local", "serviceName": "web" } } }),
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_fleet_goes_on_as_it_is_under_the_class_that_is_printed_for_it(
        drawn in prop::collection::vec((0..3_usize, fleet(), more()), 0..10),
    ) {
        let namespaces = ["a", "b", "c"];
        let objects: Vec<Object> = drawn
            .iter()
            .enumerate()
            .map(|(index, (namespace, fleet, more))| node(namespaces[*namespace], &format!("n{index}"), fleet, more))
            .collect();
        let Survey { proposals, left_out } = survey(&objects);
        prop_assert_eq!(left_out, Vec::new());
        prop_assert_eq!(proposals.iter().map(|one| one.nodes.len()).sum::<usize>(), objects.len());
        prop_assert_eq!(proposals.iter().filter(|one| one.is_default).count(), usize::from(!objects.is_empty()));
        let names: BTreeSet<&String> = proposals.iter().map(|one| &one.name).collect();
        prop_assert_eq!(names.len(), proposals.len());
        for Proposal { spec, nodes, .. } in &proposals {
            let labels = |namespace: &str| BTreeMap::from([(NAMESPACE_LABEL.to_owned(), namespace.to_owned())]);
            let allowed = spec.allowed_namespaces.as_ref().unwrap();
            for object in objects.iter().filter(|object| nodes.contains(&object.key)) {
                prop_assert!(allowed.allows(&labels(object.key.namespace.as_ref().unwrap())).unwrap());
                prop_assert!(stays(object, spec), "{:?} {:?}", object.fleet(), spec);
            }
            prop_assert!(!allowed.allows(&labels("other")).unwrap());
        }
    }
}

#[test]
fn fleets_that_need_the_same_have_one_class_that_allows_no_more() {
    let fleet = |replicas: i32| json!({ "replicas": replicas, "app": { "port": 80, "container": "app" }, "capacity": { "instanceTypes": ["t3.small"] } });
    let grouped = json!({ "replicas": 1, "app": { "port": 80, "container": "app" }, "capacity": { "instanceTypes": ["t3.small"] }, "network": { "securityGroupIds": ["sg-1"] } });
    let mut classed = fleet(1);
    classed["className"] = json!("mine");
    let objects = [
        node("a", "one", &fleet(2), &json!({})),
        node("a", "two", &fleet(3), &json!({})),
        node("b", "one", &fleet(1), &json!({})),
        node("a", "grouped", &grouped, &json!({})),
        node("a", "classed", &classed, &json!({})),
    ];
    let found = survey(&objects).proposals;
    let shown: Vec<(&str, bool, usize)> =
        found.iter().map(|one| (one.name.as_str(), one.is_default, one.nodes.len())).collect();
    assert_eq!(shown, [("fleets", true, 3), ("fleets-a", false, 1)]);
    let spec = serde_json::to_value(&found[0].spec).unwrap();
    let only = json!([{ "key": NAMESPACE_LABEL, "operator": "In", "values": ["a", "b"] }]);
    assert_eq!(
        spec,
        json!({
            "allowedNamespaces": { "from": "Selector", "selector": { "matchExpressions": only } },
            "instanceTypes": ["t3.small"],
            "limits": { "instances": 9, "instancesPerNamespace": 7 },
            "managedPolicyArns": [],
            "userData": "Forbidden",
        })
    );
}

#[test]
fn what_an_editor_planted_is_in_no_class() {
    let types = json!({ "instanceTypes": ["t3.small"] });
    let app = json!({ "port": 80, "container": "app" });
    let fleet = |more: Value| {
        let mut fleet = json!({ "replicas": 1, "app": app, "capacity": types });
        fleet.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        fleet
    };
    let discovery =
        json!({ "serviceDiscovery": { "awsCloudMap": { "namespaceName": "n.local", "serviceName": "*" } } });
    let planted = [
        ("tags", fleet(json!({})), json!({ "tags": { "*": "x" } }), "a key of tags is \"*\""),
        ("prefix", fleet(json!({})), json!({ "tags": { "cost-*": "x" } }), "a key of tags is \"cost-*\""),
        ("image", fleet(json!({ "proxy": { "image": "*" } })), json!({}), "fleet.proxy.image is \"*\""),
        ("service", fleet(json!({})), discovery, "serviceDiscovery.awsCloudMap.serviceName is \"*\""),
        (
            "secrets",
            fleet(json!({ "image": { "ssmParameter": "/prod/" } })),
            json!({}),
            "fleet.image.ssmParameter is \"/prod/\"",
        ),
        (
            "types",
            fleet(json!({ "capacity": { "instanceTypes": ["p5.*"] } })),
            json!({}),
            "fleet.capacity.instanceTypes is \"p5.*\"",
        ),
    ];
    let mut objects: Vec<Object> =
        planted.iter().map(|(name, fleet, more, _)| node("evil", name, fleet, more)).collect();
    let mut never = node("evil", "wish", &fleet(json!({ "image": { "id": "ami-12345678" } })), &json!({}));
    never.status.of_kind = fleetmesh_crds::NodeStatus::default().into();
    objects.push(never);
    objects.push(node("shop", "web", &fleet(json!({})), &json!({})));
    let Survey { proposals, left_out } = survey(&objects);
    assert_eq!(proposals.iter().map(|one| one.nodes.len()).sum::<usize>(), 1, "{proposals:?}");
    let spec = serde_json::to_string(&proposals[0].spec).unwrap();
    assert!(!spec.contains('*') && !spec.contains("/prod") && !spec.contains("ami-"), "{spec}");
    let why =
        |name: &str| left_out.iter().find(|(key, _)| key.name == name).map(|(_, why)| why.as_str()).unwrap();
    for (name, _, _, words) in &planted {
        assert!(why(name).contains(words), "{name}: {}", why(name));
    }
    assert!(why("wish").contains("no instance"), "{}", why("wish"));
    assert_eq!(left_out.len(), planted.len() + 1);
}
