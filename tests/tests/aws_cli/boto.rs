//! Runs the Python of these tests in the venv that holds boto3.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use fleetmesh_testbed::{aws, command, tools};
use serde_json::Value;

/// Runs `script` of this folder with `arguments`; it prints JSON.
pub async fn run(script: &str, arguments: &[&str]) -> Result<Value> {
    let file = Path::new("tests/aws_cli").join(script);
    let mut command = Command::new(tools::tool("python")?);
    command.arg(file).args(arguments);
    aws::credentials(&mut command);
    let text = command::run(command).await?;
    serde_json::from_str(&text).with_context(|| format!("{script} printed no JSON: {text}"))
}
