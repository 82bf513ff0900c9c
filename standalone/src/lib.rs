//! The embedded Kubernetes-style API: one process on one machine serves Fleetmesh's kinds and the few core kinds that kubectl, Helm
//! and controllers need with them. The decisions are [`fleetmesh_standalone_core`]'s; storage, connections and watches are here.
//!
//! `request → gate (host, token) → route → decide (pure) → store (SQLite, one writer, groups) → history → watches`
//!
//! Whoever runs one gives it a [`StandaloneConfig`], binds it and serves it ([`bind`], [`Bound::serve`]); an operator in the same process
//! gets a client without a socket ([`Bound::client`]). It reads no command line and prints nothing.

pub mod addresses;
pub mod api;
mod body;
mod collector;
pub mod files;
pub mod gate;
pub mod listen;
pub mod manifests;
mod patient;
pub mod pki;
mod seed;
pub mod service;
pub mod store;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fleetmesh_standalone_core::resource::Resources;
use fleetmesh_standalone_core::schema::CustomSchemaError;
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use api::{Api, Caller};
use gate::Gate;
use listen::ConnectionLimits;
use manifests::{Manifests, ManifestsError};
use pki::{Pki, PkiError};
use seed::SeedError;
use service::ApiService;
use store::{OpenError, Store};

/// Where the API is and what it keeps.
#[derive(Clone, Debug)]
pub struct StandaloneConfig {
    /// Where everything lies: the database, the authority, the token, the kubeconfig.
    pub data_dir: PathBuf,
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Names that it answers to beside those of loopback.
    pub allowed_hosts: Vec<String>,
}

impl StandaloneConfig {
    /// On loopback at the port of Kubernetes' API, with its data in `data_dir`.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self { data_dir: data_dir.into(), listen: ([127, 0, 0, 1], 6443).into(), allowed_hosts: Vec::new() }
    }
}

/// It could not start, or stopped by itself.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The data cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Nobody could be known.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// What every cluster has could not be stored.
    #[error(transparent)]
    Seed(#[from] SeedError),
    /// A fault of this program: the schema of one of its definitions cannot be read.
    #[error(transparent)]
    Schema(#[from] CustomSchemaError),
    /// The address cannot be bound.
    #[error(
        "cannot listen on {listen}: {source}; choose another address with --listen, or stop what uses it"
    )]
    Listen {
        /// The address as given.
        listen: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The thread that writes the database ended: nothing could be stored any more.
    #[error("the thread that writes the database ended by a fault: start again")]
    WriterEnded,
}

/// An API that is bound and loaded, and not served yet: connections wait.
pub struct Bound {
    /// The address that it took.
    pub address: SocketAddr,
    /// The kubeconfig of its administrator.
    pub kubeconfig: PathBuf,
    api: Api,
    gate: Gate,
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    store: Arc<Store>,
    resources: Arc<Resources>,
    /// Ends watches and connections.
    ending: CancellationToken,
}

/// Opens the data, makes what is missing, and binds the address.
///
/// # Errors
/// See [`Error`].
pub async fn bind(config: StandaloneConfig) -> Result<Bound, Error> {
    let StandaloneConfig { data_dir, listen, allowed_hosts } = config;
    let store = Arc::new(Store::open(&data_dir)?);
    let pki = Pki::load(&data_dir)?;
    let definitions = fleetmesh_crds::all();
    let resources = Arc::new(Resources::new(&definitions));
    seed::seed(&store, &resources, &definitions).await?;
    let unbound = |source| Error::Listen { listen, source };
    let listener = listen::bind(listen).map_err(unbound)?;
    let address = listener.local_addr().map_err(unbound)?;
    let mut names = allowed_hosts;
    names.push(address.ip().to_string());
    let tls = pki.tls(&names)?;
    let kubeconfig = pki.kubeconfig(&format!("https://{}", reachable(address)))?;
    let ending = CancellationToken::new();
    let address_text = address.to_string();
    let api = Api::new(Arc::clone(&store), Arc::clone(&resources), &address_text, ending.clone())?;
    let gate = Gate::new(api.clone(), &pki.token, names);
    Ok(Bound { address, kubeconfig, api, gate, listener, tls, store, resources, ending })
}

/// An address that a client on this host can ask: loopback for one that is every interface's.
fn reachable(address: SocketAddr) -> SocketAddr {
    let mut reachable = address;
    if address.ip().is_unspecified() {
        reachable.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    reachable
}

impl Bound {
    /// A client within this process, as a user of this name who may do everything. It works before the API is served, and has to
    /// be made within a runtime.
    pub fn client(&self, user: &str) -> kube::Client {
        ApiService::new(self.api.clone(), Caller::administrator(user)).client()
    }

    /// The manifests in `folder`, to be applied to this API by [`Manifests::run`].
    ///
    /// # Errors
    /// It is no directory that can be read.
    pub fn manifests(&self, folder: &Path) -> Result<Manifests, ManifestsError> {
        Manifests::new(self.api.clone(), folder)
    }

    /// Serves until `shutdown`; then ends what is under way and returns.
    ///
    /// # Errors
    /// [`Error::WriterEnded`].
    pub async fn serve(self, shutdown: CancellationToken) -> Result<(), Error> {
        let Self { api, gate, listener, tls, store, resources, ending, .. } = self;
        tokio::task::spawn_blocking(move || api.warm_up());
        // Whatever ends it, its parts end with it.
        let _ends = ending.clone().drop_guard();
        let limits = ConnectionLimits::default();
        let served = listen::serve(listener, tls, gate, limits, ending.clone());
        let collected = collector::run(Arc::clone(&store), resources, ending.clone());
        let work = async { tokio::join!(served, collected) };
        let mut work = std::pin::pin!(work);
        tokio::select! {
            _ = &mut work => Ok(()),
            () = store.ended() => Err(Error::WriterEnded),
            () = shutdown.cancelled() => {
                ending.cancel();
                work.await;
                Ok(())
            }
        }
    }
}
