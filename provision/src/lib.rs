//! `fleetmesh provision`: the Secrets of a control plane on Kubernetes, made in the cluster.
//!
//! `existing Secrets → what each should be (`plan`, pure) → create or replace`, again from the start when somebody else was faster.
//!
//! A crate of its own: the control plane does not talk to Kubernetes, and the operator has no permission on Secrets.

mod cluster;
mod plan;

use std::path::Path;
use std::time::{Duration, SystemTime};

use tokio_util::sync::CancellationToken;

use cluster::KubernetesCluster;
use plan::PlannedChange;
pub use plan::Wanted;

/// The longest that all of it may take. The chart's Job has as much again for its Pod to start.
const LIMIT: Duration = Duration::from_secs(120);
/// How often it begins again because another writer was faster.
const PASSES: usize = 5;

/// Why there are no Secrets. No message has anything of their content.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no cluster.
    #[error(transparent)]
    Connect(#[from] fleetmesh_cluster::ConnectError),
    /// The API server said no, or could not be asked.
    #[error("cannot {verb} Secret {name} in namespace {namespace}: {source}")]
    Api {
        /// get, create or update.
        verb: &'static str,
        /// The Secret.
        name: String,
        /// Its namespace.
        namespace: String,
        /// What it said.
        source: Box<kube::Error>,
    },
    /// A Secret that is kept cannot be used.
    #[error(
        "Secret {name} is kept, and cannot be used: {reason}. Restore it from a backup, or delete it to have a new one made"
    )]
    Kept {
        /// The Secret.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A certificate or key could not be made.
    #[error("cannot make Secret {name}: {reason}")]
    Make {
        /// The Secret.
        name: String,
        /// Why.
        reason: String,
    },
    /// Others go on writing.
    #[error("Secret {0} was changed by others during each try: run it again when nobody else changes it")]
    Contended(String),
    /// It took too long.
    #[error("the API server did not answer in time ({} s)", LIMIT.as_secs())]
    Slow,
    /// It was stopped.
    #[error("stopped before it was done; what was made stays, and the next run continues from there")]
    Stopped,
}

/// Makes what is missing and renews what is due, in the cluster of the kubeconfig file or the one that the environment names.
///
/// # Errors
/// See [`Error`]. What was made until then stays.
pub async fn run(
    kubeconfig: Option<&Path>,
    wanted: &Wanted,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let work = tokio::time::timeout(LIMIT, provision(kubeconfig, wanted));
    let Some(ended) = shutdown.run_until_cancelled(work).await else {
        return Err(Error::Stopped);
    };
    ended.unwrap_or(Err(Error::Slow))
}

async fn provision(kubeconfig: Option<&Path>, wanted: &Wanted) -> Result<(), Error> {
    let cluster = KubernetesCluster::connect(kubeconfig, &wanted.namespace).await?;
    let mut contended = String::new();
    for _ in 0..PASSES {
        let Some(name) = pass(&cluster, wanted).await? else {
            return Ok(());
        };
        contended = name;
    }
    Err(Error::Contended(contended))
}

/// Looks and writes once; gives the Secret that somebody else wrote meanwhile, if one did.
async fn pass(cluster: &KubernetesCluster, wanted: &Wanted) -> Result<Option<String>, Error> {
    let mut found = Vec::new();
    for name in wanted.secrets() {
        found.extend(cluster.get(name).await?.map(|secret| (name.to_owned(), secret)));
    }
    for (name, change) in plan::plan(wanted, &found.into_iter().collect(), SystemTime::now())? {
        let written = match change {
            PlannedChange::Keep => true,
            PlannedChange::Create(ref secret, _) => cluster.create(&name, secret).await?,
            PlannedChange::Replace(ref secret, _) => cluster.replace(&name, secret).await?,
        };
        if !written {
            return Ok(Some(name));
        }
        tracing::info!(secret = name, "{}", change.said());
    }
    Ok(None)
}
