//! Who gets in, and what a connection may take.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use fleetmesh_testbed::command;
use fleetmesh_testbed::process::START;
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::standalone::{self, Standalone};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The code and the JSON of an answer.
async fn ask(standalone: &Standalone, path: &str, arguments: &[&str]) -> Result<(u16, Value)> {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--max-time", "20", "--write-out", "\n%{http_code}"]);
    command.arg("--cacert").arg(standalone.data_dir().join("ca.crt"));
    command.args(arguments).arg(format!("{}{path}", standalone.url()));
    let output = command::run(command).await?;
    let (body, code) = output.rsplit_once('\n').context("a code")?;
    Ok((code.trim().parse()?, serde_json::from_str(body).unwrap_or_else(|_| body.into())))
}

fn token(standalone: &Standalone) -> Result<String> {
    Ok(std::fs::read_to_string(standalone.data_dir().join("token"))?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_answered_without_the_token_or_for_another_host() -> Result<()> {
    let run = RunDir::new("standalone-access")?;
    let standalone = Standalone::start(&run).await?;
    let right = format!("Authorization: Bearer {}", token(&standalone)?);
    let wrong = format!("{right}x");
    let secrets = "/api/v1/namespaces/default/secrets";
    let known = ask(&standalone, secrets, &["--header", &right]).await?;
    ensure!(known.0 == 200 && known.1["kind"] == "SecretList", "{known:?}");
    for headers in [
        &[][..],
        &["--header", &wrong],
        &["--header", "Authorization: Bearer "],
        &["--header", "Authorization: Basic eDp5"],
        &["--header", &right, "--header", &wrong],
    ] {
        for path in [secrets, "/version", "/api", "/apis", "/openapi/v2", "/nothing", "//livez", "/livez/.."]
        {
            let (code, status) = ask(&standalone, path, headers).await?;
            ensure!(code == 401, "{path} {headers:?}: {code} {status}");
            ensure!(status["reason"] == "Unauthorized" && status["kind"] == "Status", "{status}");
        }
    }
    ensure!(ask(&standalone, "/livez", &[]).await?.0 == 200);
    let (code, status) =
        ask(&standalone, secrets, &["--header", &right, "--header", "Host: rebound.example"]).await?;
    ensure!(code == 403, "{code} {status}");
    let message = status["message"].as_str().context("a message")?;
    ensure!(message.contains("rebound.example") && message.contains("--allowed-host"), "{message}");
    ensure!(!standalone.log()?.contains(&token(&standalone)?), "the token is in the log");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_in_the_data_directory_is_for_its_owner_alone() -> Result<()> {
    let run = RunDir::new("standalone-files")?;
    let standalone = Standalone::start(&run).await?;
    let mode = |path: &Path| std::fs::metadata(path).map(|found| found.permissions().mode() & 0o777);
    ensure!(mode(standalone.data_dir())? == 0o700);
    for name in [
        "kubeconfig",
        "token",
        "ca.key",
        "ca.crt",
        "addresses.json",
        "standalone.db",
        "standalone.db-wal",
        "standalone.lock",
    ] {
        let found = mode(&standalone.data_dir().join(name)).context(name)?;
        ensure!(found == 0o600, "{name}: {found:o}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_is_bounded_in_size() -> Result<()> {
    let run = RunDir::new("standalone-bounds")?;
    let standalone = Standalone::start(&run).await?;
    let right = format!("Authorization: Bearer {}", token(&standalone)?);
    let file = run.join("large.json");
    std::fs::write(&file, "x".repeat((3 << 20) + 1))?;
    let body = format!("@{}", file.display());
    let arguments =
        ["--header", &right, "--header", "Content-Type: application/json", "--data-binary", &body];
    let (code, status) = ask(&standalone, "/api/v1/namespaces", &arguments).await?;
    ensure!(code == 413 && status["reason"] == "RequestEntityTooLarge", "{code} {status}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_says_nothing_is_cut_off_and_holds_nobody_up() -> Result<()> {
    let run = RunDir::new("standalone-silent")?;
    let standalone = Standalone::start(&run).await?;
    let address = standalone.url().trim_start_matches("https://").to_owned();
    let mut silent = Vec::new();
    for _ in 0..64 {
        silent.push(TcpStream::connect(&address).await?);
    }
    let right = format!("Authorization: Bearer {}", token(&standalone)?);
    ensure!(ask(&standalone, "/version", &["--header", &right]).await?.0 == 200);
    let mut one = silent.pop().context("a connection")?;
    one.write_all(&[22, 3, 1]).await?;
    let began = Instant::now();
    let mut rest = Vec::new();
    // A reset ends it, too.
    let _ = tokio::time::timeout(Duration::from_secs(30), one.read_to_end(&mut rest)).await?;
    ensure!(began.elapsed() < Duration::from_secs(25), "{:?}", began.elapsed());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_process_on_one_directory_ends_with_one_clear_line() -> Result<()> {
    let run = RunDir::new("standalone-second")?;
    let mut first = Standalone::start(&run).await?;
    let id = first.process().id();
    let second = standalone::command(first.data_dir(), [0, 0, 0])?;
    let ended = command::capture(second).await?;
    ensure!(!ended.status.success());
    let errors: Vec<&str> = ended.stderr.lines().filter(|line| line.starts_with("error: ")).collect();
    ensure!(errors.len() == 1, "{}", ended.stderr);
    let expected = format!("is in use by process {id}: stop it, or choose another directory with --data-dir");
    ensure!(errors[0].contains(&expected), "{}", errors[0]);
    first.process().until("the first goes on", START, async |_| Ok(Some(()))).await
}
