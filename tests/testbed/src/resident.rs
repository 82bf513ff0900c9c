//! The AWS CLI without the four tenths of a second that its start takes: `aws/resident.py` loads it once for a test
//! program and forks for each command. The arguments, the environment, the code and what it prints are the CLI's own.

use std::collections::BTreeMap;
use std::io::{Error, ErrorKind};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitStatus};

use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::OnceCell;

use crate::command::{Captured, LIMIT};
use crate::process::{Process, START};
use crate::run_dir::RunDir;
use crate::tools;

/// The resident program; it ends with this one.
static RESIDENT: OnceCell<Process> = OnceCell::const_new();

/// What `aws/resident.py` answers.
#[derive(Deserialize)]
struct ResidentAnswer {
    status: i32,
    stdout: String,
    stderr: String,
}

/// Runs a command of the AWS CLI (`aws ARGUMENTS`) with its environment, to its end. It runs in the network namespace
/// and the working directory of this program.
///
/// # Errors
/// The CLI is not installed or does not start, or the command runs for longer than three minutes. A failing status is
/// not an error here.
pub async fn capture(command: &Command) -> Result<Captured> {
    let line = fleetmesh_tools::line(command);
    RESIDENT.get_or_try_init(start).await?;
    let answer = tokio::time::timeout(LIMIT, ask(command))
        .await
        .with_context(|| format!("`{line}` did not end within {LIMIT:?}"))?
        .with_context(|| format!("cannot run `{line}`"))?;
    let ResidentAnswer { status, stdout, stderr } = answer;
    // As the kernel encodes it: the exit code is the second byte.
    let status = ExitStatus::from_raw((status & 0xff) << 8);
    Ok(Captured { command: line, status, stdout, stderr })
}

/// The name of this program's abstract socket.
fn name() -> String {
    format!("fleetmesh-aws-cli-{}", std::process::id())
}

async fn start() -> Result<Process> {
    let mut command = Command::new(tools::tool("python")?);
    command.arg(tools::workspace_dir()?.join("tests/testbed/aws/resident.py")).arg(name());
    crate::aws::credentials(&mut command);
    // Needed until it has started: a socket in a folder would stay when this program ends.
    let run = RunDir::new("aws-cli")?;
    let mut process = Process::spawn("aws-cli", &command, &run)?;
    process.first_line(START).await?;
    Ok(process)
}

async fn ask(command: &Command) -> Result<ResidentAnswer> {
    let address = SocketAddr::from_abstract_name(name())?;
    let stream = UnixStream::connect_addr(&address)?;
    stream.set_nonblocking(true)?;
    let mut stream = tokio::net::UnixStream::from_std(stream)?;
    let request = json!({ "arguments": arguments(command)?, "environment": environment(command)? });
    stream.write_all(format!("{request}\n").as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    serde_json::from_str(&answer).context("the AWS CLI ended without an answer")
}

fn arguments(command: &Command) -> Result<Vec<&str>> {
    command.get_args().map(|argument| text(argument)).collect()
}

/// This program's environment as the command changes it.
fn environment(command: &Command) -> Result<BTreeMap<String, String>> {
    let mut all: BTreeMap<String, String> = std::env::vars().collect();
    for (key, value) in command.get_envs() {
        match value {
            Some(value) => all.insert(text(key)?.to_owned(), text(value)?.to_owned()),
            None => all.remove(text(key)?),
        };
    }
    Ok(all)
}

fn text(text: &std::ffi::OsStr) -> Result<&str> {
    Ok(text.to_str().ok_or_else(|| Error::new(ErrorKind::InvalidInput, "not UTF-8"))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command;

    #[tokio::test]
    async fn it_prints_and_ends_as_the_program_does() -> Result<()> {
        let commands: [&[&str]; 4] = [
            &["--version"],
            &["iam", "no-such-operation"],
            &["sts", "get-caller-identity", "--endpoint-url", "http://127.0.0.1:1"],
            &["appmesh", "create-mesh", "--generate-cli-skeleton", "output"],
        ];
        for arguments in commands {
            let mut command = Command::new(tools::tool("aws")?);
            crate::aws::credentials(&mut command);
            // One attempt, so that nothing waits for a server that is not there.
            command.args(arguments).env("AWS_MAX_ATTEMPTS", "1").env("AWS_PAGER", "");
            let resident = capture(&command).await?;
            let program = command::capture(command).await?;
            assert_eq!(resident.status, program.status, "{arguments:?}: {resident:?}");
            assert_eq!(
                (&resident.stdout, &resident.stderr),
                (&program.stdout, &program.stderr),
                "{arguments:?}"
            );
        }
        Ok(())
    }
}
