//! The real AWS CLI against an App Mesh endpoint of ours, with credentials that belong to nobody.

use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::command::Captured;
use crate::{resident, tools};

/// The region of the scenario.
pub const REGION: &str = "us-west-2";

/// Gives `command` a region and credentials, and hides the caller's own settings from it.
pub fn credentials(command: &mut Command) {
    command
        .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "not-a-secret")
        .env("AWS_REGION", REGION)
        .env("AWS_DEFAULT_REGION", REGION)
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env_remove("AWS_PROFILE")
        .env_remove("AWS_SESSION_TOKEN")
        .env_remove("AWS_ENDPOINT_URL");
}

/// `aws appmesh` for one endpoint.
#[derive(Debug, Clone)]
pub struct AppMesh {
    endpoint: String,
}

impl AppMesh {
    /// The CLI for this endpoint.
    #[must_use]
    pub fn new(endpoint: &str) -> Self {
        Self { endpoint: endpoint.to_owned() }
    }

    /// Runs `aws appmesh` with `arguments` and returns what it printed, whatever its status.
    ///
    /// # Errors
    /// It is not installed or cannot be run.
    pub async fn capture(&self, arguments: &[&str]) -> Result<Captured> {
        let mut command = Command::new(tools::tool("aws")?);
        command.args(["--endpoint-url", &self.endpoint, "--output", "json", "appmesh"]).args(arguments);
        command.env("AWS_PAGER", "");
        credentials(&mut command);
        resident::capture(&command).await
    }

    /// Runs `aws appmesh` and returns the object it printed; null when it printed nothing.
    ///
    /// # Errors
    /// It fails (the error carries the service's message), or prints no JSON.
    pub async fn run(&self, arguments: &[&str]) -> Result<Value> {
        let text = self.capture(arguments).await?.success()?;
        if text.trim().is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&text).with_context(|| format!("aws printed no JSON: {text}"))
    }

    /// Runs `aws appmesh OPERATION --cli-input-json INPUT`.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub async fn call(&self, operation: &str, input: &Value) -> Result<Value> {
        self.run(&[operation, "--cli-input-json", &input.to_string()]).await
    }
}
