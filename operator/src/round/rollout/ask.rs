//! Asks who has something to say about a rollout, beside the rounds: the answer wakes the route. One question of a kind at a
//! time for each route.

use std::sync::Arc;
use std::time::Duration;

use fleetmesh_core::canary::{Answer, Call, Outcome, Sample};
use fleetmesh_core::{Event, Object};
use fleetmesh_crds::canary::WebhookAnswer;
use jiff::Timestamp;
use tracing::debug;

use super::{prometheus, webhook};
use crate::context::Context;
use crate::queue::Wake;
use crate::rollouts::Gave;

/// How long a query may take.
const QUERY_LIMIT: Duration = Duration::from_secs(10);

/// Asks a Prometheus.
pub fn query(context: &Context, route: &Object, metric: &str, address: &str, query: &str) {
    let (metric, address, query) = (metric.to_owned(), address.to_owned(), query.to_owned());
    let what = format!("metric {metric}");
    let (rollouts, metrics) = (Arc::clone(&context.rollouts), context.metrics.rollouts.clone());
    let ask = async move {
        let at = Timestamp::now();
        let outcome = prometheus::ask(&rollouts.http, &address, &query, QUERY_LIMIT).await;
        metrics.asked("prometheus", !matches!(outcome, Outcome::Error(_)));
        Gave::Sample(Sample { metric, at, outcome })
    };
    spawn(context, route, what, ask);
}

/// Asks a webhook.
pub fn webhook(context: &Context, route: &Object, call: &Call) {
    let what = format!("webhook {}", call.webhook);
    let (rollouts, metrics) = (Arc::clone(&context.rollouts), context.metrics.rollouts.clone());
    let (call, body) = (call.clone(), webhook::body(route, call, None));
    let ask = async move {
        let (answer, detail) = webhook::ask(&rollouts.http, &call, body).await;
        metrics.asked("webhook", answer != WebhookAnswer::Error);
        let Call { webhook, rollout_id, step_index, .. } = call;
        Gave::Answer(Answer { webhook, rollout_id, step_index, at: Timestamp::now(), answer, detail })
    };
    spawn(context, route, what, ask);
}

/// Tells a webhook of an Event; its answer is nobody's concern.
pub fn notify(context: &Context, route: &Object, call: &Call, event: &Event) {
    let (rollouts, metrics) = (Arc::clone(&context.rollouts), context.metrics.rollouts.clone());
    let (call, body) = (call.clone(), webhook::body(route, call, Some(event)));
    tokio::spawn(async move {
        let (answer, detail) = webhook::ask(&rollouts.http, &call, body).await;
        metrics.asked("webhook", answer != WebhookAnswer::Error);
        debug!(webhook = call.webhook, ?answer, ?detail, "told of an Event");
    });
}

fn spawn(context: &Context, route: &Object, what: String, ask: impl Future<Output = Gave> + Send + 'static) {
    let key = route.key.clone();
    if !context.rollouts.begin(&key, &what) {
        return;
    }
    let (rollouts, queue) = (Arc::clone(&context.rollouts), Arc::clone(&context.queue));
    tokio::spawn(async move {
        rollouts.answer(&key, &what, ask.await);
        queue.wake(&key, Wake::Distribution);
    });
}
