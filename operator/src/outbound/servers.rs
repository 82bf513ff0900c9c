//! The addresses of the Kubernetes API servers: from the configuration, and from what each API server reports itself. Several may be
//! behind one address, and a connection reaches one of them.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::uri::Authority;
use kube::Client;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

/// How long what was said is taken for all that there is to say.
const FRESH: Duration = Duration::from_secs(60);
/// Connections of a look, each of which may come to another API server.
const AT_ONCE: usize = 4;
/// How long a look may take.
const LIMIT: Duration = Duration::from_secs(2);

/// Makes a client that has no connection yet; none when it cannot be made.
pub type Connect = Arc<dyn Fn() -> Option<Client> + Send + Sync>;

/// The hosts of a cluster's API servers.
#[derive(Clone)]
pub struct ApiServers {
    configured: Vec<String>,
    connect: Connect,
    known: Arc<Mutex<KnownServers>>,
}

/// What API servers said so far. One that said it once is not forgotten: it may be between two of its processes.
#[derive(Debug, Default)]
struct KnownServers {
    hosts: BTreeSet<String>,
    looked: Option<Instant>,
}

impl ApiServers {
    /// Those with these names or addresses, and those that clients of `connect` reach. Nothing is asked yet.
    pub fn new(configured: Vec<String>, connect: Connect) -> Self {
        Self { configured, connect, known: Arc::default() }
    }

    /// Their names and addresses, without ports. Asks when nobody was asked for a minute: `/api`, which every
    /// authenticated user may read (the ClusterRole `system:discovery`). One that does not answer adds nothing.
    pub async fn hosts(&self) -> Vec<String> {
        let mut known = self.known.lock().await;
        if known.looked.is_none_or(|looked| looked.elapsed() >= FRESH) {
            let asked = (0..AT_ONCE).filter_map(|_| (self.connect)()).map(say);
            known.hosts.extend(futures::future::join_all(asked).await.into_iter().flatten());
            known.looked = Some(Instant::now());
        }
        self.configured.iter().chain(&known.hosts).cloned().collect()
    }
}

impl fmt::Debug for ApiServers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiServers").field("configured", &self.configured).finish_non_exhaustive()
    }
}

/// The hosts that the API server at the other end of `client` says that clients reach it by.
async fn say(client: Client) -> Vec<String> {
    let versions = match timeout(LIMIT, client.list_core_api_versions()).await {
        Ok(Ok(versions)) => versions,
        Ok(Err(error)) => {
            tracing::warn!(%error, "the API server does not say by which addresses it is reached");
            return Vec::new();
        }
        Err(_) => return Vec::new(),
    };
    let addresses = versions.server_address_by_client_cidrs.iter();
    addresses.filter_map(|by_client| host(&by_client.server_address)).collect()
}

/// The host of `HOST:PORT`, without the brackets of IPv6.
fn host(address: &str) -> Option<String> {
    let host = address.parse::<Authority>().ok()?.host().trim_matches(['[', ']']).to_owned();
    (!host.is_empty()).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_its_host() {
        for (address, expected) in [
            ("10.0.0.5:6443", Some("10.0.0.5")),
            ("[fd00::1]:443", Some("fd00::1")),
            ("api.example.com", Some("api.example.com")),
            ("", None),
            ("not a host", None),
        ] {
            assert_eq!(host(address).as_deref(), expected, "{address}");
        }
    }
}
