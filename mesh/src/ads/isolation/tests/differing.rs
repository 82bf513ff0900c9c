//! Proxies of one node that do not accept the same.

use super::*;

/// A world of four services and of proxies of which these can read everything.
fn world(variant: Variant, tolerant: &[bool]) -> World {
    mixed(&[variant], tolerant)
}

/// The same of proxies that each speak a variant of their own.
fn mixed(variants: &[Variant], tolerant: &[bool]) -> World {
    let mut world = World::mixed(variants, 4, &vec![false; tolerant.len()]);
    for (envoy, tolerant) in world.envoys.iter_mut().zip(tolerant) {
        envoy.tolerant = *tolerant;
    }
    world.settle(&[]);
    world
}

fn routes(said: [Option<bool>; 4]) -> Change {
    Change { routes: said.to_vec(), nodes: vec![] }
}

/// One proxy of the node refuses every change, and says so before the others have taken it.
#[test]
fn a_proxy_that_refuses_everything_holds_up_nobody_else() {
    for variant in VARIANTS {
        let mut world = world(variant, &[false, false]);
        world.put(&routes([Some(false); 4]));
        let mut left = 100;
        while let Some(answer) = world.envoys[0].inbox.pop_front() {
            world.envoys[0].nonces.insert(answer.kind, answer.nonce.clone());
            let refusal = world.envoys[0].request(answer.kind, Some("never".to_owned()));
            world.request(0, refusal);
            left -= 1;
            assert!(left > 0, "no end");
        }
        world.settle(&[]);
        assert_eq!(world.envoys[1].routes(4), [Some(1); 4]);
        assert!(world.envoys[1].stream.is_current() && !world.envoys[1].following.refuses());
        // Nor those that come, and nothing is left of it when the proxy is gone.
        world.disconnect(0);
        world.connect(0, false);
        world.settle(&[]);
        assert_eq!(world.envoys[0].routes(4), [Some(1); 4]);
        assert!(!world.envoys[0].following.refuses() && world.isolation.rejections().is_empty());
        assert!(Arc::ptr_eq(world.isolation.served(), world.isolation.target()));
    }
}

/// One that refuses everything from its first answer on, of which no other form was ever acknowledged, and others that come back with what
/// they run.
#[test]
fn a_proxy_that_refuses_everything_silences_nobody_who_comes_back() {
    for variant in VARIANTS {
        let mut world = world(variant, &[false, false]);
        let mut honest = world.disconnect(1);
        world.isolation = Isolation::new(world.services.snapshot());
        world.connect(0, false);
        while let Some(answer) = world.envoys[0].inbox.pop_front() {
            world.envoys[0].nonces.insert(answer.kind, answer.nonce.clone());
            let refusal = world.envoys[0].request(answer.kind, Some("never".to_owned()));
            world.request(0, refusal);
        }
        assert!(!world.isolation.rejections().is_empty());
        for restarted in [false, true] {
            world.isolation.pass_over(world.envoys[0].number());
            let gone = std::mem::replace(&mut world.envoys[0], honest);
            match restarted {
                true => world.restart(None),
                false => world.connect(0, true),
            }
            world.settle(&[]);
            let number = u32::from(restarted) + 1;
            world.put(&routes([Some(false); 4]));
            world.settle(&[]);
            assert_eq!(world.envoys[0].routes(4), [Some(number); 4], "{variant:?} {restarted}");
            assert!(world.envoys[0].stream.is_current() && !world.envoys[0].following.refuses());
            honest = std::mem::replace(&mut world.envoys[0], gone);
        }
    }
}

/// A fleet in the middle of an upgrade: the new Envoys read what the old ones refuse.
#[test]
fn each_version_runs_what_it_can_read_also_when_it_starts_anew() {
    for variant in VARIANTS {
        for first in [0, 1] {
            let mut world = world(variant, &[false, true]);
            world.put(&routes([None, None, Some(true), None]));
            world.settle(&[first; 8]);
            world.put(&routes([Some(false), None, None, None]));
            world.settle(&[]);
            let (old, new) = ([Some(2), Some(0), Some(0), Some(0)], [Some(2), Some(0), Some(1), Some(0)]);
            for anew in [None, Some(0), Some(1), Some(0)] {
                if let Some(anew) = anew {
                    world.connect(anew, false);
                    world.settle(&[]);
                }
                assert_eq!(world.envoys[0].routes(4), old, "{first} {anew:?}");
                assert_eq!(world.envoys[1].routes(4), new, "{first} {anew:?}");
                assert!(world.envoys[0].following.refuses() && !world.envoys[1].following.refuses());
                let blamed: Vec<_> =
                    world.isolation.rejections().into_iter().flat_map(|one| one.objects).collect();
                assert_eq!(blamed, world.services.bad().into_iter().collect::<Vec<_>>());
            }
            world.put(&routes([None, None, Some(false), None]));
            world.settle(&[]);
            world.check().expect("both run all");
        }
    }
}

/// An old Envoy that comes first when all others have run the change for long gets everything but that.
#[test]
fn a_version_that_was_not_there_before_is_searched_for_by_itself() {
    for variant in VARIANTS {
        let mut world = world(variant, &[true, true]);
        world.put(&routes([None, None, Some(true), None]));
        world.settle(&[]);
        assert!(world.isolation.rejections().is_empty());
        world.envoys[0].tolerant = false;
        world.connect(0, false);
        world.settle(&[]);
        assert_eq!(world.envoys[0].routes(4), [Some(0), Some(0), None, Some(0)]);
        assert_eq!(world.envoys[1].routes(4), [Some(0), Some(0), Some(1), Some(0)]);
    }
}

/// What a proxy acknowledges says nothing of what it did not subscribe to.
#[test]
fn a_proxy_that_has_fewer_routes_proves_nothing_of_the_others() {
    for variant in VARIANTS {
        for first in [0, 1] {
            let mut world = world(variant, &[false, false]);
            world.envoys[1].ports = vec![8001];
            world.connect(1, false);
            world.settle(&[]);
            world.put(&routes([Some(true), Some(true), Some(false), Some(false)]));
            world.settle(&[first; 16]);
            assert_eq!(
                world.envoys[0].routes(4),
                [Some(0), Some(0), Some(1), Some(1)],
                "{variant:?} {first}"
            );
            assert_eq!(world.envoys[1].routes(4), [None, Some(0), None, Some(1)], "{variant:?} {first}");
            let blamed: BTreeSet<_> =
                world.isolation.rejections().into_iter().flat_map(|one| one.objects).collect();
            assert_eq!(blamed, world.services.bad(), "{variant:?} {first}");
            assert!(world.isolation.searching().is_empty());
        }
    }
}

/// One that is asked because of another type, and does not subscribe to what is searched for.
#[test]
fn a_proxy_that_has_fewer_routes_holds_up_no_search() {
    for variant in VARIANTS {
        for order in 0u8..64 {
            let mut world = world(variant, &[false, false]);
            world.envoys[1].ports = vec![8001];
            world.connect(1, false);
            world.settle(&[]);
            let routes = vec![Some(true), Some(false), Some(false), Some(false)];
            world.put(&Change { routes, nodes: vec![None, Some(true), Some(false), None] });
            let turns: Vec<u8> = (0..6).map(|bit| order >> bit & 1).collect();
            world.settle(&turns);
            assert_eq!(
                world.envoys[0].routes(4),
                [Some(0), Some(1), Some(1), Some(1)],
                "{variant:?} {order}"
            );
            assert_eq!(world.envoys[1].routes(4), [None, Some(1), None, Some(1)], "{variant:?} {order}");
            assert!(world.isolation.searching().is_empty(), "{variant:?} {order}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn proxies_that_differ_run_all_that_they_can_read(
        steps in prop::collection::vec((properties::change(4), prop::option::of(0usize..4), any::<[u8; 12]>()), 1..6),
        tolerant in prop::collection::vec(any::<bool>(), 2..4),
        variants in properties::variants(),
    ) {
        let mut world = mixed(&variants, &tolerant);
        for (change, anew, order) in steps {
            world.put(&change);
            world.settle(&order);
            if let Some(anew) = anew {
                world.connect(anew % tolerant.len(), false);
                world.settle(&order);
            }
            for envoy in &world.envoys {
                for (said, runs) in world.services.routes.iter().zip(envoy.routes(4)) {
                    let (number, bad) = *said;
                    if bad && !envoy.tolerant {
                        prop_assert_ne!(runs, Some(number));
                    } else {
                        prop_assert_eq!(runs, Some(number));
                    }
                }
                for (index, (number, bad)) in world.services.nodes.iter().enumerate() {
                    if !bad || envoy.tolerant {
                        prop_assert_eq!(envoy.cluster(index), Some(*number));
                    }
                }
                let bad = !world.services.bad().is_empty();
                prop_assert_eq!(envoy.following.refuses(), bad && !envoy.tolerant);
            }
        }
    }
}
