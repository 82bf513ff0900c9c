//! The scenario from end to end, as the demo runs it: samples, real Envoys, requests all the time; on a cluster with moto in the
//! place of AWS, and on one process with neither.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a test fails by panicking"
)]

use fleetmesh_testbed::app::tally::LoadPhase;
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::scenario::{
    self, MIN_REQUESTS, Observer, STAGES, ScenarioApi, ScenarioOptions, ScenarioVerdict, VERSIONS, mutual_tls,
};
use fleetmesh_testbed::{tools, userns};

/// Remembers the steps, for the message of a failure.
#[derive(Default)]
struct Steps(Vec<String>);

impl Observer for Steps {
    fn step(&mut self, text: &str) {
        self.0.push(text.to_owned());
    }

    fn count(&mut self, _: &LoadPhase, _: Option<u64>) {}

    fn verdict(&mut self, verdict: &ScenarioVerdict) {
        self.0.push(format!("{verdict:?}"));
    }
}

#[tokio::test]
async fn requests_are_split_as_written_and_none_fails() {
    if userns::wanted() {
        none_fails("scenario", ScenarioApi::Cluster, true).await;
    }
}

/// What `cargo xtask demo` shows by default: no Kubernetes and nothing of AWS but STS's answers.
#[tokio::test]
async fn they_are_on_one_process_without_a_cluster() {
    if userns::wanted() {
        none_fails("scenario-standalone", ScenarioApi::Standalone, false).await;
    }
}

async fn none_fails(name: &str, api: ScenarioApi, aws: bool) {
    let run = RunDir::new(name).unwrap();
    let samples = tools::workspace_dir().unwrap().join("samples");
    let options = ScenarioOptions { samples, requests: MIN_REQUESTS, rate: 1000, canaries: false, api, aws };
    let mut steps = Steps::default();
    let report = scenario::run(&options, &run, &mut steps).await;
    let report = report.unwrap_or_else(|error| panic!("{error:#}\nafter {steps:#?}", steps = steps.0));
    assert!(report.passed(), "{report:#?}");
    // What `passed` stands for, said once more in numbers.
    assert_eq!((report.tally.failed(), report.outside.failed()), (0, 0));
    let outside = report.outside.phase(mutual_tls::PHASE);
    assert!(
        report.mutual_tls.passed() && outside.by("serviceBv2") > 0,
        "{:?}: {outside:?}",
        report.mutual_tls
    );
    for (stage, verdict) in STAGES.iter().zip(&report.verdicts) {
        assert!(verdict.counts.iter().sum::<u64>() >= MIN_REQUESTS, "{verdict:?}");
        for (count, weight) in verdict.counts.iter().zip(stage.weights) {
            assert_eq!(*count == 0, weight == 0, "{verdict:?}");
        }
        let outside = report.outside.phase(stage.name);
        for (version, weight) in VERSIONS.iter().zip(stage.weights) {
            assert_eq!(outside.by(version) == 0, weight == 0, "{outside:?}");
        }
    }
}
