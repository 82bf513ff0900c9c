//! Searches, one by one.

use super::*;

/// Sixty-four services change at once and one of them is bad, of which Envoy's words say nothing.
#[test]
fn one_of_many_is_found_in_as_many_answers_as_it_takes_to_halve_them() {
    for variant in VARIANTS {
        for culprit in [0, 1, 31, 62, 63] {
            let mut world = World::new(variant, 64, &[false]);
            world.settle(&[]);
            let before = world.answers();
            let mut routes = vec![Some(false); 64];
            routes[culprit] = Some(true);
            world.put(&Change { routes, nodes: vec![] });
            world.settle(&[]);
            world.check().expect("isolated");
            let answers = world.answers() - before;
            // The refused one, six halves, and all the rest at once.
            assert!(answers <= 8, "{answers} answers for {culprit}");
            world.publish();
            world.settle(&[]);
            assert_eq!(world.answers() - before, answers, "nothing is sent twice");
        }
    }
}

#[test]
fn words_that_quote_the_culprit_take_the_search_to_it_at_once() {
    for variant in VARIANTS {
        let mut world = World::new(variant, 64, &[true]);
        world.settle(&[]);
        let before = world.answers();
        let mut routes = vec![Some(false); 64];
        routes[40] = Some(true);
        world.put(&Change { routes, nodes: vec![] });
        world.settle(&[]);
        world.check().expect("isolated");
        assert_eq!(world.answers() - before, 2, "the refused one, and the others");
    }
}

/// Words are the proxy's own, and may quote what is not at fault.
#[test]
fn words_that_name_a_neighbour_do_not_blame_it() {
    for variant in VARIANTS {
        let mut world = World::new(variant, 8, &[false]);
        world.settle(&[]);
        let mut routes = vec![Some(false); 8];
        routes[3] = Some(true);
        world.put(&Change { routes, nodes: vec![] });
        // Every refusal names the neighbour.
        let mut left = 100;
        while let Some(answer) = world.envoys[0].inbox.pop_front() {
            let mut request = world.envoys[0].take(&answer);
            request.error = request.error.map(|_| "virtual host s5.local: /good-1-end".to_owned());
            world.request(0, request);
            left -= 1;
            assert!(left > 0, "no end");
        }
        world.settle(&[]);
        world.check().expect("isolated");
    }
}

#[test]
fn nothing_is_stored_of_a_node_of_which_nothing_is_refused_and_what_cannot_be_read_is_said() {
    for variant in VARIANTS {
        let mut world = World::new(variant, 2, &[true]);
        world.settle(&[]);
        assert_eq!(world.isolation.memory(&BTreeSet::new()), None);
        world.put(&Change { routes: vec![Some(true)], nodes: vec![] });
        world.settle(&[]);
        let memory = world.isolation.memory(&BTreeSet::new()).expect("the route that is held");
        for bad in [&b"{}"[..], &memory[..memory.len() - 9]] {
            world.isolation.remember(bad).expect_err("it is no memory");
        }
        world.check().expect("as before");
        world.put(&Change { routes: vec![Some(false)], nodes: vec![] });
        world.settle(&[]);
        assert_eq!(world.isolation.memory(&BTreeSet::new()), None);
    }
}

/// A control plane that has forgotten what was acknowledged takes nothing away from a proxy that still runs it.
#[test]
fn a_proxy_that_comes_from_before_a_restart_keeps_what_it_has() {
    for variant in VARIANTS {
        let mut world = World::new(variant, 4, &[true]);
        world.settle(&[]);
        let mut routes = vec![None; 4];
        routes[1] = Some(true);
        world.put(&Change { routes, nodes: vec![] });
        world.isolation = Isolation::new(world.services.snapshot());
        world.connect(0, true);
        world.settle(&[]);
        let runs: Vec<Runs> = (0..4).map(|index| world.envoys[0].route(index)).collect();
        assert_eq!(runs, [Some(0); 4]);
        assert_eq!(world.envoys[0].stream.nacks().count(), 1, "it stands");
        // Another that starts anew gets all but the culprit, and the first one loses nothing by that.
        let fresh = World::new(variant, 4, &[true]).envoys.remove(0);
        world.envoys.push(fresh);
        world.connect(1, false);
        world.settle(&[]);
        let of = |envoy: &Envoy| (0..4).map(|index| envoy.route(index)).collect::<Vec<Runs>>();
        assert_eq!(of(&world.envoys[1]), [Some(0), None, Some(0), Some(0)]);
        assert_eq!(of(&world.envoys[0]), [Some(0); 4]);
        let mended = Change { routes: vec![None, Some(false)], nodes: vec![] };
        world.put(&mended);
        world.settle(&[]);
        world.check().expect("both run all");
    }
}

/// A tenant who changes a spec that Envoy refuses faster than any proxy answers.
#[test]
fn changes_without_end_hold_up_no_neighbour() {
    for variant in VARIANTS {
        let mut world = World::new(variant, 4, &[false]);
        world.settle(&[]);
        let bad = Change { routes: vec![None, Some(true)], nodes: vec![] };
        let answer = |world: &mut World| {
            let answer = world.envoys[0].inbox.pop_front().expect("an answer");
            let request = world.envoys[0].take(&answer);
            // The next change is there before the verdict.
            world.put(&bad);
            world.request(0, request);
        };
        world.put(&bad);
        for _ in 0..10 {
            answer(&mut world);
        }
        for _ in 0..5 {
            world.put(&Change { routes: vec![None, None, Some(false)], nodes: vec![] });
            let newest = world.services.routes[2].0;
            let mut answers = 0;
            while world.envoys[0].route(2) != Some(newest) {
                answer(&mut world);
                answers += 1;
                assert!(answers <= 6, "{:?}", world.envoys[0].routes(4));
            }
            assert_eq!(world.envoys[0].route(1), Some(0), "as it was acknowledged last");
        }
        world.settle(&[]);
        world.check().expect("isolated");
    }
}

/// What is refused stays so while others change: proxies are sent those changes and nothing else.
#[test]
fn neighbours_of_what_is_held_change_in_one_answer() {
    for variant in VARIANTS {
        let mut world = World::new(variant, 4, &[false, true]);
        world.settle(&[]);
        world.put(&Change { routes: vec![Some(true)], nodes: vec![] });
        world.settle(&[]);
        for _ in 0..3 {
            let before = world.answers();
            world.put(&Change { routes: vec![None, Some(false)], nodes: vec![] });
            world.settle(&[]);
            world.check().expect("isolated");
            assert_eq!(world.answers() - before, 2, "one for each proxy");
        }
    }
}
