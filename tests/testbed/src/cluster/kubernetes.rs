//! etcd and kube-apiserver: their files and their commands.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use p256::elliptic_curve::Generate as _;
use p256::pkcs8::LineEnding;

use super::{ClusterOptions, Ports, User};
use crate::tools;

/// Fills an empty data folder: tokens, the key that signs service account tokens, the audit policy.
pub(super) fn prepare(folder: &Path, options: &ClusterOptions) -> Result<()> {
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

pub(super) fn etcd_command(folder: &Path, ports: Ports, options: &ClusterOptions) -> Result<Command> {
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

pub(super) fn api_server_command(folder: &Path, ports: Ports, options: &ClusterOptions) -> Result<Command> {
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
