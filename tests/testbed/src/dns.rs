//! A small DNS server, authoritative for the namespace of a test bed (`apps.local`).
//!
//! The server itself runs in `fleetmesh-testbed dns` on the bridge of a network, where all instances reach it.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Error, Result};
use hickory_server::Server;
use hickory_server::net::runtime::TokioRuntimeProvider;
use hickory_server::proto::rr::rdata::{A, AAAA, SOA};
use hickory_server::proto::rr::{Name, RData, Record};
use hickory_server::store::in_memory::InMemoryZoneHandler;
use hickory_server::zone_handler::{AxfrPolicy, Catalog, ZoneType};
use tokio::net::{TcpListener, UdpSocket};

use crate::netns::Network;
use crate::process::{Process, START};
use crate::run_dir::RunDir;
use crate::tools;

/// Seconds that a resolver may keep an answer: short, because tests change what names mean.
const TTL: u32 = 5;
/// How long a TCP query may take.
const TCP_TIMEOUT: Duration = Duration::from_secs(5);
/// Answers held back for one TCP client.
const TCP_RESPONSES: usize = 16;

/// Names and their addresses.
#[derive(Debug, Clone, Default)]
pub struct Zone {
    records: BTreeMap<String, Vec<IpAddr>>,
}

impl Zone {
    /// Adds an address of `name` (a full name, without the last dot).
    pub fn add(&mut self, name: &str, address: impl Into<IpAddr>) -> &mut Self {
        self.records.entry(name.to_owned()).or_default().push(address.into());
        self
    }
}

/// Starts the DNS server of `network`, authoritative for `origin`.
///
/// # Errors
/// It cannot be started or does not answer.
pub async fn start(network: &Network, origin: &str, zone: &Zone, run: &RunDir) -> Result<Process> {
    let mut command = network.command(tools::testbed()?);
    command.args(["dns", "--listen", &format!("{}:53", Network::GATEWAY), "--origin", origin]);
    for (name, addresses) in &zone.records {
        for address in addresses {
            command.args(["--record", &format!("{name}={address}")]);
        }
    }
    let mut process = Process::spawn("dns", &command, run)?;
    process.first_line(START).await?;
    Ok(process)
}

/// Serves until the task is dropped; prints the address once it listens.
///
/// # Errors
/// A name is not one, or the address cannot be bound.
pub async fn serve(listen: SocketAddr, origin: &str, records: &[DnsRecord]) -> Result<()> {
    let origin = Name::from_str(&format!("{}.", origin.trim_end_matches('.')))?;
    let zone = InMemoryZoneHandler::<TokioRuntimeProvider>::empty(
        origin.clone(),
        ZoneType::Primary,
        AxfrPolicy::Deny,
    );
    let soa = SOA::new(origin.clone(), origin.clone(), 1, 60, 60, 60, TTL);
    zone.upsert(Record::from_rdata(origin.clone(), TTL, RData::SOA(soa)), 0).await;
    for DnsRecord { name, address } in records {
        let name = Name::from_str(&format!("{name}."))?;
        let data = match address {
            IpAddr::V4(address) => RData::A(A(*address)),
            IpAddr::V6(address) => RData::AAAA(AAAA(*address)),
        };
        zone.upsert(Record::from_rdata(name, TTL, data), 0).await;
    }
    let mut catalog = Catalog::new();
    catalog.upsert(origin.into(), vec![Arc::new(zone)]);
    let mut server = Server::new(catalog);
    server.register_socket(UdpSocket::bind(listen).await.with_context(|| format!("cannot bind {listen}"))?);
    server.register_listener(TcpListener::bind(listen).await?, TCP_TIMEOUT, TCP_RESPONSES);
    println!("{listen}");
    server.block_until_done().await?;
    Ok(())
}

/// `NAME=ADDRESS`, as the command line takes it.
#[derive(Debug, Clone)]
pub struct DnsRecord {
    name: String,
    address: IpAddr,
}

impl FromStr for DnsRecord {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, address) =
            text.split_once('=').with_context(|| format!("{text:?} is not NAME=ADDRESS"))?;
        let address = address.parse().with_context(|| format!("{address:?} is not an IP address"))?;
        Ok(Self { name: name.trim_end_matches('.').to_owned(), address })
    }
}
