//! Crash at every call: the operator is struck at each of its writes, to Kubernetes and to App Mesh, before it is sent,
//! after it was carried out, and by losing the reply, while the five kinds are created, changed and deleted. However it
//! is struck, it ends as the undisturbed run did: same statuses, same objects in the same versions, nothing twice,
//! nothing left. Programs that run inside of this process also show here what an embedding one gets ([`embedded`]).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a test fails by panicking"
)]

mod aws;
mod bed;
mod canary;
mod commits;
mod embedded;
mod ends;
mod faults;
mod lanes;
mod life;
mod objects;
mod panics;
mod scope;

use bed::CrashBed;
use faults::{Blow, turns_each};
use objects::{CrashKind, ObjectPhase};

/// Fewer plans than this would mean that the operator's writes are not seen any more.
const LEAST_PLANS: usize = 30;
/// Plans under way at a time.
const LANES: usize = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn struck_at_any_write_it_ends_as_the_undisturbed_run_did() {
    let bed = CrashBed::start("crash", &[]).await.unwrap();
    let (mut lanes, kinds) = (bed.lanes(LANES).await.unwrap(), CrashKind::all());
    let mut undisturbed = Vec::new();
    for phase in ObjectPhase::ALL {
        let ended = lanes[0].run(&kinds, phase, None).await.unwrap();
        assert!(
            ended.writes >= 10,
            "{phase:?}: five objects have two writes each at the least, not {}",
            ended.writes
        );
        undisturbed.push((phase, ended));
    }
    let most = undisturbed.iter().map(|(_, ended)| ended.writes).max().unwrap();
    let plans = lanes::share(&mut lanes, Blow::turns(most), async |lane, (at, turn)| {
        let mut plans = 0;
        for (index, (phase, calm)) in undisturbed.iter().enumerate() {
            let blow = (at <= calm.writes).then(|| Blow::in_turn(at, index, turn));
            let ended = lane
                .run(&kinds, *phase, blow)
                .await
                .unwrap_or_else(|error| panic!("{phase:?} struck by {blow:?} does not end: {error:#}"));
            assert_eq!(ended.state, calm.state, "{phase:?} struck by {blow:?} ends otherwise");
            plans += usize::from(ended.struck);
        }
        plans
    });
    let plans: usize = plans.await.into_iter().sum();
    println!("{plans} plans");
    assert!(plans >= LEAST_PLANS * turns_each(), "{plans} plans");
}
