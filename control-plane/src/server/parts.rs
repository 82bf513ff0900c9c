//! The parts of the control plane, made from its arguments.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::Error;
use crate::ads;
use crate::api::Api;
use crate::api::quota::Quotas;
use crate::args::ControlPlaneArgs;
use crate::cloud_map::{self, Discovered};
use crate::distribution::{self, Distribution};
use crate::join::{
    CaFiles, CaKey, Denied, Documents, Instances, JoinRules, Joining, Sts, StsEndpoint, Verifier,
};
use crate::keys::Keys;
use crate::keys::command::source_of;
use crate::kms::{AwsKey, KeyArn, KmsKeyHandle};
use crate::listen::Bound;
use crate::loads::{self, ReportedLoads};
use crate::metrics::ServerMetrics;
use crate::sigv4::Replays;
use crate::store::{SqliteStore, Store};
use crate::view::Views;

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

/// The access keys, when one of `listeners` needs them.
pub(super) async fn keys(args: &ControlPlaneArgs, listeners: &[Bound]) -> Result<Option<Arc<Keys>>, Error> {
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
pub(super) fn verifier(
    args: &ControlPlaneArgs,
    instances: Option<Arc<dyn Instances>>,
) -> Result<Option<Verifier>, Error> {
    let wanted = args.verify_instances.then(|| instances.map(Verifier::new).ok_or(Error::Verify));
    wanted.transpose()
}

/// What lets instances join, when the CA's key is here or KMS signs with it.
pub(super) fn joining(
    args: &ControlPlaneArgs,
    store: Arc<dyn Store>,
    verifier: Option<Verifier>,
    denied: Denied,
) -> Result<Option<Joining>, Error> {
    let held = |arn: &KeyArn| KmsKeyHandle::new(Arc::new(AwsKey::new(arn.clone())), Handle::current());
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
    let rules = JoinRules { sts: Sts::new(endpoint), documents, verifier, denied };
    let (validity, rate) = (args.join_certificate_validity, args.join_rate_per_source);
    Ok(Some(Joining::new(store, args.identity(), files, rules, validity, rate)?))
}

/// What is set about discovery; 0 is no limit.
pub(super) fn settings(args: &ControlPlaneArgs) -> ads::AdsSettings {
    let limit = |count: u32| usize::try_from(count).ok().filter(|count| *count > 0);
    ads::AdsSettings {
        max_proxies_per_node: args.max_proxies_per_node.and_then(limit),
        max_streams_per_certificate: limit(args.max_streams_per_certificate),
        max_names_per_request: limit(args.max_names_per_request),
        ..ads::AdsSettings::default()
    }
}

pub(super) fn discover(
    views: Arc<dyn Views>,
    args: &ControlPlaneArgs,
    known: watch::Sender<Discovered>,
    metrics: ServerMetrics,
    shutdown: CancellationToken,
) -> impl Future<Output = ()> + use<> {
    let settings = cloud_map::PollerSettings {
        data_dir: args.data_dir.clone(),
        interval: args.cloud_map_interval,
        region: args.identity.region.clone(),
    };
    cloud_map::run(views, settings, known, metrics, shutdown)
}

pub(super) async fn open(args: &ControlPlaneArgs) -> Result<Arc<dyn Store>, Error> {
    let (directory, identity, tokens) = (args.data_dir.clone(), args.identity(), args.client_tokens_per_mesh);
    let open = move || SqliteStore::open(&directory, &identity, tokens);
    let opened = tokio::task::spawn_blocking(open).await;
    Ok(Arc::new(opened.map_err(|error| Error::Internal(error.to_string()))??))
}

/// Where what proxies say is told, before they said anything.
pub(super) fn told(args: &ControlPlaneArgs, views: Arc<dyn Views>) -> ads::ProxyBooks {
    ads::ProxyBooks {
        distribution: Arc::new(Distribution::new(views)),
        loads: Arc::new(ReportedLoads::new(args.load_report_interval)),
        metrics: ServerMetrics::new(),
    }
}

/// App Mesh's API, and what is served beside it to the same callers.
pub(super) fn guarded(
    args: &ControlPlaneArgs,
    store: &Arc<dyn Store>,
    told: &ads::ProxyBooks,
    shutdown: &CancellationToken,
) -> Result<Router, Error> {
    let quotas = Quotas::new(args.quotas.clone());
    let api = Api::new(Arc::clone(store), args.identity(), quotas, args.request_rate, shutdown.clone());
    let api = Arc::new(api.map_err(Error::Internal)?.counting(told.metrics.clone()));
    let views: Arc<dyn Views> = Arc::clone(store) as _;
    Ok(distribution::http::router(Arc::clone(&told.distribution), shutdown.clone())
        .merge(loads::http::router(Arc::clone(&told.loads), views))
        .merge(api.router()))
}
