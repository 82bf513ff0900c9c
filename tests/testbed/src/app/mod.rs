//! The application of a test bed: a server that answers with its name, clients that count who answered.
//!
//! Both run on an instance as children (`fleetmesh-testbed app …`); this module starts them and reads what they say.

pub mod client;
pub mod load;
mod raw;
pub mod server;
pub mod tally;
mod tcp;
mod upgrade;

use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::command;
use crate::netns::{self, NetnsInstance};
use crate::process::{Process, START};
use crate::run_dir::RunDir;
use crate::tools;
use client::AppAnswer;
use tally::Tally;
pub use tcp::client_hello;

/// What travels over a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Protocol {
    /// HTTP/1.1.
    Http,
    /// HTTP/2 without TLS, with prior knowledge.
    Http2,
    /// Unary gRPC calls over HTTP/2.
    Grpc,
    /// A line with the server's name, then an echo.
    Tcp,
    /// HTTP/1.1 word for word.
    Raw,
}

impl Protocol {
    fn argument(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Http2 => "http2",
            Self::Grpc => "grpc",
            Self::Tcp => "tcp",
            Self::Raw => "raw",
        }
    }
}

/// A server of the application on an instance.
#[derive(Debug)]
pub struct Server(Process);

impl Server {
    /// Starts a server that calls itself `name` on `port` of every address of `instance`: HTTP/1.1, HTTP/2 and gRPC
    /// on one port, or TCP, or raw HTTP.
    ///
    /// # Errors
    /// It cannot be started or cannot bind the port.
    pub async fn start(
        name: &str,
        protocol: Protocol,
        port: u16,
        on: &NetnsInstance,
        run: &RunDir,
    ) -> Result<Self> {
        let mut command = on.command(tools::testbed()?);
        command.args(["app", "serve", "--name", name, "--listen", &format!("[::]:{port}")]);
        command.args(["--protocol", protocol.argument()]);
        let mut process = Process::spawn(&format!("app-{}-{port}", on.name()), &command, run)?;
        process.first_line(START).await?;
        netns::listening(on, port, START).await?;
        Ok(Self(process))
    }

    /// Makes it answer health checks (`/ping`, `/health` and gRPC's) with 200, or 503.
    ///
    /// # Errors
    /// It has ended.
    pub async fn set_healthy(&mut self, healthy: bool) -> Result<()> {
        self.set(if healthy { "healthy" } else { "unhealthy" }).await
    }

    /// Makes every `nth` request fail with 503, or what [`Self::fail_with`] says (gRPC: UNAVAILABLE); 1 fails all, 0 none.
    ///
    /// # Errors
    /// It has ended.
    pub async fn fail_every(&mut self, nth: u64) -> Result<()> {
        self.set(&format!("fail-every {nth}")).await
    }

    /// Makes the next `count` requests fail with 503 (gRPC: UNAVAILABLE).
    ///
    /// # Errors
    /// It has ended.
    pub async fn fail_next(&mut self, count: u64) -> Result<()> {
        self.set(&format!("fail-next {count}")).await
    }

    /// Makes failures to come answer with this HTTP status (not gRPC's).
    ///
    /// # Errors
    /// It has ended.
    pub async fn fail_with(&mut self, status: u16) -> Result<()> {
        self.set(&format!("fail-status {status}")).await
    }

    /// Says a line and awaits that it took effect.
    async fn set(&mut self, line: &str) -> Result<()> {
        let said = self.0.lines()?.len();
        self.0.say(line)?;
        let what = format!("the server confirms {line:?}");
        self.0.until(&what, START, async |process| Ok((process.lines()?.len() > said).then_some(()))).await
    }

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.0
    }
}

/// What a load client does.
#[derive(Debug, Clone)]
pub struct LoadOptions {
    /// Where requests go: `http://NAME[:PORT]/PATH`; `tcp://NAME:PORT` for [`Protocol::Tcp`].
    pub url: String,
    /// What it speaks.
    pub protocol: Protocol,
    /// Requests started in a second.
    pub rate: u32,
    /// Clients with their own connections, used in turn.
    pub connections: usize,
    /// The most requests under way; beyond it new ones wait, and the rate falls.
    pub concurrency: usize,
    /// Request headers, each `NAME: VALUE`.
    pub headers: Vec<String>,
}

impl LoadOptions {
    /// 2,000 HTTP/2 requests a second for `url` over four connections, 64 at a time.
    #[must_use]
    pub fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            protocol: Protocol::Http2,
            rate: 2000,
            connections: 4,
            concurrency: 64,
            headers: Vec::new(),
        }
    }
}

/// A running load client.
#[derive(Debug)]
pub struct AppLoad(Process);

impl AppLoad {
    /// Starts sending from `on`, counting into phase `phase`.
    ///
    /// # Errors
    /// It cannot be started.
    pub async fn start(options: &LoadOptions, phase: &str, on: &NetnsInstance, run: &RunDir) -> Result<Self> {
        let mut command = on.command(tools::testbed()?);
        command.args([
            "app",
            "load",
            &options.url,
            "--protocol",
            options.protocol.argument(),
            "--phase",
            phase,
        ]);
        command.args(["--rate", &options.rate.to_string()]);
        command.args(["--connections", &options.connections.to_string()]);
        command.args(["--concurrency", &options.concurrency.to_string()]);
        for header in &options.headers {
            command.args(["--header", header]);
        }
        let mut process = Process::spawn(&format!("load-{}", on.name()), &command, run)?;
        process.first_line(START).await?;
        Ok(Self(process))
    }

    /// Counts the requests that start from now on into phase `name`.
    ///
    /// # Errors
    /// The client has ended.
    pub async fn phase(&mut self, name: &str) -> Result<()> {
        self.0.say(&format!("phase {name}"))?;
        self.until(&format!("the load client counts into {name}"), START, |tally| {
            tally.current().is_some_and(|phase| phase.name == name)
        })
        .await?;
        Ok(())
    }

    /// What was counted up to about a tenth of a second ago.
    ///
    /// # Errors
    /// The client has ended, or its report cannot be read.
    pub fn tally(&mut self) -> Result<Tally> {
        self.0.ensure_running()?;
        report(&self.0)
    }

    /// Awaits a report that satisfies `enough`.
    ///
    /// # Errors
    /// `within` has passed, or the client has ended.
    pub async fn until(
        &mut self,
        what: &str,
        within: Duration,
        mut enough: impl FnMut(&Tally) -> bool,
    ) -> Result<Tally> {
        self.0
            .until(what, within, async |process| {
                let tally = report(process)?;
                Ok(enough(&tally).then_some(tally))
            })
            .await
    }

    /// Starts no more requests, awaits those under way and returns the final count.
    ///
    /// # Errors
    /// The client fails, or does not come to its end.
    pub async fn finish(mut self) -> Result<Tally> {
        self.0.close_stdin();
        let status = self.0.ended(Duration::from_secs(30)).await?;
        anyhow::ensure!(status.success(), "the load client ended with {status}\n{}", self.0.log_tail());
        report(&self.0)
    }

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.0
    }
}

fn report(process: &Process) -> Result<Tally> {
    let lines = process.lines()?;
    let last = lines.last().context("the load client has reported nothing")?;
    serde_json::from_str(last).with_context(|| format!("not a report: {last:?}"))
}

/// Sends one request from `on` and returns the answer; `extra` are more arguments of `fleetmesh-testbed app get`.
///
/// # Errors
/// No answer came: refused, reset, or timed out.
pub async fn get(on: &NetnsInstance, protocol: Protocol, url: &str, extra: &[&str]) -> Result<AppAnswer> {
    let mut get = on.command(tools::testbed()?);
    get.args(["app", "get", url, "--protocol", protocol.argument()]).args(extra);
    let text = command::run(get).await?;
    serde_json::from_str(&text).with_context(|| format!("not an answer: {text:?}"))
}
