//! What this machine's Envoy has, by its admin interface.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fleetmesh_api::services::{EGRESS_LISTENERS, EGRESS_ROUTES};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::names::VirtualNames;

/// How often it is looked whether anything changed.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long an answer of Envoy may take.
const LIMIT: Duration = Duration::from_secs(5);
/// The largest dump, in bytes.
const LARGEST: usize = 64 * 1024 * 1024;
/// The versions of what Envoy's listeners and egress routes are made from: `(lds|egress.rds…).version`. A dump is large, and these
/// are a line each.
const VERSIONS: &str = "/stats?filter=(listener_manager.lds%7Chttp.egress.rds..*)%5C.version%24";

/// Reads the names of the mesh from one Envoy.
#[derive(Debug)]
pub struct EnvoyAdmin {
    address: SocketAddr,
    /// The versions when the lists were read last.
    seen: Option<Bytes>,
}

impl EnvoyAdmin {
    /// That of the Envoy whose admin interface is at `address`.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, seen: None }
    }

    /// Keeps `names` to what Envoy has. While it cannot be read, as during a restart, they stay as they are.
    pub async fn follow(mut self, names: &watch::Sender<Arc<VirtualNames>>) {
        let mut failing = false;
        loop {
            tokio::time::sleep(INTERVAL).await;
            match self.look().await {
                Ok(read) => {
                    if failing {
                        tracing::info!("Envoy answers again");
                    }
                    failing = false;
                    read.into_iter().for_each(|read| enter(names, read));
                }
                Err(reason) => {
                    if !failing {
                        tracing::warn!(
                            reason,
                            "Envoy cannot be asked for names of the mesh; they stay as they were"
                        );
                    }
                    failing = true;
                }
            }
        }
    }

    /// The names, when they may have changed since they were read last.
    ///
    /// # Errors
    /// In words: Envoy cannot be asked, or has no configuration yet.
    pub async fn look(&mut self) -> Result<Option<VirtualNames>, String> {
        let versions = self.get(VERSIONS).await?;
        if !versions.is_empty() && self.seen.as_ref() == Some(&versions) {
            return Ok(None);
        }
        let listeners = self.dump("dynamic_listeners", EGRESS_LISTENERS).await?;
        let routes = self.dump("dynamic_route_configs", EGRESS_ROUTES).await?;
        let names = VirtualNames::read(&routes, &listeners)?;
        let names = names.ok_or("it has no configuration from its control plane yet")?;
        // What changed meanwhile has another version, and is read the next time.
        self.seen = Some(versions);
        Ok(Some(names))
    }

    /// The dump of the resources of one kind whose names begin so; an empty one where Envoy has none of the kind.
    async fn dump(&self, resources: &str, prefix: &str) -> Result<Bytes, String> {
        let path = format!("/config_dump?resource={resources}&name_regex={prefix}.*");
        match self.exchange(&path).await? {
            (200, body) => Ok(body),
            (404, _) => Ok(Bytes::from_static(b"{}")),
            (status, _) => Err(self.refused(&path, status)),
        }
    }

    async fn get(&self, path: &str) -> Result<Bytes, String> {
        match self.exchange(path).await? {
            (200, body) => Ok(body),
            (status, _) => Err(self.refused(path, status)),
        }
    }

    fn refused(&self, path: &str, status: u16) -> String {
        format!("http://{}{path} answers with status {status}", self.address)
    }

    async fn exchange(&self, path: &str) -> Result<(u16, Bytes), String> {
        let failed = |why: String| format!("http://{} (--admin) cannot be asked: {why}", self.address);
        let exchange = timeout(LIMIT, exchange(self.address, path)).await;
        exchange.map_err(|_| failed(format!("no answer within {LIMIT:?}")))?.map_err(failed)
    }
}

fn enter(names: &watch::Sender<Arc<VirtualNames>>, read: VirtualNames) {
    names.send_if_modified(|known| {
        let changed = **known != read;
        if changed {
            tracing::info!(names = read.len(), "the names of the mesh changed");
            *known = Arc::new(read);
        }
        changed
    });
}

async fn exchange(address: SocketAddr, path: &str) -> Result<(u16, Bytes), String> {
    fn words(error: impl std::error::Error) -> String {
        error.to_string()
    }
    let request = http::Request::get(path).header("host", address.to_string());
    let request = request.body(Empty::<Bytes>::new()).map_err(words)?;
    let stream = TcpStream::connect(address).await.map_err(words)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(words)?;
    // It ends with this exchange.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let answer = sender.send_request(request).await.map_err(words)?;
    let status = answer.status().as_u16();
    let body = Limited::new(answer.into_body(), LARGEST).collect().await;
    Ok((status, body.map_err(|error| error.to_string())?.to_bytes()))
}
