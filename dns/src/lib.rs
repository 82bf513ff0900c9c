//! `fleetmesh proxy dns`: a resolver for one machine that answers the names of the services which its virtual node may call, and
//! forwards the rest. So a service's name resolves without a record anywhere.
//!
//! `Envoy's configuration → names of the mesh → virtual addresses → the application connects → interception → Envoy`
//!
//! Guarantees:
//! - **This machine alone is answered**: it listens on loopback addresses and no other.
//! - **Only names of this node's backends are the mesh's.** They come from the proxy's own configuration, and so from the control
//!   plane; they win over records of the same name elsewhere. Whatever else is asked reaches the upstream as it is.
//! - **Envoy's own questions are forwarded**, by the user that it runs as: what is behind a service may have the service's name.
//! - **Names stay while Envoy is away**, and an upstream that is away delays no name of the mesh.
//! - **No loop**: an upstream that is this resolver, or asks it, is not asked.
//!
//! A crate of its own beside `fleetmesh-proxy`, which has no async runtime.

mod asker;
mod envoy;
mod forward;
mod loops;
mod message;
mod names;
mod serve;
mod upstream;
mod user;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use envoy::EnvoyAdmin;
use forward::Forwarder;
use loops::LoopProbe;
use names::VirtualNames;
use serve::{Resolver, Sockets};

/// How long the first answer of Envoy is waited for, before connections are taken without.
const FIRST_LOOK: Duration = Duration::from_secs(10);
/// How long to wait between two attempts at it.
const RETRY: Duration = Duration::from_millis(200);

/// What a resolver is configured with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsConfig {
    /// The loopback address that it listens at, over UDP and TCP.
    pub listen: SocketAddr,
    /// Where Envoy's admin interface is.
    pub admin: SocketAddr,
    /// The servers that other names are forwarded to; those that `resolv_conf` names when empty.
    pub upstreams: Vec<SocketAddr>,
    /// A file as in resolv.conf(5).
    pub resolv_conf: PathBuf,
    /// The users who get no virtual addresses: Envoy's.
    pub ignored_uids: BTreeSet<u32>,
    /// The user to become when the port is taken; the caller stays when absent.
    pub user: Option<u32>,
}

/// Why there is no resolver.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It would answer strangers.
    #[error(
        "--listen {0} is no loopback address: this resolver is for its own machine alone, at 127.0.0.0/8 or [::1]"
    )]
    NotLoopback(SocketAddr),
    /// The address cannot be had.
    #[error(
        "cannot listen on {address} (--listen): {source}; ports below 1024 are root's, and another resolver may have it"
    )]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file that names upstreams.
    #[error(
        "cannot read {path} (--resolv-conf): {source}; name the servers that know all other names with --upstream"
    )]
    ResolvConf {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// An upstream leads back here.
    #[error(
        "--upstream {0} would ask itself: it is this resolver, or asks it; name a server that knows the other names by itself, such as the VPC's (169.254.169.253)"
    )]
    Loop(SocketAddr),
    /// There is nobody to forward to.
    #[error(
        "nobody is named to forward other names to but {0} itself: name a server with --upstream, or a file from before this resolver was in it with --resolv-conf"
    )]
    NoUpstream(SocketAddr),
    /// The user cannot be changed.
    #[error("cannot become user {uid} (--user): {source}; only root can")]
    User {
        /// The user.
        uid: u32,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Answers until `shutdown`.
///
/// # Errors
/// See [`Error`]: it could not begin, or every upstream asks this resolver itself.
pub async fn run(config: DnsConfig, shutdown: CancellationToken) -> Result<(), Error> {
    let DnsConfig { listen, admin, upstreams, resolv_conf, ignored_uids, user } = config;
    if !listen.ip().is_loopback() {
        return Err(Error::NotLoopback(listen));
    }
    let file = upstreams.is_empty().then(|| std::fs::read_to_string(&resolv_conf)).transpose();
    let file =
        file.map_err(|source| Error::ResolvConf { path: resolv_conf.display().to_string(), source })?;
    let servers = upstream::upstreams(&upstreams, file.as_deref(), listen)?;
    let sockets = Sockets::bind(listen).await?;
    if let Some(uid) = user {
        user::become_user(uid).map_err(|errno| Error::User { uid, source: errno.into() })?;
    }
    tracing::info!(%listen, upstreams = ?servers, "names of the mesh are answered, others are forwarded");
    let mut envoy = EnvoyAdmin::new(admin);
    let known = watch::Sender::new(Arc::new(first_look(&mut envoy).await));
    let resolver = Arc::new(Resolver {
        names: known.subscribe(),
        forwarder: Forwarder::new(servers),
        ignored_uids,
        probe: LoopProbe::new(),
    });
    let serving = Arc::clone(&resolver).serve(sockets);
    let working = async {
        tokio::select! {
            ended = serving => ended,
            () = envoy.follow(&known) => Ok(()),
            looping = only_loops(&resolver) => Err(Error::Loop(looping)),
        }
    };
    shutdown.run_until_cancelled(working).await.unwrap_or(Ok(()))
}

/// The names that Envoy has now; none when it has none soon. Whoever waits for this resolver's connections finds them answered.
async fn first_look(envoy: &mut EnvoyAdmin) -> VirtualNames {
    let looking = async {
        loop {
            match envoy.look().await {
                Ok(names) => return names.unwrap_or_default(),
                Err(reason) => tracing::debug!(reason, "no names yet"),
            }
            tokio::time::sleep(RETRY).await;
        }
    };
    match timeout(FIRST_LOOK, looking).await {
        Ok(names) => {
            tracing::info!(names = names.len(), "the names of the mesh are known");
            names
        }
        Err(_) => {
            tracing::warn!("Envoy has no names of the mesh yet (--admin): all are forwarded until it does");
            VirtualNames::default()
        }
    }
}

/// Leaves out the upstreams that ask this resolver; ends with one of them when there is no other.
async fn only_loops(resolver: &Resolver) -> SocketAddr {
    for server in resolver.probe.looping(&resolver.forwarder.servers()).await {
        resolver.forwarder.leave_out(server);
        tracing::error!(%server, "it asks this resolver what it is asked, and is not asked any more: name another with --upstream");
        if resolver.forwarder.servers().is_empty() {
            return server;
        }
    }
    std::future::pending().await
}
