//! `canary simulate`: the operator's own reducer over recorded metrics. Only [`run`] reads files; the rest is pure.

mod manifest;
mod report;
mod trace;

use std::io::Read as _;
use std::path::Path;

use fleetmesh_core::canary::simulate::simulate;
use fleetmesh_core::canary::targets::same_shares;
use fleetmesh_model::route::WeightedTarget;

use crate::args::{Format, SimulateArgs};
use crate::error::Error;
use crate::output::Output;

pub use manifest::{Manifest, ManifestTargets, read, targets_from};
pub use report::SimulationReport;

/// Simulates the rollout in the files, and prints the timeline.
///
/// # Errors
/// A file cannot be used, or the rollout did not end as it was to.
pub fn run(args: &SimulateArgs, output: &mut Output<'_>) -> Result<(), Error> {
    let manifest = read(&text_of(&args.manifest)?, args.route.as_deref()).map_err(named(&args.manifest))?;
    let spec = &manifest.spec;
    let stable = args.stable.as_ref().map_or_else(|| manifest.stable.clone(), |stable| stable.0.clone());
    check(&stable, &spec.targets)?;
    let (trace, start) = trace::read(&text_of(&args.trace)?, spec).map_err(named(&args.trace))?;
    let timeline = simulate(spec, &stable, &trace, start);
    let report = SimulationReport::of(&timeline);
    match args.output {
        Format::Text => output.print(&format!("{timeline}\n{report}"))?,
        Format::Json => output.print(&format!("{}\n", serde_json::to_string_pretty(&report)?))?,
    }
    match args.expect {
        Some(wanted) if wanted != report.outcome => Err(Error::EndedOtherwise(format!(
            "the rollout of {} was to end in {wanted:?}, and it ended in {:?}",
            manifest.name, report.outcome
        ))),
        _ => Ok(()),
    }
}

fn check(stable: &[WeightedTarget], targets: &[WeightedTarget]) -> Result<(), Error> {
    if !stable.iter().any(|target| target.weight > 0) {
        let words = "the targets to begin from are not known: give them with --stable, for example --stable serviceB=100";
        return Err(Error::Usage(words.to_owned()));
    }
    if same_shares(stable, targets) {
        let words = "the manifest's targets are the ones to begin from: there is nothing to roll out. Give others with --stable";
        return Err(Error::Usage(words.to_owned()));
    }
    Ok(())
}

fn text_of(path: &Path) -> Result<String, Error> {
    let mut text = String::new();
    let read = if path == Path::new("-") {
        std::io::stdin().read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text))
    };
    read.map_err(|error| Error::File(format!("cannot read {}: {error}", path.display())))?;
    Ok(text)
}

fn named(path: &Path) -> impl Fn(String) -> Error {
    let path = path.display().to_string();
    move |words| Error::File(format!("{path}: {words}"))
}
