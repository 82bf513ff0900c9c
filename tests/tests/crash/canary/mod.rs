//! Rollouts, struck at each of their writes: to the status, to App Mesh, Events, the retirement of the old node. However a
//! rollout is struck it ends as the undisturbed one did, having taken each step once, in order and in its time.
//!
//! The callers' proxies are simulated ([`fleetmesh_testbed::proxies`]); real Envoys under load are in `tests/tests/canary`.

mod checks;
mod objects;
mod record;
mod releases;

use crate::bed::CrashBed;
use crate::faults::{Blow, turns_each};
use crate::lanes;
use objects::Story;
use releases::Releases;

/// Rollouts under way at a time. They wait for windows of the analysis most of the time.
const LANES: usize = 32;
/// Fewer plans than this would mean that the writes are not seen any more.
const LEAST_PLANS: usize = 45;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollout_struck_at_any_write_neither_skips_nor_repeats_a_step() {
    let bed = CrashBed::start("crash-canary", &["--load-report-interval", "250ms"]).await.unwrap();
    let lanes = futures::future::try_join_all((0..LANES).map(|index| Releases::start(&bed, index)));
    let mut lanes = lanes.await.unwrap();
    let calm = lanes::share(&mut lanes[..3], Story::ALL.to_vec(), async |lane, story| {
        let ended = lane.release(story, None).await.unwrap();
        println!("{story:?}: {} writes", ended.writes);
        (story, ended)
    });
    let calm = calm.await;
    let mut plans: Vec<(Story, Blow)> = Vec::new();
    for (index, (story, ended)) in calm.iter().enumerate() {
        let turns = Blow::turns(ended.writes).into_iter();
        plans.extend(turns.map(|(at, turn)| (*story, Blow::in_turn(at, index, turn))));
    }
    let struck = lanes::share(&mut lanes, plans, async |lane, (story, blow)| {
        let ended = lane.release(story, Some(blow)).await;
        let ended = ended.unwrap_or_else(|error| panic!("{story:?} struck by {blow:?}: {error:#}"));
        let (_, calm) = calm.iter().find(|(of, _)| *of == story).unwrap();
        assert_eq!(ended.state, calm.state, "{story:?} struck by {blow:?} ends otherwise");
        usize::from(ended.struck)
    });
    let plans: usize = struck.await.into_iter().sum();
    println!("{plans} plans");
    assert!(plans >= LEAST_PLANS * turns_each(), "{plans} plans");
}
