#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use fleetmesh_crds::{FleetClassSpec, VirtualNode};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn node(members: Value) -> Object {
    let mut spec = json!({
        "meshName": "m", "iam": {}, "fleet": { "replicas": 2, "app": { "port": 80, "container": "app" } },
    });
    merge(&mut spec, members);
    let node: VirtualNode = serde_json::from_value(json!({
        "apiVersion": "fleetmesh.dev/v1alpha1", "kind": "VirtualNode",
        "metadata": { "name": "n", "namespace": "team-a", "uid": "u" }, "spec": spec,
    }))
    .unwrap();
    Object::read(&node)
}

fn merge(into: &mut Value, with: Value) {
    match (into, with) {
        (Value::Object(into), Value::Object(with)) => {
            for (key, value) in with {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, with) => *into = with,
    }
}

fn class(members: Value) -> FleetClassSpec {
    let mut spec = json!({ "instanceTypes": ["t3.small"], "limits": { "instances": 10 } });
    merge(&mut spec, members);
    serde_json::from_value(spec).unwrap()
}

fn admitted(node: Value, of: Value) -> Result<Admitted, ClassRefusal> {
    let (object, spec) = (self::node(node), class(of));
    admit(&object, object.fleet().unwrap(), ClassLookup::Found { name: "small", spec: &spec })
}

/// A fleet of these types, whose class names no AMI.
pub(in crate::fleet) fn with_types(types: &[&str]) -> Admitted {
    let capacity = json!({ "fleet": { "capacity": { "instanceTypes": types } } });
    admitted(capacity, json!({ "instanceTypes": ["*"] })).unwrap()
}

const POWER: &str = "arn:aws:iam::aws:policy/PowerUserAccess";
const READ: &str = "arn:aws:iam::aws:policy/ReadOnly";

/// A node's members, those of the class, and what the message says of them.
fn outside() -> Vec<(Value, Value, [&'static str; 2])> {
    let enrolls =
        |tags: Value| json!({ "fleet": { "replicas": null, "app": null, "enroll": { "tags": tags } } });
    let image = |image: Value| json!({ "fleet": { "image": image } });
    let cloud_map = |namespace: &str, service: &str| json!({ "serviceDiscovery": { "awsCloudMap": { "namespaceName": namespace, "serviceName": service } } });
    vec![
        (
            json!({ "fleet": { "capacity": { "instanceTypes": ["t3.small", "p5.48xlarge"] } } }),
            json!({}),
            ["fleet.capacity.instanceTypes[1] is p5.48xlarge", "instanceTypes: t3.small"],
        ),
        (
            json!({ "fleet": { "capacity": { "instanceTypes": ["t3a.small"] } } }),
            json!({ "instanceTypes": ["t3.*"] }),
            ["fleet.capacity.instanceTypes[0] is t3a.small", "instanceTypes: t3.*"],
        ),
        (
            json!({}),
            json!({ "instanceTypes": ["t3.*"] }),
            ["fleet.capacity.instanceTypes is not set", "t3.*"],
        ),
        (
            json!({ "fleet": { "network": { "subnetIds": ["subnet-1"] } } }),
            json!({}),
            ["fleet.network.subnetIds[0] is subnet-1", "network.subnetIds: none"],
        ),
        (
            json!({ "fleet": { "network": { "subnetIds": ["subnet-1", "subnet-2"] } } }),
            json!({ "network": { "subnetIds": ["subnet-1"] } }),
            ["fleet.network.subnetIds[1] is subnet-2", "network.subnetIds: subnet-1"],
        ),
        (
            json!({ "fleet": { "network": { "securityGroupIds": ["sg-1"] } } }),
            json!({ "network": { "securityGroupIds": ["sg-2"] } }),
            ["fleet.network.securityGroupIds[0] is sg-1", "network.securityGroupIds: sg-2"],
        ),
        (
            image(json!({ "id": "ami-12345678" })),
            json!({}),
            ["fleet.image.id is ami-12345678", "images.ids: none"],
        ),
        (
            image(json!({ "id": "ami-12345678" })),
            json!({ "images": { "ids": ["ami-87654321"], "owners": ["amazon"] } }),
            ["fleet.image.id is ami-12345678", "images.ids: ami-87654321"],
        ),
        (
            image(json!({ "id": "ami-1234567" })),
            json!({ "images": { "ids": ["ami-1234567"] } }),
            ["fleet.image.id is ami-1234567", "8 to 17 hexadecimal digits"],
        ),
        (
            image(json!({ "ssmParameter": "/prod/database/password" })),
            json!({}),
            ["fleet.image.ssmParameter is /prod/database/password", "images.ssmParameters: /aws/service/"],
        ),
        (
            image(json!({ "ssmParameter": "/images/../prod/password" })),
            json!({ "images": { "ssmParameters": ["/images/"] } }),
            ["fleet.image.ssmParameter is /images/../prod/password", "/images/"],
        ),
        (
            image(json!({ "ssmParameter": "/imagesx" })),
            json!({ "images": { "ssmParameters": ["/images"] } }),
            ["fleet.image.ssmParameter is /imagesx", "/images"],
        ),
        (
            json!({}),
            json!({ "images": { "ssmParameters": ["/images/"] } }),
            ["fleet.image is not set", "/images/"],
        ),
        (
            json!({ "fleet": { "app": { "container": null, "userData": [{ "contentType": "text/x-shellscript", "content": "#!" }] } } }),
            json!({}),
            ["fleet.app.userData is set", "userData: Allowed"],
        ),
        (
            json!({ "fleet": { "app": { "metadata": true } } }),
            json!({}),
            ["fleet.app.metadata is true", "allowMetadata: true"],
        ),
        (
            json!({ "fleet": { "proxy": { "image": "evil.example/proxy:v1" } } }),
            json!({}),
            ["fleet.proxy.image is evil.example/proxy:v1", "proxyImages: AppMesh"],
        ),
        (
            json!({ "fleet": { "proxy": { "image": "r.example/proxies.evil/x" } } }),
            json!({ "proxyImages": ["r.example/proxies/*"] }),
            ["fleet.proxy.image is r.example/proxies.evil/x", "proxyImages: r.example/proxies/*"],
        ),
        (
            json!({}),
            json!({ "proxyImages": ["Envoy"] }),
            ["fleet.proxy.image is AppMesh", "proxyImages: Envoy"],
        ),
        (
            json!({ "fleet": { "proxy": { "uid": 0 } } }),
            json!({}),
            ["fleet.proxy.uid is 0", "minProxyUid: 1000"],
        ),
        (
            json!({ "fleet": { "proxy": { "uid": 99 } } }),
            json!({ "minProxyUid": 100 }),
            ["fleet.proxy.uid is 99", "minProxyUid: 100"],
        ),
        (
            json!({ "serviceDiscovery": { "awsCloudMap": { "namespaceName": "prod.local", "serviceName": "web",
                "attributes": [{ "key": "v", "value": "1" }, { "key": "AWS_INSTANCE_IPV6", "value": "::1" }] } } }),
            json!({ "cloudMapServices": [{ "namespaceName": "prod.local", "serviceName": "web" }] }),
            ["serviceDiscovery.awsCloudMap.attributes[1].key is AWS_INSTANCE_IPV6", "Remove it"],
        ),
        (
            json!({ "serviceDiscovery": { "awsCloudMap": { "namespaceName": "prod.local", "serviceName": "web",
                "attributes": [{ "key": "fleetmesh.dev/owner-uid", "value": "1" }] } } }),
            json!({ "cloudMapServices": [{ "namespaceName": "prod.local", "serviceName": "web" }] }),
            ["attributes[0].key is fleetmesh.dev/owner-uid", "Remove it"],
        ),
        (json!({ "tags": { "team": "a" } }), json!({}), ["tags: the key is team", "tagKeys: none"]),
        (
            json!({ "tags": { "teams": "a" } }),
            json!({ "tagKeys": ["team"] }),
            ["tags: the key is teams", "tagKeys: team"],
        ),
        (
            json!({ "tags": { "fleetmesh.dev/enroll": "a" } }),
            json!({ "tagKeys": ["*"] }),
            ["tags: the key is fleetmesh.dev/enroll", "tagKeys: *"],
        ),
        (
            json!({ "tags": { "aws:x": "a" } }),
            json!({ "tagKeys": ["aws*"] }),
            ["tags: the key is aws:x", "tagKeys: aws*"],
        ),
        (
            cloud_map("prod.local", "db"),
            json!({}),
            ["serviceDiscovery.awsCloudMap is db in prod.local", "cloudMapServices: none"],
        ),
        (
            cloud_map("prod.local", "db"),
            json!({ "cloudMapServices": [{ "namespaceName": "prod.local", "serviceName": "web" }] }),
            ["serviceDiscovery.awsCloudMap is db in prod.local", "web in prod.local"],
        ),
        (
            json!({ "iam": { "managedPolicyArns": [READ, POWER] } }),
            json!({ "managedPolicyArns": [READ] }),
            [
                "iam.managedPolicyArns[1] is arn:aws:iam::aws:policy/PowerUserAccess",
                "managedPolicyArns: arn:aws:iam::aws:policy/ReadOnly",
            ],
        ),
        (enrolls(json!({ "app": "web" })), json!({}), ["fleet.enroll is set", "enrollTags"]),
        (
            enrolls(json!({ "app": "web" })),
            json!({ "enrollTags": { "team": "a" } }),
            ["does not have team: a", "enrollTags"],
        ),
        (
            enrolls(json!({ "team": "b" })),
            json!({ "enrollTags": { "team": "a" } }),
            ["does not have team: a", "enrollTags"],
        ),
    ]
}

#[test]
fn what_is_outside_of_the_class_is_refused_with_field_value_class_and_way_out() {
    for (node, class, words) in outside() {
        let refusal = admitted(node.clone(), class.clone()).expect_err(&format!("{node} {class}"));
        let ClassRefusal { reason, message } = refusal;
        assert!([Reason::ValueNotInClass, Reason::InvalidSpec].contains(&reason), "{reason}");
        assert!(words.iter().all(|word| message.contains(word)), "{message}");
        assert!(
            message.contains("FleetClass small")
                || message.contains("images")
                || reason == Reason::InvalidSpec,
            "{message}"
        );
    }
}

#[test]
fn a_fleet_gets_from_its_class_what_it_does_not_say() {
    let class = json!({
        "instanceTypes": ["t3.small", "m7g.*", "t3.large"],
        "network": { "subnetIds": ["subnet-1", "subnet-2"], "securityGroupIds": ["sg-1"] },
        "images": { "ids": ["ami-12345678"], "ssmParameters": ["/images/", "/images/web"] },
    });
    let Admitted { fleet, class: name, .. } = admitted(json!({}), class.clone()).unwrap();
    assert_eq!(name, "small");
    assert_eq!(fleet.capacity.unwrap().instance_types, ["t3.small", "t3.large"]);
    let network = fleet.network.unwrap();
    assert_eq!((network.subnet_ids.len(), network.security_group_ids.len()), (2, 1));
    assert_eq!(fleet.image.unwrap().id.unwrap(), "ami-12345678");

    let own = json!({ "fleet": {
        "capacity": { "instanceTypes": ["m7g.large"], "purchase": "Spot" },
        "network": { "subnetIds": ["subnet-2"] }, "image": { "ssmParameter": "/images/a/b" },
    } });
    let fleet = admitted(own, class).unwrap().fleet;
    assert_eq!(fleet.capacity.unwrap().instance_types, ["m7g.large"]);
    assert_eq!(fleet.network.unwrap().subnet_ids, ["subnet-2"]);
    assert_eq!(fleet.image.unwrap().ssm_parameter.unwrap(), "/images/a/b");

    let fleet = admitted(json!({}), json!({})).unwrap().fleet;
    assert_eq!(fleet.image.unwrap().ssm_parameter.unwrap(), DEFAULT_SSM_PARAMETER);
    assert_eq!(fleet.network, None);
    let any = json!({ "images": { "owners": ["123456789012"] } });
    let of_owner = admitted(json!({ "fleet": { "image": { "id": "ami-12345678" } } }), any).unwrap();
    assert_eq!(of_owner.image_owners, ["123456789012"], "whose it is is looked at when the AMI is");
}

#[test]
fn without_a_class_that_counts_nothing_is_admitted() {
    let object = node(json!({ "fleet": { "className": "big" }, "iam": { "managedPolicyArns": [POWER] } }));
    let fleet = object.fleet().unwrap();
    for (class, reason, words) in [
        (ClassLookup::NoDefault, Reason::ClassRequired, "fleetmesh migrate fleet-classes"),
        (ClassLookup::Missing, Reason::ClassRequired, "fleet.className is big"),
        (
            ClassLookup::NotAllowed { name: "big" },
            Reason::ClassNotAllowed,
            "FleetClass big does not allow fleets of the namespace team-a",
        ),
    ] {
        for refusal in
            [admit(&object, fleet, class).unwrap_err(), admit_policies(&object, fleet, class).unwrap_err()]
        {
            assert_eq!(refusal.reason, reason);
            assert!(refusal.message.contains(words), "{}", refusal.message);
        }
        let plain = node(json!({}));
        assert!(admit_policies(&plain, fleet, class).is_ok(), "the operator's own policies need no class");
    }
}

#[test]
fn what_gives_an_application_credentials_is_what_the_class_says() {
    let class =
        json!({ "allowMetadata": true, "proxyImages": ["Envoy", "r.example/proxies/*"], "minProxyUid": 0 });
    for proxy in
        [json!({ "image": "Envoy", "uid": 0 }), json!({ "image": "r.example/proxies/envoy:v1", "uid": 1337 })]
    {
        let node = json!({ "fleet": { "app": { "metadata": true }, "proxy": proxy } });
        assert!(admitted(node, class.clone()).is_ok());
    }
}

#[test]
fn nobody_has_the_policies_of_one_class_and_the_code_of_another() {
    // The class allows the policy, and not the user data, the image or the type that the node also names.
    let parts = json!([{ "contentType": "text/x-shellscript", "content": "#!" }]);
    for fleet in [
        json!({ "app": { "container": null, "userData": parts } }),
        json!({ "image": { "id": "ami-12345678" } }),
        json!({ "app": { "metadata": true } }),
    ] {
        let object = node(json!({ "fleet": fleet, "iam": { "managedPolicyArns": [READ] } }));
        let spec = class(json!({ "managedPolicyArns": [READ] }));
        let found = ClassLookup::Found { name: "small", spec: &spec };
        let refusal = admit_policies(&object, object.fleet().unwrap(), found).unwrap_err();
        assert_eq!(refusal.reason, Reason::ValueNotInClass, "{}", refusal.message);
    }
    // Instances that another class let are still there, or nobody looked.
    let spec = class(json!({ "managedPolicyArns": [READ] }));
    let found = ClassLookup::Found { name: "small", spec: &spec };
    let object = node(json!({ "iam": { "managedPolicyArns": [READ] } }));
    let launched = |classes: &[&str]| Some(classes.iter().map(|class| (*class).to_owned()).collect());
    let said = |launched: Option<BTreeSet<String>>| withheld(&object, found, launched.as_ref());
    assert!(said(launched(&["small", "open"])).unwrap().contains("in FleetClass open"));
    assert!(said(launched(&[""])).unwrap().contains("without a FleetClass"));
    assert!(said(None).is_some());
    assert_eq!(said(launched(&[])), None);
    assert_eq!(said(launched(&["small"])), None);
    let plain = node(json!({}));
    assert_eq!(withheld(&plain, found, None), None, "the operator's own policies wait for nothing");
}

#[test]
fn an_amis_id_is_ami_and_8_to_17_hexadecimal_digits() {
    for id in ["ami-12345678", "ami-0123456789abcdef0"] {
        assert!(is_ami_id(id), "{id}");
    }
    for id in [
        "",
        "ami-",
        "ami-1234567",
        "ami-0123456789abcdef01",
        "ami-1234567g",
        "ami-1234567A",
        "hunter2",
        " ami-12345678",
        "ami-12345678\n",
        "AMI-12345678",
    ] {
        assert!(!is_ami_id(id), "{id}");
    }
}

proptest! {
    /// What is shown of a refused value is cut, and cutting never breaks a character.
    #[test]
    fn a_refusal_is_short_whatever_the_value(value in ".{0,2000}") {
        let node = json!({ "tags": { value.clone(): "v" } });
        if let Err(ClassRefusal { message, .. }) = admitted(node, json!({})) {
            prop_assert!(message.chars().count() < 500, "{}", message);
        }
    }
}
