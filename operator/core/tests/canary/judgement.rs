//! What a rollout is judged by, and what follows.

use std::time::Duration;

use fleetmesh_api::loads::Load;
use fleetmesh_core::Loads;
use fleetmesh_core::canary::{AskOutcome, Observations, ProxyReports, reduce};
use fleetmesh_crds::canary::{Verdict, WebhookAnswer};
use fleetmesh_crds::{ConditionType, Phase, Verb};
use fleetmesh_simulation::canary::fixtures::{canary, quick, quick_with, secs};
use fleetmesh_simulation::canary::world::CanaryWorld;
use serde_json::{Value, json};

fn failing(world: &mut CanaryWorld, percent: u64) {
    world.failing.insert("v2".to_owned(), percent);
}

#[test]
fn a_bad_target_is_rolled_back_within_two_windows() {
    let mut world = CanaryWorld::new("v1=100", Some(canary(quick())));
    failing(&mut world, 33);
    world.apply("v2=100").until_step(10, 1);
    let begun = world.now;
    world.until_phase(60, Phase::Aborted);
    assert!(world.now.duration_since(begun) <= secs(13), "{}", world.now.duration_since(begun));
    assert_eq!(world.ended(), Some((Phase::Aborted, "AnalysisFailed")));
    assert_eq!(world.pushed()[2..], ["v2=25 v1=75", "v1=100 v2=0"], "one push to stable");
    let (_, failed) = world.served["v2"];
    assert!(failed * 4 <= world.served.values().map(|(good, bad)| good + bad).sum::<u64>());
    assert_eq!(world.condition(ConditionType::Stalled), (Some(true), "AnalysisFailed"));
    assert_eq!(world.condition(ConditionType::AnalysisHealthy), (Some(false), "AnalysisFailing"));

    // The same spec stays aborted; another one is another rollout.
    world.run(300);
    assert_eq!((world.phase(), world.stored.rollouts, world.pushed().len()), (Phase::Aborted, 1, 4));
    world.apply("v3=100").until_phase(200, Phase::Promoted);
}

#[test]
fn an_aborted_rollout_ends_with_the_revert_of_the_spec() {
    let mut world = CanaryWorld::new("v1=100", Some(canary(quick())));
    failing(&mut world, 33);
    world.apply("v2=100").until_phase(60, Phase::Aborted);
    world.apply("v1=100").run(20);
    assert_eq!((world.phase(), world.weights().as_str()), (Phase::RolledBack, "v1=100"));
    assert_eq!((world.stored.history.len(), world.stored.rollout.is_none()), (1, true));
    assert_eq!(world.condition(ConditionType::Stalled).0, Some(false));
}

#[test]
fn a_pass_begins_the_count_of_failures_anew() {
    let mut world =
        CanaryWorld::new("v1=100", Some(quick_with(&json!({ "analysis": { "failureLimit": 4 } }))));
    world.apply("v2=100").until_step(10, 1);
    for _ in 0..3 {
        failing(&mut world, 20);
        world.until(20, |world| world.stored.analysis.iter().any(|status| status.failed == 2));
        assert_eq!(world.hold(), Some("AnalysisFailing"));
        failing(&mut world, 0);
        world.until(20, |world| world.stored.analysis.iter().any(|status| status.verdict == Verdict::Pass));
        assert_eq!(world.stored.analysis[0].failed, 0);
    }
    world.until_phase(200, Phase::Promoted);
}

#[test]
fn far_below_is_rolled_back_at_once_whatever_on_failure_says() {
    let mut world = CanaryWorld::new("v1=100", Some(quick_with(&json!({ "onFailure": "Pause" }))));
    failing(&mut world, 60);
    world.apply("v2=100").until_step(10, 1);
    let begun = world.now;
    world.until_phase(60, Phase::Aborted);
    assert_eq!(world.ended(), Some((Phase::Aborted, "AbortThreshold")));
    assert!(world.now.duration_since(begun) <= secs(7));
}

#[test]
fn a_dead_target_shows_errors_and_not_silence() {
    let mut world =
        CanaryWorld::new("v1=100", Some(quick_with(&json!({ "analysis": { "failureLimit": 5 } }))));
    failing(&mut world, 100);
    world.apply("v2=100").until_phase(60, Phase::Aborted);
    assert_eq!(world.stored.analysis[0].value, Some(0.0));
    assert_eq!(world.stored.analysis[0].errors, world.stored.analysis[0].requests);
}

#[test]
fn a_failure_may_wait_for_a_person() {
    let mut world = CanaryWorld::new("v1=100", Some(quick_with(&json!({ "onFailure": "Pause" }))));
    failing(&mut world, 20);
    world.apply("v2=100").until_phase(60, Phase::Paused);
    assert_eq!((world.hold(), world.weights().as_str()), (Some("AnalysisFailed"), "v2=25 v1=75"));
    assert_eq!(world.condition(ConditionType::Stalled), (Some(true), "AnalysisFailed"));
    let paused = world.events_with("Paused");
    failing(&mut world, 0);
    world.run(100);
    assert_eq!((world.phase(), world.events_with("Paused")), (Phase::Paused, paused), "it says so once");
    world.applied(Verb::Resume);
    let resumed = world.now;
    world.until_step(60, 2);
    assert!(world.now.duration_since(resumed) >= secs(5), "a full fresh window first");
}

#[test]
fn no_traffic_holds_and_then_pauses() {
    let mut world = CanaryWorld::new("v1=100", Some(canary(quick())));
    world.apply("v2=100").until_step(10, 1).run(2);
    world.rate = 0;
    world.until_phase(20, Phase::Held);
    assert_eq!(world.hold(), Some("NoTraffic"));
    assert_eq!(world.condition(ConditionType::AnalysisHealthy), (None, "NoTraffic"));
    let held = world.now;
    world.until_phase(70, Phase::Paused);
    assert_eq!(world.hold(), Some("HoldTimedOut"));
    assert!(world.now.duration_since(held) >= secs(59));
    world.run(600);
    assert_eq!(
        (world.phase(), world.weights().as_str()),
        (Phase::Paused, "v2=25 v1=75"),
        "never rolled back"
    );

    world.rate = 100;
    world.run(60);
    assert_eq!(world.phase(), Phase::Paused, "until somebody resumes");
    world.applied(Verb::Resume).until_phase(200, Phase::Promoted);
}

#[test]
fn a_hold_that_ends_in_time_is_forgotten() {
    let mut world = CanaryWorld::new("v1=100", Some(canary(quick())));
    world.apply("v2=100").until_step(10, 1);
    for _ in 0..3 {
        world.rate = 0;
        world.until_phase(20, Phase::Held).run(40);
        world.rate = 100;
        world.until(20, |world| world.phase() != Phase::Held);
    }
    assert_eq!(world.events_with("Held"), 3);
    world.until_phase(200, Phase::Promoted);
}

#[test]
fn no_report_is_not_no_traffic() {
    let mut world =
        CanaryWorld::new("v1=100", Some(quick_with(&json!({ "analysis": { "onNoData": "Fail" } }))));
    world.apply("v2=100").until_step(10, 1).run(2);
    world.reports = false;
    world.until_phase(30, Phase::Held);
    assert_eq!((world.hold(), world.stored.analysis[0].verdict), (Some("NoReport"), Verdict::Error));
    world.run(40);
    assert_eq!(world.phase(), Phase::Held, "a blind spot is no failure");
    world.reports = true;
    world.until_phase(200, Phase::Promoted);
}

#[test]
fn what_no_data_means_can_be_said() {
    let with = |word: &str| {
        let mut world =
            CanaryWorld::new("v1=100", Some(quick_with(&json!({ "analysis": { "onNoData": word } }))));
        world.rate = 0;
        world.apply("v2=100");
        world
    };
    with("Pass").until_phase(200, Phase::Promoted);
    let mut world = with("Fail");
    world.until_phase(40, Phase::Aborted);
    assert_eq!(world.ended(), Some((Phase::Aborted, "AnalysisFailed")));
}

#[test]
fn an_error_may_pause_at_once_and_never_rolls_back() {
    let mut world =
        CanaryWorld::new("v1=100", Some(quick_with(&json!({ "analysis": { "onError": "Pause" } }))));
    world.apply("v2=100").until_step(10, 1).run(2);
    world.reports = false;
    world.until_phase(30, Phase::Paused);
    assert_eq!((world.hold(), world.weights().as_str()), (Some("NoReport"), "v2=25 v1=75"));
}

#[test]
fn a_step_has_its_requests() {
    let steps = json!({ "steps": [{ "setWeight": 25, "minRequests": 1000 }, { "setWeight": 100 }] });
    let mut world = CanaryWorld::new("v1=100", Some(quick_with(&steps)));
    world.apply("v2=100").until_step(10, 1).run(20);
    assert_eq!((world.phase(), world.hold()), (Phase::Held, Some("TooFewRequests")));
    assert!(world.stored.rollout.as_ref().unwrap().step_requests <= 25 * 20);
    let counted =
        |world: &CanaryWorld| world.stored.rollout.as_ref().map_or(0, |rollout| rollout.step_requests);
    while world.step() == Some(1) {
        assert!(counted(&world) < 1000);
        world.run(1);
    }
    assert!(world.served["v2"].0 >= 1000, "counted no request twice");

    let mut world = CanaryWorld::new("v1=100", Some(quick_with(&steps)));
    world.rate = 4;
    world.apply("v2=100").until_phase(120, Phase::Paused);
    assert_eq!(world.hold(), Some("HoldTimedOut"));
}

fn queried(range: &Value, dry_run: bool) -> CanaryWorld {
    let source = json!({ "prometheus": { "address": "http://prometheus:9090", "query": "rate" } });
    let metric = json!({ "name": "p99", "source": source, "thresholdRange": range, "dryRun": dry_run });
    let metrics = json!([quick()["analysis"]["metrics"][0], metric]);
    let mut world =
        CanaryWorld::new("v1=100", Some(quick_with(&json!({ "analysis": { "metrics": metrics } }))));
    world.apply("v2=100");
    world
}

#[test]
fn a_query_is_judged_by_its_range() {
    for (value, range, passes) in [
        (500.0, json!({ "max": 500 }), true),
        (500.1, json!({ "max": 500 }), false),
        (1.0, json!({ "min": 1, "max": 2 }), true),
        (2.5, json!({ "min": 1, "max": 2 }), false),
        (0.5, json!({ "min": 1, "max": 2 }), false),
    ] {
        let mut world = queried(&range, false);
        world.metrics.insert("p99".to_owned(), AskOutcome::Value(value));
        let phase = if passes { Phase::Promoted } else { Phase::Aborted };
        world.until_phase(200, phase);
        assert!(world.effects.iter().any(|effect| effect == "query p99"));
    }
}

#[test]
fn a_query_without_an_answer_holds() {
    let cases = [
        (AskOutcome::NoData, "NoData", Verdict::NoData),
        (AskOutcome::Value(f64::NAN), "NoData", Verdict::NoData),
        (AskOutcome::Value(f64::INFINITY), "NoData", Verdict::NoData),
        (AskOutcome::Error("503".to_owned()), "MetricFailed", Verdict::Error),
    ];
    for (outcome, reason, verdict) in cases {
        let mut world = queried(&json!({ "max": 500 }), false);
        world.metrics.insert("p99".to_owned(), outcome);
        world.until_phase(60, Phase::Held);
        assert_eq!(world.hold(), Some(reason));
        assert_eq!(world.stored.analysis.iter().find(|one| one.name == "p99").unwrap().verdict, verdict);
        world.until_phase(80, Phase::Paused);
    }
}

#[test]
fn a_query_is_asked_once_per_interval() {
    let mut world = queried(&json!({ "max": 500 }), false);
    world.metrics.insert("p99".to_owned(), AskOutcome::Value(1.0));
    world.until_step(10, 1).run(18);
    let asked = world.effects.iter().filter(|effect| *effect == "query p99").count();
    assert!((2..=4).contains(&asked), "{asked} in 18 s, one per 5 s");
}

#[test]
fn a_dry_run_never_decides() {
    for outcome in [AskOutcome::Value(9000.0), AskOutcome::NoData, AskOutcome::Error("503".to_owned())] {
        let mut world = queried(&json!({ "max": 500 }), true);
        world.metrics.insert("p99".to_owned(), outcome);
        world.until_phase(200, Phase::Promoted);
        assert!(world.stored.analysis.iter().any(|one| one.name == "p99"), "but it is shown");
        assert_eq!(world.condition(ConditionType::AnalysisHealthy).0, Some(true));
    }
}

#[test]
fn several_new_targets_are_judged_together() {
    let mut world = CanaryWorld::new("v1=100", Some(canary(quick())));
    world.failing.insert("v3".to_owned(), 10);
    world.apply("v2=90 v3=10").until_step(10, 1).run(7);
    // At a quarter of the way 22 and 2 of 100 requests a second: a tenth of 2 is none.
    assert_eq!(world.stored.analysis[0].value, Some(100.0));
    world.failing.insert("v3".to_owned(), 50);
    world.until_phase(60, Phase::Aborted);
    let status = &world.stored.analysis[0];
    assert!(status.value.is_some_and(|value| (95.0..98.0).contains(&value)), "{status:?}");
}

#[test]
fn a_restart_waits_for_a_full_fresh_window() {
    let mut world = CanaryWorld::new("v1=100", Some(canary(quick())));
    world.apply("v2=100").until_step(10, 1).run(19);
    assert_eq!(world.step(), Some(1));
    let due = world.stored.rollout.as_ref().unwrap().next_step_not_before.clone();
    world.restart();
    let begun = world.now;
    world.until_step(30, 2);
    assert!(world.now.duration_since(begun) >= secs(5), "{}", world.now.duration_since(begun));
    assert!(due.unwrap().0 < world.now, "the timer itself is absolute");

    // A control plane that restarts has no full window for a while. That one passed just before is not enough.
    world.until(30, |world| {
        let passed = world.now.duration_since(world.stored.analysis[0].at.0);
        let rollout = world.stored.rollout.as_ref().unwrap();
        let pause = rollout.next_step_not_before.as_ref().map(|time| time.0.duration_since(world.now));
        passed <= secs(2) && pause.is_some_and(|left| left <= secs(2))
    });
    assert_eq!(world.step(), Some(2));
    world.control_plane_since = world.now;
    world.run(4);
    assert_eq!((world.step(), world.hold()), (Some(2), Some("AwaitingFreshWindow")));
    world.until_step(4, 3);
    world.until_phase(200, Phase::Promoted);
}

#[test]
fn a_baking_target_is_still_watched() {
    let mut world = CanaryWorld::new("v1=100", Some(canary(quick())));
    world.apply("v2=100").until_phase(100, Phase::Baking);
    failing(&mut world, 30);
    world.until_phase(20, Phase::Aborted);
    assert_eq!(world.weights(), "v1=100 v2=0");
}

#[test]
fn steps_without_metrics_go_by_their_time() {
    let mut world = CanaryWorld::new("v1=100", Some(quick_with(&json!({ "analysis": { "metrics": [] } }))));
    world.reports = false;
    world.apply("v2=100").until_phase(100, Phase::Promoted);
    assert_eq!(world.condition(ConditionType::AnalysisHealthy).0, None);
}

#[test]
fn a_retry_is_not_judged_by_the_requests_before_it() {
    let retried = |lag: u64| {
        let mut world = CanaryWorld::new("v1=100", Some(canary(quick())));
        world.report_lag = lag;
        failing(&mut world, 100);
        world.apply("v2=100").until_phase(60, Phase::Aborted);
        failing(&mut world, 0);
        world.applied(Verb::Retry);
        world
    };
    for lag in [1, 2, 3] {
        let mut world = retried(lag);
        world.until(60, |world| !world.stored.analysis.is_empty());
        assert_eq!(world.stored.analysis[0].errors, Some(0), "reports {lag} s late");
        world.until_phase(200, Phase::Promoted);
    }
    // It is the lag that does it: if it were unknown, the failures from before would count.
    let mut world = retried(2);
    world.assumed_lag = Some(0);
    world.until(60, |world| !world.stored.analysis.is_empty());
    assert!(world.stored.analysis[0].errors > Some(0), "{:?}", world.stored.analysis);
}

#[test]
fn requests_of_a_step_are_counted_in_windows_of_the_step() {
    let steps = json!({ "steps": [{ "setWeight": 25, "pause": { "duration": "20s" } },
        { "setWeight": 50, "minRequests": 1000 }, { "setWeight": 100 }] });
    let mut world = CanaryWorld::new("v1=100", Some(quick_with(&steps)));
    world.report_lag = 3;
    world.apply("v2=100").until_step(60, 2);
    let served = world.served["v2"].0;
    world.until_step(100, 3);
    assert!(world.served["v2"].0 - served >= 1000, "{} of the step", world.served["v2"].0 - served);
}

#[test]
fn windows_of_one_metric_do_not_overlap() {
    let mut world = CanaryWorld::new("v1=100", Some(canary(quick())));
    world.apply("v2=100").until_step(10, 1).run(12);
    let state = world.stored.clone();
    let last = state.analysis[0].at.0;
    let loads = |window: u64| Loads {
        window: Duration::from_secs(window),
        observed: Duration::from_secs(600),
        lag: Duration::ZERO,
        targets: [("v2".to_owned(), Load { failed: 9, reports: 1, ..Load::default() })].into(),
        ..Loads::default()
    };
    for (late, counts) in [(4, false), (5, true)] {
        let at = last + secs(late);
        let seen = Observations { loads: ProxyReports::Reported { at, loads: loads(5) }, ..world.observe() };
        let after = reduce(&world.spec, &state, &seen, at).state;
        assert_eq!(after.history.is_empty(), !counts, "a window that ended {late} s after the last one");
    }
}

fn asking(type_: &str, answer: WebhookAnswer) -> CanaryWorld {
    let hooks = json!({ "webhooks": [{ "type": type_, "url": "https://gate" }] });
    let mut world = CanaryWorld::new("v1=100", Some(quick_with(&hooks)));
    world.webhooks.insert(type_.to_owned(), answer);
    world.apply("v2=100");
    world
}

#[test]
fn each_gate_opens_where_it_stands() {
    for (type_, step) in [("confirm-rollout", 0), ("confirm-traffic-increase", 0), ("confirm-promotion", 3)] {
        for (answer, reason) in [
            (WebhookAnswer::NotYet, "ConfirmationPending"),
            (WebhookAnswer::Refused, "ConfirmationRefused"),
            (WebhookAnswer::Error, "WebhookFailed"),
        ] {
            let mut world = asking(type_, answer);
            world.until_phase(120, Phase::Held).until(20, |world| world.hold() == Some(reason)).run(50);
            assert_eq!((world.phase(), world.step()), (Phase::Held, Some(step)), "{type_} {answer:?}");
            world.webhooks.insert(type_.to_owned(), WebhookAnswer::Confirmed);
            world.until_phase(200, Phase::Promoted);
        }
    }
}

#[test]
fn a_gate_is_asked_for_each_step_and_once_an_interval() {
    let mut world = asking("confirm-traffic-increase", WebhookAnswer::Confirmed);
    world.until_phase(200, Phase::Promoted);
    let asked = |world: &CanaryWorld| world.effects.iter().filter(|effect| effect.starts_with("ask")).count();
    assert_eq!(asked(&world), 3);
    let mut world = asking("confirm-rollout", WebhookAnswer::Refused);
    world.run(50);
    assert!((9..=12).contains(&asked(&world)), "{}", asked(&world));
    assert_eq!(world.events_with("Held"), 2, "being asked, then refused");
}

#[test]
fn a_webhook_may_ask_for_the_rollback() {
    let mut world = asking("rollback", WebhookAnswer::Refused);
    world.until_step(60, 2);
    world.webhooks.insert("rollback".to_owned(), WebhookAnswer::Confirmed);
    world.until_phase(20, Phase::Aborted);
    assert_eq!(world.ended(), Some((Phase::Aborted, "RollbackRequested")));
}

#[test]
fn event_webhooks_hear_of_each_event() {
    let mut world = asking("event", WebhookAnswer::Error);
    world.until_phase(200, Phase::Promoted);
    let count = |start: &str| world.effects.iter().filter(|effect| effect.starts_with(start)).count();
    assert_eq!(count("notify event of"), count("event "));
    assert!(count("event ") >= 6);
}
