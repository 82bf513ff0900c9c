//! Runs the control plane: binds, loads, serves, and stops gracefully. The shell that puts the parts together; it
//! decides nothing about meshes.

mod http;
mod parts;
#[cfg(test)]
mod tests;

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use fleetmesh_tasks::{Fallen, Tasks};
use jiff::Timestamp;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::ads;
use crate::args::ControlPlaneArgs;
use crate::cloud_map;
use crate::join::{self, Denied, Instances, Joining};
use crate::keys::{Keys, LoadError};
use crate::listen::{Bound, Bounds, Listen, ListenError};
use crate::metrics::ServerMetrics;
use crate::reload::FileError;
use crate::serving::{self, Hosts, Limits};
use crate::sigv4::{AheadError, Audience, Bodies, Proofs, Replays, SignatureGuard};
use crate::store::{OpenError, SqliteStore, Store};
use crate::tasks::Task;
use crate::tls::{Purpose, Tls};
use crate::view::Views;
use http::Routers;

/// How long requests and streams under way may take to end after a stop was asked for.
const GRACE: Duration = Duration::from_secs(10);

/// How often the age of the keys of versions is looked at.
const LOOK_AT_KEYS: Duration = Duration::from_secs(3600);

/// How often client tokens that are over are looked for.
const LOOK_AT_TOKENS: Duration = Duration::from_secs(60);

/// The control plane could not start, or stopped by itself. Each message is one line that names what failed and the
/// way out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A listener.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// A file of TLS.
    #[error(transparent)]
    Tls(#[from] FileError),
    /// The address of STS.
    #[error("--sts-endpoint: {0}")]
    Sts(String),
    /// There is nobody who asks EC2.
    #[error("--verify-instances: this program was built without EC2's client (the feature `operator`)")]
    Verify,
    /// The access keys.
    #[error(transparent)]
    Keys(#[from] LoadError),
    /// The store.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// What is known of signatures that were used.
    #[error(transparent)]
    Signatures(#[from] AheadError),
    /// The addresses could not be printed.
    #[error("cannot print the addresses on standard output: {0}")]
    Print(io::Error),
    /// A task that has to go on is no more.
    #[error(transparent)]
    Fallen(#[from] Fallen),
    /// A fault of this program.
    #[error("internal error: {0}")]
    Internal(String),
}

/// Runs the control plane until `shutdown`, then ends what is under way and returns. `instances` asks EC2, where
/// [`ControlPlaneArgs::verify_instances`] says so.
///
/// Listeners are bound before the store is loaded, so whoever connects early waits; nothing is answered, and no address
/// is printed, before all of the store is in memory. Proxies are served at once then; an API for other hosts begins with the
/// next full second.
///
/// # Errors
/// See [`Error`]. Nothing that was stored is lost.
pub async fn run(
    args: ControlPlaneArgs,
    instances: Option<Arc<dyn Instances>>,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    run_with(args, instances, Tasks::default(), shutdown).await
}

/// [`run`] with these `tasks`, none of which has begun.
async fn run_with(
    args: ControlPlaneArgs,
    instances: Option<Arc<dyn Instances>>,
    tasks: Tasks<Task>,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    open_as_many_files_as_allowed();
    let tls = args.tls_files().map(|files| Tls::load(files, args.identity())).transpose()?;
    let binding = async |listens: &[Listen], purpose| bind(listens, purpose, tls.as_ref(), args.bounds).await;
    let rest = binding(&args.listen, Purpose::Api).await?;
    let ads = binding(&args.ads_listen, Purpose::Proxies).await?;
    let join = binding(&args.join_listen, Purpose::Join).await?;
    let addresses: Vec<String> = rest.iter().chain(&ads).chain(&join).map(Bound::address).collect();
    let is_new = !SqliteStore::exists(&args.data_dir);
    let store = parts::open(&args).await?;
    let denied = args.denied_instances.clone().map(Denied::read).transpose()?.unwrap_or_default();
    let told = parts::told(&args, Arc::clone(&store) as _);
    let api = HttpServers {
        open: http::health(shutdown.clone(), tasks.clone())
            .merge(told.metrics.router(Arc::clone(&store) as _)),
        guarded: parts::guarded(&args, &store, &told, &shutdown)?,
        joining: parts::joining(
            &args,
            Arc::clone(&store),
            parts::verifier(&args, instances)?,
            denied.clone(),
        )?,
        keys: parts::keys(&args, &rest).await?,
        audience: Arc::new(Audience::new(&args.identity.region, &args.api_hosts, tls.clone())),
        metrics: told.metrics.clone(),
    };
    let exposed = rest.iter().any(Bound::is_exposed);

    serve_proxies(&args, store, ads, denied, told, &tasks, &shutdown).await;
    if let Some(tls) = tls {
        tasks.spawn(Task::Certificates, &shutdown, tls.follow(shutdown.clone()));
    }
    let replays = tokio::select! {
        replays = parts::replays(&args.data_dir, is_new, exposed) => replays,
        ended = supervise(&tasks, shutdown.clone()) => return ended,
    };
    let served = replays.and_then(|replays| {
        print_addresses(&addresses).map_err(Error::Print)?;
        api.serve(&args, replays, rest, join, &tasks, &shutdown);
        Ok(())
    });
    if served.is_err() {
        shutdown.cancel();
    }
    supervise(&tasks, shutdown).await.and(served)
}

async fn bind(
    listens: &[Listen],
    purpose: Purpose,
    tls: Option<&Tls>,
    bounds: Bounds,
) -> Result<Vec<Bound>, ListenError> {
    let mut bound = Vec::with_capacity(listens.len());
    for listen in listens {
        bound.push(listen.bind(purpose, tls, bounds).await?);
    }
    Ok(bound)
}

fn print_addresses(addresses: &[String]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for address in addresses {
        writeln!(out, "{address}")?;
    }
    out.flush()
}

/// Starts all that proxies need.
async fn serve_proxies(
    args: &ControlPlaneArgs,
    store: Arc<dyn Store>,
    listeners: Vec<Bound>,
    denied: Denied,
    told: ads::ProxyBooks,
    tasks: &Tasks<Task>,
    shutdown: &CancellationToken,
) {
    let views: Arc<dyn Views> = Arc::clone(&store) as _;
    let settings = ads::AdsSettings { denied: denied.clone(), ..parts::settings(args) };
    let known = watch::Sender::new(cloud_map::remembered(&args.data_dir).await);
    let discovered = known.subscribe();
    let metrics = told.metrics.clone();
    let discovering = parts::discover(Arc::clone(&views), args, known, metrics, shutdown.clone());
    let kept = Arc::clone(&store);
    tasks.spawn_until(Task::Store, shutdown, async move { kept.ended().await });
    tasks.spawn(Task::VersionKeys, shutdown, renew_keys(Arc::clone(&store), shutdown.clone()));
    tasks.spawn(Task::ClientTokens, shutdown, forget_tokens(store, shutdown.clone()));
    tasks.spawn(Task::DeniedInstances, shutdown, denied.follow(shutdown.clone()));
    tasks.spawn(Task::CloudMap, shutdown, discovering);
    ads::serve(views, discovered, settings, listeners, told, tasks, shutdown);
}

/// What is served over HTTP: App Mesh's API with what goes with it, and joining.
struct HttpServers {
    /// To everybody.
    open: Router,
    /// To callers of this host, and to others who sign their requests.
    guarded: Router,
    joining: Option<Joining>,
    /// Of those who sign; absent when there is no listener for others.
    keys: Option<Arc<Keys>>,
    audience: Arc<Audience>,
    metrics: ServerMetrics,
}

impl HttpServers {
    /// Starts all of it.
    fn serve(
        self,
        args: &ControlPlaneArgs,
        replays: Replays,
        api: Vec<Bound>,
        join: Vec<Bound>,
        tasks: &Tasks<Task>,
        shutdown: &CancellationToken,
    ) {
        let Self { open, guarded, joining, keys, audience, metrics } = self;
        if let Some(keys) = keys.clone() {
            let (data_dir, file, stop) =
                (args.data_dir.clone(), args.access_keys_file.clone(), shutdown.clone());
            let follow = async move { keys.follow(data_dir, file, stop).await };
            tasks.spawn(Task::AccessKeys, shutdown, follow);
        }
        let guard = keys.map(|keys| SignatureGuard {
            keys,
            audience,
            replays,
            proofs: Proofs::default(),
            bodies: Bodies::default(),
        });
        let routers = Routers { open, guarded, guard };
        for listener in api {
            let (router, hosts) = (routers.of(&listener), http::hosts(&listener, &args.allowed_hosts));
            let served = serving::serve(listener, router, Limits::API, hosts, shutdown.clone());
            tasks.spawn(Task::Api, shutdown, served);
        }
        let Some(joining) = joining.map(Arc::new) else { return };
        for listener in join {
            let router = join::http::router(Arc::clone(&joining), metrics.clone());
            // What is asked for is proved by STS, whatever host was meant.
            let served = serving::serve(listener, router, Limits::JOIN, Hosts::Any, shutdown.clone());
            tasks.spawn(Task::Joining, shutdown, served);
        }
    }
}

/// Waits until a stop is asked for or a task falls, which stops the others; then until all are done, at most [`GRACE`].
pub(crate) async fn supervise(tasks: &Tasks<Task>, shutdown: CancellationToken) -> Result<(), Error> {
    tokio::select! {
        () = shutdown.cancelled() => {}
        _ = tasks.fallen() => {}
    }
    shutdown.cancel();
    if !tasks.end(GRACE).await {
        tracing::warn!(seconds = GRACE.as_secs(), "what was still under way was cut off");
    }
    tasks.first_fallen().map_or(Ok(()), |fallen| Err(fallen.into()))
}

/// Has the keys of versions renewed when their time has come, until `shutdown`.
async fn renew_keys(store: Arc<dyn Store>, shutdown: CancellationToken) {
    let mut looks = tokio::time::interval(LOOK_AT_KEYS);
    while shutdown.run_until_cancelled(looks.tick()).await.is_some() {
        // The store logs why it could not; the next look tries again.
        let _ = store.renew_keys(Timestamp::now()).await;
    }
}

/// Has client tokens that are over forgotten, until `shutdown`. Between two pieces the store does what else it was asked.
async fn forget_tokens(store: Arc<dyn Store>, shutdown: CancellationToken) {
    let mut looks = tokio::time::interval(LOOK_AT_TOKENS);
    while shutdown.run_until_cancelled(looks.tick()).await.is_some() {
        // The store logs why it could not; the next look tries again.
        while matches!(store.forget_tokens(Timestamp::now()).await, Ok(true)) && !shutdown.is_cancelled() {}
    }
}

/// Each connection is a file, and the usual 1,024 are few for a fleet that connects again; what the system allows at most is
/// more.
fn open_as_many_files_as_allowed() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}
