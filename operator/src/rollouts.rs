//! What the reconciles of all rollouts share: the way to queries and webhooks, and the loads of the last moment. Nothing here is about
//! one route: what its queries and webhooks answered is in its memory ([`crate::cache`]).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fleetmesh_core::canary::ProxyReports;
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
    /// For queries and webhooks.
    pub outbound: Outbound,
    client: Option<LoadsClient>,
    loads: Mutex<HashMap<LoadWindow, Cell>>,
}

impl Rollouts {
    /// Loads come from `control_plane`; `None` when the endpoint is AWS's, which has none.
    pub fn new(control_plane: Option<ControlPlane>, outbound: Outbound) -> Self {
        let client = control_plane.map(LoadsClient::new);
        Self { outbound, client, loads: Mutex::default() }
    }

    /// What the proxies of a mesh reported in the last `window`.
    pub async fn reports(&self, mesh: &str, window: Duration) -> ProxyReports {
        let Some(client) = &self.client else { return ProxyReports::Unsupported };
        let cell = self.cell(mesh, window);
        let mut known = cell.lock().await;
        if let Some((_, reports)) = known.as_ref().filter(|known| is_fresh(known)) {
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

    /// The answer for a window of a mesh. Those that serve nobody any more are dropped.
    fn cell(&self, mesh: &str, window: Duration) -> Cell {
        let serves = |cell: &Cell| {
            let is_asked = Arc::strong_count(cell) > 1;
            is_asked || cell.try_lock().is_ok_and(|known| known.as_ref().is_some_and(is_fresh))
        };
        let mut loads = lock(&self.loads);
        loads.retain(|_, cell| serves(cell));
        Arc::clone(loads.entry((mesh.to_owned(), window)).or_default())
    }
}

/// Whether it still serves.
fn is_fresh((at, _): &(Instant, ProxyReports)) -> bool {
    at.elapsed() < FRESH
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
