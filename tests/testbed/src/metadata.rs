//! IAM roles as EC2 gives them to instances: sessions that moto's STS knows, behind the metadata service, which is none of the
//! instance's own.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::moto::Moto;
use crate::netns::{NetnsInstance, Network};
use crate::process::Process;
use crate::run_dir::RunDir;
use crate::{command, tools};

/// The metadata service's addresses.
const ADDRESSES: [&[&str]; 2] = [&["169.254.169.254/32"], &["fd00:ec2::254/128", "nodad"]];
/// How long the metadata service may take to listen.
const START: Duration = Duration::from_secs(30);

/// Makes a role of this name that EC2 may give to instances; its ARN.
///
/// # Errors
/// There is one already.
pub async fn make_role(moto: &Moto, role: &str) -> Result<String> {
    let trust = json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": { "Service": "ec2.amazonaws.com" }, "Action": "sts:AssumeRole" }] });
    let create = ["iam", "create-role", "--role-name", role, "--assume-role-policy-document"];
    let made = moto.aws(&[&create[..], &[&trust.to_string()]].concat()).await?;
    made["Role"]["Arn"].as_str().map(str::to_owned).context("a role has an ARN")
}

/// The metadata service of all instances of a network.
#[derive(Debug)]
pub struct MetadataService {
    _process: Process,
    folder: PathBuf,
}

impl MetadataService {
    /// Starts it; it knows no instance yet.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start(network: &Network, run: &RunDir) -> Result<Self> {
        for more in ADDRESSES {
            let mut address = network.command("ip");
            address.args(["address", "add", "dev", "lo"]).args(more);
            command::run(address).await?;
        }
        let folder = run.join("metadata");
        std::fs::create_dir(&folder)?;
        let mut serve = network.command(tools::tool("python")?);
        serve.arg(tools::workspace_dir()?.join("tests/testbed/metadata/server.py")).arg(&folder);
        let mut process = Process::spawn("metadata", &serve, run)?;
        process.first_line(START).await?;
        Ok(Self { _process: process, folder })
    }

    /// Gives `instance`, which EC2 calls `id`, the role with this ARN: the session's credentials, as EC2 words them.
    ///
    /// # Errors
    /// There is no such role.
    pub async fn give(&self, moto: &Moto, arn: &str, id: &str, instance: &NetnsInstance) -> Result<Value> {
        let assume = ["sts", "assume-role", "--role-arn", arn, "--role-session-name", id];
        let session = &moto.aws(&assume).await?["Credentials"];
        let credentials = json!({
            "Code": "Success", "Type": "AWS-HMAC", "LastUpdated": "2020-01-01T00:00:00Z",
            "AccessKeyId": session["AccessKeyId"], "SecretAccessKey": session["SecretAccessKey"],
            "Token": session["SessionToken"], "Expiration": "2099-01-01T00:00:00Z",
        });
        self.answer(instance, arn.rsplit('/').next().unwrap_or(arn), &credentials)?;
        Ok(credentials)
    }

    /// Answers `instance` with these credentials, of the role of this name.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn answer(&self, instance: &NetnsInstance, role: &str, credentials: &Value) -> Result<()> {
        let text = json!({ "role": role, "credentials": credentials.to_string() }).to_string();
        for address in [instance.ipv4().to_string(), instance.ipv6().to_string()] {
            std::fs::write(Path::new(&self.folder).join(address), &text)?;
        }
        Ok(())
    }
}
