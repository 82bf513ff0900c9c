//! What a person sees of the demo: a bar for each stage on a terminal, lines otherwise.

use std::io::IsTerminal as _;
use std::path::Path;
use std::time::{Duration, Instant};

use fleetmesh_testbed::app::tally::LoadPhase;
use fleetmesh_testbed::scenario::{Observer, SIGNIFICANCE, ScenarioReport, ScenarioVerdict, VERSIONS};
use indicatif::{ProgressBar, ProgressStyle};

/// Without a terminal, the time between two counts of one stage.
const LINE_EVERY: Duration = Duration::from_secs(1);

/// The view.
pub struct View {
    terminal: bool,
    started: Instant,
    /// The bar of the stage or step that goes on.
    bar: Option<(String, ProgressBar)>,
    /// The stage that was counted last, and when it was printed.
    line: Option<(String, Instant)>,
}

impl View {
    /// A view for where standard error goes.
    pub fn new() -> Self {
        Self { terminal: std::io::stderr().is_terminal(), started: Instant::now(), bar: None, line: None }
    }

    /// Says what this is.
    pub fn title(&self, run: &Path) {
        println!("Fleetmesh: AWS's App Mesh scenario for EC2, with real Envoys (files in {})", run.display());
    }

    /// Says something besides the steps.
    pub fn note(&mut self, text: &str) {
        self.end_bar();
        println!("[{:5.1} s] {text}", self.started.elapsed().as_secs_f64());
    }

    /// Prints the verdicts and what failed.
    pub fn summary(&mut self, report: &ScenarioReport) {
        self.end_bar();
        println!("\n{:<8}{:>10}{:>12}{:>8}{:>10}  verdict", "split", VERSIONS[0], VERSIONS[1], "failed", "p");
        for verdict in &report.verdicts {
            let ScenarioVerdict { stage, counts: [one, two], p_value } = verdict;
            let failed = report.tally.phase(stage.name).failed();
            let word = if verdict.holds() { "as written" } else { "WRONG" };
            println!("{:<8}{one:>10}{two:>12}{failed:>8}{p_value:>10.4}  {word}", stage.name);
        }
        let tally = &report.tally;
        let answered = tally.answered();
        println!(
            "{answered} requests answered, {} failed, shifts and the good release included",
            report.failed()
        );
        let outside = report.outside.answered();
        println!("{outside} requests came from outside of the mesh, through the gateway");
        let tls = &report.mutual_tls;
        let others = if tls.others_refused { "got no answer" } else { "WAS LET IN" };
        println!(
            "mutual TLS: serviceBv2's proxy verified {} callers' connections; a client without a certificate {others}",
            tls.handshakes
        );
        if let Some(canaries) = &report.canaries {
            let good = if canaries.promoted { "promoted by itself" } else { "NOT PROMOTED" };
            let bad = canaries.rolled_back.as_deref().unwrap_or("NOT ROLLED BACK");
            let percent = canaries.failed_percent;
            println!("canary: the good release was {good}");
            println!(
                "canary: the bad release went back, {percent:.1} % of the requests meanwhile failed: {bad}"
            );
        }
        for (place, phases) in [("inside", &tally.phases), ("outside", &report.outside.phases)] {
            for phase in phases {
                for (reason, count) in &phase.failures {
                    println!("  {place}, during {}: {count} × {reason}", phase.name);
                }
            }
        }
        let outcome = if report.passed() { "passed" } else { "FAILED" };
        println!("{outcome}: chi-square at p > {SIGNIFICANCE}, no request may fail");
    }

    fn end_bar(&mut self) {
        if let Some((_, bar)) = self.bar.take() {
            bar.abandon();
        }
    }

    fn draw(&mut self, phase: &LoadPhase, wanted: u64, text: &str) {
        if self.bar.as_ref().is_none_or(|(name, _)| *name != phase.name) {
            self.end_bar();
            let bar = ProgressBar::new(wanted);
            if let Ok(style) = ProgressStyle::with_template("  {prefix:<8} {bar:30} {msg}") {
                bar.set_style(style);
            }
            bar.set_prefix(phase.name.clone());
            self.bar = Some((phase.name.clone(), bar));
        }
        if let Some((_, bar)) = &self.bar {
            bar.set_position(phase.answered().min(wanted));
            bar.set_message(text.to_owned());
        }
    }

    /// Prints a line for the phase unless one was printed a moment ago; a new phase and a full one always get theirs.
    fn print(&mut self, phase: &LoadPhase, full: bool, text: &str) {
        let recent =
            self.line.as_ref().is_some_and(|(name, at)| *name == phase.name && at.elapsed() < LINE_EVERY);
        if full || !recent {
            self.end_bar();
            println!("  {:<16} {text}", phase.name);
            self.line = Some((phase.name.clone(), Instant::now()));
        }
    }
}

impl Observer for View {
    fn step(&mut self, text: &str) {
        self.note(text);
    }

    fn count(&mut self, phase: &LoadPhase, wanted: Option<u64>) {
        let [one, two] = VERSIONS.map(|version| format!("{version} {}", phase.by(version)));
        let text = format!("{one}, {two}, failed {}", phase.failed());
        match wanted {
            Some(wanted) if self.terminal => self.draw(phase, wanted, &text),
            _ => self.print(phase, wanted.is_none_or(|wanted| phase.answered() >= wanted), &text),
        }
    }

    fn verdict(&mut self, _: &ScenarioVerdict) {
        // All verdicts come together at the end, in the summary.
    }
}
