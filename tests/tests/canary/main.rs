//! Canaries on real parts: kube-apiserver, control plane, Envoys under constant load, operator. One stack for all cases, because
//! each start takes longer than a rollout here. Those that disturb nobody run side by side, each with a service of its own;
//! then one rollout goes through everything that may happen to the stack.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a test fails by panicking"
)]

mod bed;
mod control_plane;
mod journal;
mod load_reports;
mod operator;
mod prometheus;
mod reports;
mod revert;
mod service;
mod story;
mod supersede;
mod tale;
mod three_targets;
mod traffic;
mod two_routes;
mod user;
mod webhooks;

use std::time::Instant;

use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::scenario::URL;
use fleetmesh_testbed::userns;
use serde_json::json;

use bed::CanaryBed;
use service::{BANK, SHOP, ServiceTarget};
use tale::Tale;
use traffic::CanaryTraffic;
use user::CanaryUser;

#[tokio::test]
async fn routes_under_canary() {
    if !userns::wanted() {
        return;
    }
    let start = Instant::now();
    let (mut bed, mut hosts) = CanaryBed::start().await;
    println!("the bed took {:?}", start.elapsed());
    let (mut tale, (), (), ()) =
        tokio::join!(story::run(&bed, &mut hosts), shop(&bed), two_routes::run(&bed), bank(&bed));
    println!("side by side until {:?}", start.elapsed());
    disturbed(&mut bed, &mut tale).await;
    println!("all of it took {:?}", start.elapsed());
}

/// Three targets, other targets on the way, and back.
async fn shop(bed: &CanaryBed) {
    let _servers = bed.serve(&SHOP).await;
    let mut tale = bed.tale("shop");
    let mut traffic = CanaryTraffic::start(bed, "http://shop.apps.local/").await;
    three_targets::run(&mut tale, &mut traffic).await;
    supersede::run(&mut tale, &mut traffic).await;
    revert::run(&mut tale, &mut traffic).await;
}

/// Webhooks and Prometheus.
async fn bank(bed: &CanaryBed) {
    let _servers = bed.serve(&BANK).await;
    let user = CanaryUser::start().await;
    let mut tale = bed.tale("bank");
    let mut traffic = CanaryTraffic::start(bed, "http://bank.apps.local/").await;
    webhooks::confirm_the_rollout(&mut tale, &mut traffic, &user).await;
    prometheus::is_blind(&mut tale, &mut traffic, &user).await;
    webhooks::confirm_the_promotion(&mut tale, &mut traffic, &user).await;
    webhooks::roll_back(&mut tale, &mut traffic, &user).await;
    prometheus::fails(&mut tale, &mut traffic, &user).await;
    webhooks::are_for_their_namespaces(&mut tale, &user).await;
}

/// One rollout from serviceBv2 to serviceB, at each step of which something else happens to the stack.
async fn disturbed(bed: &mut CanaryBed, tale: &mut Tale) {
    tale.apply(&story::route("serviceBv2")).await;
    tale.phase("RolledBack").await;
    let another = RunDir::new("canary-operator").unwrap();
    let mut traffic = CanaryTraffic::start(bed, URL).await;
    let mut route = story::route("serviceB");
    let step =
        |(percent, seconds)| json!({ "setWeight": percent, "pause": { "duration": format!("{seconds}s") } });
    let steps = [(20, 3), (40, 5), (60, 1), (80, 3), (100, 1)];
    route["spec"]["canary"]["steps"] = steps.map(step).into_iter().collect();
    tale.apply(&route).await;
    let splits: [&[ServiceTarget<'_>]; 6] = [
        &[("serviceBv2", 100)],
        &[("serviceB", 20), ("serviceBv2", 80)],
        &[("serviceB", 40), ("serviceBv2", 60)],
        &[("serviceB", 60), ("serviceBv2", 40)],
        &[("serviceB", 80), ("serviceBv2", 20)],
        &[("serviceB", 100)],
    ];
    control_plane::is_away(bed, tale, &mut traffic, splits[1]).await;
    control_plane::restarts(bed, tale, &mut traffic, splits[2]).await;
    operator::is_another(bed, tale, &mut traffic, splits[3], &another).await;
    load_reports::stop(bed, tale, &mut traffic, splits[4]).await;
    tale.phase("Promoted").await;
    tale.took_steps(&[1, 2, 3, 4, 5]);
    tale.went_through(&splits);
    tale.is_as_applied().await;
    traffic.is_unharmed();
}
