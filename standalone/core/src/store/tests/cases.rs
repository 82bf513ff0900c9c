use super::delete::{DeleteOptions, Propagation};
use super::update::Part;
use super::*;

fn code<T>(result: Result<T, Status>) -> u16 {
    result.map_or_else(|status| status.code, |_| 200)
}

#[test]
fn a_new_object_has_a_uid_a_time_and_a_generation_and_no_status() {
    let mut bed = Bed::new();
    let object =
        json!({"metadata": {"name": "a", "uid": "mine", "generation": 9}, "spec": {}, "status": {"x": 1}});
    let stored = bed.create("meshes", object).expect("created");
    let value = stored.value();
    assert_eq!(value["metadata"]["generation"], 1);
    assert_eq!(value["metadata"]["creationTimestamp"], "2023-11-14T22:13:20Z");
    assert_eq!(value["metadata"]["resourceVersion"], stored.revision.to_string());
    assert!(stored.uid.starts_with("uid-") && value.get("status").is_none());
    assert_eq!(code(bed.create("meshes", json!({"metadata": {"name": "a"}}))), 409);
}

#[test]
fn a_generation_moves_with_the_spec_alone() {
    let mut bed = Bed::new();
    bed.create("meshes", json!({"metadata": {"name": "a"}, "spec": {"tags": {}}})).expect("created");
    let generation = |bed: &Bed| bed.value("meshes", "a")["metadata"]["generation"].clone();
    bed.update("meshes", "a", Part::Main, |mesh| mesh["metadata"]["labels"] = json!({"a": "b"}))
        .expect("labels");
    assert_eq!(generation(&bed), 1);
    let status = |mesh: &mut Value| {
        mesh["status"] = json!({"uid": "1"});
        mesh["spec"] = json!({"never": true});
        mesh["metadata"]["labels"] = json!({"never": "true"});
    };
    bed.update("meshes", "a", Part::Status, status).expect("a status");
    let mesh = bed.value("meshes", "a");
    assert_eq!((&mesh["status"], &mesh["spec"]), (&json!({"uid": "1"}), &json!({"tags": {}})));
    assert_eq!((generation(&bed), &mesh["metadata"]["labels"]), (1.into(), &json!({"a": "b"})));
    let spec = |mesh: &mut Value| {
        mesh["spec"] = json!({"tags": {"x": "y"}});
        mesh["status"] = json!({"never": true});
    };
    bed.update("meshes", "a", Part::Main, spec).expect("a spec");
    assert_eq!(
        (generation(&bed), bed.value("meshes", "a")["status"].clone()),
        (2.into(), json!({"uid": "1"}))
    );
    bed.create("configmaps", json!({"metadata": {"name": "a"}})).expect("created");
    assert_eq!(bed.value("configmaps", "a")["metadata"].get("generation"), None);
}

#[test]
fn an_update_that_changes_nothing_writes_nothing() {
    let mut bed = Bed::new();
    let first = bed.create("meshes", json!({"metadata": {"name": "a"}, "spec": {}})).expect("created");
    let again = bed.update("meshes", "a", Part::Main, |_| {}).expect("unchanged");
    assert_eq!((first.revision, bed.ledger.state.revision()), (again.revision, first.revision));
}

#[test]
fn an_update_of_what_has_changed_is_a_conflict() {
    let mut bed = Bed::new();
    bed.create("meshes", json!({"metadata": {"name": "a"}, "spec": {}})).expect("created");
    let update = |bed: &mut Bed, member: &str, value: Value| {
        let member = member.to_owned();
        let edit = move |mesh: &mut Value| {
            mesh["metadata"][member] = value;
            mesh["spec"]["tags"] = json!({"x": "y"});
        };
        code(bed.update("meshes", "a", Part::Main, edit))
    };
    assert_eq!(update(&mut bed, "resourceVersion", "1".into()), 409);
    assert_eq!(update(&mut bed, "resourceVersion", "".into()), 422);
    assert_eq!(update(&mut bed, "resourceVersion", "x".into()), 422);
    assert_eq!(update(&mut bed, "uid", "another".into()), 409);
    assert_eq!(update(&mut bed, "creationTimestamp", "2020-01-01T00:00:00Z".into()), 200);
    let mesh = bed.value("meshes", "a");
    assert_eq!(mesh["metadata"]["creationTimestamp"], "2023-11-14T22:13:20Z", "nobody changes it");
    assert_eq!(mesh["metadata"]["generation"], 2);
}

#[test]
fn what_a_finalizer_keeps_goes_with_the_last_of_them() {
    let mut bed = Bed::new();
    let object = json!({"metadata": {"name": "a", "finalizers": ["x.dev/a", "x.dev/b"]}, "spec": {}});
    bed.create("meshes", object).expect("created");
    bed.delete("meshes", "a", &DeleteOptions::default()).expect("marked");
    let mesh = bed.value("meshes", "a");
    assert_eq!(mesh["metadata"]["deletionTimestamp"], "2023-11-14T22:13:20Z");
    assert_eq!(
        (&mesh["metadata"]["deletionGracePeriodSeconds"], &mesh["metadata"]["generation"]),
        (&json!(0), &json!(2))
    );
    let before = bed.ledger.state.revision();
    bed.delete("meshes", "a", &DeleteOptions::default()).expect("marked already");
    assert_eq!(bed.ledger.state.revision(), before);
    let keep = |list: Value| move |mesh: &mut Value| mesh["metadata"]["finalizers"] = list;
    let more = bed.update("meshes", "a", Part::Main, keep(json!(["x.dev/a", "x.dev/b", "x.dev/c"])));
    assert_eq!(
        more.expect_err("forbidden").message,
        "Mesh.fleetmesh.dev \"a\" is invalid: metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{\"x.dev/c\"}"
    );
    bed.update("meshes", "a", Part::Main, keep(json!(["x.dev/b"]))).expect("one less");
    assert!(bed.get("meshes", "a").is_some());
    let last = bed.update("meshes", "a", Part::Main, keep(json!([]))).expect("the last");
    assert!(bed.get("meshes", "a").is_none());
    let event = bed.ledger.history.after(last.revision - 1).expect("remembered").next().expect("one");
    assert_eq!((event.kind, event.object.revision), (EventKind::Deleted, last.revision));
}

#[test]
fn a_deletion_is_of_the_object_that_it_means() {
    let mut bed = Bed::new();
    let stored = bed.create("configmaps", json!({"metadata": {"name": "a"}})).expect("created");
    let of = |uid: &str, version: u64| DeleteOptions {
        uid: Some(uid.to_owned()),
        resource_version: Some(version.to_string()),
        ..DeleteOptions::default()
    };
    let refused = bed.delete("configmaps", "a", &of("other", stored.revision)).expect_err("another");
    assert_eq!(
        refused.message,
        format!(
            "Operation cannot be fulfilled on ConfigMap \"a\": the UID in the precondition (other) does not match the UID in record ({}). The object might have been deleted and then recreated",
            stored.uid
        )
    );
    assert_eq!(code(bed.delete("configmaps", "a", &of(&stored.uid, stored.revision + 1))), 409);
    assert_eq!(code(bed.delete("configmaps", "a", &of(&stored.uid, stored.revision))), 200);
    assert!(bed.get("configmaps", "a").is_none());
}

#[test]
fn a_namespace_goes_after_all_that_lies_in_it_and_takes_nothing_new() {
    let mut bed = Bed::new();
    bed.create("configmaps", json!({"metadata": {"name": "a"}})).expect("created");
    let held = json!({"metadata": {"name": "b", "finalizers": ["x.dev/a"]}, "spec": {}});
    bed.create("routes", held).expect("created");
    bed.delete("namespaces", "apps", &DeleteOptions::default()).expect("marked");
    assert_eq!(bed.value("namespaces", "apps")["status"]["phase"], "Terminating");
    let refused = bed.create("configmaps", json!({"metadata": {"name": "c"}})).expect_err("too late");
    assert_eq!(
        refused.message,
        "configmaps \"c\" is forbidden: unable to create new content in namespace apps because it is being terminated"
    );
    bed.settle();
    assert!(bed.get("configmaps", "a").is_none() && bed.get("namespaces", "apps").is_some());
    bed.update("routes", "b", Part::Main, |route| route["metadata"]["finalizers"] = json!([]))
        .expect("let go");
    bed.settle();
    assert!(bed.ledger.state.is_empty());
    let refused = bed.create("configmaps", json!({"metadata": {"name": "c"}})).expect_err("no namespace");
    assert_eq!((refused.code, refused.message.as_str()), (404, "namespaces \"apps\" not found"));
}

fn owned_by(name: &str, owner: &Stored, blocks: bool) -> Value {
    let reference = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "name": owner.key.name, "uid": owner.uid,
        "blockOwnerDeletion": blocks,
    });
    json!({"metadata": {"name": name, "ownerReferences": [reference]}})
}

#[test]
fn what_an_owner_leaves_goes_after_it_before_it_or_stays() {
    for propagation in [Propagation::Background, Propagation::Foreground, Propagation::Orphan] {
        let mut bed = Bed::new();
        let owner = bed.create("configmaps", json!({"metadata": {"name": "owner"}})).expect("created");
        let child = bed.create("secrets", owned_by("child", &owner, true)).expect("created");
        bed.create("secrets", owned_by("grandchild", &child, true)).expect("created");
        assert_eq!(bed.settle(), 0);
        let options = DeleteOptions { propagation: Some(propagation), ..DeleteOptions::default() };
        bed.delete("configmaps", "owner", &options).expect("deleted");
        assert_eq!(bed.get("configmaps", "owner").is_some(), propagation != Propagation::Background);
        bed.settle();
        assert!(bed.get("configmaps", "owner").is_none(), "{propagation:?}");
        assert_eq!(bed.get("secrets", "child").is_some(), propagation == Propagation::Orphan);
        let gone: Vec<String> = bed
            .ledger
            .history
            .after(0)
            .expect("remembered")
            .filter(|event| event.kind == EventKind::Deleted)
            .map(|event| event.object.key.name.clone())
            .collect();
        match propagation {
            Propagation::Background => assert_eq!(gone[0], "owner"),
            Propagation::Foreground => assert_eq!(gone, ["grandchild", "child", "owner"]),
            Propagation::Orphan => {
                let child = bed.value("secrets", "child");
                assert_eq!((gone.len(), child["metadata"].get("ownerReferences")), (1, None));
            }
        }
    }
}

/// An object of which each of `owners` is an owner.
fn owned_by_all(name: &str, owners: &[&Stored]) -> Value {
    let references: Vec<Value> = owners
        .iter()
        .map(|owner| owned_by(name, owner, true)["metadata"]["ownerReferences"][0].clone())
        .collect();
    json!({"metadata": {"name": name, "ownerReferences": references}})
}

#[test]
fn what_has_another_owner_stays_and_forgets_the_one_that_goes() {
    for propagation in [Propagation::Background, Propagation::Foreground] {
        let mut bed = Bed::new();
        let goes = bed.create("configmaps", json!({"metadata": {"name": "goes"}})).expect("created");
        let stays = bed.create("configmaps", json!({"metadata": {"name": "stays"}})).expect("created");
        bed.create("secrets", owned_by_all("of-both", &[&goes, &stays])).expect("created");
        bed.create("secrets", owned_by("of-one", &goes, true)).expect("created");
        let options = DeleteOptions { propagation: Some(propagation), ..DeleteOptions::default() };
        bed.delete("configmaps", "goes", &options).expect("deleted");
        bed.settle();
        assert!(bed.get("configmaps", "goes").is_none() && bed.get("secrets", "of-one").is_none());
        let owners = bed.value("secrets", "of-both")["metadata"]["ownerReferences"].clone();
        assert_eq!((owners.as_array().map(Vec::len), &owners[0]["name"]), (Some(1), &json!("stays")));
    }
}

#[test]
fn owners_in_a_circle_do_not_wait_for_each_other() {
    for propagation in [Propagation::Background, Propagation::Foreground] {
        let mut bed = Bed::new();
        let mut owner = bed.create("configmaps", json!({"metadata": {"name": "a"}})).expect("created");
        for name in ["b", "c"] {
            owner = bed.create("configmaps", owned_by(name, &owner, true)).expect("created");
        }
        let reference = owned_by("a", &owner, true)["metadata"]["ownerReferences"].clone();
        let close = |object: &mut Value| object["metadata"]["ownerReferences"] = reference;
        bed.update("configmaps", "a", Part::Main, close).expect("updated");
        let options = DeleteOptions { propagation: Some(propagation), ..DeleteOptions::default() };
        bed.delete("configmaps", "a", &options).expect("deleted");
        bed.settle();
        for name in ["a", "b", "c"] {
            assert!(bed.get("configmaps", name).is_none(), "{name} is left of {propagation:?}");
        }
    }
}

#[test]
fn an_owner_of_a_kind_that_is_not_served_may_be_there() {
    let mut bed = Bed::new();
    let reference = json!({"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "elsewhere"});
    let object = json!({"metadata": {"name": "a", "ownerReferences": [reference]}});
    bed.create("secrets", object).expect("created");
    assert_eq!(bed.settle(), 0);
}

#[test]
fn a_name_is_generated_once_for_each_object() {
    let mut bed = Bed::new();
    let object = || json!({"metadata": {"generateName": "a-"}});
    let names: Vec<String> =
        (0..3).map(|_| bed.create("secrets", object()).expect("created").key.name.clone()).collect();
    assert!(names.iter().all(|name| name.starts_with("a-") && name.len() == 7), "{names:?}");
    assert_eq!(code(bed.create("secrets", json!({"metadata": {}}))), 422);
    let long = json!({"metadata": {"generateName": "a".repeat(100)}});
    assert_eq!(bed.create("secrets", long).expect("created").key.name.len(), 63);
}

#[test]
fn names_labels_and_finalizers_follow_kubernetes_rules() {
    let mut bed = Bed::new();
    let cases = [
        (json!({"name": "A"}), "metadata.name"),
        (json!({"name": "a/b"}), "metadata.name"),
        (json!({"name": "a", "labels": {"-": "b"}}), "metadata.labels"),
        (json!({"name": "a", "labels": {"a": "-"}}), "metadata.labels"),
        (json!({"name": "a", "annotations": {"a/b/c": ""}}), "metadata.annotations"),
        (json!({"name": "a", "annotations": {"a": "x".repeat(256 << 10)}}), "metadata.annotations"),
        (json!({"name": "a", "finalizers": ["mine"]}), "metadata.finalizers[0]"),
    ];
    for (metadata, field) in cases {
        let refused = bed.create("secrets", json!({"metadata": metadata})).expect_err(field);
        let causes = refused.details.expect("details").causes;
        assert_eq!((refused.code, causes[0].field.as_str()), (422, field));
    }
    assert_eq!(code(bed.create("namespaces", json!({"metadata": {"name": "a.b"}}))), 422);
}

#[test]
fn what_is_forgotten_is_gone_and_what_is_not_there_yet_is_awaited() {
    let mut bed = Bed::bounded(HistoryBounds { events: 2, bytes: usize::MAX });
    for name in ["a", "b", "c"] {
        bed.create("configmaps", json!({"metadata": {"name": name}})).expect("created");
    }
    let refused = bed.ledger.history.after(1).map(|_| ()).expect_err("forgotten");
    assert_eq!(
        (refused.code, refused.reason, refused.message.as_str()),
        (410, "Expired", "too old resource version: 1 (2)")
    );
    assert_eq!(bed.ledger.history.after(2).expect("remembered").count(), 2);
    let early = list::not_newer(&bed.ledger.state, 99).expect_err("not yet");
    assert_eq!(early.message, "Timeout: Too large resource version: 99, current: 4");
}

#[test]
fn a_scale_is_two_numbers_of_an_object() {
    let bed = Bed::new();
    let nodes = bed.resource("virtualnodes");
    let paths = nodes.scale.clone().expect("a scale");
    let node = json!({"metadata": {"name": "a", "resourceVersion": "7"}, "spec": {"fleet": {"replicas": 2}}, "status": {"fleet": {"running": 1}}});
    let mut view = scale::read(&paths, &node);
    assert_eq!((&view["spec"]["replicas"], &view["status"]["replicas"]), (&json!(2), &json!(1)));
    view["spec"]["replicas"] = 5.into();
    let changed = scale::write(&paths, &node, &view).expect("changed");
    assert_eq!(changed["spec"]["fleet"]["replicas"], 5);
    assert!(scale::errors(&nodes, &changed, Part::Scale).is_empty());
    for (number, why) in [
        (json!(-1), "Invalid value: -1: should be a non-negative integer"),
        (json!(1_i64 << 31), "Invalid value: 2147483648: should be less than or equal to 2147483647"),
        (
            json!("x"),
            "Invalid value: 0: .spec.fleet.replicas accessor error: x is of the type string, expected int64",
        ),
    ] {
        let object = json!({"spec": {"fleet": {"replicas": number}}});
        let errors = scale::errors(&nodes, &object, Part::Main);
        let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(texts, [format!(".spec.fleet.replicas: {why}")]);
        assert!(scale::errors(&nodes, &object, Part::Status).is_empty());
    }
}

#[test]
fn metadata_is_looked_at_as_often_as_kube_apiserver_does() {
    let mut bed = Bed::new();
    let mut causes = |plural: &str| {
        bed.create(plural, json!({"metadata": {"name": "a"}, "spec": {}})).expect("created");
        let edit = |object: &mut Value| object["metadata"]["labels"] = json!({"bad key!": "x"});
        let status = bed.update(plural, "a", Part::Main, edit).expect_err("a bad label");
        status.details.expect("details").causes.len()
    };
    assert_eq!((causes("configmaps"), causes("meshes"), causes("leases")), (4, 3, 3));
}

#[test]
fn finalizers_of_custom_resources_are_warned_of_and_others_are_checked() {
    let mut bed = Bed::new();
    let of = |finalizers: Value| json!({"metadata": {"name": "a", "finalizers": finalizers}, "spec": {}});
    assert_eq!(code(bed.create("configmaps", of(json!(["mine"])))), 422);
    assert_eq!(code(bed.create("meshes", of(json!(["mine"])))), 200);
    let warnings = names::finalizer_warnings(
        Some(&of(json!(["old"]))),
        &of(json!(["old", "mine", "x.dev", "x.dev/a", "orphan"])),
    );
    let why = "to avoid accidental conflicts with other finalizer writers";
    assert_eq!(
        warnings,
        [
            format!("metadata.finalizers: \"mine\": prefer a domain-qualified finalizer name {why}"),
            format!(
                "metadata.finalizers: \"x.dev\": prefer a domain-qualified finalizer name including a path (/) {why}"
            ),
        ]
    );
}
