//! What holds after any requests.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use proptest::prelude::*;

use super::delete::{DeleteOptions, Propagation};
use super::update::Part;
use super::*;

/// One request.
#[derive(Clone, Debug)]
enum Step {
    Create { name: u8, owner: Option<u8>, held: bool },
    Spec { name: u8, value: u8 },
    Label { name: u8, value: u8 },
    LetGo { name: u8 },
    Delete { name: u8, propagation: Option<Propagation> },
    Settle,
    DeleteNamespace,
}

fn step() -> impl Strategy<Value = Step> {
    let name = 0..6_u8;
    let propagation = prop_oneof![
        Just(None),
        Just(Some(Propagation::Background)),
        Just(Some(Propagation::Foreground)),
        Just(Some(Propagation::Orphan)),
    ];
    prop_oneof![
        4 => (name.clone(), proptest::option::of(name.clone()), any::<bool>())
            .prop_map(|(name, owner, held)| Step::Create { name, owner, held }),
        4 => (name.clone(), 0..4_u8).prop_map(|(name, value)| Step::Spec { name, value }),
        2 => (name.clone(), 0..4_u8).prop_map(|(name, value)| Step::Label { name, value }),
        2 => name.clone().prop_map(|name| Step::LetGo { name }),
        3 => (name, propagation).prop_map(|(name, propagation)| Step::Delete { name, propagation }),
        2 => Just(Step::Settle),
        1 => Just(Step::DeleteNamespace),
    ]
}

const KIND: &str = "routes";

fn called(name: u8) -> String {
    format!("n{name}")
}

/// Does the step as far as the store takes it.
fn run(bed: &mut Bed, step: &Step) {
    // Each is refused in many states, which is no matter here.
    let _ = match step {
        Step::Create { name, owner, held } => {
            let mut object = json!({"metadata": {"name": called(*name)}, "spec": {"value": 0}});
            if let Some(owner) = owner.and_then(|owner| bed.get(KIND, &called(owner))) {
                object["metadata"]["ownerReferences"] = json!([{
                    "apiVersion": "fleetmesh.dev/v1alpha1", "kind": "Route", "name": owner.key.name,
                    "uid": owner.uid, "blockOwnerDeletion": true,
                }]);
            }
            if *held {
                object["metadata"]["finalizers"] = json!(["x.dev/held"]);
            }
            bed.create(KIND, object)
        }
        Step::Spec { name, value } => {
            bed.update(KIND, &called(*name), Part::Main, |object| object["spec"]["value"] = (*value).into())
        }
        Step::Label { name, value } => bed.update(KIND, &called(*name), Part::Main, |object| {
            object["metadata"]["labels"] = json!({ "value": value.to_string() });
        }),
        Step::LetGo { name } => bed.update(KIND, &called(*name), Part::Main, |object| {
            let mut kept = metadata::finalizers(object);
            kept.retain(|one| one != "x.dev/held");
            metadata::set_finalizers(object, &kept);
        }),
        Step::Delete { name, propagation } => {
            let options = DeleteOptions { propagation: *propagation, ..DeleteOptions::default() };
            bed.delete(KIND, &called(*name), &options)
        }
        Step::Settle => {
            bed.settle();
            return;
        }
        Step::DeleteNamespace => bed.delete("namespaces", "apps", &DeleteOptions::default()),
    };
}

type Picture = BTreeMap<Key, Arc<Stored>>;

fn picture(bed: &Bed) -> Picture {
    let store = &bed.resource(KIND).store;
    bed.ledger.state.all(store, None).map(|object| (object.key.clone(), Arc::clone(object))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Every revision is another, a watch that goes on from any of them comes to what there is, and a list of any of them is what
    /// there was.
    #[test]
    fn watches_and_lists_of_the_past_agree_with_what_there_was(steps in prop::collection::vec(step(), 1..60)) {
        let mut bed = Bed::new();
        let mut pictures = vec![(bed.ledger.state.revision(), picture(&bed))];
        for step in &steps {
            run(&mut bed, step);
            pictures.push((bed.ledger.state.revision(), picture(&bed)));
        }
        let revisions: Vec<u64> =
            bed.ledger.history.after(0).expect("all").map(|event| event.object.revision).collect();
        prop_assert!(revisions.windows(2).all(|pair| pair[0] < pair[1]), "{:?}", revisions);
        let store = bed.resource(KIND).store.clone();
        let last = picture(&bed);
        for (revision, then) in &pictures {
            let past: Vec<_> = bed.ledger.at(Span::new(&store, None), *revision).expect("remembered").cloned().collect();
            prop_assert_eq!(&past, &then.values().cloned().collect::<Vec<_>>());
            for (key, object) in then {
                let one = Span { namespace: Some(&key.namespace), name: Some(&key.name), ..Span::new(&store, None) };
                prop_assert_eq!(bed.ledger.at(one, *revision).expect("remembered").collect::<Vec<_>>(), [object]);
                let rest = Span { after: Some(key), ..Span::new(&store, None) };
                let behind = then.range((Bound::Excluded(key), Bound::Unbounded)).map(|(_, object)| object);
                prop_assert!(bed.ledger.at(rest, *revision).expect("remembered").eq(behind));
            }
            let mut followed = then.clone();
            for event in bed.ledger.history.after(*revision).expect("remembered") {
                if event.object.key.store != store {
                    continue;
                }
                let known = match event.kind {
                    EventKind::Deleted => followed.remove(&event.object.key),
                    _ => followed.insert(event.object.key.clone(), Arc::clone(&event.object)),
                };
                prop_assert_eq!(known.is_some(), event.kind != EventKind::Added);
            }
            prop_assert_eq!(&followed, &last);
        }
    }

    /// A watch with a selector shows exactly what comes to be selected, changes, and no longer is.
    #[test]
    fn a_watch_that_selects_knows_what_is_selected(steps in prop::collection::vec(step(), 1..60)) {
        let selects = |object: &Stored| object.labels.get("value").is_some_and(|value| value == "1");
        let mut bed = Bed::new();
        for step in &steps {
            run(&mut bed, step);
        }
        let mut known = BTreeSet::new();
        for event in bed.ledger.history.after(0).expect("all") {
            match event.seen(selects) {
                None => {}
                Some((EventKind::Added, object)) => prop_assert!(known.insert(object.key.clone())),
                Some((EventKind::Modified, object)) => prop_assert!(known.contains(&object.key)),
                Some((EventKind::Deleted, object)) => prop_assert!(known.remove(&object.key)),
            }
        }
        let selected: BTreeSet<Key> =
            picture(&bed).into_values().filter(|object| selects(object)).map(|object| object.key.clone()).collect();
        prop_assert_eq!(known, selected);
    }

    /// Pages show one revision, whatever is written between them.
    #[test]
    fn pages_show_one_revision(
        before in prop::collection::vec(step(), 1..40),
        between in prop::collection::vec(step(), 0..20),
        limit in 1..4_u64,
    ) {
        let mut bed = Bed::new();
        before.iter().for_each(|step| run(&mut bed, step));
        let then = picture(&bed);
        let store = bed.resource(KIND).store.clone();
        let mut query = list::Query { store, limit, counts: true, ..list::Query::default() };
        let (mut shown, mut between) = (Vec::new(), between.iter());
        loop {
            let page = list::page(&bed.ledger, &query, |_| true).expect("a page");
            prop_assert!(page.objects.len() as u64 <= limit);
            shown.extend(page.objects);
            prop_assert_eq!(shown.len() as u64 + page.remaining.unwrap_or_default(), then.len() as u64);
            match page.next {
                Some(next) => query.token = Some(next),
                None => break,
            }
            between.by_ref().take(3).for_each(|step| run(&mut bed, step));
        }
        prop_assert_eq!(shown, then.into_values().collect::<Vec<_>>());
    }

    /// What is left when everything due is done: nothing that waits for nobody, and the indices are those of the objects.
    #[test]
    fn everything_due_is_done(steps in prop::collection::vec(step(), 1..60)) {
        let mut bed = Bed::new();
        steps.iter().for_each(|step| run(&mut bed, step));
        bed.settle();
        let state = &bed.ledger.state;
        for object in picture(&bed).values() {
            let held = object.finalizers.iter().any(|one| one == "x.dev/held");
            let waits = state.dependents_of(&object.uid).next().is_some();
            prop_assert!(!object.is_deleting || held || waits, "{}", object.text);
            let orphaned = !object.owners.is_empty()
                && object.owners.iter().all(|owner| state.by_uid(&owner.uid).is_none());
            prop_assert!(!orphaned || object.is_deleting, "{}", object.text);
        }
        let all: Vec<Stored> = picture(&bed).into_values().map(|object| (*object).clone()).collect();
        let namespaces = state.all(state::NAMESPACES, None).map(|object| (**object).clone());
        let loaded = State::load(all.into_iter().chain(namespaces), state.revision());
        prop_assert_eq!(format!("{:?}", loaded.dependents().collect::<Vec<_>>()), format!("{:?}", state.dependents().collect::<Vec<_>>()));
        prop_assert_eq!(loaded.deleting().count(), state.deleting().count());
    }
}
