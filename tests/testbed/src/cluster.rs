//! A Kubernetes API: etcd and kube-apiserver on loopback, with RBAC and tokens, and nothing behind them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use p256::elliptic_curve::Generate as _;
use p256::pkcs8::LineEnding;

use crate::etcd::Etcd;
use crate::kubectl::Kubectl;
use crate::process::Process;
use crate::run_dir::RunDir;
use crate::{port, tools};

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
    folder: PathBuf,
    ports: Ports,
    options: ClusterOptions,
    etcd: Process,
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
    /// A tool is missing, or does not become ready.
    pub async fn start_with(run: &RunDir, options: ClusterOptions) -> Result<Self> {
        let folder = run.join("cluster");
        let mut last = None;
        for _ in 0..ATTEMPTS {
            prepare(&folder, &options)?;
            match Self::start_once(run, &folder, &options).await {
                Ok(cluster) => return Ok(cluster),
                Err(error) => last = Some(error),
            }
        }
        Err(last.context("no attempt was made")?)
    }

    async fn start_once(run: &RunDir, folder: &Path, options: &ClusterOptions) -> Result<Self> {
        let [etcd, etcd_peer, api] = port::free()?;
        let ports = Ports { etcd, etcd_peer, api };
        let etcd = Process::spawn("etcd", &etcd_command(folder, ports, options)?, run)?;
        let api_server = Process::spawn("kube-apiserver", &api_server_command(folder, ports, options)?, run)?;
        let mut cluster =
            Self { folder: folder.to_owned(), ports, options: options.clone(), etcd, api_server };
        cluster.ready().await?;
        Ok(cluster)
    }

    /// Awaits that the API answers requests and the default namespace is there.
    async fn ready(&mut self) -> Result<()> {
        let certificate = self.folder.join("certificates/apiserver.crt");
        let address = (std::net::Ipv4Addr::LOCALHOST, self.ports.api);
        self.api_server
            .until("kube-apiserver listens", START, async |_| {
                tokio::net::TcpStream::connect(address).await?;
                Ok(certificate.exists().then_some(()))
            })
            .await?;
        self.etcd.ensure_running()?;
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

    /// The API's address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.ports.api)
    }

    /// The kubeconfig of the admin.
    #[must_use]
    pub fn admin_kubeconfig(&self) -> PathBuf {
        self.folder.join("admin.kubeconfig")
    }

    /// Writes the kubeconfig of `user`, who must be the admin or one of the options' users.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn kubeconfig(&self, user: &User) -> Result<PathBuf> {
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

    /// What the API server keeps its objects in.
    #[must_use]
    pub fn etcd(&self) -> Etcd {
        Etcd::new(format!("http://127.0.0.1:{}", self.ports.etcd))
    }

    /// Kills kube-apiserver; etcd keeps the objects.
    pub fn kill_api_server(&mut self) {
        self.api_server.kill();
    }

    /// Starts kube-apiserver again at the same port and awaits that it is ready.
    ///
    /// # Errors
    /// It does not become ready.
    pub async fn restart_api_server(&mut self, run: &RunDir) -> Result<()> {
        let command = api_server_command(&self.folder, self.ports, &self.options)?;
        self.api_server.kill();
        self.api_server = Process::spawn("kube-apiserver", &command, run)?;
        self.ready().await
    }

    /// The ids of its processes: of etcd and of kube-apiserver.
    #[must_use]
    pub fn processes(&self) -> [u32; 2] {
        [self.etcd.id(), self.api_server.id()]
    }

    /// Its files.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The process of kube-apiserver, to freeze or measure it.
    pub fn api_server(&mut self) -> &mut Process {
        &mut self.api_server
    }
}

/// Lays out an empty data folder: tokens, the key that signs service account tokens, the audit policy.
fn prepare(folder: &Path, options: &ClusterOptions) -> Result<()> {
    if folder.exists() {
        std::fs::remove_dir_all(folder)?;
    }
    std::fs::create_dir_all(folder)?;
    let admin = User::admin();
    let users = std::iter::once(&admin).chain(&options.users);
    let tokens: String = users
        .map(|user| format!("{},{},{0},\"{}\"\n", user.token(), user.name, user.groups.join(",")))
        .collect();
    std::fs::write(folder.join("tokens.csv"), tokens)?;
    let key = p256::SecretKey::generate();
    // In SEC1 kube-apiserver reads one file both as the private and as the public key.
    let key = key.to_sec1_pem(LineEnding::LF).context("cannot write the service account key")?;
    std::fs::write(folder.join("service-account.key"), key.as_bytes())?;
    let policy = "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules: [{level: Metadata}]\n";
    std::fs::write(folder.join("audit-policy.yaml"), policy)?;
    Ok(())
}

fn etcd_command(folder: &Path, ports: Ports, options: &ClusterOptions) -> Result<Command> {
    let client = format!("http://127.0.0.1:{}", ports.etcd);
    let peer = format!("http://127.0.0.1:{}", ports.etcd_peer);
    let mut command = Command::new(tools::tool("etcd")?);
    if !options.durable {
        // The data does not outlive the run, so it need not outlive a power cut.
        command.arg("--unsafe-no-fsync");
    }
    command.args(["--log-level", "warn", "--data-dir"]).arg(folder.join("etcd"));
    command.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
    command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
    command.args(["--initial-cluster", &format!("default={peer}")]);
    Ok(command)
}

fn api_server_command(folder: &Path, ports: Ports, options: &ClusterOptions) -> Result<Command> {
    let mut command = Command::new(tools::tool("kube-apiserver")?);
    command
        .args(["--bind-address", "127.0.0.1", "--authorization-mode", "RBAC"])
        .args(["--etcd-servers", &format!("http://127.0.0.1:{}", ports.etcd)])
        .args(["--secure-port", &ports.api.to_string()])
        .args(["--service-cluster-ip-range", "10.0.0.0/24"])
        .args(["--service-account-issuer", "https://kubernetes.default.svc"])
        .arg(setting("--service-account-key-file", &folder.join("service-account.key")))
        .arg(setting("--service-account-signing-key-file", &folder.join("service-account.key")))
        .arg(setting("--token-auth-file", &folder.join("tokens.csv")))
        .arg(setting("--cert-dir", &folder.join("certificates")))
        // No controller makes service accounts here.
        .args(["--disable-admission-plugins", "ServiceAccount"]);
    if options.audit {
        command
            .arg(setting("--audit-policy-file", &folder.join("audit-policy.yaml")))
            .arg(setting("--audit-log-path", &folder.join("audit.log")));
    }
    Ok(command)
}

fn setting(flag: &str, file: &Path) -> String {
    format!("{flag}={}", file.display())
}
