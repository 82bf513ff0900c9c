//! Leases: at no time do two contenders lead, whatever the network, the clocks and the scheduler do; and when they behave,
//! somebody leads.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a test fails by panicking")]

use std::time::Duration;

use fleetmesh_core::lease::{Contender, Lease, LeaseMove, Timing};
use proptest::prelude::*;

const LEASE: Duration = Duration::from_secs(15);

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// The API server: one Lease, replaced only by who knows its version.
#[derive(Default)]
struct LeaseServer {
    lease: Option<Lease>,
    version: u64,
}

impl LeaseServer {
    fn write(&mut self, expected: Option<&str>, holder: Option<&str>, transitions: i32) -> Option<Lease> {
        if self.lease.as_ref().map(|lease| lease.resource_version.as_str()) != expected {
            return None;
        }
        self.version += 1;
        let lease = Lease {
            resource_version: self.version.to_string(),
            holder: holder.map(ToOwned::to_owned),
            duration: LEASE,
            transitions,
        };
        self.lease = Some(lease.clone());
        Some(lease)
    }

    /// One look of `contender`; `took` passes between sending and the server's commit, and the answer may be lost.
    fn turn(&mut self, contender: &mut Contender, now: Duration, lost: bool) {
        let step = contender.look(self.lease.clone(), now);
        let identity = contender.identity().to_owned();
        let written = match &step {
            LeaseMove::Create => self.write(None, Some(&identity), 0),
            LeaseMove::Write { resource_version, transitions } => {
                self.write(Some(resource_version), Some(&identity), *transitions)
            }
            LeaseMove::Wait { .. } => None,
        };
        if let Some(lease) = written.filter(|_| !lost) {
            contender.wrote(lease, now);
        }
    }
}

fn contender(name: &str) -> Contender {
    Contender::new(name.to_owned(), Timing::of(LEASE))
}

#[test]
fn the_timing_is_that_of_client_go() {
    let timing = Timing::of(LEASE);
    assert_eq!(timing.deadline, Duration::from_secs(10));
    assert_eq!(timing.renew, Duration::from_secs(2));
    assert_eq!(timing.look, Duration::from_secs(1));
}

#[test]
fn a_silent_leader_is_followed_after_its_lease_and_not_before() {
    let (mut server, mut first, mut second) = (LeaseServer::default(), contender("a"), contender("b"));
    server.turn(&mut first, ms(0), false);
    assert!(first.leads(ms(0)));
    server.turn(&mut second, ms(100), false);
    assert!(!first.leads(ms(10_000)), "it stops before its lease ends");
    server.turn(&mut second, ms(15_099), false);
    assert!(!second.leads(ms(15_099)), "not yet");
    server.turn(&mut second, ms(15_100), false);
    assert!(second.leads(ms(15_100)));
    assert_eq!(server.lease.as_ref().unwrap().transitions, 1);
    server.turn(&mut first, ms(15_200), false);
    assert!(!first.leads(ms(15_200)), "who thaws finds that another one leads");
}

#[test]
fn a_released_lease_is_taken_at_once() {
    let (mut server, mut first, mut second) = (LeaseServer::default(), contender("a"), contender("b"));
    server.turn(&mut first, ms(0), false);
    server.turn(&mut second, ms(10), false);
    let version = server.lease.as_ref().unwrap().resource_version.clone();
    server.write(Some(&version), None, 0).unwrap();
    server.turn(&mut second, ms(20), false);
    assert!(second.leads(ms(20)));
}

#[test]
fn a_lease_that_was_deleted_is_made_anew() {
    let (mut server, mut first) = (LeaseServer::default(), contender("a"));
    server.turn(&mut first, ms(0), false);
    server.lease = None;
    let step = first.look(None, ms(2_000));
    assert_eq!(step, LeaseMove::Create);
    assert!(!first.leads(ms(2_000)), "not before it is there again");
}

/// One event of a random run: who acts, how much later, whether its answer is lost.
fn event() -> impl Strategy<Value = (usize, u64, bool)> {
    (0..3usize, prop_oneof![5 => 1..1_500u64, 1 => 1_500..40_000u64], prop::bool::weighted(0.2))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, ..ProptestConfig::default() })]

    /// Each contender's clock has an offset of its own; turns come at random, answers are lost, processes freeze.
    #[test]
    fn at_no_time_do_two_lead(offsets in prop::array::uniform3(0..1_000_000u64), events in prop::collection::vec(event(), 1..60)) {
        let mut server = LeaseServer::default();
        let mut all = [contender("a"), contender("b"), contender("c")];
        let mut now = 0;
        for (who, later, lost) in events {
            now += later;
            server.turn(&mut all[who], ms(now + offsets[who]), lost);
            let leaders = (0..3).filter(|index| all[*index].leads(ms(now + offsets[*index]))).count();
            prop_assert!(leaders <= 1, "{leaders} lead at {now}");
        }
    }

    /// When all look every second and nothing is lost, somebody leads after a lease's time, and stays.
    #[test]
    fn somebody_leads(holder in prop::option::of("[x-z]"), order in prop::collection::vec(0..3usize, 90)) {
        let mut server = LeaseServer::default();
        server.write(None, holder.as_deref(), 3);
        let mut all = [contender("a"), contender("b"), contender("c")];
        let mut now = 0;
        for first in order {
            for step in 0..3 {
                now += 300;
                server.turn(&mut all[(first + step) % 3], ms(now), false);
            }
            if now > 17_000 {
                prop_assert_eq!(all.iter().filter(|one| one.leads(ms(now))).count(), 1);
            }
        }
    }
}
