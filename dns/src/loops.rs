//! Finds upstreams that ask this very resolver, as the system's own resolver does when it was configured with this one: a query that
//! nobody else can know of is sent to each, and must not come back.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use hickory_proto::op::{Message, Query};
use hickory_proto::rr::{Name, RecordType};
use tokio::task::JoinSet;

use crate::forward::{self, Transport};
use crate::message;

/// Where the names are that are asked for: nobody has any there (RFC 6761).
const DOMAIN: &str = "fleetmesh-loop.test";

/// Recognizes the queries that it sent.
#[derive(Debug)]
pub struct LoopProbe {
    secret: String,
    met: Mutex<BTreeSet<usize>>,
}

impl LoopProbe {
    /// A probe with a secret of its own.
    pub fn new() -> Self {
        let secret = (0..4).map(|_| format!("{:04x}", message::random())).collect();
        Self { secret, met: Mutex::default() }
    }

    /// Whether `query` is one of its own.
    pub fn meets(&self, query: &[u8]) -> bool {
        let Some((_, question, _)) = message::question(query) else { return false };
        let name = question.name().to_ascii().to_ascii_lowercase();
        let tail = format!(".{}.{DOMAIN}.", self.secret);
        let Some(number) = name.strip_suffix(&tail).and_then(|number| number.parse().ok()) else {
            return false;
        };
        self.met.lock().unwrap_or_else(PoisonError::into_inner).insert(number);
        true
    }

    /// Those of `servers` that ask this resolver what they are asked.
    pub async fn looping(&self, servers: &[SocketAddr]) -> Vec<SocketAddr> {
        let mut asking = JoinSet::new();
        for (number, server) in servers.iter().copied().enumerate() {
            if let Some(query) = self.query(number) {
                asking.spawn(async move { forward::one(server, &query, Transport::Udp).await });
            }
        }
        // What they answer, or that they do not, is of no interest.
        asking.join_all().await;
        let met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        servers
            .iter()
            .enumerate()
            .filter(|(number, _)| met.contains(number))
            .map(|(_, server)| *server)
            .collect()
    }

    fn query(&self, number: usize) -> Option<Vec<u8>> {
        let name = Name::from_ascii(format!("{number}.{}.{DOMAIN}.", self.secret)).ok()?;
        let mut query = Message::query();
        query.metadata.recursion_desired = true;
        query.add_query(Query::query(name, RecordType::A));
        query.to_vec().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_knows_its_own_queries_and_nobody_elses() {
        let (probe, other) = (LoopProbe::new(), LoopProbe::new());
        assert_ne!(probe.secret, other.secret);
        let query = probe.query(3).expect("a query");
        assert!(!other.meets(&query) && probe.met.lock().expect("a lock").is_empty());
        assert!(probe.meets(&query));
        assert_eq!(*probe.met.lock().expect("a lock"), BTreeSet::from([3]));
    }
}
