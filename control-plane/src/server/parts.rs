//! The parts of the control plane, made from its configuration.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use fleetmesh_mesh::cloud_map::Discovered;
use fleetmesh_mesh::quota::Quotas;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::Error;
use crate::accounts::Accounts;
use crate::ads;
use crate::api::Api;
use crate::authorities;
use crate::aws::PollSettings;
use crate::cloud_map;
use crate::config::{ControlPlaneConfig, JoinConfig};
use crate::distribution::{self, Distribution};
use crate::join::{Denied, Documents, JoinRules, Joining, Sts, StsEndpoint, Verifier};
use crate::keys::Keys;
use crate::listen::BoundListener;
use crate::loads::{self, ReportedLoads};
use crate::mesh_ca::MeshCa;
use crate::metrics::ServerMetrics;
use crate::sigv4::Replays;
use crate::store::{SqliteStore, Store};
use crate::views::Views;

/// What is known of signatures that were used, when requests are signed at all. The store is open, so no process before this
/// one serves any more; one that did serves nothing from the second on in which this answers.
pub(super) async fn replays(data_dir: &Path, is_new: bool, exposed: bool) -> Result<Replays, Error> {
    if !exposed {
        return Ok(Replays::new(None));
    }
    if is_new {
        return open_replays(data_dir, None).await;
    }
    // Writes that are signed in this very second may have been served by the process before.
    let into = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().subsec_nanos();
    tokio::time::sleep(Duration::from_nanos(1_000_000_000 - u64::from(into))).await;
    open_replays(data_dir, Some(SystemTime::now())).await
}

/// The file is read beside what is served already.
async fn open_replays(data_dir: &Path, since: Option<SystemTime>) -> Result<Replays, Error> {
    let data_dir = data_dir.to_path_buf();
    let opened = tokio::task::spawn_blocking(move || Replays::open(&data_dir, since)).await;
    Ok(opened.map_err(|error| Error::Internal(error.to_string()))??)
}

/// The access keys, when one of `listeners` needs them: one for other hosts, or any where a caller may mean one of several accounts.
pub(super) async fn keys(
    config: &ControlPlaneConfig,
    listeners: &[BoundListener],
    accounts: &Accounts,
) -> Result<Option<Arc<Keys>>, Error> {
    let exposed = listeners.iter().any(BoundListener::is_exposed);
    let needed = exposed || accounts.are_several();
    let seal = config.seal.clone();
    if !needed && seal.is_none() {
        return Ok(None);
    }
    let keys = Keys::of(seal);
    keys.open(&config.data_dir).await?;
    keys.load(&config.data_dir, config.access_keys_file.as_deref())?;
    if !needed {
        return Ok(None);
    }
    if exposed && keys.is_empty() {
        tracing::warn!(
            "there is no access key, so all requests from other hosts are rejected: make one with `fleetmesh control-plane keys create`"
        );
    }
    Ok(Some(Arc::new(keys)))
}

/// The accounts that are served, and what they share.
pub(super) fn accounts(config: &ControlPlaneConfig) -> Result<Accounts, Error> {
    let identity = config.identity.clone();
    Ok(match config.mesh_shares.clone() {
        Some(file) => Accounts::read(identity, file)?,
        None => Accounts::new(identity),
    })
}

/// What lets instances join, where they may.
pub(super) fn joining(
    config: &ControlPlaneConfig,
    store: Arc<dyn Store>,
    accounts: Accounts,
    denied: Denied,
) -> Result<Option<Joining>, Error> {
    let Some(join) = config.joining.clone() else { return Ok(None) };
    let JoinConfig { ca, certificate_validity, rate_per_source, instances, sts_endpoint, .. } = join;
    let endpoint = StsEndpoint::new(sts_endpoint.as_deref(), &config.identity.region).map_err(Error::Sts)?;
    let documents = match &join.identity_certificates[..] {
        [] => Documents::off(),
        places => Documents::read(places, join.instance_identity)?,
    };
    let verifier = instances.map(Verifier::new);
    let rules = JoinRules { sts: Sts::new(endpoint), documents, verifier, denied };
    let joining = Joining::new(store, accounts, ca, rules, certificate_validity, rate_per_source)?;
    Ok(Some(joining.with_mesh(MeshCa::new(config.data_dir.clone(), config.seal.clone()))))
}

/// What is set about discovery; 0 is no limit.
pub(super) fn settings(config: &ControlPlaneConfig) -> ads::AdsSettings {
    let limit = |count: u32| usize::try_from(count).ok().filter(|count| *count > 0);
    ads::AdsSettings {
        max_proxies_per_node: config.max_proxies_per_node.and_then(limit),
        max_streams_per_certificate: limit(config.max_streams_per_certificate),
        max_names_per_request: limit(config.max_names_per_request),
        ..ads::AdsSettings::default()
    }
}

pub(super) fn discover(
    views: Arc<dyn Views>,
    config: &ControlPlaneConfig,
    known: watch::Sender<Discovered>,
    metrics: ServerMetrics,
    shutdown: CancellationToken,
) -> impl Future<Output = ()> + use<> {
    let settings = poll_settings(config, config.cloud_map_interval);
    cloud_map::run(views, settings, known, metrics, shutdown)
}

pub(super) fn read_authorities(
    views: Arc<dyn Views>,
    config: &ControlPlaneConfig,
    known: watch::Sender<Discovered>,
    metrics: ServerMetrics,
    shutdown: CancellationToken,
) -> impl Future<Output = ()> + use<> {
    let settings = poll_settings(config, config.acm_pca_interval);
    authorities::run(views, settings, known, metrics, shutdown)
}

fn poll_settings(config: &ControlPlaneConfig, interval: Duration) -> PollSettings {
    PollSettings { data_dir: config.data_dir.clone(), interval, region: config.identity.region.clone() }
}

pub(super) async fn open(config: &ControlPlaneConfig) -> Result<Arc<dyn Store>, Error> {
    let (directory, identity, tokens) =
        (config.data_dir.clone(), config.identity.clone(), config.client_tokens_per_mesh);
    let open = move || SqliteStore::open(&directory, &identity, tokens);
    let opened = tokio::task::spawn_blocking(open).await;
    Ok(Arc::new(opened.map_err(|error| Error::Internal(error.to_string()))??))
}

/// The books of what proxies report, still empty.
pub(super) fn books(config: &ControlPlaneConfig, views: Arc<dyn Views>) -> ads::ProxyBooks {
    ads::ProxyBooks {
        distribution: Arc::new(Distribution::new(views)),
        loads: Arc::new(ReportedLoads::new(config.load_report_interval)),
        metrics: ServerMetrics::new(),
    }
}

/// App Mesh's API, and what is served beside it to the same callers.
pub(super) fn guarded(
    config: &ControlPlaneConfig,
    store: &Arc<dyn Store>,
    books: &ads::ProxyBooks,
    accounts: &Accounts,
    discovered: watch::Receiver<Discovered>,
    shutdown: &CancellationToken,
) -> Result<Router, Error> {
    let quotas = Quotas::new(config.quotas.clone());
    let api = Api::new(Arc::clone(store), accounts.clone(), quotas, config.request_rate, shutdown.clone());
    let api = api.map_err(Error::Internal)?.counting(books.metrics.clone());
    let api = Arc::new(api.discovering(discovered));
    let views: Arc<dyn Views> = Arc::clone(store) as _;
    Ok(distribution::http::router(Arc::clone(&books.distribution), accounts.clone(), shutdown.clone())
        .merge(loads::http::router(Arc::clone(&books.loads), accounts.clone(), views))
        .merge(api.router()))
}
