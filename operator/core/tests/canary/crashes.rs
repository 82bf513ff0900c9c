//! The operator dies between any two of its writes, and proxies acknowledge late: the mesh is given the same weights in the
//! same order as if nothing had happened.

use fleetmesh_crds::Phase;
use fleetmesh_simulation::canary::fixtures::{canary, quick, quick_with, targets_of};
use fleetmesh_simulation::canary::world::{CanaryWorld, Crash};
use serde_json::json;

const CRASHES: [Crash; 4] =
    [Crash::BeforeStatus, Crash::BeforeMesh, Crash::BeforeEffects, Crash::BeforeReport];

#[derive(Clone, Copy, Debug)]
enum CrashStory {
    /// v2 is good.
    Promoted,
    /// v2 fails a third of its requests.
    Aborted,
    /// v2 is good, and the spec goes back after 40 s.
    Reverted,
    /// v3 takes the place of v2 after 40 s.
    Superseded,
}

impl CrashStory {
    fn world(self) -> CanaryWorld {
        let mut world = CanaryWorld::new("v1=100", Some(canary(quick())));
        if matches!(self, Self::Aborted) {
            world.failing.insert("v2".to_owned(), 34);
        }
        world.spec.targets = targets_of("v2=100");
        world
    }

    fn go_on(self, world: &mut CanaryWorld, second: usize) {
        match (self, second) {
            (Self::Reverted, 40) => world.spec.targets = targets_of("v1=100"),
            (Self::Superseded, 40) => world.spec.targets = targets_of("v3=100"),
            _ => {}
        }
    }

    fn end(self) -> Phase {
        match self {
            Self::Promoted | Self::Superseded => Phase::Promoted,
            Self::Aborted => Phase::Aborted,
            Self::Reverted => Phase::RolledBack,
        }
    }
}

/// Plays the story; `crash` says where each reconcile is cut off.
fn play(story: CrashStory, delay: i64, mut crash: impl FnMut(usize) -> Crash) -> CanaryWorld {
    let mut world = story.world();
    for (index, proxy) in world.proxies.iter_mut().enumerate() {
        proxy.delay = if index == 1 { delay } else { 0 };
    }
    for second in 0..260 {
        story.go_on(&mut world, second);
        world.reconcile(crash(second));
        world.tick();
    }
    world
}

/// The weights that got requests, in order, without repetition.
fn shares(world: &CanaryWorld) -> Vec<String> {
    let mut shares: Vec<String> = Vec::new();
    for (_, weights) in &world.pushes {
        let mut words: Vec<&str> = weights.split(' ').filter(|word| !word.ends_with("=0")).collect();
        words.sort_unstable();
        let words = words.join(" ");
        if shares.last() != Some(&words) {
            shares.push(words);
        }
    }
    shares
}

#[test]
fn killed_at_every_write_of_a_rollout() {
    let mut plans = 0;
    for story in [CrashStory::Promoted, CrashStory::Aborted, CrashStory::Reverted, CrashStory::Superseded] {
        let undisturbed = play(story, 0, |_| Crash::Never);
        assert_eq!(undisturbed.phase(), story.end());
        for at in 0..100 {
            for crash in CRASHES {
                let world = play(story, 0, |second| if second == at { crash } else { Crash::Never });
                assert_eq!(world.phase(), story.end(), "{story:?} {crash:?} in second {at}");
                let (found, expected) = (shares(&world), shares(&undisturbed));
                if matches!(story, CrashStory::Reverted | CrashStory::Superseded) {
                    // A step later or earlier when the spec changes, but none left out or repeated.
                    assert!(is_like(&found, &expected), "{found:?} {expected:?}");
                } else {
                    assert_eq!(found, expected, "{story:?} {crash:?} in second {at}");
                }
                assert_eq!(world.stored.rollouts, undisturbed.stored.rollouts);
                assert_eq!(world.nodes["v1"].deprecated, undisturbed.nodes["v1"].deprecated);
                plans += 1;
            }
        }
    }
    assert_eq!(plans, 1600);
}

/// Whether both begin and end with the same weights, and nothing is there twice.
fn is_like(found: &[String], expected: &[String]) -> bool {
    let mut way = found.to_vec();
    // A rollback returns to where it began.
    way.pop();
    let mut once = way.clone();
    once.dedup();
    found.first() == expected.first() && found.last() == expected.last() && once.len() == way.len()
}

#[test]
fn killed_again_and_again_while_proxies_are_slow() {
    for seed in 0..150 {
        let mut random = fastrand::Rng::with_seed(seed);
        let delay = random.i64(0..6);
        for story in [CrashStory::Promoted, CrashStory::Aborted] {
            let mut strike = |second: usize| match random.u8(0..25) {
                index if second < 120 && usize::from(index) < CRASHES.len() => CRASHES[usize::from(index)],
                _ => Crash::Never,
            };
            let world = play(story, delay, &mut strike);
            let expected: &[&str] = match story {
                CrashStory::Promoted => &["v1=100", "v1=75 v2=25", "v1=50 v2=50", "v2=100"],
                _ => &["v1=100", "v1=75 v2=25", "v1=100"],
            };
            assert_eq!(shares(&world), expected, "seed {seed} {story:?}");
            assert_eq!(world.phase(), story.end(), "seed {seed} {story:?}");
        }
    }
}

#[test]
fn a_leader_that_comes_back_does_not_jump() {
    // Nobody decides for an hour; every timer has run out meanwhile.
    let mut world = CanaryWorld::new("v1=100", Some(canary(quick())));
    world.apply("v2=100").until_step(10, 1).run(5);
    for _ in 0..3600 {
        world.tick();
    }
    world.restart();
    let back = world.now;
    world.run(4);
    assert_eq!(world.step(), Some(1));
    world.until_step(10, 2);
    assert!(world.now.duration_since(back).as_secs() >= 5);
    world.run(15);
    assert_eq!(world.step(), Some(2), "and one step at a time");
}

#[test]
fn a_pause_survives_the_operator() {
    let forever = json!({ "steps": [{ "setWeight": 25, "pause": {} }] });
    let mut world = CanaryWorld::new("v1=100", Some(quick_with(&forever)));
    world.apply("v2=100").until_phase(10, Phase::Paused);
    for crash in CRASHES {
        world.reconcile(crash);
        world.run(20);
        assert_eq!((world.phase(), world.step()), (Phase::Paused, Some(1)));
    }
}
