//! `kubectl-fleetmesh canary simulate` from the outside: the timelines of recorded metrics, the exit statuses.

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;

use crate::files;

fn folder() -> PathBuf {
    PathBuf::from("tests/simulate")
}

fn simulate(trace: &str, options: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-fleetmesh"));
    command.env_clear().current_dir(folder()).args(["canary", "simulate", "route.yaml"]);
    command.args(["--trace", &format!("{trace}.csv")]).args(options).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn golden(name: &str, text: &str) {
    files::holds(&folder(), name, text);
}

#[test]
fn each_trace_has_its_timeline() {
    for trace in ["good", "bad", "dead", "silent", "gate"] {
        let output = simulate(trace, &["--stable", "serviceB=100"]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        golden(&format!("{trace}.txt"), &text(&output.stdout));
    }
}

#[test]
fn the_outcome_can_be_expected() {
    for (trace, outcome) in [("good", "Promoted"), ("bad", "Aborted"), ("silent", "Paused")] {
        let output = simulate(trace, &["--stable", "serviceB=100", "--expect", outcome]);
        assert_eq!(output.status.code(), Some(0), "{trace}: {}", text(&output.stderr));
    }
    let output = simulate("bad", &["--stable", "serviceB=100", "--expect", "Promoted"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        text(&output.stderr),
        "error: the rollout of serviceb was to end in Promoted, and it ended in Aborted\n"
    );
}

#[test]
fn json_says_the_same() {
    let output = simulate("bad", &["--stable", "serviceB=100", "-o", "json"]);
    let timeline: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(timeline["outcome"], "Aborted");
    assert_eq!((&timeline["phase"], &timeline["reason"]), (&"Aborted".into(), &"AbortThreshold".into()));
    let entries = timeline["timeline"].as_array().unwrap();
    assert_eq!(entries[0]["what"], "RolloutStarted");
    let aborted = entries.iter().find(|entry| entry["what"] == "Aborted").unwrap();
    assert_eq!(aborted["seconds"], 90.0);
}

#[test]
fn what_cannot_be_simulated_is_refused_with_the_way_out() {
    let cases: [(&str, &[&str], i32, &str); 6] = [
        ("good", &[], 2, "give them with --stable"),
        ("good", &["--stable", "serviceBv2=1"], 2, "nothing to roll out"),
        ("good", &["--stable", "serviceB"], 2, "NODE=WEIGHT"),
        ("good", &["--stable", "serviceB=1", "--route", "other"], 1, "there is no Route other"),
        ("good", &["--stable", "serviceB=1", "--expect", "Great"], 2, "unknown variant"),
        ("absent", &["--stable", "serviceB=1"], 1, "cannot read absent.csv"),
    ];
    for (trace, options, code, expected) in cases {
        let output = simulate(trace, options);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{options:?}: {stderr}");
        assert!(stderr.contains(expected) && output.stdout.is_empty(), "{options:?}: {stderr}");
    }
}
