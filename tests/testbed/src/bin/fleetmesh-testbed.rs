//! What runs on the instances of a test bed: the application's server and clients, and the DNS server.

use std::net::SocketAddr;

use anyhow::Result;
use clap::{Parser, Subcommand};
use fleetmesh_testbed::app::client::{AppCall, Client, headers};
use fleetmesh_testbed::app::{Protocol, client_hello, load, server};
use fleetmesh_testbed::dns::{self, DnsRecord};
use http::{Method, Uri};

/// Programs of the Fleetmesh test bed.
#[derive(Parser)]
#[command(version)]
enum TestbedCommand {
    /// The application.
    #[command(subcommand)]
    App(AppCommand),
    /// An authoritative DNS server.
    Dns {
        /// Where to listen, UDP and TCP.
        #[arg(long)]
        listen: SocketAddr,
        /// The namespace it is authoritative for.
        #[arg(long)]
        origin: String,
        /// NAME=ADDRESS; may be repeated.
        #[arg(long = "record")]
        records: Vec<DnsRecord>,
    },
}

#[derive(Subcommand)]
enum AppCommand {
    /// Answers with its name; commands on standard input: healthy, unhealthy, fail-every N, fail-next N,
    /// fail-status N.
    Serve {
        /// What it calls itself.
        #[arg(long)]
        name: String,
        /// Where to listen.
        #[arg(long)]
        listen: SocketAddr,
        /// tcp, raw, or any other for HTTP/1.1, HTTP/2 and gRPC on one port.
        #[arg(long, value_enum, default_value = "http2")]
        protocol: Protocol,
    },
    /// Sends requests until standard input closes; a line `phase NAME` opens a new phase.
    Load {
        #[command(flatten)]
        request: GetArgs,
        /// Requests started in a second.
        #[arg(long, default_value_t = 1000)]
        rate: u32,
        /// Clients with their own connections.
        #[arg(long, default_value_t = 4)]
        connections: usize,
        /// The most requests under way.
        #[arg(long, default_value_t = 64)]
        concurrency: usize,
        /// The name of the first phase.
        #[arg(long, default_value = "start")]
        phase: String,
    },
    /// Sends one request and prints the answer as JSON.
    Get {
        #[command(flatten)]
        request: GetArgs,
    },
}

#[derive(clap::Args)]
struct GetArgs {
    /// http://NAME[:PORT]/PATH, or tcp://NAME:PORT.
    url: Uri,
    /// What it speaks.
    #[arg(long, value_enum, default_value = "http2")]
    protocol: Protocol,
    /// The HTTP method.
    #[arg(long, default_value = "GET")]
    method: Method,
    /// NAME: VALUE; may be repeated.
    #[arg(long = "header")]
    headers: Vec<String>,
    /// What TCP begins with before anything is read: a ClientHello that asks for this name.
    #[arg(long, value_name = "NAME", conflicts_with = "says")]
    sni: Option<String>,
    /// What TCP begins with before anything is read, and all that is sent of raw HTTP: this text.
    #[arg(long, value_name = "TEXT")]
    says: Option<String>,
    /// What the connection is to be upgraded to, in HTTP/1.1 or HTTP/2.
    #[arg(long, value_name = "TOKEN")]
    upgrade: Option<String>,
}

impl GetArgs {
    fn call(self) -> Result<AppCall> {
        let Self { url, protocol, method, headers: lines, sni, says, upgrade } = self;
        let hello = sni.as_deref().map(client_hello).transpose()?;
        let opening = hello.or(says.map(String::into_bytes)).unwrap_or_default();
        Ok(AppCall { url, protocol, method, headers: headers(&lines)?, opening, upgrade })
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    match TestbedCommand::parse() {
        TestbedCommand::Dns { listen, origin, records } => dns::serve(listen, &origin, &records).await,
        TestbedCommand::App(AppCommand::Serve { name, listen, protocol }) => {
            server::serve(listen, protocol, &name).await
        }
        TestbedCommand::App(AppCommand::Load { request, rate, connections, concurrency, phase }) => {
            let call = request.call()?;
            load::run(load::LoadPlan { call, rate, connections, concurrency, phase }).await
        }
        TestbedCommand::App(AppCommand::Get { request }) => {
            let call = request.call()?;
            let answer = Client::new(call.protocol).send(&call).await?;
            println!("{}", serde_json::to_string(&answer)?);
            Ok(())
        }
    }
}
