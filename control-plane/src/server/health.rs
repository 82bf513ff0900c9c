//! How a control plane is, for the health pages of its process. Says what others wrote down.

use std::fmt;
use std::sync::{Arc, OnceLock, Weak};

use fleetmesh_health::HealthSource;
use fleetmesh_tasks::Tasks;
use tokio_util::sync::CancellationToken;

use crate::metrics::ServerMetrics;
use crate::tasks::Task;
use crate::views::Views;

/// What the pages show of a control plane.
#[derive(Clone)]
pub(super) struct ControlPlaneHealth {
    /// None of them may have fallen.
    pub(super) tasks: Tasks<Task>,
    pub(super) metrics: ServerMetrics,
    /// Gone once it has ended: the pages must not keep the store open.
    pub(super) views: Weak<dyn Views>,
    /// Cancelled once all listeners are served.
    pub(super) opened: CancellationToken,
    /// The token that stops it, once it is served.
    pub(super) stop: Arc<OnceLock<CancellationToken>>,
}

impl fmt::Debug for ControlPlaneHealth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ControlPlaneHealth").field("tasks", &self.tasks).finish_non_exhaustive()
    }
}

impl HealthSource for ControlPlaneHealth {
    fn name(&self) -> &'static str {
        "control plane"
    }

    fn failure(&self) -> Option<String> {
        self.tasks.first_fallen().map(|fallen| fallen.to_string())
    }

    fn unready(&self) -> Option<String> {
        if self.stop.get().is_some_and(CancellationToken::is_cancelled) {
            return Some("shutting down".to_owned());
        }
        (!self.opened.is_cancelled()).then(|| "the App Mesh API is not served yet".to_owned())
    }

    fn metrics(&self) -> String {
        match self.views.upgrade() {
            Some(views) => self.metrics.page(views.as_ref()),
            None => self.metrics.text(),
        }
    }
}
