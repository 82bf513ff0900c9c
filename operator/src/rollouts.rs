//! What the reconciles of rollouts remember and share: loads of the last moment, what queries and webhooks answered, and which
//! of them are under way. In memory only; after a restart everything is asked anew.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fleetmesh_core::ObjectKey;
use fleetmesh_core::canary::{ProxyReports, Sample, WebhookReply};
use jiff::Timestamp;
use tokio::time::Instant;
use tracing::debug;

use crate::control_plane::ControlPlane;
use crate::loads::{LoadsClient, LoadsError};
use crate::outbound::Outbound;

/// For how long an answer about loads serves everybody who asks for the same window.
const FRESH: Duration = Duration::from_millis(500);

type LoadWindow = (String, Duration);
type Cell = Arc<tokio::sync::Mutex<Option<(Instant, ProxyReports)>>>;

/// What the reconciles of rollouts share.
#[derive(Debug)]
pub struct Rollouts {
    /// Since when this process decides without a gap.
    pub since: Timestamp,
    /// For queries and webhooks.
    pub outbound: Outbound,
    client: Option<LoadsClient>,
    loads: Mutex<HashMap<LoadWindow, Cell>>,
    asked: Mutex<HashMap<ObjectKey, RolloutAsked>>,
}

/// What was asked for one route.
#[derive(Debug, Default)]
struct RolloutAsked {
    samples: BTreeMap<String, Sample>,
    answers: BTreeMap<String, WebhookReply>,
    under_way: BTreeSet<String>,
}

/// What an asked source gave.
pub enum Gave {
    /// A query's sample.
    Sample(Sample),
    /// A webhook's answer.
    Answer(WebhookReply),
}

impl Rollouts {
    /// Nothing asked yet. Loads come from `control_plane`; `None` when the endpoint is AWS's, which has none.
    pub fn new(since: Timestamp, control_plane: Option<ControlPlane>, outbound: Outbound) -> Self {
        let client = control_plane.map(LoadsClient::new);
        Self { since, outbound, client, loads: Mutex::default(), asked: Mutex::default() }
    }

    /// What the proxies of a mesh reported in the last `window`.
    pub async fn reports(&self, mesh: &str, window: Duration) -> ProxyReports {
        let Some(client) = &self.client else { return ProxyReports::Unsupported };
        let key = (mesh.to_owned(), window);
        let cell = Arc::clone(lock(&self.loads).entry(key).or_default());
        let mut known = cell.lock().await;
        if let Some((at, reports)) = &*known
            && at.elapsed() < FRESH
        {
            return reports.clone();
        }
        let reports = match client.fetch(mesh, window).await {
            Ok(loads) => ProxyReports::Reported { at: Timestamp::now(), loads },
            Err(LoadsError::NotServed { .. }) => ProxyReports::Unsupported,
            Err(error) => {
                debug!(%error, "no loads");
                ProxyReports::Pending
            }
        };
        *known = Some((Instant::now(), reports.clone()));
        reports
    }

    /// What the route's queries and webhooks answered last.
    pub fn answered(&self, route: &ObjectKey) -> (Vec<Sample>, Vec<WebhookReply>) {
        let asked = lock(&self.asked);
        let Some(asked) = asked.get(route) else { return Default::default() };
        (asked.samples.values().cloned().collect(), asked.answers.values().cloned().collect())
    }

    /// Whether `what` may be asked for the route now; not while it is being asked already. [`Self::answer`] must follow.
    pub fn begin(&self, route: &ObjectKey, what: &str) -> bool {
        lock(&self.asked).entry(route.clone()).or_default().under_way.insert(what.to_owned())
    }

    /// What was asked has answered.
    pub fn answer(&self, route: &ObjectKey, what: &str, gave: Gave) {
        let mut asked = lock(&self.asked);
        let Some(asked) = asked.get_mut(route) else { return };
        asked.under_way.remove(what);
        match gave {
            Gave::Sample(sample) => _ = asked.samples.insert(sample.metric.clone(), sample),
            Gave::Answer(answer) => _ = asked.answers.insert(answer.webhook.clone(), answer),
        }
    }

    /// What was asked will not answer; it may be asked again.
    pub fn unanswered(&self, route: &ObjectKey, what: &str) {
        if let Some(asked) = lock(&self.asked).get_mut(route) {
            asked.under_way.remove(what);
        }
    }

    /// The route is gone.
    pub fn forget(&self, route: &ObjectKey) {
        lock(&self.asked).remove(route);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
