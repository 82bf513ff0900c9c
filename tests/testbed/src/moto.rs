//! moto's server: real AWS APIs (Cloud Map, EC2, IAM, STS, SSM) of an account that exists in its memory only.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use serde_json::Value;

use crate::command::{self, Captured};
use crate::process::Process;
use crate::run_dir::RunDir;
use crate::{aws, port, tools};

/// How long a start may take: a large Python program.
const START: Duration = Duration::from_secs(60);
/// How often another port is tried when somebody takes the free one first.
const TRIES: usize = 3;

/// A running moto server. What it was told is gone when it ends.
#[derive(Debug)]
pub struct Moto {
    process: Process,
    port: u16,
}

impl Moto {
    /// Starts moto on a free port of 127.0.0.1 and awaits that it answers.
    ///
    /// # Errors
    /// It is not installed, or does not become ready.
    pub async fn start(run: &RunDir) -> Result<Self> {
        let mut last = anyhow!("it was not tried");
        for _ in 0..TRIES {
            let [port] = port::free()?;
            match Self::start_on(port, run).await {
                Ok(moto) => return Ok(moto),
                Err(error) => last = error,
            }
        }
        Err(last.context("moto_server does not start"))
    }

    async fn start_on(port: u16, run: &RunDir) -> Result<Self> {
        let mut command = Command::new(tools::tool("moto_server")?);
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        // AWS's own managed policies are there, as in every account.
        command.env("MOTO_IAM_LOAD_MANAGED_POLICIES", "true");
        let process = Process::spawn("moto", &command, run)?;
        let mut moto = Self { process, port };
        let data = format!("{}/moto-api/data.json", moto.endpoint());
        moto.process.until("moto answers", START, async |_| crate::http::get(&data).await.map(Some)).await?;
        Ok(moto)
    }

    /// The endpoint of every service: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Lets every AWS client in `command` (SDK, CLI, boto3) speak to this server, with credentials that belong to
    /// nobody.
    pub fn env(&self, command: &mut Command) {
        environment(&self.endpoint(), command);
    }

    /// Runs `aws` with `arguments` and returns what it printed, whatever its status.
    ///
    /// # Errors
    /// It is not installed or cannot be run.
    pub async fn capture(&self, arguments: &[&str]) -> Result<Captured> {
        let mut command = Command::new(tools::tool("aws")?);
        command.args(["--output", "json"]).args(arguments).env("AWS_PAGER", "");
        self.env(&mut command);
        command::capture(command).await
    }

    /// Runs `aws` with `arguments` and returns the object it printed; null when it printed nothing.
    ///
    /// # Errors
    /// It fails (the error carries the service's message), or prints no JSON.
    pub async fn aws(&self, arguments: &[&str]) -> Result<Value> {
        let text = self.capture(arguments).await?.success()?;
        if text.trim().is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&text).with_context(|| format!("aws printed no JSON: {text}"))
    }

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

/// Lets every AWS client in `command` speak to `endpoint`, for example to a proxy in front of a [`Moto`].
pub fn environment(endpoint: &str, command: &mut Command) {
    aws::credentials(command);
    command.env("AWS_ENDPOINT_URL", endpoint);
}

/// The same as variables, for what is started by somebody else.
#[must_use]
pub fn variables(endpoint: &str) -> Vec<(String, String)> {
    let mut command = Command::new("aws");
    environment(endpoint, &mut command);
    let text = |text: &std::ffi::OsStr| text.to_string_lossy().into_owned();
    command.get_envs().filter_map(|(name, value)| Some((text(name), text(value?)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_answers_the_real_aws_cli_and_ends_with_its_owner() -> Result<()> {
        let run = RunDir::new("moto")?;
        let moto = Moto::start(&run).await?;
        let identity = moto.aws(&["sts", "get-caller-identity"]).await?;
        assert_eq!(identity["Account"], "123456789012");
        let endpoint = moto.endpoint();
        drop(moto);
        assert!(crate::http::get(&endpoint).await.is_err(), "nobody listens any more");
        Ok(())
    }
}
