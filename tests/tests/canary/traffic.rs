//! Requests under way all the time, and whether they were shared as they should be.

use fleetmesh_testbed::app::tally::{LoadPhase, Tally};
use fleetmesh_testbed::app::{AppLoad, LoadOptions};
use fleetmesh_testbed::chi_square;
use fleetmesh_testbed::run_dir::RunDir;

use crate::bed::{CanaryBed, SOON};
use crate::service::{ServiceTarget, in_words};

/// Requests a second.
const RATE: u32 = 300;
/// Requests that a split is judged by.
const ENOUGH: u64 = 600;
/// Probability below which a split counts as wrong. A dozen of them are judged in each run, and a wrong alarm is to be rare.
const SIGNIFICANCE: f64 = 1e-4;

/// The requests of one case.
pub struct CanaryTraffic {
    load: AppLoad,
    splits: usize,
    // A folder of its own: reports of one instance would share a file.
    _run: RunDir,
}

impl CanaryTraffic {
    /// Begins to send to `url`.
    pub async fn start(bed: &CanaryBed, url: &str) -> Self {
        let run = RunDir::new("canary-load").unwrap();
        let options = LoadOptions { rate: RATE, ..LoadOptions::new(url) };
        let load = AppLoad::start(&options, "first", &bed.caller, &run).await.unwrap();
        Self { load, splits: 0, _run: run }
    }

    /// Counts what starts from now on as `phase`.
    pub async fn phase(&mut self, phase: &str) {
        self.load.phase(phase).await.unwrap();
    }

    /// What was counted as `phase`, once all of it has ended.
    pub async fn ended(&mut self, phase: &str) -> LoadPhase {
        let ended = |tally: &Tally| {
            let phase = tally.phase(phase);
            phase.started == phase.answered() + phase.failed()
        };
        self.load.until("the requests of a phase have ended", SOON, ended).await.unwrap().phase(phase)
    }

    /// Counts a few hundred requests from now on, which must be shared as `targets` say.
    pub async fn is_shared(&mut self, targets: &[ServiceTarget<'_>]) {
        self.splits += 1;
        let phase = format!("split {}", self.splits);
        self.phase(&phase).await;
        self.were_shared(&phase, targets).await;
    }

    /// Awaits a few hundred requests in the current `phase`, and ends it. They must be shared as `targets` say.
    pub async fn were_shared(&mut self, phase: &str, targets: &[ServiceTarget<'_>]) {
        let enough = |tally: &Tally| tally.phase(phase).answered() >= ENOUGH;
        self.load.until("enough requests are answered", SOON, enough).await.unwrap();
        self.phase(&format!("after {phase}")).await;
        let counted = self.ended(phase).await;
        let (counts, weights): (Vec<u64>, Vec<u32>) =
            targets.iter().map(|(node, weight)| (counted.by(node), *weight)).unzip();
        assert_eq!(counts.iter().sum::<u64>(), counted.answered(), "nobody else answers: {counted:#?}");
        let p = chi_square::p_value(&counts, &weights).unwrap();
        println!("{phase}: {counts:?} for {}, p = {p:.4}", in_words(targets));
        assert!(p > SIGNIFICANCE, "{phase}: {counts:?} for {}, p = {p}", in_words(targets));
    }

    /// No request failed.
    pub fn is_unharmed(&mut self) {
        let tally = self.load.tally().unwrap();
        assert_eq!(tally.failed(), 0, "{tally:#?}");
    }

    /// What was counted so far.
    pub fn tally(&mut self) -> Tally {
        self.load.tally().unwrap()
    }

    /// Sends no more.
    pub async fn finish(self) -> Tally {
        self.load.finish().await.unwrap()
    }
}
