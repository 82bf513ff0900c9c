//! A Unix socket for proxies that cannot do mutual TLS with files: connections are forwarded, byte for byte, with the current
//! certificate. Whoever is forwarded is this machine's proxy to the control plane, so only the proxy's user, this program's, root and
//! those that were named are.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use fleetmesh_instance::bootstrap::ControlPlaneAddress;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio_rustls::TlsConnector;

use crate::client::JoinedAs;
use crate::socket::{self, Users};
use crate::{Error, JoinerConfig};

/// The socket and where it leads.
#[derive(Clone)]
pub struct Forward(Arc<ForwardInner>);

struct ForwardInner {
    listener: UnixListener,
    users: Users,
    host: String,
    port: u16,
    /// Absent before the first certificate: connections are closed then, and proxies try again.
    config: Mutex<Option<Arc<ClientConfig>>>,
}

impl Forward {
    /// Makes the socket `path`; one that a former process left is replaced.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn bind(path: &Path, config: &JoinerConfig) -> Result<Self, Error> {
        let failed =
            |source| Error::Socket { flag: "--serve-unix", path: path.display().to_string(), source };
        let Some(ControlPlaneAddress::Tls { host, port }) = &config.ads else {
            return Err(failed(io::Error::other("--ads is needed")));
        };
        socket::is_free(path).and_then(|()| socket::remove(path)).map_err(failed)?;
        let listener = UnixListener::bind(path).map_err(failed)?;
        let own = fs::metadata(path).map_err(failed)?.uid();
        let users = Users::new(own, config.owner.into_iter().chain(config.serve_unix_users.iter().copied()));
        // A proxy runs as another user. Whose connections are forwarded is looked at when they are made.
        fs::set_permissions(path, fs::Permissions::from_mode(0o666)).map_err(failed)?;
        let (host, port, config) = (host.clone(), *port, Mutex::default());
        Ok(Self(Arc::new(ForwardInner { listener, users, host, port, config })))
    }

    /// New connections show this certificate from now on.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn present(&self, joined: &JoinedAs, key: &str) -> Result<(), Error> {
        let unusable = |error: &dyn std::fmt::Display| Error::Certificate(error.to_string());
        let mut roots = RootCertStore::empty();
        for authority in CertificateDer::pem_slice_iter(joined.authority.as_bytes()) {
            let authority = authority.map_err(|error| unusable(&error))?;
            roots.add(authority).map_err(|error| unusable(&error))?;
        }
        let chain: Result<Vec<_>, _> =
            CertificateDer::pem_slice_iter(joined.certificate.as_bytes()).collect();
        let chain = chain.map_err(|error| unusable(&error))?;
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|error| unusable(&error))?;
        let builder = fleetmesh_tls::trusting(roots).map_err(|error| unusable(&error))?;
        let mut config = builder.with_client_auth_cert(chain, key).map_err(|error| unusable(&error))?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        *self.0.config.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(config));
        Ok(())
    }

    /// Forwards what connects, without end.
    pub async fn serve(self) {
        loop {
            let stream = socket::accepted(&self.0.listener).await;
            if !self.0.users.admit(&stream, "--owner and --serve-unix-user") {
                continue;
            }
            let forward = self.clone();
            tokio::spawn(async move {
                if let Err(error) = forward.connection(stream).await {
                    tracing::warn!(%error, "a proxy's connection ended");
                }
            });
        }
    }

    async fn connection(&self, mut proxy: UnixStream) -> io::Result<()> {
        let ForwardInner { host, port, config, .. } = &*self.0;
        let config = config.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let config = config.ok_or_else(|| io::Error::other("there is no certificate yet"))?;
        let name = ServerName::try_from(host.clone()).map_err(io::Error::other)?;
        let stream = TcpStream::connect((host.as_str(), *port)).await?;
        stream.set_nodelay(true)?;
        let mut stream = TlsConnector::from(config).connect(name, stream).await?;
        tokio::io::copy_bidirectional(&mut proxy, &mut stream).await.map(drop)
    }
}
