//! The operator's health, for the health pages of its process. Reads what others recorded; makes no calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use fleetmesh_health::HealthSource;
use fleetmesh_tasks::Tasks;

use crate::cache::Cache;
use crate::endpoint::EndpointAnswer;
use crate::metrics::Metrics;
use crate::queue::Queue;
use crate::tasks::Task;

/// How far an operator has come. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct OperatorProgress(Arc<AtomicU8>);

const WATCHING: u8 = 1;
const ENDED: u8 = 2;

impl OperatorProgress {
    /// Every watch has seen everything once.
    pub fn watching(&self) {
        self.0.store(WATCHING, Ordering::Release);
    }

    /// It works no more.
    pub fn ended(&self) {
        self.0.store(ENDED, Ordering::Release);
    }

    fn unready(&self) -> Option<&'static str> {
        match self.0.load(Ordering::Acquire) {
            WATCHING => None,
            ENDED => Some("the operator has ended"),
            _ => Some("the watches have not seen everything yet"),
        }
    }
}

/// What the pages show of an operator.
#[derive(Clone, Debug)]
pub struct OperatorHealth {
    /// How far it has come.
    pub progress: OperatorProgress,
    /// Whether its endpoint answers.
    pub endpoint: EndpointAnswer,
    /// The metrics.
    pub metrics: Metrics,
    /// The resources.
    pub cache: Arc<Cache>,
    /// The queue.
    pub queue: Arc<Queue>,
    /// The tasks, none of which may have fallen.
    pub tasks: Tasks<Task>,
}

impl HealthSource for OperatorHealth {
    fn name(&self) -> &'static str {
        "operator"
    }

    fn failure(&self) -> Option<String> {
        self.tasks.first_fallen().map(|fallen| fallen.to_string())
    }

    fn unready(&self) -> Option<String> {
        self.progress.unready().map(str::to_owned).or_else(|| self.endpoint.missing())
    }

    fn metrics(&self) -> String {
        self.metrics.sizes(self.queue.len(), self.cache.len());
        let routes = self.cache.canaries();
        self.metrics.rollouts.set(routes.iter().filter_map(|route| {
            Some((route.key.namespace.as_deref()?, route.key.name.as_str(), route.status.canary()))
        }));
        self.metrics.text()
    }
}
