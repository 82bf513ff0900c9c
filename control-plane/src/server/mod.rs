//! Runs a control plane: binds, loads, serves, and stops gracefully. The shell that puts the parts together; it
//! decides nothing about meshes, reads no command line and prints nothing.

mod health;
mod http;
mod parts;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use fleetmesh_health::Health;
use fleetmesh_mesh::cloud_map::Discovered;
use fleetmesh_mesh::store::OpenError;
use fleetmesh_tasks::{Fallen, Tasks};
use jiff::Timestamp;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::accounts::Accounts;
use crate::ads;
use crate::config::ControlPlaneConfig;
use crate::join::{self, Denied, Joining};
use crate::keys::{Keys, LoadError};
use crate::listen::{BoundListener, Bounds, Listen, ListenError};
use crate::metrics::ServerMetrics;
use crate::reload::FileError;
use crate::serving::{self, Hosts, Limits};
use crate::sigv4::{AheadError, Audience, Bodies, LocalKeys, Proofs, Replays, SignatureGuard};
use crate::store::{SqliteStore, Store};
use crate::tasks::Task;
use crate::tls::{Purpose, Tls};
use crate::views::Views;
use crate::{authorities, cloud_map};
use health::ControlPlaneHealth;
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
    /// The access keys.
    #[error(transparent)]
    Keys(#[from] LoadError),
    /// The store.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// What is known of signatures that were used.
    #[error(transparent)]
    Signatures(#[from] AheadError),
    /// A task that has to go on is no more.
    #[error(transparent)]
    Fallen(#[from] Fallen),
    /// A fault of this program.
    #[error("internal error: {0}")]
    Internal(String),
}

/// The addresses that listeners took, as [`Listen`] reads them: `HOST:PORT` or `unix:PATH`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// Of the App Mesh API, and of the health pages.
    pub api: Vec<String>,
    /// Of configuration for proxies.
    pub ads: Vec<String>,
    /// Where instances join.
    pub join: Vec<String>,
}

impl Addresses {
    /// All of them, the App Mesh API's first.
    pub fn all(&self) -> impl Iterator<Item = &str> {
        self.api.iter().chain(&self.ads).chain(&self.join).map(String::as_str)
    }
}

/// A control plane that has taken its addresses and loaded its store, and serves nothing yet: connections wait.
pub struct Bound {
    /// What it took.
    pub addresses: Addresses,
    config: ControlPlaneConfig,
    api: Vec<BoundListener>,
    ads: Vec<BoundListener>,
    join: Vec<BoundListener>,
    tls: Option<Tls>,
    store: Arc<dyn Store>,
    is_new: bool,
    accounts: Accounts,
    denied: Denied,
    joining: Option<Joining>,
    keys: Option<Arc<Keys>>,
    books: ads::ProxyBooks,
    tasks: Tasks<Task>,
    health: Health,
    opened: CancellationToken,
    stop: Arc<OnceLock<CancellationToken>>,
}

impl fmt::Debug for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bound").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

/// Binds the listeners, then loads the store: whoever connects early waits, and nothing is answered before all of the store
/// is in memory.
///
/// # Errors
/// See [`Error`]. Nothing that was stored is lost.
pub async fn bind(config: ControlPlaneConfig) -> Result<Bound, Error> {
    let tls = config.tls.clone().map(|files| Tls::load(files, config.identity.clone())).transpose()?;
    let binding =
        async |listens: &[Listen], purpose| listeners(listens, purpose, tls.as_ref(), config.bounds).await;
    let api = binding(&config.listen, Purpose::Api).await?;
    let ads = binding(&config.ads_listen, Purpose::Proxies).await?;
    let join = match &config.joining {
        Some(joining) => binding(&joining.listen, Purpose::Join).await?,
        None => Vec::new(),
    };
    let of = |listeners: &[BoundListener]| listeners.iter().map(BoundListener::address).collect();
    let addresses = Addresses { api: of(&api), ads: of(&ads), join: of(&join) };
    let is_new = !SqliteStore::exists(&config.data_dir);
    let store = parts::open(&config).await?;
    let denied = config.denied_instances.clone().map(Denied::read).transpose()?.unwrap_or_default();
    let accounts = parts::accounts(&config)?;
    let bound = Bound {
        addresses,
        joining: parts::joining(&config, Arc::clone(&store), accounts.clone(), denied.clone())?,
        keys: parts::keys(&config, &api, &accounts).await?,
        books: parts::books(&config, Arc::clone(&store) as _),
        config,
        api,
        ads,
        join,
        tls,
        store,
        is_new,
        accounts,
        denied,
        tasks: Tasks::default(),
        health: Health::default(),
        opened: CancellationToken::new(),
        stop: Arc::default(),
    };
    Ok(bound.with_health(Health::default()))
}

impl Bound {
    /// The same control plane, which shows how it is in `health` beside what else its process runs: its listeners of the App
    /// Mesh API serve the pages of all that.
    #[must_use]
    pub fn with_health(self, health: Health) -> Self {
        let views: Arc<dyn Views> = Arc::clone(&self.store) as _;
        health.add(Arc::new(ControlPlaneHealth {
            tasks: self.tasks.clone(),
            metrics: self.books.metrics.clone(),
            views: Arc::downgrade(&views),
            opened: self.opened.clone(),
            stop: Arc::clone(&self.stop),
        }));
        Self { health, ..self }
    }

    /// The same control plane with these `tasks`, none of which has begun.
    #[cfg(test)]
    fn with_tasks(self, tasks: Tasks<Task>) -> Self {
        let health = self.health.clone();
        Self { tasks, ..self }.with_health(health)
    }

    /// Awaits that everything is served, once [`Self::serve`] is under way. Proxies are served at once then; an API for other
    /// hosts begins with the next full second.
    pub fn opened(&self) -> impl Future<Output = ()> + use<> {
        self.opened.clone().cancelled_owned()
    }

    /// Serves until `shutdown`, then ends what is under way and returns. It does not cancel `shutdown` itself. Nothing of it goes
    /// on once it has returned, or is dropped.
    ///
    /// # Errors
    /// See [`Error`]. Nothing that was stored is lost.
    pub async fn serve(self, shutdown: CancellationToken) -> Result<(), Error> {
        let shutdown = shutdown.child_token();
        let Self {
            config, api, ads, join, tls, store, is_new, accounts, denied, joining, keys, books, ..
        } = self;
        let (tasks, health, opened) = (self.tasks, self.health, self.opened);
        let _ = self.stop.set(shutdown.clone());
        let _guard = tasks.cut_off_on_drop();
        let exposed = api.iter().any(BoundListener::is_exposed);
        let known = cloud_map::remembered(&config.data_dir).await;
        let known = watch::Sender::new(authorities::remember(&config.data_dir, known).await);
        let servers = HttpServers {
            open: health.router(),
            guarded: parts::guarded(&config, &store, &books, &accounts, known.subscribe(), &shutdown)?,
            joining,
            keys,
            accounts: accounts.clone(),
            audience: Arc::new(Audience::new(&config.identity.region, &config.api_hosts, tls.clone())),
            metrics: books.metrics.clone(),
        };
        ProxyServer { store, accounts, denied, books, known }.serve(&config, ads, &tasks, &shutdown);
        if let Some(tls) = tls {
            tasks.spawn(Task::Certificates, &shutdown, tls.follow(shutdown.clone()));
        }
        let replays = tokio::select! {
            replays = parts::replays(&config.data_dir, is_new, exposed) => replays,
            ended = supervise(&tasks, shutdown.clone()) => return ended,
        };
        let served = replays.map(|replays| {
            servers.serve(&config, replays, api, join, &tasks, &shutdown);
            opened.cancel();
        });
        if served.is_err() {
            shutdown.cancel();
        }
        supervise(&tasks, shutdown).await.and(served)
    }
}

async fn listeners(
    listens: &[Listen],
    purpose: Purpose,
    tls: Option<&Tls>,
    bounds: Bounds,
) -> Result<Vec<BoundListener>, ListenError> {
    let mut bound = Vec::with_capacity(listens.len());
    for listen in listens {
        bound.push(listen.bind(purpose, tls, bounds).await?);
    }
    Ok(bound)
}

/// What proxies are served from.
struct ProxyServer {
    store: Arc<dyn Store>,
    accounts: Accounts,
    denied: Denied,
    books: ads::ProxyBooks,
    /// What AWS says of instances and authorities.
    known: watch::Sender<Discovered>,
}

impl ProxyServer {
    /// Starts all that proxies need.
    fn serve(
        self,
        config: &ControlPlaneConfig,
        listeners: Vec<BoundListener>,
        tasks: &Tasks<Task>,
        shutdown: &CancellationToken,
    ) {
        let Self { store, accounts, denied, books, known } = self;
        let views: Arc<dyn Views> = Arc::clone(&store) as _;
        let settings = ads::AdsSettings {
            denied: denied.clone(),
            accounts: accounts.clone(),
            ..parts::settings(config)
        };
        let discovered = known.subscribe();
        let metrics = || books.metrics.clone();
        let reading =
            parts::read_authorities(Arc::clone(&views), config, known.clone(), metrics(), shutdown.clone());
        let discovering = parts::discover(Arc::clone(&views), config, known, metrics(), shutdown.clone());
        let kept = Arc::clone(&store);
        tasks.spawn_until(Task::Store, shutdown, async move { kept.ended().await });
        tasks.spawn(Task::VersionKeys, shutdown, renew_keys(Arc::clone(&store), shutdown.clone()));
        tasks.spawn(Task::ClientTokens, shutdown, forget_tokens(store, shutdown.clone()));
        tasks.spawn(Task::MeshShares, shutdown, accounts.follow(shutdown.clone()));
        tasks.spawn(Task::DeniedInstances, shutdown, denied.follow(shutdown.clone()));
        tasks.spawn(Task::CloudMap, shutdown, discovering);
        tasks.spawn(Task::Authorities, shutdown, reading);
        ads::serve(views, discovered, settings, listeners, books, tasks, shutdown);
    }
}

/// What is served over HTTP: App Mesh's API with what goes with it, and joining.
struct HttpServers {
    /// To everybody.
    open: Router,
    /// To callers of this host, and to others who sign their requests.
    guarded: Router,
    joining: Option<Joining>,
    /// Of those who sign; absent when there is no listener for others, and one account alone.
    keys: Option<Arc<Keys>>,
    accounts: Accounts,
    audience: Arc<Audience>,
    metrics: ServerMetrics,
}

impl HttpServers {
    /// Starts all of it.
    fn serve(
        self,
        config: &ControlPlaneConfig,
        replays: Replays,
        api: Vec<BoundListener>,
        join: Vec<BoundListener>,
        tasks: &Tasks<Task>,
        shutdown: &CancellationToken,
    ) {
        let Self { open, guarded, joining, keys, accounts, audience, metrics } = self;
        if let Some(keys) = keys.clone() {
            let (data_dir, file, stop) =
                (config.data_dir.clone(), config.access_keys_file.clone(), shutdown.clone());
            let follow = async move { keys.follow(data_dir, file, stop).await };
            tasks.spawn(Task::AccessKeys, shutdown, follow);
        }
        let local = keys.clone().map(|keys| LocalKeys { keys, accounts });
        let guard = keys.map(|keys| SignatureGuard {
            keys,
            audience,
            replays,
            proofs: Proofs::default(),
            bodies: Bodies::default(),
        });
        let routers = Routers { open, guarded, guard, local };
        for listener in api {
            let (router, hosts) = (routers.of(&listener), http::hosts(&listener, &config.allowed_hosts));
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

/// Waits until a stop is asked for or a task falls, which stops the others by cancelling `shutdown`; then until all are done, at most [`GRACE`].
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
