//! Aborts under many proxies: from the decision to the acknowledgement of the last one.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use fleetmesh_testbed::proxies::ProxyFleet;
use fleetmesh_testbed::wait;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::{Value, json};

use super::states::{between, time};
use super::{DEADLINE, OPERATOR, Sizes, objects, progress};
use crate::kubernetes;
use crate::objects::MESH;
use crate::statistics::Percentiles;
use crate::world::BenchWorld;

/// Proxies of each calling node.
const INSTANCES: usize = 10;

/// What was measured.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AbortFigures {
    /// Aborts.
    pub aborts: usize,
    /// From the request of a person to the decision.
    pub request_to_decision_ms: Percentiles,
    /// From the decision to the acknowledgement of the last proxy.
    pub decision_to_last_ack_ms: Percentiles,
}

/// Aborts a rollout again and again.
///
/// # Errors
/// A part does not start, or a rollout does not follow an action.
pub async fn run(sizes: &Sizes) -> Result<AbortFigures> {
    let world = BenchWorld::start_with(&OPERATOR).await?;
    let callers = sizes.proxies.div_ceil(INSTANCES);
    // Nothing but a person ends the first step.
    let canary = json!({
        "steps": [{ "setWeight": 50, "pause": {} }, { "setWeight": 100 }],
        "analysis": { "interval": "10m" },
    });
    let objects = objects::called_by(callers, &canary);
    let count = objects.len() + 1;
    kubernetes::create_all(&world.kubeconfig, objects, 4).await?;
    kubernetes::all_ready(&world.client, count, DEADLINE).await?;
    progress(&format!("connecting {} proxies", sizes.proxies));
    let nodes: Vec<String> = (0..sizes.proxies).map(|index| objects::caller(index % callers)).collect();
    let ads = world.control_plane.ads_address().parse().context("the ADS address")?;
    let mut proxies = ProxyFleet::connect(ads, MESH, &nodes).await?;
    progress(&format!("{} aborts under {} proxies", sizes.aborts, sizes.proxies));
    kubernetes::merge(&world.client, "Route", &objects::route_name(0), &objects::release(0)).await?;
    let (mut decided, mut acknowledged) = (Vec::new(), Vec::new());
    for index in 0..sizes.aborts {
        let rollout = in_first_step(&world).await?;
        let sent = (Instant::now(), Timestamp::now());
        act(&world, &format!("abort-{index}"), "Abort", &rollout).await?;
        let last = proxies.all_since(Some(sent.0), DEADLINE).await?;
        let decision = aborted(&world).await?;
        decided.push(between(sent.1, decision));
        let last = sent.1 + SignedDuration::try_from(last.duration_since(sent.0))?;
        acknowledged.push(between(decision, last));
        act(&world, &format!("retry-{index}"), "Retry", &rollout).await?;
    }
    Ok(AbortFigures {
        aborts: sizes.aborts,
        request_to_decision_ms: Percentiles::of(&decided),
        decision_to_last_ack_ms: Percentiles::of(&acknowledged),
    })
}

async fn act(world: &BenchWorld, name: &str, verb: &str, rollout: &Value) -> Result<()> {
    kubernetes::create(&world.client, &objects::action(name, verb, rollout)).await
}

/// Waits until every proxy runs the first step; gives the rollout.
async fn in_first_step(world: &BenchWorld) -> Result<Value> {
    until(world, "the first step is in force", |status| {
        let rollout = &status["rollout"];
        let entered = status["phase"] != "Aborted" && rollout["stepEnteredAt"].is_string();
        (entered && rollout["stepIndex"] == 1).then(|| rollout.clone())
    })
    .await
}

/// Waits until the rollout is aborted; gives when that was decided.
async fn aborted(world: &BenchWorld) -> Result<Timestamp> {
    let ended = until(world, "the rollout is aborted", |status| {
        (status["phase"] == "Aborted").then(|| status["history"][0]["endedAt"].clone())
    });
    time(&ended.await?)
}

async fn until(world: &BenchWorld, what: &str, look: impl Fn(&Value) -> Option<Value>) -> Result<Value> {
    wait::until_every(Duration::from_millis(100), what, DEADLINE, async || {
        let route = kubernetes::api(&world.client, "Route").get(&objects::route_name(0)).await?;
        Ok(look(&route.data["status"]))
    })
    .await
}
