//! Secrets planted in every input of the operator and of the control plane, which both log all that they and their
//! libraries can log. Each secret is used, also by what is refused or fails, and none of them gets into a log, an Event, a
//! status or a metric.

mod objects;
mod outside;
mod planted;
mod start;
mod world;

use fleetmesh_testbed::{http, wait};
use serde_json::Value;

use crate::bed::LIMIT;
use planted::Planted;
use world::SecretsWorld;

#[tokio::test]
async fn no_secret_gets_into_a_log_an_event_a_status_or_a_metric() {
    if !fleetmesh_testbed::userns::wanted() {
        return;
    }
    let mut world = SecretsWorld::start().await;
    world.apply_class(&serde_json::json!({ "userData": "Allowed" })).await;
    world.apply(&objects::nodes(&world.secrets.user_data)).await;
    world.until_reason("virtualnode/red", "AccessDenied", "AWS refuses to make a role").await;
    world.outside.refuses(None);
    world.asked_for("CreateLaunchTemplate").await;
    the_rollout_is_asked_about(&mut world).await;
    world.with_a_wrong_key().await;
    world.others_are_refused().await;
    world.an_instance_is_refused().await;
    every_secret_was_used(&mut world);
    nothing_leaks(&mut world).await;
}

/// A rollout asks webhooks and a Prometheus, which refuse, break, and answer.
async fn the_rollout_is_asked_about(world: &mut SecretsWorld) {
    world.apply(&world.providers()).await;
    for (name, weights) in [("old", [100, 0]), ("new", [0, 100])] {
        world.apply(&objects::route(world.webhook(), world.prometheus(), weights)).await;
        if name == "old" {
            world.run(&["wait", "route/shop", "--for=condition=Programmed", "--timeout=60s"]).await;
        }
    }
    world.held("ConfirmationRefused").await;
    world.outside.webhooks(500, true);
    world.held("WebhookFailed").await;
    world.outside.webhooks(200, true);
    world.held("MetricFailed").await;
    world.outside.prometheus(400);
    world.analysed("Prometheus refuses the query").await;
    world.outside.prometheus(200);
    world.outside.webhooks(404, true);
}

/// Whoever was asked saw the secrets that were for them.
fn every_secret_was_used(world: &mut SecretsWorld) {
    world.learn_what_sts_gave();
    let seen = world.planted.found(&world.outside.asked());
    for what in world::SHOWN {
        assert!(seen.iter().any(|seen| seen.starts_with(what)), "{what} was never used");
    }
}

async fn nothing_leaks(world: &mut SecretsWorld) {
    let mut searched = 0;
    let mut leaked = Vec::new();
    let logs = world.logs();
    let planted: &Planted = &world.planted;
    for (name, text) in &logs {
        assert!(text.contains("TRACE"), "{name} has everything");
        searched += text.len();
        leaked.extend(planted.found(text).into_iter().map(|found| format!("{name}: {found}")));
    }
    let logged = searched;
    let statuses = world.statuses().await;
    let events = world.events().await;
    let mut pages = vec![("statuses", statuses), ("Events", events)];
    for (name, url) in [
        ("the operator's metrics", world.operator.health_url()),
        ("the control plane's metrics", world.control_plane.endpoint()),
    ] {
        pages.push((name, http::get(&format!("{url}/metrics")).await.unwrap()));
    }
    for (name, text) in &pages {
        assert!(text.len() > 1000, "{name} are there: {text}");
        searched += text.len();
        leaked.extend(planted.found(text).into_iter().map(|found| format!("{name}: {found}")));
    }
    println!(
        "{} secrets planted; {logged} bytes of {} logs, {} bytes of statuses, Events and metrics; {} found",
        planted.len(),
        logs.len(),
        searched - logged,
        leaked.len()
    );
    assert!(leaked.is_empty(), "{}", leaked.join("\n"));
    metrics_are_as_described(&pages[2].1, &pages[3].1);
}

/// Both pages have families that the programs describe, and no other.
fn metrics_are_as_described(operator: &str, control_plane: &str) {
    let described = fleetmesh_operator::metrics::Metrics::new();
    let other = fleetmesh_control_plane::metrics::ServerMetrics::new();
    for (page, families) in [(operator, described.families()), (control_plane, other.families())] {
        let series: Vec<_> = families.iter().flat_map(fleetmesh_metrics::Description::series).collect();
        for line in page.lines().filter(|line| !line.starts_with('#')) {
            let (name, rest) = line.split_at(line.find(['{', ' ']).unwrap());
            let found = series.iter().find(|series| series.name == name);
            let found = found.unwrap_or_else(|| panic!("nobody describes {line}"));
            for label in &found.labels {
                assert!(rest.contains(&format!("{label}=\"")), "{line} has no {label}");
            }
        }
    }
}

/// Awaits that `object` gives words in its JSON.
pub async fn shows(what: &str, get: impl AsyncFn() -> anyhow::Result<Value>, shows: impl Fn(&Value) -> bool) {
    wait::until(what, LIMIT, async || {
        let object = get().await?;
        anyhow::ensure!(shows(&object), "{}", object["status"]);
        Ok(Some(()))
    })
    .await
    .unwrap();
}
