//! The end of the scenario: a release that shifts by itself, then a bad one that is rolled back, by the route of
//! `samples/canary` with seconds in the place of its minutes.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::{LIMIT, Loads, MESH, Observer, ScenarioWorld};
use crate::run_dir::RunDir;
use crate::wait;

/// The length of a step.
pub const PAUSE: Duration = Duration::from_secs(6);
/// The window of the analysis.
pub const INTERVAL: Duration = Duration::from_secs(2);
/// The phase that requests to a bad version are counted in.
pub const BAD: &str = "bad release";

/// How the canaries went.
#[derive(Debug, Clone)]
pub struct Canaries {
    /// Whether the good release has all requests.
    pub promoted: bool,
    /// Why the bad one was rolled back; `None` when it was not.
    pub rolled_back: Option<String>,
    /// The percentage of requests that failed while the bad one was tried.
    pub failed_percent: f64,
}

impl Canaries {
    /// Whether the good release was promoted, and the bad one rolled back before it harmed more than its share: a quarter
    /// of the requests, of which a third failed, and half as many again for chance.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.promoted && self.rolled_back.is_some() && self.failed_percent < 12.5
    }
}

/// The route of `samples/canary` with short times, going to `target`.
///
/// # Errors
/// The sample cannot be read.
pub fn short_route(samples: &Path, target: &str) -> Result<Value> {
    let text = std::fs::read_to_string(samples.join("canary/02-route.yaml"))?;
    let pause = format!("{}s", PAUSE.as_secs());
    let text = text.replace("10m", &pause).replace("15m", &pause);
    let text = text.replace("interval: 30s", &format!("interval: {}s", INTERVAL.as_secs()));
    let mut route: Value = serde_saphyr::from_str(&text)?;
    route["spec"]["http2Route"]["action"]["weightedTargets"] =
        json!([{"virtualNode": target, "weight": 100}]);
    Ok(route)
}

/// Runs both releases while requests go on.
pub(super) async fn run(
    world: &mut ScenarioWorld,
    load: &mut Loads,
    samples: &Path,
    run: &RunDir,
    observer: &mut dyn Observer,
) -> Result<Canaries> {
    observer.step(
        "a release with canary: the route goes back to serviceB by itself, judged by the proxies' reports",
    );
    load.phase("canary").await?;
    apply(world, samples, run, "serviceB").await?;
    let ended = follow(world, observer).await?;
    let promoted = ended["phase"] == "Promoted";
    observer.step("a bad release: serviceBv2 answers every third request with 500");
    world.hosts[2].server.fail_with(500).await?;
    world.hosts[2].server.fail_every(3).await?;
    load.phase(BAD).await?;
    apply(world, samples, run, "serviceBv2").await?;
    let ended = follow(world, observer).await?;
    let message = ended["history"][0]["message"].as_str().map(ToOwned::to_owned);
    world.hosts[2].server.fail_every(0).await?;
    let phase = load.inside.tally()?.phase(BAD);
    let failed_percent = 100.0 * phase.failed() as f64 / (phase.failed() + phase.answered()).max(1) as f64;
    Ok(Canaries { promoted, rolled_back: message.filter(|_| ended["phase"] == "Aborted"), failed_percent })
}

async fn apply(world: &ScenarioWorld, samples: &Path, run: &RunDir, target: &str) -> Result<()> {
    let file = run.join("canary.json");
    std::fs::write(&file, short_route(samples, target)?.to_string())?;
    world.installation.objects.apply(&file).await
}

/// Prints each change of the rollout until it ends; returns the last status.
async fn follow(world: &ScenarioWorld, observer: &mut dyn Observer) -> Result<Value> {
    let generation = get(world).await?["metadata"]["generation"].clone();
    let mut printed = String::new();
    wait::until("the rollout ends", LIMIT, async || {
        let route = get(world).await?;
        let status = &route["status"];
        ensure!(status["observedGeneration"] == generation, "not looked at yet");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let line = format!(
            "  {} {} {} {}",
            text(&status["phase"]),
            text(&status["rollout"]["step"]),
            text(&status["weights"]),
            text(&status["rollout"]["hold"]["reason"])
        );
        if line != printed {
            observer.step(line.trim_end());
            printed = line;
        }
        let ended = ["Promoted", "Aborted"].contains(&text(&status["phase"]).as_str());
        Ok(ended.then(|| status.clone()))
    })
    .await
    .context("a canary")
}

async fn get(world: &ScenarioWorld) -> Result<Value> {
    world.installation.objects.get("Route", MESH, "service-b").await
}
