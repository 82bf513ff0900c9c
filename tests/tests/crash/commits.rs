//! Changes that block each other and go in one commit: the operator is struck at each of its writes of such a change, the commit
//! among them, and ends as the undisturbed run did.

use crate::bed::CrashBed;
use crate::faults::{Blow, turns_each};
use crate::lanes;
use crate::objects::{CrashKind, ObjectPhase};

/// Lanes at a time.
const LANES: usize = 4;
/// A change of three objects has the write that is refused, the commit and three statuses.
const LEAST_WRITES: usize = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn struck_at_any_write_of_a_commit_it_ends_as_the_undisturbed_run_did() {
    let bed = CrashBed::start("crash-commits", &[]).await.unwrap();
    let (mut lanes, kinds) = (bed.lanes(LANES).await.unwrap(), CrashKind::blocking());
    let mut calm = None;
    for phase in ObjectPhase::ALL {
        let ended = lanes[0].run(&kinds, phase, None).await.unwrap();
        if phase == ObjectPhase::Change {
            calm = Some(ended);
        }
    }
    let calm = calm.expect("it was changed");
    for object in calm.state.as_array().expect("objects") {
        assert_eq!(object["version"], 2, "each is written once: {object}");
    }
    assert!(calm.writes >= LEAST_WRITES, "{} writes", calm.writes);
    // The number of writes differs a little from run to run.
    let plans = lanes::share(&mut lanes, Blow::turns(calm.writes + 2), async |lane, (at, turn)| {
        lane.run(&kinds, ObjectPhase::Create, None).await.unwrap();
        let blow = Blow::in_turn(at, 0, turn);
        let ended = lane
            .run(&kinds, ObjectPhase::Change, Some(blow))
            .await
            .unwrap_or_else(|error| panic!("struck by {blow:?} it does not end: {error:#}"));
        assert_eq!(ended.state, calm.state, "struck by {blow:?} it ends otherwise");
        lane.run(&kinds, ObjectPhase::Delete, None).await.unwrap();
        usize::from(ended.struck)
    });
    let struck: usize = plans.await.into_iter().sum();
    println!("{struck} plans struck a change of {} writes", calm.writes);
    assert!(struck >= (LEAST_WRITES - 1) * turns_each(), "{struck} plans");
}
