//! A Kubernetes API on loopback, and nothing behind it: etcd and kube-apiserver, with RBAC and tokens, or the embedded API of
//! `fleetmesh standalone`, whichever the run of the tests asks for ([`ApiServer::asked`]).

mod kubernetes;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::api_server::ApiServer;
use crate::etcd::Etcd;
use crate::kubectl::Kubectl;
use crate::process::Process;
use crate::run_dir::RunDir;
use crate::{port, tools};
use kubernetes::{api_server_command, etcd_command, prepare};

/// Both are ready in about three seconds on two idle cores; a busy machine gets more.
const START: Duration = Duration::from_secs(90);
/// Another process may take a port between its choice and its use.
const ATTEMPTS: usize = 3;

/// A user that the API server knows by a token.
#[derive(Debug, Clone)]
pub struct User {
    /// The user's name, as RBAC's subjects name it; also the token.
    pub name: String,
    /// Groups of the user.
    pub groups: Vec<String>,
}

impl User {
    /// Who may do anything.
    #[must_use]
    pub fn admin() -> Self {
        Self { name: "admin".to_owned(), groups: vec!["system:masters".to_owned()] }
    }

    /// A user without rights until RBAC gives some.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), groups: Vec::new() }
    }

    fn token(&self) -> String {
        format!("token-of-{}", self.name)
    }
}

/// What a cluster has besides its API.
#[derive(Debug, Clone, Default)]
pub struct ClusterOptions {
    /// Users besides [`User::admin`].
    pub users: Vec<User>,
    /// Whether every request is written to [`Cluster::audit_log`], with who, verb, object and status.
    pub audit: bool,
    /// Whether etcd awaits that what it acknowledges is on disk. Tests do not need that.
    pub durable: bool,
}

/// A running cluster.
#[derive(Debug)]
pub struct Cluster {
    served_by: ApiServer,
    folder: PathBuf,
    ports: Ports,
    options: ClusterOptions,
    /// None behind standalone.
    etcd: Option<Process>,
    api_server: Process,
}

#[derive(Debug, Clone, Copy)]
struct Ports {
    etcd: u16,
    etcd_peer: u16,
    api: u16,
}

impl Cluster {
    /// Starts a cluster whose only user is the admin.
    ///
    /// # Errors
    /// A tool is missing, or does not become ready.
    pub async fn start(run: &RunDir) -> Result<Self> {
        Self::start_with(run, ClusterOptions::default()).await
    }

    /// Starts a cluster and awaits that it is ready; its data goes to `cluster` of `run`.
    ///
    /// # Errors
    /// A tool is missing, or does not become ready; or the options ask for what standalone does not have.
    pub async fn start_with(run: &RunDir, options: ClusterOptions) -> Result<Self> {
        Self::start_on(ApiServer::asked()?, run, options).await
    }

    /// The same on this API, whatever the run asks for.
    ///
    /// # Errors
    /// As [`Self::start_with`].
    pub async fn start_on(served_by: ApiServer, run: &RunDir, options: ClusterOptions) -> Result<Self> {
        let one_user = options.users.is_empty() && !options.audit;
        ensure!(
            served_by == ApiServer::Kubernetes || one_user,
            "standalone has one user and no audit log: fleetmesh_tools::api_server names what stays on kube-apiserver"
        );
        let folder = run.join("cluster");
        let mut last = None;
        for _ in 0..ATTEMPTS {
            if folder.exists() {
                std::fs::remove_dir_all(&folder)?;
            }
            std::fs::create_dir_all(&folder)?;
            match Self::start_once(served_by, run, &folder, &options).await {
                Ok(cluster) => return Ok(cluster),
                Err(error) => last = Some(error),
            }
        }
        Err(last.context("no attempt was made")?)
    }

    async fn start_once(
        served_by: ApiServer,
        run: &RunDir,
        folder: &Path,
        options: &ClusterOptions,
    ) -> Result<Self> {
        let [etcd, etcd_peer, api] = port::free()?;
        let ports = Ports { etcd, etcd_peer, api };
        let etcd = match served_by {
            ApiServer::Kubernetes => {
                prepare(folder, options)?;
                Some(Process::spawn("etcd", &etcd_command(folder, ports, options)?, run)?)
            }
            ApiServer::Standalone => None,
        };
        let api_server = spawn(served_by, folder, ports, options, run)?;
        let (folder, options) = (folder.to_owned(), options.clone());
        let mut cluster = Self { served_by, folder, ports, options, etcd, api_server };
        cluster.ready().await?;
        Ok(cluster)
    }

    /// Awaits that the API answers requests and the default namespace is there.
    async fn ready(&mut self) -> Result<()> {
        match self.served_by {
            ApiServer::Standalone => self.api_server.first_line(START).await.map(drop),
            ApiServer::Kubernetes => self.kubernetes_ready().await,
        }
    }

    async fn kubernetes_ready(&mut self) -> Result<()> {
        let certificate = self.folder.join("certificates/apiserver.crt");
        let address = (std::net::Ipv4Addr::LOCALHOST, self.ports.api);
        self.api_server
            .until("kube-apiserver listens", START, async |_| {
                tokio::net::TcpStream::connect(address).await?;
                Ok(certificate.exists().then_some(()))
            })
            .await?;
        if let Some(etcd) = &mut self.etcd {
            etcd.ensure_running()?;
        }
        self.kubeconfig(&User::admin())?;
        for user in self.options.users.clone() {
            self.kubeconfig(&user)?;
        }
        let kubectl = self.kubectl()?;
        self.api_server
            .until("kube-apiserver is ready", START, async |_| {
                kubectl.run(&["get", "--raw", "/readyz"]).await?;
                Ok(Some(kubectl.run(&["get", "namespace", "default"]).await?))
            })
            .await?;
        Ok(())
    }

    /// Whose API it is.
    #[must_use]
    pub fn served_by(&self) -> ApiServer {
        self.served_by
    }

    /// The API's address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.ports.api)
    }

    /// The kubeconfig of the admin.
    #[must_use]
    pub fn admin_kubeconfig(&self) -> PathBuf {
        self.folder.join(match self.served_by {
            ApiServer::Kubernetes => "admin.kubeconfig",
            ApiServer::Standalone => "standalone/kubeconfig",
        })
    }

    /// Writes the kubeconfig of `user`, who must be the admin or one of the options' users.
    ///
    /// # Errors
    /// The file cannot be written. Standalone writes that of its one user itself.
    pub fn kubeconfig(&self, user: &User) -> Result<PathBuf> {
        ensure!(self.served_by == ApiServer::Kubernetes, "standalone knows no user {}", user.name);
        let file = self.folder.join(format!("{}.kubeconfig", user.name));
        // JSON is YAML; the certificate is self-signed and thereby its own authority.
        let text = serde_json::json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "testbed", "cluster": {
                "server": self.url(),
                "certificate-authority": self.folder.join("certificates/apiserver.crt"),
            }}],
            "users": [{"name": user.name, "user": {"token": user.token()}}],
            "contexts": [{"name": "testbed", "context": {"cluster": "testbed", "user": user.name}}],
            "current-context": "testbed",
        });
        std::fs::write(&file, format!("{text:#}\n"))?;
        Ok(file)
    }

    /// kubectl as the admin.
    ///
    /// # Errors
    /// kubectl is not installed.
    pub fn kubectl(&self) -> Result<Kubectl> {
        Kubectl::new(&self.admin_kubeconfig())
    }

    /// Where requests are written, one JSON object a line, with `audit` in the options.
    #[must_use]
    pub fn audit_log(&self) -> PathBuf {
        self.folder.join("audit.log")
    }

    /// What kube-apiserver keeps its objects in.
    ///
    /// # Errors
    /// It is standalone, which has a database.
    pub fn etcd(&self) -> Result<Etcd> {
        ensure!(self.etcd.is_some(), "there is no etcd behind standalone");
        Ok(Etcd::new(format!("http://127.0.0.1:{}", self.ports.etcd)))
    }

    /// Kills the API server (SIGKILL); what was acknowledged is kept.
    pub fn kill_api_server(&mut self) {
        self.api_server.kill();
    }

    /// Starts the API server again at the same port and awaits that it is ready.
    ///
    /// # Errors
    /// It does not become ready.
    pub async fn restart_api_server(&mut self, run: &RunDir) -> Result<()> {
        self.api_server.kill();
        self.api_server = spawn(self.served_by, &self.folder, self.ports, &self.options, run)?;
        self.ready().await
    }

    /// The ids of its processes: of etcd, where there is one, and of the API server.
    #[must_use]
    pub fn processes(&self) -> Vec<u32> {
        self.etcd.iter().chain([&self.api_server]).map(Process::id).collect()
    }

    /// Its files.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The process of the API server, to freeze or measure it.
    pub fn api_server(&mut self) -> &mut Process {
        &mut self.api_server
    }
}

fn spawn(
    served_by: ApiServer,
    folder: &Path,
    ports: Ports,
    options: &ClusterOptions,
    run: &RunDir,
) -> Result<Process> {
    match served_by {
        ApiServer::Kubernetes => {
            Process::spawn("kube-apiserver", &api_server_command(folder, ports, options)?, run)
        }
        ApiServer::Standalone => {
            let mut command = Command::new(tools::test_api()?);
            command.arg(folder.join("standalone")).arg(format!("127.0.0.1:{}", ports.api));
            Process::spawn("standalone", &command, run)
        }
    }
}
