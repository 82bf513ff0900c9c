//! Runs the control plane: binds, loads, serves, and stops gracefully. The shell that puts the parts together; it
//! decides nothing about meshes.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::routing::get;
use axum::{Extension, Router};
use fleetmesh_tasks::{Fallen, Tasks};
use http::StatusCode;
use jiff::Timestamp;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::ads;
use crate::api::Api;
use crate::api::quota::Quotas;
use crate::args::ControlPlaneArgs;
use crate::cloud_map::{self, Discovered};
use crate::distribution::{self, Distribution};
use crate::identity::Identity;
use crate::join::{
    self, CaFiles, CaKey, Denied, Documents, Instances, Joining, Rules, Sts, StsEndpoint, Verifier,
};
use crate::keys::command::source_of;
use crate::keys::{Keys, LoadError};
use crate::kms::{AwsKey, Held, KeyArn};
use crate::listen::{Bound, Bounds, Listen, ListenError};
use crate::loads::{self, Loads};
use crate::metrics::Metrics;
use crate::reload::FileError;
use crate::rights::Rights;
use crate::serving::{self, Hosts, Limits};
use crate::sigv4::{AheadError, Audience, Bodies, Guard, Replays, guard};
use crate::store::{OpenError, SqliteStore, Store};
use crate::tasks::Task;
use crate::tls::{Purpose, Tls};
use crate::view::Views;

/// How long requests and streams under way may take to end after a stop was asked for.
const GRACE: Duration = Duration::from_secs(10);

/// How often the age of the keys of versions is looked at.
const LOOK_AT_KEYS: Duration = Duration::from_secs(3600);

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
/// is printed, before all of the store is in memory.
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
    let is_new = !SqliteStore::exists(&args.data_dir);
    let store = open(&args.data_dir, args.identity()).await?;
    let replays = replays(&args.data_dir, is_new, rest.iter().any(Bound::is_exposed)).await?;
    let quotas = Quotas::new(args.quotas.clone());
    let api = Api::new(store.clone(), args.identity(), quotas, args.request_rate, shutdown.clone());
    let metrics = Metrics::new();
    let api = Arc::new(api.map_err(Error::Internal)?.counting(metrics.clone()));
    let views: Arc<dyn Views> = Arc::clone(&store) as _;
    let distribution = Arc::new(Distribution::new(Arc::clone(&views)));
    let loads = Arc::new(Loads::new(args.load_report_interval));
    let guarded = distribution::http::router(Arc::clone(&distribution), shutdown.clone())
        .merge(loads::http::router(Arc::clone(&loads), Arc::clone(&views)))
        .merge(api.router());
    let open = health(shutdown.clone(), tasks.clone()).merge(metrics.router(Arc::clone(&views)));
    let denied = args.denied_instances.clone().map(Denied::read).transpose()?.unwrap_or_default();
    let verifier = verifier(&args, instances)?;
    let joining = joining(&args, Arc::clone(&store), verifier, denied.clone())?;
    let keys = keys(&args, &rest).await?;
    let audience = Audience::new(&args.identity.region, &args.api_hosts, tls.clone());
    let audience = Arc::new(audience);
    let guard = keys.clone().map(|keys| Guard { keys, audience, replays, bodies: Bodies::default() });
    let routers = Routers { open, guarded, guard };
    print_addresses(rest.iter().chain(&ads).chain(&join)).map_err(Error::Print)?;

    if let Some(tls) = tls {
        tasks.spawn(Task::Certificates, &shutdown, tls.follow(shutdown.clone()));
    }
    if let Some(keys) = keys {
        let (data_dir, file, stop) = (args.data_dir.clone(), args.access_keys_file.clone(), shutdown.clone());
        let follow = async move { keys.follow(data_dir, file, stop).await };
        tasks.spawn(Task::AccessKeys, &shutdown, follow);
    }
    let kept = Arc::clone(&store);
    tasks.spawn_until(Task::Store, &shutdown, async move { kept.ended().await });
    tasks.spawn(Task::VersionKeys, &shutdown, renew_keys(store, shutdown.clone()));
    tasks.spawn(Task::DeniedInstances, &shutdown, denied.clone().follow(shutdown.clone()));
    for listener in rest {
        let router = routers.of(&listener);
        let hosts = hosts(&listener, &args.allowed_hosts);
        let served = serving::serve(listener, router, Limits::API, hosts, shutdown.clone());
        tasks.spawn(Task::Api, &shutdown, served);
    }
    if let Some(joining) = joining.map(Arc::new) {
        for listener in join {
            let router = join::http::router(Arc::clone(&joining), metrics.clone());
            // What is asked for is proved by STS, whatever host was meant.
            let served = serving::serve(listener, router, Limits::JOIN, Hosts::Any, shutdown.clone());
            tasks.spawn(Task::Joining, &shutdown, served);
        }
    }
    let settings = ads::Settings { denied, ..settings(&args) };
    let known = watch::Sender::new(cloud_map::remembered(&args.data_dir).await);
    let discovered = known.subscribe();
    let discovering = discover(Arc::clone(&views), &args, known, metrics.clone(), shutdown.clone());
    tasks.spawn(Task::CloudMap, &shutdown, discovering);
    let told = ads::Told { distribution, loads, metrics };
    ads::serve(views, discovered, settings, ads, told, &tasks, &shutdown);
    supervise(&tasks, shutdown).await
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

/// The names that a listener of App Mesh's API answers to.
fn hosts(listener: &Bound, allowed: &[String]) -> Hosts {
    match listener {
        Bound::Tcp(_) => Hosts::Loopback(allowed.to_vec()),
        // Whoever gets there has a key, or may enter the folder.
        Bound::Tls(_) | Bound::Unix(..) => Hosts::Any,
    }
}

/// What is set about discovery; 0 is no limit.
fn settings(args: &ControlPlaneArgs) -> ads::Settings {
    let limit = |count: u32| usize::try_from(count).ok().filter(|count| *count > 0);
    ads::Settings {
        max_proxies_per_node: args.max_proxies_per_node.and_then(limit),
        max_streams_per_certificate: limit(args.max_streams_per_certificate),
        max_names_per_request: limit(args.max_names_per_request),
        ..ads::Settings::default()
    }
}

/// What is served over HTTP, and to whom.
struct Routers {
    /// To everybody.
    open: Router,
    /// To callers of this host, and to others who sign their requests.
    guarded: Router,
    /// What judges their signatures; absent when there is no listener for others.
    guard: Option<Guard>,
}

impl Routers {
    /// What is served on `listener`.
    fn of(&self, listener: &Bound) -> Router {
        let guarded = match &self.guard {
            Some(knows) if listener.is_exposed() => guard(self.guarded.clone(), knows.clone()),
            _ => self.guarded.clone().layer(Extension(Rights::Local)),
        };
        self.open.clone().merge(guarded)
    }
}

/// What is known of signatures that were used, when requests are signed at all. The store is open, so no process before this
/// one serves any more; one that did serves nothing from the second on in which this answers.
async fn replays(data_dir: &Path, is_new: bool, exposed: bool) -> Result<Replays, Error> {
    if !exposed {
        return Ok(Replays::new(None));
    }
    if is_new {
        return Ok(Replays::open(data_dir, None)?);
    }
    // Writes that are signed in this very second may have been served by the process before.
    let into = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().subsec_nanos();
    tokio::time::sleep(Duration::from_nanos(1_000_000_000 - u64::from(into))).await;
    Ok(Replays::open(data_dir, Some(SystemTime::now()))?)
}

/// The access keys, when one of `listeners` needs them.
async fn keys(args: &ControlPlaneArgs, listeners: &[Bound]) -> Result<Option<Arc<Keys>>, Error> {
    let exposed = listeners.iter().any(Bound::is_exposed);
    let seal = source_of(args.seal_key_file.as_ref(), args.seal_kms_key.as_ref());
    if !exposed && seal.is_none() {
        return Ok(None);
    }
    let keys = Keys::of(seal);
    keys.open(&args.data_dir).await?;
    keys.load(&args.data_dir, args.access_keys_file.as_deref())?;
    if !exposed {
        return Ok(None);
    }
    if keys.is_empty() {
        tracing::warn!(
            "there is no access key, so no request from another host is let in: make one with `fleetmesh control-plane keys create`"
        );
    }
    Ok(Some(Arc::new(keys)))
}

/// What has EC2 asked about instances, where that is wanted.
fn verifier(
    args: &ControlPlaneArgs,
    instances: Option<Arc<dyn Instances>>,
) -> Result<Option<Verifier>, Error> {
    let wanted = args.verify_instances.then(|| instances.map(Verifier::new).ok_or(Error::Verify));
    wanted.transpose()
}

/// What lets instances join, when the CA's key is here or KMS signs with it.
fn joining(
    args: &ControlPlaneArgs,
    store: Arc<dyn Store>,
    verifier: Option<Verifier>,
    denied: Denied,
) -> Result<Option<Joining>, Error> {
    let held = |arn: &KeyArn| Held::new(Arc::new(AwsKey::new(arn.clone())), Handle::current());
    let key = match (&args.ca_key, &args.ca_kms_key) {
        (Some(file), _) => Some(CaKey::File(file.clone())),
        (None, arn) => arn.as_ref().map(held).map(CaKey::Held),
    };
    let (Some(certificate), Some(key)) = (args.ca_cert.clone(), key) else { return Ok(None) };
    let endpoint =
        StsEndpoint::new(args.sts_endpoint.as_deref(), &args.identity.region).map_err(Error::Sts)?;
    let files = CaFiles { certificate, signing: args.signing_cert.clone(), key };
    let documents = match &args.identity_certificates[..] {
        [] => Documents::off(),
        places => Documents::read(places, args.instance_identity)?,
    };
    let rules = Rules { sts: Sts::new(endpoint), documents, verifier, denied };
    let (validity, rate) = (args.join_certificate_validity, args.join_rate_per_source);
    Ok(Some(Joining::new(store, args.identity(), files, rules, validity, rate)?))
}

/// Has the keys of versions renewed when their time has come, until `shutdown`.
async fn renew_keys(store: Arc<dyn Store>, shutdown: CancellationToken) {
    let mut looks = tokio::time::interval(LOOK_AT_KEYS);
    while shutdown.run_until_cancelled(looks.tick()).await.is_some() {
        // The store logs why it could not; the next look tries again.
        let _ = store.renew_keys(Timestamp::now()).await;
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

async fn open(directory: &Path, identity: Identity) -> Result<Arc<dyn Store>, Error> {
    let directory = directory.to_path_buf();
    let open = move || SqliteStore::open(&directory, &identity);
    let opened = tokio::task::spawn_blocking(open).await;
    Ok(Arc::new(opened.map_err(|error| Error::Internal(error.to_string()))??))
}

fn print_addresses<'a>(listeners: impl Iterator<Item = &'a Bound>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for listener in listeners {
        writeln!(out, "{}", listener.address())?;
    }
    out.flush()
}

/// `/livez` answers while the process runs and none of its `tasks` has fallen, `/readyz` until it is told to stop. It is reached
/// only when the store is loaded.
fn health(shutdown: CancellationToken, tasks: Tasks<Task>) -> Router {
    let live = move || {
        let fallen = tasks.first_fallen();
        async move {
            fallen.map_or((StatusCode::OK, "ok\n".to_owned()), |fallen| {
                (StatusCode::INTERNAL_SERVER_ERROR, format!("{fallen}\n"))
            })
        }
    };
    let ready = move || {
        let stopping = shutdown.is_cancelled();
        async move {
            if stopping {
                (StatusCode::SERVICE_UNAVAILABLE, "shutting down\n")
            } else {
                (StatusCode::OK, "ok\n")
            }
        }
    };
    Router::new().route("/livez", get(live)).route("/readyz", get(ready))
}

fn discover(
    views: Arc<dyn Views>,
    args: &ControlPlaneArgs,
    known: watch::Sender<Discovered>,
    metrics: Metrics,
    shutdown: CancellationToken,
) -> impl Future<Output = ()> + use<> {
    let settings = cloud_map::Settings {
        data_dir: args.data_dir.clone(),
        interval: args.cloud_map_interval,
        region: args.identity.region.clone(),
    };
    cloud_map::run(views, settings, known, metrics, shutdown)
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

#[cfg(test)]
mod tests;
