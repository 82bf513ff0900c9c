//! The operator's own policy: its text, and that its table names every call in the sources. After a wanted change:
//! `FLEETMESH_BLESS=1 cargo test -p fleetmesh-aws --test permissions`, and read the difference.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use fleetmesh_aws::permissions::{
    Boundary, LONGEST, PERMISSIONS, PolicyDocument, PolicyLimits, Scope, boundary, document, size,
};
use fleetmesh_model::KINDS;
use serde_json::{Map, Value};

/// The operations that a macro is given as text in the sources below `folder`: `call!(…, "GetRole", …)`.
fn calls(folder: &Path, macro_name: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(calls(&path, macro_name));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let begin = format!("{macro_name}!(");
            let calls = text.split(&begin).skip(1);
            let operations = calls.filter_map(|call| call.split('"').nth(1));
            found.extend(operations.filter(|text| is_operation(text)).map(str::to_owned));
        }
    }
    found
}

fn is_operation(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_uppercase()) && text.chars().all(char::is_alphanumeric)
}

fn known() -> BTreeSet<String> {
    PERMISSIONS.iter().map(|permission| permission.operation.to_string()).collect()
}

#[test]
fn every_call_in_the_sources_has_its_permission() {
    let called = calls(Path::new("src"), "call");
    assert!(called.len() >= 20, "the calls are not found any more: {called:?}");
    let sent = calls(Path::new("../src/cloud"), "send");
    let (of_tags, mut verbs): (BTreeSet<_>, BTreeSet<_>) =
        sent.into_iter().partition(|call| call.ends_with("Resource"));
    // What `fleetmesh doctor` asks, with a person's credentials and not with the operator's.
    assert!(verbs.remove("ListMeshes"), "{verbs:?}");
    assert!(verbs.iter().eq(["Create", "Delete", "Describe", "Update"]), "of every kind: {verbs:?}");
    let of_kinds = verbs.iter().flat_map(|verb| KINDS.map(|kind| format!("{verb}{}", kind.name)));
    let app_mesh: BTreeSet<String> = of_kinds.chain(of_tags).collect();
    assert!(app_mesh.len() >= 20, "the calls are not found any more: {app_mesh:?}");
    let missing: Vec<_> = called.union(&app_mesh).filter(|call| !known().contains(*call)).collect();
    assert!(missing.is_empty(), "no entry in PERMISSIONS for {missing:?}");
}

#[test]
fn no_iam_permission_is_without_a_call() {
    let called = calls(Path::new("src"), "call");
    // PassRole is no operation: EC2 asks for it.
    let iam = PERMISSIONS.iter().filter(|permission| permission.service == "iam");
    let idle: Vec<_> = iam
        .map(|permission| permission.operation.as_ref())
        .filter(|operation| *operation != "PassRole" && !called.contains(*operation))
        .collect();
    assert!(idle.is_empty(), "{idle:?}");
}

fn scope(partition: &str, region: &str, cluster: &str) -> Scope {
    let policy = |name: &str| format!("arn:{partition}:iam::aws:policy/{name}");
    Scope {
        partition: partition.to_owned(),
        region: region.to_owned(),
        account: "111122223333".to_owned(),
        cluster: cluster.to_owned(),
        path: "/fleetmesh/".to_owned(),
        role_names: "*".to_owned(),
        permissions_boundary: Some(format!("arn:{partition}:iam::111122223333:policy/fleetmesh-boundary")),
        managed_policies: vec![policy("AmazonEC2ContainerRegistryReadOnly")],
        adopt: true,
        limits: limits(1),
    }
}

/// Of each kind so many.
fn limits(count: usize) -> PolicyLimits {
    let some = |text: &str| (0..count).map(|n| format!("{text}{n}")).collect();
    PolicyLimits {
        vpcs: some("vpc-0123456789abcdef"),
        ami_owners: some("11112222333"),
        instance_types: some("m5.large"),
        ssm_prefixes: some("/images/application"),
        cloud_map_services: some("srv-0123456789abcde"),
        kms_keys: some(
            "arn:aws-us-gov:kms:us-gov-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890a",
        ),
        tag_keys: some("cost-center"),
    }
}

/// All documents under their names.
fn all(scope: &Scope) -> Map<String, Value> {
    let documents = PolicyDocument::ALL.into_iter();
    documents.filter_map(|name| Some((name.to_string(), document(scope, name)?))).collect()
}

fn golden(path: &str, found: &str) {
    if std::env::var_os("FLEETMESH_BLESS").is_some() {
        fs::write(path, found).unwrap();
    }
    assert_eq!(found, fs::read_to_string(path).unwrap_or_default());
}

#[test]
fn the_documents_are_as_written_down() {
    let found = format!("{:#}\n", Value::Object(all(&scope("aws", "us-west-2", "apps"))));
    golden("tests/golden/policy.json", &found);
    let of = |session_manager| Boundary {
        partition: "aws".to_owned(),
        region: "us-west-2".to_owned(),
        account: "111122223333".to_owned(),
        repositories: Vec::new(),
        session_manager,
    };
    golden("tests/golden/boundary.json", &format!("{:#}\n{:#}\n", boundary(&of(false)), boundary(&of(true))));
}

/// The chart knows the values; it puts them where these words are, and as often as there are some.
#[test]
fn the_chart_has_the_documents() {
    let word = |word: &str| vec![word.to_owned()];
    let words = Scope {
        account: "ACCOUNT_ID".to_owned(),
        path: "/IAM_PATH/".to_owned(),
        role_names: "ROLE_NAMES".to_owned(),
        permissions_boundary: Some("PERMISSIONS_BOUNDARY".to_owned()),
        managed_policies: word("MANAGED_POLICIES"),
        limits: PolicyLimits {
            vpcs: word("VPC_IDS"),
            ami_owners: word("AMI_OWNERS"),
            instance_types: word("INSTANCE_TYPES"),
            ssm_prefixes: word("SSM_PREFIXES"),
            cloud_map_services: word("CLOUD_MAP_SERVICES"),
            kms_keys: word("KMS_KEYS"),
            tag_keys: word("TAG_KEYS"),
        },
        ..scope("PARTITION", "REGION", "CLUSTER_NAME")
    };
    let found = format!("{:#}\n", Value::Object(all(&words)));
    golden("../../charts/fleetmesh/files/iam-policies.json", &found);
}

#[test]
fn each_document_fits_into_a_managed_policy_with_the_longest_names() {
    let uid = "9f0a9d6e-6c5c-4b0e-8f0a-2f6d3c1b7a55";
    for (partition, region) in
        [("aws", "ap-southeast-2"), ("aws-cn", "cn-northwest-1"), ("aws-us-gov", "us-gov-west-1")]
    {
        let scope = Scope { limits: limits(5), ..scope(partition, region, uid) };
        for (name, text) in all(&scope) {
            let size = size(&text);
            println!("{name} {region} {size}");
            assert!(size <= LONGEST, "{size} characters of {name} in {region}");
        }
    }
}

#[test]
fn there_is_no_document_for_what_the_operator_must_not_do() {
    let names = |scope: &Scope| all(scope).keys().cloned().collect::<Vec<_>>();
    let scope = scope("aws", "us-west-2", "apps");
    assert_eq!(names(&scope), ["cloudmap", "ec2", "iam", "kms", "launch", "mesh"]);
    let unbounded = Scope { permissions_boundary: None, ..scope.clone() };
    assert_eq!(names(&unbounded), ["mesh"]);
    let unregistered = Scope { limits: PolicyLimits::default(), ..scope };
    assert_eq!(names(&unregistered), ["ec2", "iam", "launch", "mesh"]);
}

/// IAM attaches ten managed policies to a role unless it is asked for more, and some operators need one of AWS's, too.
#[test]
fn all_documents_can_be_attached_to_one_role() {
    assert!(PolicyDocument::ALL.len() <= 8);
}

/// Whatever launches an instance, or has EC2 launch it later, is held to the types, and to our tag.
#[test]
fn the_types_limit_every_launch() {
    let scope = scope("aws", "us-west-2", "apps");
    let launches = |(actions, statement): &(Vec<String>, Value)| {
        let of_instances = statement["Resource"].to_string().contains(":instance/*");
        of_instances
            && actions.iter().any(|action| ["ec2:CreateFleet", "ec2:RunInstances"].contains(&action.as_str()))
    };
    let found: Vec<_> = allowed(&scope).into_iter().filter(launches).collect();
    assert_eq!(found.len(), 2);
    for (actions, statement) in found {
        let condition = &statement["Condition"];
        assert_eq!(
            condition["StringLike"]["ec2:InstanceType"],
            serde_json::json!(scope.limits.instance_types),
            "{actions:?}"
        );
        assert_eq!(
            condition["StringEquals"]["aws:RequestTag/fleetmesh.dev/owner-cluster"], "apps",
            "{actions:?}"
        );
    }
}

/// Every statement that allows something, with its actions.
fn allowed(scope: &Scope) -> Vec<(Vec<String>, Value)> {
    let documents = all(scope);
    let statements = documents.values().flat_map(|document| document["Statement"].as_array().unwrap());
    let allowed = statements.filter(|statement| statement["Effect"] == "Allow");
    let actions = |statement: &Value| {
        let actions = statement["Action"].as_array().unwrap().iter();
        actions.map(|action| action.as_str().unwrap().to_owned()).collect()
    };
    allowed.map(|statement| (actions(statement), statement.clone())).collect()
}

/// Conditions compare the owner of a thing with our name for equality, never with a pattern; and the documents of two clusters
/// differ in nothing else.
#[test]
fn a_cluster_is_recognized_by_its_name_alone() {
    for (actions, statement) in allowed(&scope("aws", "us-west-2", "apps")) {
        let conditions = statement["Condition"].as_object().cloned().unwrap_or_default();
        for (operator, keys) in conditions {
            let of_tags = keys.as_object().unwrap().iter().filter(|(key, _)| key.contains("Tag/"));
            for (key, value) in of_tags {
                let right = match operator.as_str() {
                    "StringEquals" | "StringEqualsIfExists" => value == "apps",
                    "Null" => value == "true",
                    _ => false,
                };
                assert!(right, "{actions:?}: {operator} {key} {value}");
            }
        }
    }
}

/// Without `--iam-adopt` whatever sets tags does so while it makes something, or on what is ours.
#[test]
fn only_adoption_tags_what_is_nobodys() {
    let tags = |action: &String| action.contains(":Tag") || action == "ec2:CreateTags";
    let scope = scope("aws", "us-west-2", "apps");
    let nobodys = |scope: &Scope| {
        let statements = allowed(scope).into_iter().filter(|(actions, _)| actions.iter().any(tags));
        let owned = |statement: &Value| {
            let keys = &statement["Condition"]["StringEquals"];
            keys["aws:ResourceTag/fleetmesh.dev/owner-cluster"] == "apps"
                || keys["ec2:CreateAction"].is_array()
        };
        statements
            .filter(|(_, statement)| !owned(statement))
            .flat_map(|(actions, _)| actions)
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(nobodys(&Scope { adopt: false, ..scope.clone() }), BTreeSet::new());
    let adopts =
        ["appmesh:TagResource", "ec2:CreateTags", "iam:TagInstanceProfile", "iam:TagPolicy", "iam:TagRole"];
    assert_eq!(nobodys(&scope), adopts.map(str::to_owned).into());
}

/// EC2 may use the keys that are named, for the operator, and nobody may use any other.
#[test]
fn keys_are_for_ec2_and_named() {
    let of_keys = |scope: &Scope| -> Vec<(Vec<String>, Value)> {
        let kms = |action: &String| action.starts_with("kms:");
        allowed(scope).into_iter().filter(|(actions, _)| actions.iter().any(kms)).collect()
    };
    let scope = scope("aws-cn", "cn-north-1", "apps");
    for (actions, statement) in of_keys(&scope) {
        assert_eq!(statement["Resource"], serde_json::json!(scope.limits.kms_keys), "{actions:?}");
        let condition = &statement["Condition"];
        assert_eq!(condition["StringLike"]["kms:ViaService"], "ec2.cn-north-1.amazonaws.com.cn");
        let grants = actions.contains(&"kms:CreateGrant".to_owned());
        assert_eq!(condition["Bool"]["kms:GrantIsForAWSResource"] == "true", grants, "{actions:?}");
    }
    assert_eq!(of_keys(&scope).len(), 2);
    let none = Scope { limits: PolicyLimits { kms_keys: Vec::new(), ..scope.limits.clone() }, ..scope };
    assert_eq!(of_keys(&none), Vec::new());
}
