//! HTTP requests of rollouts to servers that somebody else chose: bounded in time and memory, each and all together, and only to
//! allowed destinations (`docs/adr/0020-providers-and-witnesses.md`).
//!
//! `destination → place (providers, secrets) → turn → address resolved once and checked (pure) → one exchange`
//!
//! Nothing that a server says leaves this module but a status code, and a body that its caller reads for one number. An
//! error is one of a fixed set of words ([`OutboundFailure`]), never the server's own.

mod address;
mod exchange;
mod failure;
mod forbidden;
mod own;
mod place;
mod servers;
#[cfg(test)]
mod tests;
mod tls;
mod turns;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use address::{Address, ProviderHost};
pub use exchange::ExchangeAnswer;
pub use failure::OutboundFailure;
pub use place::OutboundPlace;
pub use servers::{ApiServers, Connect};
use turns::Turns;

/// Where questions may go.
#[derive(Clone, Debug)]
pub struct OutboundPolicy {
    /// Whether a Route may name an address itself (`--canary-direct-addresses`).
    pub direct_addresses: bool,
    /// The folder with the Secrets of providers, `SECRET/KEY` (`--provider-secrets`).
    pub secrets: PathBuf,
    /// The Kubernetes API servers, which no address in a Route may lead to.
    pub api_servers: ApiServers,
}

/// What is asked.
#[derive(Clone, Debug)]
pub enum Question {
    /// `GET` of the place, with this behind its path.
    Get(String),
    /// `POST` of JSON to the place.
    Post(String),
}

/// Asks.
#[derive(Debug)]
pub struct Outbound {
    policy: OutboundPolicy,
    turns: Turns,
}

impl Outbound {
    /// Nothing asked yet.
    pub fn new(policy: OutboundPolicy) -> Self {
        Self { policy, turns: Turns::new() }
    }

    /// Asks the server at `place` for a Route of `namespace`: the status and at most 64 KiB of a body, within `limit` after
    /// the question's turn came, which is waited for as long.
    ///
    /// # Errors
    /// See [`OutboundFailure`].
    pub async fn ask(
        &self,
        namespace: &str,
        place: OutboundPlace,
        question: Question,
        limit: Duration,
    ) -> Result<ExchangeAnswer, OutboundFailure> {
        let turn = self.turns.take(namespace, limit).await?;
        let deadline = Instant::now() + limit;
        let exchange = async {
            // A lookup cannot be ended: its turn is over when it is.
            let addresses = resolve(&place.address, Arc::clone(&turn)).await?;
            let address = self.permitted(&place, addresses).await?;
            exchange::exchange(&place, address, question).await
        };
        tokio::time::timeout_at(deadline, exchange).await.map_err(|_| OutboundFailure::Late(limit))?
    }

    /// The address that is connected to: the first, when none of them is forbidden. A name that leads to a forbidden address
    /// beside others is not used at all.
    async fn permitted(
        &self,
        place: &OutboundPlace,
        addresses: Vec<IpAddr>,
    ) -> Result<IpAddr, OutboundFailure> {
        for address in &addresses {
            let forbidden = match place.chosen_by_route {
                true => forbidden::to_routes(*address),
                false => forbidden::to_everybody(*address),
            };
            if let Some(what) = forbidden {
                return Err(OutboundFailure::Forbidden(what));
            }
        }
        if place.chosen_by_route && addresses.iter().any(|address| own::is_own(*address)) {
            return Err(OutboundFailure::Forbidden("the operator's own host"));
        }
        if place.chosen_by_route && self.leads_to_api_server(&addresses).await {
            return Err(OutboundFailure::Forbidden("the Kubernetes API server"));
        }
        addresses.first().copied().ok_or(OutboundFailure::Unresolved)
    }

    async fn leads_to_api_server(&self, addresses: &[IpAddr]) -> bool {
        for host in self.policy.api_servers.hosts().await {
            let known: Vec<IpAddr> = match host.trim_matches(['[', ']']).parse() {
                Ok(address) => vec![address],
                // One that nobody can resolve is not where anything leads to.
                Err(_) => tokio::net::lookup_host((host.as_str(), 443))
                    .await
                    .map(|found| found.map(|address| address.ip()).collect())
                    .unwrap_or_default(),
            };
            if addresses
                .iter()
                .any(|address| known.iter().any(|known| known.to_canonical() == address.to_canonical()))
            {
                return true;
            }
        }
        false
    }
}

async fn resolve(address: &Address, turn: Arc<turns::OutboundTurn>) -> Result<Vec<IpAddr>, OutboundFailure> {
    let name = match &address.host {
        ProviderHost::Ip(ip) => return Ok(vec![*ip]),
        ProviderHost::Name(name) => name.clone(),
    };
    let port = address.port;
    let lookup = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        std::net::ToSocketAddrs::to_socket_addrs(&(name.as_str(), port)).map(Vec::from_iter)
    });
    let found =
        lookup.await.map_err(|_| OutboundFailure::Unresolved)?.map_err(|_| OutboundFailure::Unresolved)?;
    Ok(found.into_iter().map(|address| address.ip()).collect())
}
