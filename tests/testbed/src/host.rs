//! One instance of the scenario, complete: the application, Envoy, and the interception of the application's traffic.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::app::{Protocol, Server};
use crate::command;
use crate::envoy::{self, Envoy, UID};
use crate::netns::NetnsInstance;
use crate::run_dir::RunDir;
use crate::tools;

/// How long Envoy may take to have its first configuration.
const JOIN: Duration = Duration::from_secs(60);

/// What sets the rules of interception.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostBackend {
    /// `iptables-restore`.
    Iptables,
    /// `nft`.
    Nft,
}

impl HostBackend {
    fn argument(self) -> &'static str {
        match self {
            Self::Iptables => "iptables",
            Self::Nft => "nft",
        }
    }
}

/// A member of the mesh.
#[derive(Debug)]
pub struct Host {
    /// Its network.
    pub instance: NetnsInstance,
    /// The application.
    pub server: Server,
    /// The proxy.
    pub envoy: Envoy,
    backend: HostBackend,
}

/// What a host runs and which virtual node it is.
#[derive(Debug, Clone)]
pub struct HostOptions {
    /// The virtual node, as `mesh/apps/virtualNode/serviceB`.
    pub resource: String,
    /// The EC2 instance that the host takes the role of, if it does.
    pub instance_id: Option<String>,
    /// What the application calls itself.
    pub app: String,
    /// What the application speaks.
    pub protocol: Protocol,
    /// Where it listens.
    pub port: u16,
    /// What sets the rules of interception.
    pub backend: HostBackend,
    /// Whether IPv6 is intercepted too.
    pub ipv6: bool,
}

impl HostOptions {
    /// An HTTP/2 application on port 80 that calls itself `node`, on virtual node `node` of `mesh`.
    #[must_use]
    pub fn new(mesh: &str, node: &str, backend: HostBackend) -> Self {
        Self {
            resource: format!("mesh/{mesh}/virtualNode/{node}"),
            instance_id: None,
            app: node.to_owned(),
            protocol: Protocol::Http2,
            port: 80,
            backend,
            ipv6: true,
        }
    }
}

impl Host {
    /// Starts application and proxy on `instance`, in the order of the scenario: proxy, interception, application.
    /// The proxy may still wait for its configuration: see [`Self::ready`].
    ///
    /// # Errors
    /// A part cannot be started.
    pub async fn start(
        instance: NetnsInstance,
        options: &HostOptions,
        control_plane: &str,
        run: &RunDir,
    ) -> Result<Self> {
        let bootstrap =
            envoy::bootstrap(&options.resource, control_plane, options.instance_id.as_deref()).await?;
        Self::start_with(instance, options, &bootstrap, run).await
    }

    /// The same with this bootstrap of Envoy's (YAML).
    ///
    /// # Errors
    /// A part cannot be started.
    pub async fn start_with(
        instance: NetnsInstance,
        options: &HostOptions,
        bootstrap: &str,
        run: &RunDir,
    ) -> Result<Self> {
        let HostOptions { app, protocol, port, backend, ipv6, .. } = options;
        let envoy = Envoy::start_with(bootstrap, &instance, run)?;
        intercept(&instance, *backend, *port, *ipv6).await?;
        let server = Server::start(app, *protocol, *port, &instance, run).await?;
        Ok(Self { instance, server, envoy, backend: *backend })
    }

    /// Awaits that the proxy serves.
    ///
    /// # Errors
    /// It gets no configuration in a minute.
    pub async fn ready(&mut self) -> Result<()> {
        self.envoy.ready(&self.instance, JOIN).await
    }

    /// Takes the interception away, as an instance does that leaves the mesh.
    ///
    /// # Errors
    /// The rules cannot be removed.
    pub async fn stop_intercepting(&self) -> Result<()> {
        let mut disable = self.instance.command(tools::fleetmesh()?);
        disable.args(["proxy", "intercept", "disable", "--backend", self.backend.argument()]);
        command::run(disable).await.map(drop)
    }
}

/// Sends the traffic of `instance`'s application on `port` through the proxy.
///
/// # Errors
/// The rules cannot be set.
pub async fn intercept(instance: &NetnsInstance, backend: HostBackend, port: u16, ipv6: bool) -> Result<()> {
    let mut enable: Command = instance.command(tools::fleetmesh()?);
    enable.args(["proxy", "intercept", "enable", "--ignore-uid", &UID.to_string()]);
    enable.args(["--app-ports", &port.to_string(), "--backend", backend.argument()]);
    if ipv6 {
        enable.arg("--ipv6");
    }
    let said = command::run(enable).await;
    said.map(drop).with_context(|| format!("cannot intercept traffic on {}", instance.name()))
}
