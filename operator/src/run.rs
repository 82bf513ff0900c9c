//! Runs the operator: connects, watches, and works until it is told to stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fleetmesh_aws::AwsConnection;
use fleetmesh_aws::write_hook::WriteHooks;
use fleetmesh_cluster::ConnectError;
use fleetmesh_core::Settings;
use fleetmesh_core::fleet::JoinOptions;
use fleetmesh_core::iam::{RoleLimits, Rules};

use fleetmesh_model::Kind;
use fleetmesh_tasks::{Fallen, Tasks, caught};
use jiff::Timestamp;
use kube::Client;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::args::OperatorArgs;
use crate::cache::Cache;
use crate::cloud::{self, CloudEndpoint};
use crate::cluster::{self, ClusterWriter};
use crate::context::Context;
use crate::control_plane::ControlPlane;
use crate::distribution;
use crate::fleets::Fleets;
use crate::health::{self, HealthServer};
use crate::joining::{self, JoinError};
use crate::leader::{self, Election, Fence};
use crate::metrics::Metrics;
use crate::outbound::{ApiServers, Outbound, OutboundPolicy};
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

/// Why the operator cannot run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no Kubernetes cluster to connect to.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// A file of the App Mesh endpoint's cannot be used.
    #[error(transparent)]
    Endpoint(#[from] cloud::EndpointError),
    /// Instances of fleets could not join.
    #[error(transparent)]
    Join(#[from] JoinError),
    /// The address of the health pages cannot be bound.
    #[error("cannot listen on {address} (--health-listen): {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// It stopped by itself.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// Why an operator that ran stopped unasked. The process has to end.
#[derive(Debug, thiserror::Error)]
pub enum Stopped {
    /// Another operator leads now, or nobody can know.
    #[error(transparent)]
    Lost(#[from] leader::Lost),
    /// A task that has to go on is no more: part of the work would be left undone in silence.
    #[error(transparent)]
    Fallen(#[from] Fallen),
}

/// Runs until `shutdown`, then ends the reconciles under way and returns. Prints the address of the health pages as the
/// first line on standard output. An API server or endpoint that does not answer is waited for.
///
/// # Errors
/// The configuration is unusable: no cluster, or an address that is taken. Or it [`Stopped`] by itself: then the process has
/// to end, since reconciles may be under way that wait for ever to send what they must not send.
pub async fn run(args: OperatorArgs, shutdown: CancellationToken) -> Result<(), Error> {
    let (listener, bound) = health::bind(args.health_listen)
        .await
        .map_err(|source| Error::Listen { address: args.health_listen, source })?;
    announce(bound);
    let operator = Operator::connect(&args, WriteHooks::default()).await?;
    operator.serve_health(listener, &shutdown);
    Ok(operator.run(shutdown).await?)
}

/// Scripts read this line to learn the port.
#[allow(clippy::print_stdout, reason = "the contract of the command line")]
fn announce(address: SocketAddr) {
    println!("{address}");
}

/// The operator, connected and not yet running. Tests run it inside their own process, with hooks of their own.
#[derive(Debug)]
pub struct Operator {
    client: Kubernetes,
    app_mesh: cloud::AppMeshClient,
    aws: Arc<AwsConnection>,
    control_plane: Option<ControlPlane>,
    cluster_name: Option<String>,
    proxy_control_plane: Option<String>,
    join: Option<JoinOptions>,
    drift_interval: Duration,
    proxy_patience: Duration,
    policy: OutboundPolicy,
    iam: Rules,
    metrics: Metrics,
    cache: Arc<Cache>,
    queue: Arc<Queue>,
    ready: Arc<AtomicBool>,
    election: Option<Election>,
    tasks: Tasks<Task>,
}

/// kube's client has no `Debug`.
struct Kubernetes(Client);

impl std::fmt::Debug for Kubernetes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client")
    }
}

impl Operator {
    /// Connects as `args` say; `hooks` are asked before every write, and after them the leader's fence.
    ///
    /// # Errors
    /// There is no Kubernetes cluster to connect to, or a file that `args` name cannot be used.
    pub async fn connect(args: &OperatorArgs, hooks: WriteHooks) -> Result<Self, Error> {
        let join = joining::options(args)?;
        let metrics = Metrics::new();
        let (kubeconfig, context) = (args.kubeconfig.as_deref(), args.context.as_deref());
        let (election, hooks) = if args.leader_elect {
            // Its own client: the fence is opened by what the election writes.
            let client =
                cluster::connect(kubeconfig, context, metrics.clone(), WriteHooks::default()).await?;
            let fence = Arc::new(Fence::default());
            (Some(Election::new(client, args, Arc::clone(&fence))), hooks.and(fence))
        } else {
            (None, hooks)
        };
        let client = cluster::connect(kubeconfig, context, metrics.clone(), hooks.clone()).await?;
        let endpoint = CloudEndpoint {
            url: args.app_mesh_endpoint.clone(),
            ca_file: args.app_mesh_ca_file.clone(),
            access_key_file: args.app_mesh_access_key_file.clone(),
            region: args.region.clone(),
            reads: args.app_mesh_reads,
            writes: args.app_mesh_writes,
        };
        let (app_mesh, control_plane) = cloud::connect(&endpoint, metrics.clone(), hooks.clone()).await?;
        let policy = OutboundPolicy {
            direct_addresses: args.canary_direct_addresses,
            secrets: args.provider_secrets.clone(),
            api_servers: ApiServers::of(kubeconfig, context).await?,
        };
        let aws = AwsConnection::new(args.region.clone(), Arc::new(metrics.clone()), hooks);
        Ok(Self {
            client: Kubernetes(client),
            app_mesh,
            aws,
            control_plane,
            cluster_name: args.cluster_name.clone(),
            proxy_control_plane: args.proxy_control_plane.clone(),
            join,
            drift_interval: args.drift_interval,
            proxy_patience: args.proxy_patience,
            policy,
            iam: Rules { limits: role_limits(args), ..args.iam.rules() },
            metrics,
            cache: Arc::default(),
            queue: Arc::default(),
            ready: Arc::default(),
            election,
            tasks: Tasks::default(),
        })
    }

    /// What the health pages show.
    pub fn health(&self) -> HealthServer {
        HealthServer {
            ready: Arc::clone(&self.ready),
            metrics: self.metrics.clone(),
            cache: Arc::clone(&self.cache),
            queue: Arc::clone(&self.queue),
            tasks: self.tasks.clone(),
        }
    }

    /// The same operator with other `tasks`, none of which has begun: those of tests.
    pub fn with_tasks(self, tasks: Tasks<Task>) -> Self {
        Self { tasks, ..self }
    }

    /// Serves the health pages on `listener` until `shutdown`.
    pub fn serve_health(&self, listener: TcpListener, shutdown: &CancellationToken) {
        let pages = health::serve(listener, self.health(), shutdown.clone());
        self.tasks.spawn(Task::HealthPages, shutdown, async {
            if let Err(error) = pages.await {
                warn!(%error, "the health pages failed");
            }
        });
    }

    /// Works until `shutdown`, then ends the reconciles under way, at most 10 s, and lets go of the lease.
    ///
    /// # Errors
    /// The lease was lost: reconciles may be under way; none of them writes any more. Or a task has fallen, which `/livez` tells.
    pub async fn run(mut self, shutdown: CancellationToken) -> Result<(), Stopped> {
        let tasks = self.tasks.clone();
        let mut election = self.election.take();
        let metrics = self.metrics.clone();
        let start = async {
            tokio::select! {
                cluster = self.start(&shutdown) => Ok(cluster),
                fallen = tasks.fallen() => Err(fallen),
            }
        };
        if let Some(cluster) = shutdown.run_until_cancelled(start).await.transpose()? {
            let acquire = async {
                if let Some(election) = &mut election {
                    election.acquire().await;
                }
            };
            if shutdown.run_until_cancelled(acquire).await.is_some() {
                metrics.leading(true);
                self.work(cluster, &shutdown);
            }
        }
        let keep = async |election: &mut Option<Election>| match election {
            Some(election) => election.keep().await,
            None => std::future::pending().await,
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            lost = keep(&mut election) => return Err(lost.into()),
            fallen = tasks.fallen() => return Err(fallen.into()),
        }
        tokio::select! {
            ended = tasks.end(GRACE) => if !ended {
                warn!("reconciles under way took too long and were given up; the next start completes them");
            },
            lost = keep(&mut election) => return Err(lost.into()),
        }
        if let Some(election) = &mut election {
            election.release().await;
        }
        info!("stopped");
        Ok(())
    }

    /// Begins to watch; gives the name of the cluster once everything was seen.
    async fn start(&self, shutdown: &CancellationToken) -> String {
        let tasks = &self.tasks;
        let Kubernetes(client) = &self.client;
        if let Some(control_plane) = self.control_plane.clone() {
            // Until it shows that it is something else, what was given is a Fleetmesh control plane.
            self.cache.tells(true);
            let (cache, queue) = (Arc::clone(&self.cache), Arc::clone(&self.queue));
            let (metrics, stop) = (self.metrics.clone(), shutdown.clone());
            let watch = distribution::watch_meshes(control_plane, cache, queue, metrics, tasks.clone(), stop);
            tasks.spawn(Task::Polls, shutdown, watch);
        }
        let complete = cluster::watch_all(client, &self.cache, &self.queue, tasks, shutdown);
        let named = async {
            match &self.cluster_name {
                Some(name) => name.clone(),
                None => cluster::uid(client).await,
            }
        };
        let (name, ()) = tokio::join!(named, complete);
        self.ready.store(true, Ordering::Release);
        info!(resources = self.cache.len(), cluster = %name, "watching");
        name
    }

    /// Begins to work.
    fn work(self, cluster: String, shutdown: &CancellationToken) {
        self.queue.postpone(&self.cache.resting());
        let Self {
            client: Kubernetes(client),
            app_mesh,
            aws,
            control_plane,
            drift_interval,
            proxy_patience,
            policy,
            iam,
            metrics,
            tasks,
            ..
        } = self;
        let context = Arc::new(Context {
            cache: self.cache,
            queue: self.queue,
            app_mesh,
            aws,
            fleets: Fleets::new(Timestamp::now()),
            rollouts: Arc::new(Rollouts::new(Timestamp::now(), control_plane, Outbound::new(policy))),
            proxy_control_plane: self.proxy_control_plane,
            join: self.join,
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

fn role_limits(args: &OperatorArgs) -> RoleLimits {
    RoleLimits { roles: args.iam_max_roles, roles_per_namespace: args.iam_max_roles_per_namespace }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use axum::http::StatusCode;
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        operator: OperatorArgs,
    }

    /// An operator whose API server is nobody.
    async fn operator() -> Operator {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("kubeconfig");
        let config = "{apiVersion: v1, kind: Config, current-context: c, contexts: [{name: c, context: {cluster: c, user: u}}], \
            users: [{name: u, user: {}}], clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]}";
        std::fs::write(&file, config).unwrap();
        let line =
            ["operator", "--app-mesh-endpoint", "http://127.0.0.1:1", "--kubeconfig", file.to_str().unwrap()];
        let args = Line::try_parse_from(line).unwrap().operator;
        Operator::connect(&args, WriteHooks::default()).await.unwrap()
    }

    #[tokio::test]
    async fn a_task_that_is_no_more_ends_the_operator_and_shows_on_its_page() {
        let operator = operator().await;
        let (shutdown, health) = (CancellationToken::new(), operator.health());
        assert_eq!(health::live_answer(&health).0, StatusCode::OK);
        operator.tasks.spawn(Task::Meshes, &shutdown, async { panic!("what was that") });
        let ended = operator.run(shutdown).await.expect_err("an error");
        assert!(
            ended.to_string().starts_with("the task \"watch of Mesh\" panicked: what was that"),
            "{ended}"
        );
        assert_eq!(health::live_answer(&health).0, StatusCode::INTERNAL_SERVER_ERROR);
    }
}
