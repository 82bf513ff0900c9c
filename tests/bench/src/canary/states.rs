//! The states of rollouts as the API server keeps them, watched: when steps were due, and when they were decided about.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use futures::StreamExt as _;
use jiff::Timestamp;
use kube::Client;
use kube::runtime::watcher;
use serde_json::Value;

use crate::kubernetes;

/// A decision of a rollout: to leave a step.
#[derive(Clone, Debug)]
pub struct Left {
    /// The route.
    pub route: String,
    /// When the step was over.
    pub due: Timestamp,
    /// When the operator decided to leave it.
    pub decided: Timestamp,
    /// Whether it was the last one.
    pub last: bool,
}

/// Watches until `count` routes are promoted; gives every step that was left.
///
/// # Errors
/// They are not within `deadline`, or one ends otherwise.
pub async fn until_promoted(client: Client, count: usize, deadline: Duration) -> Result<Vec<Left>> {
    let mut events = watcher(kubernetes::api(&client, "Route"), watcher::Config::default()).boxed();
    let until = tokio::time::Instant::now() + deadline;
    let (mut last, mut left, mut promoted) = (HashMap::new(), Vec::new(), 0);
    while promoted < count {
        let Ok(Some(event)) = tokio::time::timeout_at(until, events.next()).await else {
            bail!("{promoted} of {count} routes are promoted after {deadline:?}");
        };
        let (watcher::Event::Apply(object) | watcher::Event::InitApply(object)) = event? else { continue };
        let (name, status) = (object.metadata.name.unwrap_or_default(), object.data["status"].clone());
        if status["phase"] == "Aborted" {
            bail!("{name} was aborted: {}", status["history"][0]["message"]);
        }
        let before = last.insert(name.clone(), status.clone()).unwrap_or_default();
        left.extend(step_left(&name, &before, &status)?);
        promoted += usize::from(status["phase"] == "Promoted" && before["phase"] != "Promoted");
    }
    Ok(left)
}

/// The step that was left between two states.
fn step_left(route: &str, before: &Value, after: &Value) -> Result<Option<Left>> {
    let step = before["rollout"]["stepIndex"].as_i64().unwrap_or_default();
    let last = after["rollout"].is_null();
    if step == 0 || (!last && after["rollout"]["stepIndex"] == step) {
        return Ok(None);
    }
    let due = time(&before["rollout"]["nextStepNotBefore"])
        .with_context(|| format!("{route} left step {step}, which was not over"))?;
    let decided =
        time(if last { &after["history"][0]["endedAt"] } else { &after["rollout"]["lastProgressAt"] })?;
    Ok(Some(Left { route: route.to_owned(), due, decided, last }))
}

/// A time of a status.
///
/// # Errors
/// It is none.
pub fn time(value: &Value) -> Result<Timestamp> {
    Ok(value.as_str().context("a time")?.parse()?)
}

/// How long after `early` `late` was; zero when it was before.
pub fn between(early: Timestamp, late: Timestamp) -> Duration {
    Duration::try_from(late.duration_since(early)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_step_is_left_for_the_next_one_or_for_the_end() -> Result<()> {
        let rollout = |step: i64, due: Option<&str>| json!({"rollout": {"stepIndex": step, "nextStepNotBefore": due, "lastProgressAt": "2026-11-28T00:00:02.5Z"}});
        let first = rollout(1, Some("2026-11-28T00:00:02Z"));
        assert!(
            step_left("r", &rollout(0, None), &first)?.is_none(),
            "the first step is entered, none is left"
        );
        assert!(step_left("r", &first, &first)?.is_none());
        let left = step_left("r", &first, &rollout(2, None))?.context("left")?;
        assert_eq!((between(left.due, left.decided), left.last), (Duration::from_millis(500), false));
        let ended = json!({"history": [{"endedAt": "2026-11-28T00:00:03Z"}]});
        let left = step_left("r", &first, &ended)?.context("left")?;
        assert_eq!((between(left.due, left.decided), left.last), (Duration::from_secs(1), true));
        Ok(())
    }
}
