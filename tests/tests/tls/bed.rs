//! Certificates and access keys as a person makes them, and a control plane that has both.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use fleetmesh_testbed::control_plane::ControlPlane;
use fleetmesh_testbed::envoy::{Envoy, UID};
use fleetmesh_testbed::launch::Launch;
use fleetmesh_testbed::moto::Moto;
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::{command, port, tools, wait};

/// Nothing takes longer, on however busy a machine.
pub const LIMIT: Duration = Duration::from_secs(60);

/// Runs `fleetmesh` with `arguments` and returns what it printed.
pub async fn fleetmesh(arguments: &[&str]) -> String {
    let mut command = Command::new(tools::fleetmesh().unwrap());
    command.args(arguments);
    command::run(command).await.unwrap()
}

/// A CA and what it signed, in files.
pub struct BedCertificates {
    folder: PathBuf,
}

impl BedCertificates {
    /// Makes a CA, and a certificate for a control plane at `address`.
    pub async fn new(folder: PathBuf, address: &str) -> Self {
        let certificates = Self { folder };
        let out = certificates.path("ca");
        fleetmesh(&["certs", "ca", "--out-dir", &out]).await;
        certificates.server(address).await;
        certificates
    }

    /// Makes a root whose key is thrown away, an intermediate whose key `moto`'s KMS holds, and a certificate of it for a control
    /// plane at `address`. The root is in `ca/ca.crt`, the intermediate in `ca/signing.crt`.
    pub async fn of_kms(folder: PathBuf, address: &str, moto: &Moto, key: &str) -> Self {
        let certificates = Self { folder };
        let [ca, root, signing, server] =
            ["ca", "ca/ca.crt", "ca/signing.crt", "server"].map(|name| certificates.path(name));
        fleetmesh(&["certs", "init", "--out-dir", &ca]).await;
        std::fs::rename(certificates.path("ca/root.crt"), &root).unwrap();
        std::fs::remove_file(certificates.path("ca/signing.key")).unwrap();
        let by_kms = async |arguments: &[&str]| {
            let mut command = Command::new(tools::fleetmesh().unwrap());
            command.arg("certs").args(arguments);
            moto.env(&mut command);
            command::run(command).await.unwrap()
        };
        let root_key = certificates.path("ca/root.key");
        let made =
            ["intermediate", "--ca-cert", &root, "--ca-key", &root_key, "--kms-key", key, "--out-dir", &ca];
        assert_eq!(by_kms(&made).await.trim(), signing, "it has no key");
        std::fs::remove_file(root_key).unwrap();
        let signer = ["--ca-cert", &root, "--signing-cert", &signing, "--ca-kms-key", key];
        by_kms(&[&["server", "--ip", address, "--out-dir", &server], &signer[..]].concat()).await;
        certificates
    }

    /// Makes another certificate for a control plane at `address`, in the place of the first.
    pub async fn server(&self, address: &str) {
        let (certificate, key, out) = (self.path("ca/ca.crt"), self.path("ca/ca.key"), self.path("server"));
        let signer = ["--ca-cert", &certificate, "--ca-key", &key];
        fleetmesh(&[&["certs", "server", "--ip", address, "--out-dir", &out], &signer[..]].concat()).await;
    }

    /// Makes or renews the certificate of an Envoy for `node`, valid for `validity`; its folder.
    pub async fn proxy(&self, node: &str, validity: &str) -> PathBuf {
        self.proxy_in(node, node, validity).await
    }

    /// The same in the folder `name`.
    pub async fn proxy_in(&self, name: &str, node: &str, validity: &str) -> PathBuf {
        let (certificate, key) = (self.path("ca/ca.crt"), self.path("ca/ca.key"));
        let (out, resource) = (self.path(name), format!("mesh/apps/virtualNode/{node}"));
        let signer = ["--ca-cert", &certificate, "--ca-key", &key];
        let issue = ["certs", "issue", "--resource", &resource, "--validity", validity, "--out-dir", &out];
        let owner = UID.to_string();
        fleetmesh(&[&issue[..], &signer, &["--owner", &owner]].concat()).await;
        self.folder.join(name)
    }

    /// A file of the folder.
    pub fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// The arguments of `fleetmesh control-plane` that name them.
    pub fn arguments(&self) -> Vec<String> {
        ["--tls-cert", &self.path("server/tls.crt"), "--tls-key", &self.path("server/tls.key")]
            .into_iter()
            .chain(["--ca-cert", &self.path("ca/ca.crt")])
            .map(str::to_owned)
            .collect()
    }
}

/// Awaits that the log of `envoy` says `words` this many times.
pub async fn says(envoy: &mut Envoy, words: &str, times: usize) {
    let log = envoy.process().log().to_owned();
    wait::until(&format!("Envoy says {words:?} {times} times"), LIMIT, async || {
        // gRPC percent-encodes messages, and Envoy shows them as they were sent.
        let text = std::fs::read_to_string(&log)?.replace("%20", " ");
        Ok((text.matches(words).count() >= times).then_some(()))
    })
    .await
    .unwrap();
}

/// An access key in a file, as `fleetmesh control-plane keys create -o json` prints it.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BedKey {
    pub access_key_id: String,
    pub secret_access_key: String,
}

/// Makes a key of the control plane with this data directory; `file` holds it then.
pub async fn create_key(data_dir: &Path, file: &Path) -> BedKey {
    let data_dir = data_dir.display().to_string();
    let printed =
        fleetmesh(&["control-plane", "keys", "create", "--data-dir", &data_dir, "-o", "json"]).await;
    std::fs::write(file, &printed).unwrap();
    serde_json::from_str(&printed).unwrap()
}

/// A control plane that serves its API at `https://127.0.0.1:PORT` too, as other hosts would reach it: the loopback
/// address is one of all that it listens on.
pub struct TlsBed {
    pub control_plane: ControlPlane,
    pub certificates: BedCertificates,
    pub endpoint: String,
    pub run: RunDir,
}

impl TlsBed {
    pub async fn start(name: &str) -> Self {
        Self::start_with(name, &[]).await
    }

    /// The same with more arguments of the control plane.
    pub async fn start_with(name: &str, more: &[&str]) -> Self {
        let run = RunDir::new(name).unwrap();
        let certificates = BedCertificates::new(run.join("certificates"), "127.0.0.1").await;
        let [port] = port::free().unwrap();
        let mut arguments = certificates.arguments();
        arguments.extend(["--listen".to_owned(), format!("0.0.0.0:{port}"), "--log=trace".to_owned()]);
        arguments.extend(more.iter().map(|argument| (*argument).to_owned()));
        let control_plane = ControlPlane::launch(&run, Launch::with(arguments)).await.unwrap();
        Self { control_plane, certificates, endpoint: format!("https://127.0.0.1:{port}"), run }
    }

    /// The file with the certificate of the CA.
    pub fn ca(&self) -> String {
        self.certificates.path("ca/ca.crt")
    }

    /// Checks that no log holds a secret: `key`'s, or a line of a private key.
    pub fn no_log_holds(&mut self, key: &BedKey) {
        let server = std::fs::read_to_string(self.certificates.path("server/tls.key")).unwrap();
        let log = std::fs::read_to_string(self.control_plane.process().log()).unwrap();
        assert!(log.contains("TRACE"), "everything is logged");
        let private = server.lines().nth(1).unwrap();
        assert!(!log.contains(&key.secret_access_key) && !log.contains(private), "a secret is in the log");
    }
}
