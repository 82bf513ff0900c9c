//! Operators without leader election: none begins beside another that works, and what a process left behind holds nobody up for long.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::time::Duration;

use fleetmesh_core::lease::{Lease, Timing};
use fleetmesh_core::lone::{Lone, LoneMove};
use proptest::prelude::*;

const LEASE: Duration = Duration::from_secs(15);
const OWN: &str = "default/fleetmesh-operator";

fn lone(name: &str) -> Lone {
    Lone::new(name.to_owned(), OWN.to_owned(), Timing::of(LEASE))
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// The Leases of a cluster, as the API server has them.
#[derive(Default)]
struct Leases {
    leases: BTreeMap<String, Lease>,
    writes: u64,
}

impl Leases {
    fn put(&mut self, name: &str, holder: &str) {
        self.writes += 1;
        let lease = Lease {
            resource_version: self.writes.to_string(),
            holder: Some(holder.to_owned()),
            duration: LEASE,
            transitions: 0,
        };
        self.leases.insert(name.to_owned(), lease);
    }

    /// One look of `lone` at `now`, and the write that follows from it.
    fn turn(&mut self, lone: &mut Lone, now: Duration) -> LoneMove {
        let step = lone.look(self.leases.clone(), now);
        if let LoneMove::Write { resource_version, .. } = &step {
            let there = self.leases.get(OWN).map(|lease| lease.resource_version.clone());
            if there == *resource_version {
                let identity = lone.identity().to_owned();
                self.put(OWN, &identity);
                lone.wrote(self.leases[OWN].clone(), now);
            }
        }
        step
    }
}

#[test]
fn one_that_is_alone_keeps_its_lease() {
    let (mut leases, mut lone) = (Leases::default(), lone("a"));
    for at in (0..600).step_by(2) {
        let step = leases.turn(&mut lone, seconds(at));
        assert!(matches!(step, LoneMove::Write { .. }), "{step:?}");
        assert!(lone.held().is_some());
    }
}

#[test]
fn who_comes_later_leaves_and_the_first_never_does() {
    let (mut leases, mut first, mut second) = (Leases::default(), lone("a"), lone("b"));
    for at in 0..20 {
        leases.turn(&mut first, seconds(2 * at));
    }
    assert_eq!(leases.turn(&mut second, seconds(40)), LoneMove::Wait);
    assert!(!second.may_begin(seconds(40)), "the first may be at work");
    assert!(matches!(leases.turn(&mut first, seconds(41)), LoneMove::Write { .. }));
    let left = LoneMove::Leave { lease: OWN.to_owned(), holder: "a".to_owned() };
    assert_eq!(leases.turn(&mut second, seconds(42)), left);
}

#[test]
fn whoever_leads_by_an_election_elsewhere_is_seen_too() {
    let (mut leases, mut lone) = (Leases::default(), lone("b"));
    leases.put("fleetmesh/chart-operator", "elected");
    assert!(matches!(leases.turn(&mut lone, seconds(0)), LoneMove::Write { .. }), "it may be left behind");
    assert!(!lone.may_begin(seconds(0)), "or not");
    leases.put("fleetmesh/chart-operator", "elected");
    let left = LoneMove::Leave { lease: "fleetmesh/chart-operator".to_owned(), holder: "elected".to_owned() };
    assert_eq!(leases.turn(&mut lone, seconds(2)), left);
}

#[test]
fn what_a_process_left_behind_is_taken_over_when_it_has_expired_and_holds_up_nobody() {
    let (mut leases, mut lone) = (Leases::default(), lone("b"));
    leases.put(OWN, "a");
    for at in 100..115 {
        assert_eq!(leases.turn(&mut lone, seconds(at)), LoneMove::Wait);
        assert_eq!(lone.may_begin(seconds(at)), at >= 104, "after two renewals, at {at}");
    }
    assert!(matches!(leases.turn(&mut lone, seconds(115)), LoneMove::Write { transitions: 1, .. }));
    assert!(lone.held().is_some());
    leases.put(OWN, "");
    assert!(matches!(leases.turn(&mut lone, seconds(117)), LoneMove::Write { .. }), "one that was released");
}

#[test]
fn who_was_away_for_longer_than_its_lease_held_leaves_to_its_successor() {
    let (mut leases, mut first, mut second) = (Leases::default(), lone("a"), lone("b"));
    leases.turn(&mut first, seconds(0));
    for at in 1..30 {
        leases.turn(&mut second, seconds(at));
    }
    assert!(matches!(leases.turn(&mut first, seconds(30)), LoneMove::Leave { .. }));
}

proptest! {
    /// Whatever the order in which they look: of those that go on looking, one is left after a while, and one always is.
    #[test]
    fn of_several_one_stays(order in prop::collection::vec(0..3usize, 150..400)) {
        let mut leases = Leases::default();
        let mut working: BTreeMap<usize, Lone> = (0..3).map(|index| (index, lone(&index.to_string()))).collect();
        for (at, index) in order.iter().enumerate() {
            let now = Duration::from_millis(u64::try_from(at).unwrap() * 700);
            let Some(one) = working.get_mut(index) else { continue };
            if matches!(leases.turn(one, now), LoneMove::Leave { .. }) {
                working.remove(index);
            }
            prop_assert!(!working.is_empty(), "one works");
        }
        for at in 0..60 {
            let now = seconds(1000 + at);
            let looking: Vec<usize> = working.keys().copied().collect();
            for index in looking {
                if matches!(leases.turn(working.get_mut(&index).unwrap(), now), LoneMove::Leave { .. }) {
                    working.remove(&index);
                }
            }
        }
        prop_assert_eq!(working.len(), 1);
    }

    /// Nobody begins while another one works that renews in time.
    #[test]
    fn nobody_begins_beside_one_that_works(start in 0..4000u64, pauses in prop::collection::vec(0..2000u64, 20)) {
        let (mut leases, mut first, mut second) = (Leases::default(), lone("a"), lone("b"));
        leases.turn(&mut first, Duration::ZERO);
        prop_assert!(first.may_begin(Duration::ZERO));
        let (mut renews, mut looks) = (Duration::ZERO, Duration::from_millis(start));
        for pause in pauses {
            // As long as a renewal is not late by another one.
            renews += Duration::from_millis(2000 + pause);
            while looks < renews {
                let step = leases.turn(&mut second, looks);
                prop_assert!(!second.may_begin(looks), "{step:?} at {looks:?}");
                if matches!(step, LoneMove::Leave { .. }) {
                    return Ok(());
                }
                looks += seconds(2);
            }
            leases.turn(&mut first, renews);
        }
        prop_assert!(false, "it never left");
    }
}
