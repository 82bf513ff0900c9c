use std::collections::BTreeSet;

use serde_json::json;

use super::*;

fn resources() -> Resources {
    Resources::new(&fleetmesh_crds::all())
}

fn mesh(name: &str) -> Value {
    json!({"apiVersion": "fleetmesh.dev/v1alpha1", "kind": "Mesh", "metadata": {"name": name}, "spec": {}})
}

fn map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}})
}

fn namespace(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
}

fn names(plan: &Plan<'_>) -> Vec<String> {
    plan.apply.iter().map(|manifest| manifest.name.to_string()).collect()
}

#[test]
fn documents_become_manifests_in_their_namespace_and_lists_their_items() {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": [map("a"), mesh("m")]});
    let found = read("x.yaml", vec![Value::Null, map("b"), list], &resources());
    let found: Vec<Manifest> = found.into_iter().collect::<Result<_, _>>().expect("all of them");
    let shown: Vec<String> = found.iter().map(|one| format!("{} {}", one.place, one.name)).collect();
    assert_eq!(
        shown,
        [
            "x.yaml, document 2 ConfigMap default/b",
            "x.yaml, document 3 ConfigMap default/a",
            "x.yaml, document 3 Mesh m"
        ]
    );
    assert_eq!(found[0].object["metadata"]["namespace"], "default");
    assert!(found[2].object["metadata"].get("namespace").is_none());
}

#[test]
fn a_document_that_is_no_object_of_ours_is_named_with_its_field() {
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}});
    let nameless = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "p-"}});
    let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "metadata": {"name": "p"}});
    let cases = [
        (json!("text"), "apiVersion", true),
        (json!({"kind": "ConfigMap"}), "kind", true),
        (pod, "kind", false),
        (review, "kind", false),
        (nameless, "metadata.name", true),
        (json!({"apiVersion": "v1", "kind": "List"}), "items", true),
    ];
    for (document, field, hides) in cases {
        let found = read("x.yaml", vec![document.clone()], &resources());
        let problem = found[0].as_ref().expect_err("no manifest");
        assert_eq!((problem.field.as_deref(), problem.hides), (Some(field), hides), "{document}");
        assert!(problem.to_string().starts_with(&format!("x.yaml, document 1, {field}: ")), "{problem}");
        assert!(!plan(&found).is_whole(), "{document}");
    }
}

#[test]
fn namespaces_are_applied_before_what_is_in_them_and_what_is_there_twice_is_not() {
    let mut found = read("a.yaml", vec![map("a"), mesh("m")], &resources());
    found.extend(read("b.yaml", vec![namespace("n"), mesh("m")], &resources()));
    let plan = plan(&found);
    assert_eq!(names(&plan), ["Namespace n", "ConfigMap default/a"]);
    let problems: Vec<String> = plan.problems.iter().map(ToString::to_string).collect();
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(
        problems[0]
            .starts_with("a.yaml, document 2 (Mesh m), metadata.name: it is also in b.yaml, document 2")
    );
    assert!(plan.is_whole(), "what is there twice is wanted all the same");
    assert!(plan.wanted.iter().any(|name| name.kind == "Mesh"));
}

#[test]
fn what_is_wanted_no_more_goes_namespaces_last_and_nothing_while_something_is_hidden() {
    let resources = resources();
    let owned = || -> BTreeSet<ObjectName> {
        let gone = read("x", vec![namespace("n"), mesh("m"), map("a"), map("b")], &resources);
        gone.into_iter().map(|one| one.expect("a manifest").name).collect()
    };
    let mut found = read("x.yaml", vec![map("b")], &resources);
    let shown = |names: Vec<ObjectName>| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(shown(prunable(owned(), &plan(&found))), ["ConfigMap default/a", "Mesh m", "Namespace n"]);
    found.push(Err(Problem::of_file("y.yaml", "it is no YAML from line 3 on")));
    assert_eq!(shown(prunable(owned(), &plan(&found))), [""; 0]);
    assert_eq!(shown(prunable(owned(), &plan(&[]))), [""; 0], "an empty directory");
}

#[test]
fn only_what_this_manager_labelled_is_owned() {
    let entry = |manager: &str, operation: &str, label: &str| json!({"manager": manager, "operation": operation, "fieldsV1": {"f:metadata": {"f:labels": {format!("f:{label}"): {}}}}});
    let object = |entries: Value| {
        let mut object = labelled(map("a"), true);
        object["metadata"]["managedFields"] = entries;
        object
    };
    let ours = object(json!([entry(MANAGER, "Apply", LABEL)]));
    assert!(is_owned(&ours));
    assert!(!is_owned(&labelled(ours.clone(), false)));
    for entries in [
        json!([entry("kubectl", "Apply", LABEL)]),
        json!([entry(MANAGER, "Update", LABEL)]),
        json!([entry(MANAGER, "Apply", "other")]),
        json!([entry(MANAGER, "Apply", "other"), entry("kubectl", "Apply", LABEL)]),
        json!([]),
        Value::Null,
    ] {
        assert!(!is_owned(&object(entries.clone())), "{entries}");
    }
    let mut kept = map("a");
    kept["metadata"]["labels"] = json!({"app": "x", LABEL: "applied"});
    assert_eq!(labelled(kept, false)["metadata"]["labels"], json!({"app": "x"}));
}

#[test]
fn a_refusal_names_its_field_and_repeats_nothing_of_a_secret() {
    let status = json!({
        "reason": "Invalid", "message": "x is invalid: spec.a: Invalid value: \"hunter2\"",
        "details": {"causes": [{"field": "spec.a"}, {"field": "<nil>"}, {"field": "spec.b"}]},
    });
    let manifest =
        |document: Value| read("x.yaml", vec![document], &resources()).remove(0).expect("a manifest");
    let problem = Problem::refused(&manifest(map("a")), &status).to_string();
    assert_eq!(
        problem,
        "x.yaml, document 1 (ConfigMap default/a), spec.a, spec.b: x is invalid: spec.a: Invalid value: \"hunter2\""
    );
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}});
    let problem = Problem::refused(&manifest(secret), &status).to_string();
    assert_eq!(
        problem,
        "x.yaml, document 1 (Secret default/s), spec.a, spec.b: the API refuses it (Invalid)"
    );
}
