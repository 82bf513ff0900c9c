//! `fleetmesh proxy join`: proves to a control plane which IAM role this instance has, and renews the certificate that it gets
//! for that. The counterpart of the control plane's `join` module.
//!
//! `credentials of the instance → a signed GetCallerIdentity around a challenge → a certificate → files that Envoy's SDS
//! reads → again at half of its life`
//!
//! With it comes a certificate of the mesh, for the same key: a secret discovery service on a Unix socket gives it to proxies here.
//!
//! A crate of its own beside `fleetmesh-proxy`, which has no async runtime. The private key never leaves the machine. It is made once
//! and kept with the certificate: the control plane binds an instance to its key, so that nothing else on the machine gets a
//! certificate meanwhile.

mod client;
mod config;
mod files;
mod forward;
mod identity;
mod pace;
mod proof;
mod sds;
mod sds_wire;
mod socket;

use std::sync::Arc;
use std::time::Duration;

use fleetmesh_api::join::MeshCertificate;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use tokio_util::sync::CancellationToken;

use client::{JoinClient, JoinedAs};
pub use config::JoinerConfig;
use files::Files;
use forward::Forward;
use pace::JoinPace;
use sds::{MeshSecrets, SecretDiscovery};

/// Why this machine has no certificate, or cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The CA's file.
    #[error("cannot use the file of --ca-file: {0}")]
    Authority(String),
    /// The control plane, STS or the credentials said no, or could not be asked.
    #[error("this machine cannot join: {0}")]
    Join(String),
    /// The key or the certificate could not be made or read.
    #[error("the certificate cannot be used: {0}")]
    Certificate(String),
    /// A file could not be written.
    #[error("cannot write to --cert-dir {path}: {source}")]
    Files {
        /// The folder.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A socket could not be made.
    #[error("cannot listen on {flag} {path}: {source}")]
    Socket {
        /// The flag that asks for it.
        flag: &'static str,
        /// The path.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Joins once; the files are there then.
///
/// # Errors
/// See [`Error`].
pub async fn join_once(config: JoinerConfig) -> Result<(), Error> {
    join(&JoinClient::new(&config)?, &files(&config), &Takers::default()).await.map(drop)
}

/// Who takes certificates, beside the files.
#[derive(Default)]
struct Takers {
    forward: Option<Forward>,
    secrets: Option<Arc<SecretDiscovery>>,
}

fn files(config: &JoinerConfig) -> Files {
    Files { folder: config.cert_dir.clone(), owner: config.owner }
}

/// Joins, and stays joined until `shutdown`. Failures are tried again for ever.
///
/// # Errors
/// See [`Error`]: it could not begin.
pub async fn run(config: JoinerConfig, shutdown: CancellationToken) -> Result<(), Error> {
    let (client, files) = (JoinClient::new(&config)?, files(&config));
    let forward = config.serve_unix.as_ref().map(|path| Forward::bind(path, &config)).transpose()?;
    let secrets =
        config.serve_sds.as_ref().map(|path| SecretDiscovery::bind(path, config.owner)).transpose()?;
    let takers = Takers { forward, secrets: secrets.map(Arc::new) };
    let tasks = tokio_util::task::TaskTracker::new();
    if let Some(forward) = &takers.forward {
        tasks.spawn(shutdown.clone().run_until_cancelled_owned(forward.clone().serve()));
    }
    if let Some(secrets) = &takers.secrets {
        // A control plane that is away keeps no proxy from starting again.
        files.mesh().into_iter().for_each(|kept| secrets.present(kept));
        tasks.spawn(Arc::clone(secrets).serve(shutdown.clone()));
    }
    shutdown.run_until_cancelled(stay(&client, &files, &takers)).await;
    tasks.close();
    tasks.wait().await;
    Ok(())
}

/// Joins again and again, each time at half of the certificate's life.
async fn stay(client: &JoinClient, files: &Files, takers: &Takers) {
    let mut pace = JoinPace::default();
    loop {
        let wait = match join(client, files, takers).await {
            Ok(life) => {
                let wait = pace.joined(life, fastrand::f64());
                tracing::info!(valid_seconds = life.as_secs(), again_in = ?wait, "this machine has a certificate");
                wait
            }
            Err(error) => {
                let wait = pace.failed(fastrand::f64());
                tracing::warn!(%error, again_in = ?wait, "no certificate");
                wait
            }
        };
        tokio::time::sleep(wait).await;
    }
}

/// Joins once; how long the certificate is valid.
async fn join(client: &JoinClient, files: &Files, takers: &Takers) -> Result<Duration, Error> {
    let key = key(files)?;
    let joined = client.join(key.public_key_raw()).await?;
    let private = key.serialize_pem();
    if let Some(forward) = &takers.forward {
        forward.present(&joined, &private)?;
    }
    let JoinedAs { certificate, authority, valid, mesh } = &joined;
    match (&takers.secrets, mesh) {
        (Some(secrets), Some(MeshCertificate { certificate, authority })) => {
            let [certificate, key, authority] = [certificate, &private, authority].map(Clone::clone);
            secrets.present(MeshSecrets { certificate, key, authority });
        }
        (Some(_), None) => tracing::warn!("the control plane gives no certificate of the mesh"),
        (None, _) => {}
    }
    files.write(certificate, &private, authority, mesh.as_ref())?;
    Ok(*valid)
}

/// The key of the last certificate, or else a new one.
fn key(files: &Files) -> Result<KeyPair, Error> {
    let is_one = |key: &KeyPair| key.is_compatible(&PKCS_ECDSA_P256_SHA256);
    match files.key().and_then(|pem| KeyPair::from_pem(&pem).ok()).filter(is_one) {
        Some(key) => Ok(key),
        None => KeyPair::generate().map_err(|error| Error::Certificate(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_kept_and_what_is_none_is_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = Files { folder: folder.path().join("certs"), owner: None };
        let first = key(&files).expect("a new one").serialize_pem();
        files.write("certificate", &first, "CA", None).expect("written");
        assert_eq!(key(&files).expect("the same").serialize_pem(), first);
        let other = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).expect("a key").serialize_pem();
        for unusable in ["", "KEY", &other] {
            files.write("certificate", unusable, "CA", None).expect("written");
            let made = key(&files).expect("a new one").serialize_pem();
            assert!(made != first && made != unusable);
        }
    }
}
