//! Many proxies of one node that refuse the same: the search takes as many answers as with one.

use super::*;

const SERVICES: usize = 16;

/// How many different answers proxies get until the culprit is held and the rest is in force, when one of them answers after the
/// other in the order that `turn` draws.
fn answers_to_the_end(variant: Variant, proxies: usize, mut turn: impl FnMut() -> usize) -> usize {
    let mut world = World::new(variant, SERVICES, &vec![false; proxies]);
    world.settle(&[]);
    let routes = (0..SERVICES).map(|index| Some(index == 5)).collect();
    world.put(&Change { routes, nodes: vec![] });
    let mut answers: BTreeSet<String> = BTreeSet::new();
    while world.isolation.holds().is_none() || !world.isolation.searching().is_empty() {
        assert!(world.envoys.iter().any(|envoy| !envoy.inbox.is_empty()), "the search does not go on");
        let index = turn() % proxies;
        if let Some(answer) = world.envoys[index].inbox.pop_front() {
            answers.insert(answer.content.version.clone());
            let request = world.envoys[index].take(&answer);
            world.request(index, request);
        }
    }
    world.settle(&[]);
    world.check().expect("isolated");
    answers.len()
}

/// Numbers that look drawn, the same each time.
fn drawn(seed: u64) -> impl FnMut() -> usize {
    let mut state = seed;
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap_or_default()
    }
}

#[test]
fn a_crowd_of_proxies_takes_no_more_answers_than_one() {
    for variant in VARIANTS {
        let one = answers_to_the_end(variant, 1, || 0);
        for (proxies, seeds) in [(2, 5), (10, 5), (100, 1)] {
            let each: Vec<usize> =
                (0..seeds).map(|seed| answers_to_the_end(variant, proxies, drawn(seed))).collect();
            assert!(
                each.iter().all(|answers| *answers <= one + 2),
                "{variant:?} {proxies}: {each:?}, not {one}"
            );
        }
    }
}

/// One that keeps its connection and says nothing holds nobody up for longer than it takes to notice that.
#[test]
fn a_tester_that_does_not_answer_is_passed_over() {
    for variant in VARIANTS {
        let mut world = World::new(variant, 4, &[false; 3]);
        world.settle(&[]);
        world.put(&Change { routes: vec![Some(false), Some(true), Some(false), Some(false)], nodes: vec![] });
        // All of them refuse what changed, and then the one that is asked is silent.
        for index in 0..3 {
            let answer = world.envoys[index].inbox.pop_front().expect("the change");
            let request = world.envoys[index].take(&answer);
            world.request(index, request);
        }
        let silent = world.isolation.tester().expect("it is searched for");
        let rest = |world: &World| {
            let mut others = (0..3).filter(|index| world.envoys[*index].number() != silent);
            others.find(|index| !world.envoys[*index].inbox.is_empty())
        };
        let answer_all = |world: &mut World| {
            while let Some(index) = rest(world) {
                let answer = world.envoys[index].inbox.pop_front().expect("an answer");
                let request = world.envoys[index].take(&answer);
                world.request(index, request);
            }
        };
        answer_all(&mut world);
        assert!(!world.isolation.searching().is_empty(), "nobody else is asked");
        assert!(world.isolation.pass_over(silent));
        world.publish();
        answer_all(&mut world);
        assert!(world.isolation.searching().is_empty() && world.isolation.holds().is_some());
        for envoy in world.envoys.iter().filter(|envoy| envoy.number() != silent) {
            assert_eq!(envoy.routes(4), [Some(1), Some(0), Some(1), Some(1)], "{variant:?}");
        }
    }
}

/// A proxy that refused something once and runs everything since is not asked, also when it reads what others refuse.
#[test]
fn a_proxy_that_runs_everything_is_not_asked() {
    for variant in VARIANTS {
        let mut world = World::new(variant, 4, &[false; 3]);
        world.settle(&[]);
        for bad in [true, false] {
            world.put(&Change { routes: vec![Some(bad)], nodes: vec![] });
            world.settle(&[]);
        }
        world.check().expect("all run everything");
        world.envoys[0].tolerant = true;
        world.put(&Change { routes: vec![Some(false), Some(true)], nodes: vec![] });
        let answer = world.envoys[1].inbox.pop_front().expect("the change");
        let request = world.envoys[1].take(&answer);
        world.request(1, request);
        world.disconnect(1);
        world.publish();
        world.settle(&[]);
        assert_eq!(world.envoys[0].routes(4), [Some(3), Some(3), Some(0), Some(0)], "{variant:?}");
        assert_eq!(world.envoys[1].routes(4), [Some(3), Some(0), Some(0), Some(0)], "{variant:?}");
        assert!(world.isolation.searching().is_empty());
    }
}
