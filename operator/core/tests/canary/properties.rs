//! What must hold of every decision, whatever is observed. Random walks: each draws a route, its targets and its canary, and
//! then decision after decision about what a hostile world shows.

use std::collections::BTreeSet;
use std::time::Instant;

use fleetmesh_core::canary::{reduce, targets, weights};
use fleetmesh_crds::{ActionPhase, Phase};
use fleetmesh_model::route::WeightedTarget;

use crate::checks::{CheckedStep, advance, check, ended, serving};
use crate::diagram::{unseen, walked};
use crate::draw;
use crate::walk::Walk;

/// Decisions of each walk.
const DECISIONS: usize = 12;
/// Half of the walks each, at the same time.
const SHARDS: u64 = 2;

/// How many walks: `cargo xtask test --long` asks for more by `FLEETMESH_LONG`.
fn number() -> u64 {
    if std::env::var_os("FLEETMESH_LONG").is_some_and(|value| value == "1") { 100_000 } else { 20_000 }
}

#[test]
fn every_decision_keeps_its_promises_even_shards() {
    walks(0);
}

#[test]
fn every_decision_keeps_its_promises_odd_shards() {
    walks(1);
}

fn walks(shard: u64) {
    let begun = Instant::now();
    let mut seen = SeenSteps::default();
    for seed in (shard..number()).step_by(usize::try_from(SHARDS).unwrap()) {
        let result = std::panic::catch_unwind(|| walk(seed));
        seen.add(&result.unwrap_or_else(|_| panic!("seed {seed}")));
    }
    println!("{} walks, {} s: {seen:?}", number() / SHARDS, begun.elapsed().as_secs_f32());
    seen.check();
}

/// What walks came across: a property that is never put to the test says nothing.
#[derive(Clone, Debug, Default)]
struct SeenSteps {
    started: u64,
    advanced: u64,
    promoted: u64,
    aborted: u64,
    rolled_back: u64,
    superseded: u64,
    held: u64,
    paused: u64,
    applied: u64,
    skipped: u64,
    restarts: u64,
    /// The transitions, each as `diagram::walked` gives it.
    transitions: BTreeSet<String>,
}

impl SeenSteps {
    fn add(&mut self, other: &Self) {
        self.started += other.started;
        self.advanced += other.advanced;
        self.promoted += other.promoted;
        self.aborted += other.aborted;
        self.rolled_back += other.rolled_back;
        self.superseded += other.superseded;
        self.held += other.held;
        self.paused += other.paused;
        self.applied += other.applied;
        self.skipped += other.skipped;
        self.restarts += other.restarts;
        self.transitions.extend(other.transitions.iter().cloned());
    }

    fn check(&self) {
        let Self { started, advanced, promoted, aborted, rolled_back, superseded, .. } = self;
        let Self { held, paused, applied, skipped, restarts, .. } = self;
        let all = [
            started,
            advanced,
            promoted,
            aborted,
            rolled_back,
            superseded,
            held,
            paused,
            applied,
            skipped,
            restarts,
        ];
        // Each at least once in 250 walks.
        let least = number() / SHARDS / 250;
        assert!(all.into_iter().all(|count| *count > least), "{self:?}");
        assert_eq!(unseen(&self.transitions), Vec::<String>::new(), "no walk went through these");
    }

    fn note(&mut self, step: &CheckedStep<'_>) {
        let (before, after) = (step.before, &step.reduction.state);
        let ended = ended(before, after);
        self.started += u64::from(after.rollouts > before.rollouts);
        self.advanced += u64::from(advance(before, after).is_some());
        self.promoted += u64::from(ended == Some(Phase::Promoted));
        self.aborted += u64::from(ended == Some(Phase::Aborted));
        self.rolled_back += u64::from(ended == Some(Phase::RolledBack));
        self.superseded += u64::from(ended == Some(Phase::Superseded));
        self.held += u64::from(after.phase == Some(Phase::Held));
        self.paused += u64::from(after.phase == Some(Phase::Paused));
        self.applied +=
            step.reduction.verdicts.iter().filter(|one| one.phase == ActionPhase::Applied).count() as u64;
        self.skipped += u64::from(after.rollout.as_ref().is_some_and(|one| one.skips_steps));
        self.restarts += u64::from(step.seen.since > draw::start());
        let before = before.phase.filter(|_| step.spec.canary.is_some());
        self.transitions.extend(walked(before, after.phase, &step.reduction.triggers));
    }
}

fn walk(seed: u64) -> SeenSteps {
    let mut walk = Walk::new(seed);
    let mut noted = SeenSteps::default();
    for _ in 0..DECISIONS {
        let (seen, now) = walk.next();
        let before = walk.state.clone();
        let reduction = reduce(&walk.spec, &before, &seen, now);
        let step = CheckedStep {
            spec: &walk.spec,
            before: &before,
            seen: &seen,
            now,
            reduction: &reduction,
            walk: &walk,
        };
        check(&step);
        noted.note(&step);
        walk.follow(&reduction, &seen);
    }
    noted
}

/// Steps alone, whatever the lists: exact at the ends, in sum, monotone and within one part of the exact share.
#[test]
fn weights_between_lists_are_exact_and_monotone() {
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..20_000 {
        let total = random.i32(100..=300);
        let (from, to) = (draw::list_of_sum(&mut random, total), draw::list_of_sum(&mut random, total));
        let mut last: Option<Vec<WeightedTarget>> = None;
        let mut percent = 0;
        while percent <= 100 {
            let now = weights::between(&from, &to, u32::try_from(percent).unwrap());
            assert_eq!(now.iter().map(|target| target.weight).sum::<i32>(), total);
            for target in &now {
                let of = |all: &[WeightedTarget]| {
                    all.iter()
                        .find(|one| targets::key(one) == targets::key(target))
                        .map_or(0, |one| one.weight)
                };
                let exact = f64::from(of(&from) * (100 - percent) + of(&to) * percent) / 100.0;
                assert!((f64::from(target.weight) - exact).abs() < 1.5, "{exact} {target:?}");
                assert!((0..=100).contains(&target.weight));
                let before = last.as_deref().map_or(target.weight, of);
                let (low, high) = (of(&from).min(of(&to)), of(&from).max(of(&to)));
                assert!((low..=high).contains(&target.weight));
                assert!(if of(&to) >= of(&from) { target.weight >= before } else { target.weight <= before });
            }
            last = Some(now);
            percent += random.i32(1..=20);
        }
    }
    assert_eq!(serving(&weights::between(&[], &[], 50)), []);
}
