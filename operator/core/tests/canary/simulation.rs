//! Timelines of traces: the reducer as people try it before they trust it.

use std::collections::BTreeMap;
use std::time::Duration;

use fleetmesh_core::canary::simulate::{Requests, SimulatedRow, Timeline, Trace, queried, simulate};
use fleetmesh_core::canary::{AskOutcome, Spec};
use fleetmesh_crds::canary::WebhookAnswer;
use fleetmesh_crds::{Canary, Phase, Reason, Verb};
use fleetmesh_simulation::canary::fixtures::{canary, quick, quick_with, start, targets_of};
use serde_json::json;

fn spec(canary: Canary) -> Spec {
    Spec { uid: "uid".to_owned(), targets: targets_of("v2=100"), canary: Some(canary) }
}

/// A row each second, of 10 requests of which `failed` fail.
fn trace(seconds: u64, row: impl Fn(u64) -> (Option<u64>, Option<f64>)) -> Trace {
    let rows = (0..seconds).map(|second| {
        let (failed, p99) = row(second);
        SimulatedRow {
            at: Duration::from_secs(second),
            requests: failed.map(|failed| Requests { succeeded: 10 - failed, failed }),
            metrics: p99
                .map(|value| ("p99".to_owned(), AskOutcome::Value(value)))
                .into_iter()
                .collect::<BTreeMap<_, _>>(),
            ..SimulatedRow::default()
        }
    });
    Trace { rows: rows.collect() }
}

fn run(canary: Canary, trace: &Trace) -> Timeline {
    simulate(&spec(canary), &targets_of("v1=100"), trace, start())
}

#[test]
fn a_good_trace_is_promoted() {
    let timeline = run(canary(quick()), &trace(80, |_| (Some(0), None)));
    assert_eq!(
        (timeline.phase, timeline.ended.as_ref().map(|end| end.0)),
        (Phase::Promoted, Some(Phase::Promoted))
    );
    assert_eq!(timeline.weights, targets_of("v2=100"));
    let steps: Vec<(u64, &str)> = timeline
        .entries
        .iter()
        .filter(|entry| entry.what == "StepStarted")
        .map(|entry| (entry.at.as_secs(), entry.message.as_str()))
        .collect();
    assert_eq!(
        steps,
        [
            (0, "step 1/3: 25 percent, v2=25 v1=75, for 20s"),
            (20, "step 2/3: 50 percent, v2=50 v1=50, for 20s"),
            (40, "step 3/3: 100 percent, v2=100 v1=0, for 20s"),
        ]
    );
}

#[test]
fn the_timeline_reads_as_a_story() {
    let timeline = run(canary(quick()), &trace(40, |second| (Some(u64::from(second >= 12)), None)));
    let expected = "\
00:00:00  RolloutStarted    rollout ROLLOUT goes from v1=100 to v2=100
00:00:00  StepStarted       step 1/3: 25 percent, v2=25 v1=75, for 20s
00:00:05  Verdict           Pass: success is 100.00, should be at least 99 (0 of 50 requests failed)
00:00:10  Verdict           Pass: success is 100.00, should be at least 99 (0 of 50 requests failed)
00:00:15  Verdict           Fail: success is 92.00, should be at least 99 (4 of 50 requests failed)
00:00:20  Verdict           Fail: success is 90.00, should be at least 99 (5 of 50 requests failed)
00:00:20  Aborted           AnalysisFailed: success is 90.00, should be at least 99 (5 of 50 requests failed); 2 times in a row, failureLimit is 2
Aborted: v1=100 v2=0";
    let id = timeline.entries[0].message.split(' ').nth(1).unwrap().to_owned();
    assert_eq!(timeline.to_string().replace(&id, "ROLLOUT"), expected);
    assert_eq!(timeline.ended.unwrap().1, Reason::AnalysisFailed);
}

#[test]
fn a_trace_without_requests_or_reports_holds() {
    let quiet = Trace {
        rows: (0..100)
            .map(|second| SimulatedRow {
                at: Duration::from_secs(second),
                requests: Some(Requests::default()),
                ..SimulatedRow::default()
            })
            .collect(),
    };
    let timeline = run(canary(quick()), &quiet);
    assert_eq!((timeline.phase, timeline.ended.clone()), (Phase::Paused, None));
    assert!(timeline.to_string().contains("NoTraffic"), "{timeline}");
    let timeline = run(canary(quick()), &trace(30, |_| (None, None)));
    assert_eq!(timeline.phase, Phase::Held);
    assert!(timeline.to_string().contains("NoReport"), "{timeline}");
}

#[test]
fn queries_come_from_the_trace_by_name() {
    let source = json!({ "prometheus": { "address": "http://prometheus:9090", "query": "rate" } });
    let metrics = json!([{ "name": "p99", "source": source, "thresholdRange": { "max": 500 } }]);
    let canary = quick_with(&json!({ "analysis": { "metrics": metrics }, "webhooks": [
        { "type": "confirm-promotion", "url": "https://gate" }, { "type": "rollback", "url": "https://gate" },
    ] }));
    assert_eq!(queried(&spec(canary.clone())), ["p99"]);
    let timeline = run(canary.clone(), &trace(80, |_| (None, Some(200.0))));
    assert_eq!(timeline.phase, Phase::Promoted, "{timeline}");
    let timeline = run(canary, &trace(80, |second| (None, Some(if second > 30 { 700.0 } else { 200.0 }))));
    assert_eq!(timeline.phase, Phase::Aborted, "{timeline}");
}

#[test]
fn people_and_webhooks_do_what_the_trace_says() {
    let canary = quick_with(&json!({
        "steps": [{ "setWeight": 50, "pause": {} }, { "setWeight": 100 }],
        "webhooks": [{ "type": "confirm-promotion", "url": "https://gate" }],
    }));
    let mut trace = trace(80, |_| (Some(0), None));
    let answers = |answer| BTreeMap::from([("confirm-promotion".to_owned(), answer)]);
    trace.rows[0].webhooks = answers(WebhookAnswer::Refused);
    trace.rows[20].action = Some(Verb::Resume);
    trace.rows[30].action = Some(Verb::Promote);
    trace.rows[60].webhooks = answers(WebhookAnswer::Confirmed);
    trace.rows[79].action = Some(Verb::Abort);
    let timeline = run(canary, &trace);
    let seconds = |what: &str, words: &str| -> Vec<u64> {
        let found =
            timeline.entries.iter().filter(|entry| entry.what == what && entry.message.contains(words));
        found.map(|entry| entry.at.as_secs()).collect()
    };
    assert_eq!(seconds("Action", "Resume: NotApplicable"), [20], "{timeline}");
    assert_eq!(seconds("Action", "Promote: Applied"), [30], "{timeline}");
    assert_eq!(seconds("Held", "ConfirmationRefused").len(), 1, "{timeline}");
    assert!(seconds("Promoted", "").iter().all(|second| (60..70).contains(second)), "{timeline}");
    assert_eq!(seconds("Action", "Abort: there is no rollout"), [79], "{timeline}");
    assert_eq!(timeline.ended.as_ref().map(|end| end.0), Some(Phase::Promoted));
}

#[test]
fn nothing_happens_without_a_trace_or_a_canary() {
    let timeline = run(canary(quick()), &Trace::default());
    assert_eq!(timeline.phase, Phase::Progressing);
    let spec = Spec { canary: None, ..spec(canary(quick())) };
    let timeline = simulate(&spec, &targets_of("v1=100"), &trace(5, |_| (Some(0), None)), start());
    assert_eq!((timeline.entries.len(), timeline.weights), (0, targets_of("v2=100")));
}

#[test]
fn a_trace_with_few_rows_is_quiet_between() {
    let rows =
        (0..100).map(|row| SimulatedRow { at: Duration::from_secs(row * 300), ..SimulatedRow::default() });
    let timeline = run(canary(json!({})), &Trace { rows: rows.collect() });
    assert_eq!(timeline.phase, Phase::Paused);
    assert!(timeline.to_string().contains("HoldTimedOut"), "{timeline}");
}
