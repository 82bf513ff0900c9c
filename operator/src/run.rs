//! Runs an operator: watches and reconciles until it is stopped. The caller makes the clients of the two APIs that it connects.

use std::sync::Arc;
use std::time::Duration;

use fleetmesh_aws::AwsConnection;
use fleetmesh_aws::write_hook::WriteHooks;
use fleetmesh_cluster::ConnectError;
use fleetmesh_core::Settings;
use fleetmesh_health::{BoundPages, Health};
use fleetmesh_instance::user_data::{UserDataError, check_join};
use fleetmesh_model::Kind;
use fleetmesh_tasks::{Fallen, Tasks, caught};
use jiff::Timestamp;
use kube::Client;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::cache::Cache;
use crate::cloud::{self, AppMeshApi};
use crate::cluster::{self, ClusterWriter, KubernetesApi};
use crate::config::{LeaderElection, OperatorConfig};
use crate::context::Context;
use crate::control_plane::ControlPlane;
use crate::distribution;
use crate::endpoint::EndpointAnswer;
use crate::health::{OperatorHealth, OperatorProgress};
use crate::leader::{self, Election, Fence, Lost};
use crate::lone::LookOut;
use crate::metrics::Metrics;
use crate::outbound::{Outbound, OutboundPolicy};
use crate::queue::{Lane, Queue};
use crate::reconcile;
use crate::rollouts::Rollouts;
use crate::tasks::Task;

/// Reconciles under way at once. They wait for the network most of the time.
const WORKERS: usize = 32;
/// Workers beside them for urgent reconciles alone: under load a reconcile takes a second, and the end of a step should not.
const URGENT_WORKERS: usize = 32;
/// How long a stop waits for the reconciles under way.
const GRACE: Duration = Duration::from_secs(10);
/// How often RouteActions are looked through for those that name no Route.
const STRAYS: Duration = Duration::from_secs(2);

/// Why there is no operator.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no Kubernetes client.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// Instances of fleets could not join.
    #[error(transparent)]
    Join(#[from] UserDataError),
}

/// Why an operator that ran stopped unasked. Nothing of it is left.
#[derive(Debug, thiserror::Error)]
pub enum Stopped {
    /// Another operator leads now, or nobody can know.
    #[error(transparent)]
    Lost(#[from] leader::Lost),
    /// A task that has to go on is no more: part of the work would be left undone in silence.
    #[error(transparent)]
    Fallen(#[from] Fallen),
}

/// An operator that does not run yet.
#[derive(Debug)]
pub struct Operator {
    client: Kubernetes,
    app_mesh: Arc<cloud::AppMeshClient>,
    endpoint: EndpointAnswer,
    aws: Arc<AwsConnection>,
    control_plane: Option<ControlPlane>,
    config: OperatorConfig,
    policy: OutboundPolicy,
    metrics: Metrics,
    cache: Arc<Cache>,
    queue: Arc<Queue>,
    progress: OperatorProgress,
    lead: Lead,
    tasks: Tasks<Task>,
    /// The health pages, which go on when the others are cut off.
    pages: Tasks<Task>,
    health: Health,
}

/// kube's client has no `Debug`.
struct Kubernetes(Client);

impl std::fmt::Debug for Kubernetes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client")
    }
}

impl Operator {
    /// An operator that does as `config` says between two APIs. `hooks` are asked before every write, and after them the
    /// leader's fence. Nothing is called yet; it has to be made within the runtime that it runs in.
    ///
    /// # Errors
    /// The configuration is unusable.
    pub fn new(
        config: OperatorConfig,
        kubernetes: &KubernetesApi,
        app_mesh: AppMeshApi,
        hooks: WriteHooks,
    ) -> Result<Self, Error> {
        check_join(config.proxy_control_plane.as_deref(), config.join.as_ref())?;
        let metrics = Metrics::new();
        let (lead, hooks) = match config.leader_election.clone() {
            Some(election) => {
                // Its own client: the fence is opened by what the election writes.
                let client = kubernetes.client(metrics.clone(), WriteHooks::default())?;
                let fence = Arc::new(Fence::default());
                let election = Election::new(client, election, Arc::clone(&fence));
                (Lead::Elected(Box::new(election)), hooks.and(fence))
            }
            None => (Lead::Unasked, hooks),
        };
        let client = kubernetes.client(metrics.clone(), hooks.clone())?;
        let (app_mesh, control_plane) = app_mesh.connect(metrics.clone(), hooks.clone());
        let policy = OutboundPolicy {
            direct_addresses: config.direct_addresses,
            secrets: config.provider_secrets.clone(),
            api_servers: kubernetes.api_servers(),
        };
        let operator = Self {
            client: Kubernetes(client),
            app_mesh: Arc::new(app_mesh),
            endpoint: EndpointAnswer::default(),
            aws: AwsConnection::new(config.region.clone(), Arc::new(metrics.clone()), hooks),
            control_plane,
            config,
            policy,
            metrics,
            cache: Arc::default(),
            queue: Arc::default(),
            progress: OperatorProgress::default(),
            lead,
            tasks: Tasks::default(),
            pages: Tasks::default(),
            health: Health::default(),
        };
        Ok(operator.with_tasks(Tasks::default()))
    }

    /// The same operator, which does not begin beside another one that works in its cluster, and ends when it sees one. It keeps the Lease
    /// that `lease` names, by which others see it. With leader election, which does more, nothing changes.
    ///
    /// # Errors
    /// There is no Kubernetes client.
    pub fn looking_out(self, kubernetes: &KubernetesApi, lease: LeaderElection) -> Result<Self, Error> {
        let lead = match self.lead {
            Lead::Elected(election) => Lead::Elected(election),
            Lead::Unasked | Lead::Alone(_) => {
                // Not counted: these metrics show what is written for resources.
                let client = kubernetes.client(Metrics::new(), WriteHooks::default())?;
                Lead::Alone(Box::new(LookOut::new(client, lease)))
            }
        };
        Ok(Self { lead, ..self })
    }

    /// The same operator with other `tasks`, none of which has begun: those of tests.
    #[must_use]
    pub fn with_tasks(self, tasks: Tasks<Task>) -> Self {
        let pages = tasks.apart();
        let health = self.health.clone();
        Self { tasks, pages, ..self }.with_health(health)
    }

    /// The same operator, which shows how it is in `health` beside what else its process runs.
    #[must_use]
    pub fn with_health(self, health: Health) -> Self {
        health.add(Arc::new(OperatorHealth {
            progress: self.progress.clone(),
            endpoint: self.endpoint.clone(),
            metrics: self.metrics.clone(),
            cache: Arc::clone(&self.cache),
            queue: Arc::clone(&self.queue),
            tasks: self.tasks.clone(),
        }));
        Self { health, ..self }
    }

    /// Serves the health pages of the process until `shutdown`, also after [`Self::run`] has ended with an error.
    pub fn serve_health(&self, pages: BoundPages, shutdown: &CancellationToken) {
        let pages = pages.serve(self.health.clone(), shutdown.clone());
        self.pages.spawn(Task::HealthPages, shutdown, async {
            if let Err(error) = pages.await {
                warn!(%error, "the health pages failed");
            }
        });
    }

    /// Works until `shutdown`, then ends the reconciles under way, at most 10 s, and lets go of the lease. Once it has returned
    /// nothing of it goes on, but for the health pages after an error; the same when it is dropped.
    ///
    /// # Errors
    /// The lease was lost, or a task has failed, which `/livez` shows. What was under way was cut off: the next operator
    /// completes it.
    pub async fn run(mut self, shutdown: CancellationToken) -> Result<(), Stopped> {
        let (tasks, pages) = (self.tasks.clone(), self.pages.clone());
        let (metrics, progress) = (self.metrics.clone(), self.progress.clone());
        let _guard = tasks.cut_off_on_drop();
        let mut lead = std::mem::take(&mut self.lead);
        let ended = self.until_stopped(&mut lead, shutdown).await;
        match ended {
            Ok(()) => lead.release().await,
            Err(_) => lead.close(),
        }
        if ended.is_err() {
            // A write that came to the fence too late would wait for ever.
            tasks.end(Duration::ZERO).await;
        } else {
            pages.end(GRACE).await;
            info!("stopped");
        }
        metrics.leading(false);
        progress.ended();
        ended
    }

    /// Works until `shutdown`, then ends the reconciles under way.
    async fn until_stopped(self, lead: &mut Lead, shutdown: CancellationToken) -> Result<(), Stopped> {
        let tasks = self.tasks.clone();
        let metrics = self.metrics.clone();
        let start = async {
            tokio::select! {
                cluster = self.start(&shutdown) => Ok(cluster),
                fallen = tasks.fallen() => Err(fallen),
            }
        };
        if let Some(cluster) = shutdown.run_until_cancelled(start).await.transpose()?
            && let Some(acquired) = shutdown.run_until_cancelled(lead.acquire()).await
        {
            acquired?;
            metrics.leading(true);
            self.work(cluster, &shutdown);
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            lost = lead.keep() => return Err(lost.into()),
            fallen = tasks.fallen() => return Err(fallen.into()),
        }
        tokio::select! {
            ended = tasks.end(GRACE) => if !ended {
                warn!("reconciles in progress took too long and were aborted; the next start completes them");
            },
            lost = lead.keep() => return Err(lost.into()),
        }
        Ok(())
    }

    /// Begins to watch; gives the name of the cluster once everything was seen.
    async fn start(&self, shutdown: &CancellationToken) -> String {
        let tasks = &self.tasks;
        let Kubernetes(client) = &self.client;
        if let Some(control_plane) = self.control_plane.clone() {
            // Until it shows that it is something else, what was given is a Fleetmesh control plane.
            self.cache.supports_distribution(true);
            let (cache, queue) = (Arc::clone(&self.cache), Arc::clone(&self.queue));
            let (metrics, stop) = (self.metrics.clone(), shutdown.clone());
            let watch = distribution::watch_meshes(control_plane, cache, queue, metrics, tasks.clone(), stop);
            tasks.spawn(Task::Polls, shutdown, watch);
        }
        let look = self.endpoint.clone().look(Arc::clone(&self.app_mesh));
        tasks.spawn_until(Task::Endpoint, shutdown, look);
        let complete = cluster::watch_all(client, &self.cache, &self.queue, tasks, shutdown);
        let named = async {
            match &self.config.cluster_name {
                Some(name) => name.clone(),
                None => cluster::uid(client).await,
            }
        };
        let (name, ()) = tokio::join!(named, complete);
        self.progress.watching();
        info!(resources = self.cache.len(), cluster = %name, "watching");
        name
    }

    /// Begins to work.
    fn work(self, cluster: String, shutdown: &CancellationToken) {
        let since = Timestamp::now();
        self.cache.count_launches(since);
        self.queue.postpone(&self.cache.resting());
        let Self {
            client: Kubernetes(client),
            app_mesh,
            aws,
            control_plane,
            config,
            policy,
            metrics,
            tasks,
            ..
        } = self;
        let OperatorConfig { drift_interval, proxy_patience, proxy_control_plane, join, iam, .. } = config;
        let context = Arc::new(Context {
            cache: self.cache,
            queue: self.queue,
            app_mesh,
            aws,
            since,
            rollouts: Arc::new(Rollouts::new(control_plane, Outbound::new(policy))),
            proxy_control_plane,
            join,
            cluster: ClusterWriter::new(client, std::env::var("HOSTNAME").ok()),
            settings: Settings { cluster, drift_interval, proxy_patience, iam },
            metrics,
        });
        let strays = refuse_strays(Arc::clone(&context));
        tasks.spawn_until(Task::Strays, shutdown, strays);
        for _ in 0..WORKERS {
            tasks.spawn(Task::Worker, shutdown, work(Arc::clone(&context), Lane::All, shutdown.clone()));
        }
        for _ in 0..URGENT_WORKERS {
            let work = work(Arc::clone(&context), Lane::Urgent, shutdown.clone());
            tasks.spawn(Task::UrgentWorker, shutdown, work);
        }
    }
}

/// By what an operator leads.
#[derive(Debug, Default)]
enum Lead {
    /// An election.
    Elected(Box<Election>),
    /// That it sees nobody else work.
    Alone(Box<LookOut>),
    /// Nothing.
    #[default]
    Unasked,
}

impl Lead {
    /// Waits until it leads.
    async fn acquire(&mut self) -> Result<(), Lost> {
        match self {
            Self::Elected(election) => election.acquire().await,
            Self::Alone(look_out) => look_out.until_alone().await?,
            Self::Unasked => {}
        }
        Ok(())
    }

    /// Goes on until it does not lead any more.
    async fn keep(&mut self) -> Lost {
        match self {
            Self::Elected(election) => election.keep().await,
            Self::Alone(look_out) => look_out.until_in_company().await,
            Self::Unasked => std::future::pending().await,
        }
    }

    /// Lets another one lead at once.
    async fn release(&mut self) {
        match self {
            Self::Elected(election) => election.release().await,
            Self::Alone(look_out) => look_out.release().await,
            Self::Unasked => {}
        }
    }

    /// From now on nothing is written.
    fn close(&self) {
        if let Self::Elected(election) = self {
            election.close();
        }
    }
}

/// Takes one object after another from the queue. A reconcile that has begun is ended.
async fn work(context: Arc<Context>, lane: Lane, shutdown: CancellationToken) {
    while let Some((key, trigger)) = shutdown.run_until_cancelled(context.queue.next(lane)).await {
        let next = reconcile::run(&context, &key, trigger).await;
        context.queue.done(&key, next);
    }
}

/// Answers RouteActions that name no Route; a Route that was applied together with them gets the time to arrive.
async fn refuse_strays(context: Arc<Context>) {
    let mut looks = tokio::time::interval(STRAYS);
    loop {
        looks.tick().await;
        let strays = context.cache.stray_actions();
        looks.tick().await;
        // The next look sees the same ones again.
        if let Err(panic) = caught(reconcile::refuse_strays(&context, strays)).await {
            context.metrics.panicked(Kind::Route);
            error!(%panic, "answering RouteActions panicked: this is a fault of Fleetmesh");
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use super::*;

    /// An operator whose API servers are nobody.
    fn operator() -> Operator {
        let nobody = tower::service_fn(async |_: http::Request<kube::client::Body>| {
            Err::<http::Response<kube::client::Body>, _>(std::io::Error::other("nobody"))
        });
        let kubernetes = KubernetesApi::new(Client::new(nobody, "default"));
        let config = aws_sdk_appmesh::Config::builder().behavior_version_latest();
        let app_mesh = AppMeshApi::new(aws_sdk_appmesh::Client::from_conf(config.build()));
        Operator::new(OperatorConfig::default(), &kubernetes, app_mesh, WriteHooks::default()).unwrap()
    }

    #[tokio::test]
    async fn a_task_that_is_no_more_ends_the_operator_and_shows_on_its_page() {
        let operator = operator();
        let (shutdown, health) = (CancellationToken::new(), operator.health.clone());
        assert_eq!(health.live().0.as_u16(), 200);
        operator.tasks.spawn(Task::Meshes, &shutdown, async { panic!("what was that") });
        let ended = operator.run(shutdown).await.expect_err("an error");
        assert!(
            ended.to_string().starts_with("the task \"watch of Mesh\" panicked: what was that"),
            "{ended}"
        );
        assert_eq!(health.live().0.as_u16(), 500);
        assert_eq!(health.ready().1, "the operator has ended\n");
    }
}
