//! How instances of a test network join by their IAM roles: a control plane that lets them, under a name of its own, and
//! `fleetmesh proxy join` beside each proxy.

use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::envoy::{self, UID};
use crate::launch::Launch;
use crate::netns::{NetnsInstance, Network};
use crate::process::Process;
use crate::run_dir::RunDir;
use crate::{command, port, tools};

/// The control plane's name among instances; its certificate is for that alone. It resolves to [`Network::GATEWAY`].
pub const HOST: &str = "control.apps.local";

/// Where instances join, and who vouches for it. Instances reach it while it is held.
#[derive(Debug)]
pub struct JoinAddress {
    folder: PathBuf,
    joins: u16,
    ads: u16,
    doors: Vec<JoinHandle<()>>,
}

impl JoinAddress {
    /// Makes a CA and the control plane's certificate in `run`.
    ///
    /// # Errors
    /// `fleetmesh` is not built, or no port is free.
    pub async fn new(run: &RunDir) -> Result<Self> {
        let [joins, ads] = port::free()?;
        let address = Self { folder: run.path().to_owned(), joins, ads, doors: Vec::new() };
        fleetmesh(&["certs", "ca", "--out-dir", &address.path("ca")]).await?;
        let (certificate, key, out) =
            (address.path("ca/ca.crt"), address.path("ca/ca.key"), address.path("server"));
        let signer = ["--ca-cert", &certificate, "--ca-key", &key, "--out-dir", &out];
        fleetmesh(&[&["certs", "server", "--dns", HOST][..], &signer].concat()).await?;
        Ok(address)
    }

    /// What a control plane is started with that lets instances join here, and asks the STS at this address who they are.
    #[must_use]
    pub fn launch(&self, sts: &str) -> Launch {
        let path = |name: &str| self.path(name);
        Launch::with(["--tls-cert", &path("server/tls.crt"), "--tls-key", &path("server/tls.key")])
            .args(["--ca-cert", &path("ca/ca.crt"), "--ca-key", &path("ca/ca.key")])
            .args(["--join-listen", &format!("0.0.0.0:{}", self.joins)])
            .args(["--ads-listen", &format!("0.0.0.0:{}", self.ads)])
            .args(["--sts-endpoint", sts])
    }

    /// Lets the instances of `network` reach it, as a load balancer does.
    ///
    /// # Errors
    /// A port is taken on the bridge.
    pub fn open(&mut self, network: &Network) -> Result<()> {
        for port in [self.joins, self.ads] {
            self.doors.push(door(network, port)?);
        }
        Ok(())
    }

    /// The file with the CA's certificate (PEM).
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.folder.join("ca/ca.crt")
    }

    /// The port that instances join at, and the one that serves their proxies.
    #[must_use]
    pub fn ports(&self) -> [u16; 2] {
        [self.joins, self.ads]
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }
}

impl Drop for JoinAddress {
    fn drop(&mut self) {
        self.doors.iter().for_each(JoinHandle::abort);
    }
}

/// Instances reach at the bridge what listens on this machine.
fn door(network: &Network, port: u16) -> Result<JoinHandle<()>> {
    let listener = network.listen(port)?;
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    Ok(tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            // A connection that ends is its two ends' affair.
            tokio::spawn(async move {
                let mut far = TcpStream::connect(("127.0.0.1", port)).await?;
                copy_bidirectional(&mut near, &mut far).await
            });
        }
    }))
}

/// `fleetmesh proxy join` on an instance, as the proxy's user.
#[derive(Debug)]
pub struct Joiner {
    _process: Process,
    folder: PathBuf,
}

impl Joiner {
    /// Starts it for `resource` (`mesh/apps/virtualNode/serviceB`). It tries until the instance's role is granted.
    ///
    /// # Errors
    /// `fleetmesh` is not built, or a file cannot be written.
    pub fn start(
        resource: &str,
        address: &JoinAddress,
        instance: &NetnsInstance,
        run: &RunDir,
    ) -> Result<Self> {
        let folder = run.join(format!("join-{}", instance.name()));
        for folder in [&folder, &folder.join("certs")] {
            std::fs::create_dir(folder)?;
            chown(folder, Some(UID), Some(UID))?;
        }
        let mut join = envoy::as_proxy_user(instance, &tools::fleetmesh()?, &run.join("fleetmesh"))?;
        join.args(["proxy", "join", "--resource", resource, "--ca-file"]).arg(address.authority());
        join.args(["--control-plane", &format!("https://{HOST}:{}", address.joins)]);
        join.args(["--ads", &format!("https://{HOST}:{}", address.ads), "--cert-dir"])
            .arg(folder.join("certs"));
        join.arg("--serve-unix").arg(folder.join("ads.sock")).arg("--serve-sds").arg(folder.join("sds.sock"));
        join.env("AWS_REGION", crate::aws::REGION);
        let process = Process::spawn(&format!("join-{}", instance.name()), &join, run)?;
        Ok(Self { _process: process, folder })
    }

    /// Where the proxy finds the control plane: `unix:PATH`.
    #[must_use]
    pub fn control_plane(&self) -> String {
        format!("unix:{}", self.folder.join("ads.sock").display())
    }

    /// Where the proxy finds the certificates of the mesh.
    #[must_use]
    pub fn secrets(&self) -> PathBuf {
        self.folder.join("sds.sock")
    }
}

async fn fleetmesh(arguments: &[&str]) -> Result<()> {
    let mut command = Command::new(tools::fleetmesh()?);
    command.args(arguments);
    command::run(command).await.map(drop).with_context(|| format!("fleetmesh {}", arguments.join(" ")))
}
