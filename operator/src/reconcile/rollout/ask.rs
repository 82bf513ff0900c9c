//! Asks who has something to say about a rollout, beside the reconciles: the answer triggers the route. One question of a kind at a
//! time for each route; how many at once in all, [`crate::outbound`] says.

use std::sync::Arc;
use std::time::Duration;

use fleetmesh_core::canary::{AskOutcome, Destination, Sample, WebhookCall, WebhookReply};
use fleetmesh_core::{Event, Object};
use fleetmesh_crds::canary::WebhookAnswer;
use jiff::Timestamp;
use tracing::debug;

use super::{prometheus, webhook};
use crate::cache::{Cache, Gave, MemoryKey};
use crate::context::Context;
use crate::outbound::{self, OutboundFailure, Question};
use crate::queue::Trigger;
use crate::reconcile::panicked::guarded;
use crate::rollouts::Rollouts;

/// How long a query may take.
const QUERY_LIMIT: Duration = Duration::from_secs(10);

/// Who asks for a route.
struct Asking {
    cache: Arc<Cache>,
    rollouts: Arc<Rollouts>,
    namespace: String,
}

impl Asking {
    fn of(context: &Context, route: &Object) -> Self {
        let namespace = route.key.namespace.clone().unwrap_or_default();
        Self { cache: Arc::clone(&context.cache), rollouts: Arc::clone(&context.rollouts), namespace }
    }

    async fn query(
        &self,
        at: &Destination,
        query: &str,
    ) -> Result<outbound::ExchangeAnswer, OutboundFailure> {
        let outbound = &self.rollouts.outbound;
        let place = outbound.metrics(&self.cache, &self.namespace, at).await?;
        outbound.ask(&self.namespace, place, Question::Get(prometheus::target(query)), QUERY_LIMIT).await
    }

    async fn call(
        &self,
        call: &WebhookCall,
        body: String,
    ) -> Result<outbound::ExchangeAnswer, OutboundFailure> {
        let outbound = &self.rollouts.outbound;
        let place = outbound.webhook(&self.cache, &self.namespace, &call.at).await?;
        outbound.ask(&self.namespace, place, Question::Post(body), call.timeout).await
    }
}

/// Asks a Prometheus.
pub fn query(context: &Context, route: &Object, metric: &str, at: &Destination, query: &str) {
    let (metric, destination, query) = (metric.to_owned(), at.clone(), query.to_owned());
    let what = format!("metric {metric}");
    let (asking, metrics) = (Asking::of(context, route), context.metrics.rollouts.clone());
    let ask = async move {
        let at = Timestamp::now();
        let outcome = prometheus::outcome(asking.query(&destination, &query).await);
        metrics.asked("prometheus", !matches!(outcome, AskOutcome::Error(_)));
        Gave::Sample(Sample { metric, at, outcome })
    };
    spawn(context, route, what, ask);
}

/// Asks a webhook.
pub fn webhook(context: &Context, route: &Object, call: &WebhookCall) {
    let what = format!("webhook {}", call.webhook);
    let (asking, metrics) = (Asking::of(context, route), context.metrics.rollouts.clone());
    let (call, body) = (call.clone(), webhook::body(route, call, None).to_string());
    let ask = async move {
        let (answer, detail) = webhook::answer(asking.call(&call, body).await);
        metrics.asked("webhook", answer != WebhookAnswer::Error);
        let WebhookCall { webhook, rollout_id, step_index, .. } = call;
        Gave::Answer(WebhookReply { webhook, rollout_id, step_index, at: Timestamp::now(), answer, detail })
    };
    spawn(context, route, what, ask);
}

/// Notifies a webhook of an Event; its answer is nobody's concern.
pub fn notify(context: &Context, route: &Object, call: &WebhookCall, event: &Event) {
    let (asking, metrics) = (Asking::of(context, route), context.metrics.rollouts.clone());
    let (call, body) = (call.clone(), webhook::body(route, call, Some(event)).to_string());
    let (key, panics) = (route.key.clone(), context.metrics.clone());
    let notification = async move {
        let (answer, detail) = webhook::answer(asking.call(&call, body).await);
        metrics.asked("webhook", answer != WebhookAnswer::Error);
        debug!(webhook = call.webhook, ?answer, ?detail, "notified of an Event");
    };
    tokio::spawn(async move { guarded(&panics, &key, "notifying a webhook", notification).await });
}

fn spawn(context: &Context, route: &Object, what: String, ask: impl Future<Output = Gave> + Send + 'static) {
    let (key, memory) = (route.key.clone(), MemoryKey::from(route));
    if !context.cache.begin_to_ask(&memory, &what) {
        return;
    }
    let (cache, queue) = (Arc::clone(&context.cache), Arc::clone(&context.queue));
    let metrics = context.metrics.clone();
    tokio::spawn(async move {
        match guarded(&metrics, &key, &format!("asking {what}"), ask).await {
            Some(gave) => cache.answer(&memory, &what, gave),
            None => cache.unanswered(&memory, &what),
        }
        queue.trigger(&key, Trigger::Distribution);
    });
}
