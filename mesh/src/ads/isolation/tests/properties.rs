//! Whatever changes in whatever order, what is good is in force, and what is bad is as it last was.

use super::*;

pub(super) fn change(count: usize) -> impl Strategy<Value = Change> {
    let said = || {
        let one = prop_oneof![5 => Just(None), 3 => Just(Some(false)), 2 => Just(Some(true))];
        prop::collection::vec(one, count)
    };
    (said(), said()).prop_map(|(routes, nodes)| Change { routes, nodes })
}

/// One for each of three proxies.
pub(super) fn variants() -> impl Strategy<Value = Vec<Variant>> {
    prop::collection::vec(prop::sample::select(VARIANTS.to_vec()), 3)
}

#[derive(Clone, Debug)]
enum Step {
    Change(Change),
    /// A proxy starts anew, or connects again with what it has.
    Connect(usize, bool),
    /// The control plane starts anew with what is stored. A proxy may do so at the same time.
    Restart(Option<usize>),
}

fn steps() -> impl Strategy<Value = (usize, Vec<(Step, Vec<u8>)>)> {
    (1usize..9).prop_flat_map(|count| {
        let step = prop_oneof![
            3 => change(count).prop_map(Step::Change),
            1 => (0usize..3, any::<bool>()).prop_map(|(who, keeps)| Step::Connect(who, keeps)),
            1 => prop::option::of(0usize..3).prop_map(Step::Restart),
        ];
        let order = prop::collection::vec(any::<u8>(), 0..40);
        (Just(count), prop::collection::vec((step, order), 1..6))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn what_is_good_is_in_force_and_what_is_bad_is_as_it_last_was(
        (count, steps) in steps(), envoys in prop::collection::vec(any::<bool>(), 1..4), variants in variants()
    ) {
        let mut world = World::mixed(&variants, count, &envoys);
        world.settle(&[]);
        world.check()?;
        for (step, order) in steps {
            let before = world.answers();
            let bad = match step {
                Step::Change(change) => {
                    world.put(&change);
                    let all = change.routes.iter().chain(&change.nodes);
                    all.filter(|said| **said == Some(true)).count()
                }
                Step::Connect(who, keeps) => {
                    world.connect(who % envoys.len(), keeps);
                    0
                }
                Step::Restart(anew) => {
                    world.restart(anew.map(|who| who % envoys.len()));
                    0
                }
            };
            world.settle(&order);
            world.check()?;
            // Each proxy gets each type as it changed, and once more for each answer of the searches.
            let per_part = usize::try_from((2 * count).ilog2() + 3).unwrap_or_default();
            let bound = envoys.len() * (12 + bad * per_part);
            prop_assert!(world.answers() - before <= bound, "{} answers", world.answers() - before);
        }
    }

    /// Changes that overtake each other: the end is the same.
    #[test]
    fn changes_in_the_midst_of_a_search_end_well(
        changes in prop::collection::vec((change(6), 0usize..12), 1..8), envoys in prop::collection::vec(any::<bool>(), 1..4),
        variants in variants(),
    ) {
        let mut world = World::mixed(&variants, 6, &envoys);
        world.settle(&[]);
        for (change, answers) in changes {
            world.put(&change);
            for turn in 0..answers {
                let index = turn % envoys.len();
                if let Some(answer) = world.envoys[index].inbox.pop_front() {
                    let request = world.envoys[index].take(&answer);
                    world.request(index, request);
                }
            }
        }
        world.settle(&[]);
        let blamed: BTreeSet<ResourceId> =
            world.isolation.rejections().into_iter().flat_map(|rejection| rejection.objects).collect();
        prop_assert_eq!(blamed, world.services.bad());
        for envoy in &world.envoys {
            prop_assert!(envoy.stream.is_current());
            for (index, (number, bad)) in world.services.routes.iter().enumerate() {
                let runs = envoy.route(index);
                prop_assert!(runs.is_some(), "all had a good form once");
                prop_assert!(*bad || runs == Some(*number), "{index} runs {runs:?}");
            }
        }
        let mended = Change { routes: vec![Some(false); 6], nodes: vec![Some(false); 6] };
        world.put(&mended);
        world.settle(&[]);
        world.check()?;
    }
}
