//! moto's server: real AWS APIs (Cloud Map, EC2, IAM, STS, SSM) of an account that exists in its memory only.

use std::process::Command;

use anyhow::{Context as _, Result, anyhow};
use serde_json::{Value, json};

use crate::command::{self, Captured};
use crate::process::{Process, START};
use crate::run_dir::RunDir;
use crate::{aws, port, resident, tools};

/// The ARN of the policy that [`Moto::boundary`] makes.
pub const BOUNDARY: &str = "arn:aws:iam::123456789012:policy/fleetmesh-boundary";

/// How often another port is tried when somebody takes the free one first.
const TRIES: usize = 3;

/// How many requests make the administrator, whom nobody could be asked for before.
const UNASKED: &str = "3";

/// A running moto server. Its state is gone when it ends.
#[derive(Debug)]
pub struct Moto {
    process: Process,
    port: u16,
    administrator: Option<MotoKey>,
}

/// The access key of an IAM user of a [`Moto`].
#[derive(Clone, Debug)]
pub struct MotoKey {
    /// Its id.
    pub id: String,
    /// Its secret.
    pub secret: String,
}

impl MotoKey {
    /// As variables of a program's environment.
    #[must_use]
    pub fn variables(&self) -> [(&str, &str); 2] {
        [("AWS_ACCESS_KEY_ID", &self.id), ("AWS_SECRET_ACCESS_KEY", &self.secret)]
    }
}

impl Moto {
    /// Starts moto on a free port of 127.0.0.1 and awaits that it answers.
    ///
    /// # Errors
    /// It is not installed, or does not become ready.
    pub async fn start(run: &RunDir) -> Result<Self> {
        let server = tools::workspace_dir()?.join("tests/testbed/moto/quick.py");
        let program = || {
            let mut command = Command::new(tools::tool("python")?);
            command.arg(&server);
            Ok(command)
        };
        Self::start_as(run, program).await
    }

    /// The same with IAM in force: every request has to be allowed by the policies of the user whose access key signed
    /// it. Commands of [`Self::env`] are an administrator's. `moto/server.py` says what of IAM is moto's and what is ours.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_enforcing(run: &RunDir) -> Result<Self> {
        let server = tools::workspace_dir()?.join("tests/testbed/moto/server.py");
        let program = || {
            let mut command = Command::new(tools::tool("python")?);
            command.arg(&server).env("INITIAL_NO_AUTH_ACTION_COUNT", UNASKED);
            Ok(command)
        };
        let mut moto = Self::start_as(run, program).await?;
        let everything = json!({ "Version": "2012-10-17",
            "Statement": [{ "Effect": "Allow", "Action": "*", "Resource": "*" }] });
        moto.administrator = Some(moto.user("administrator", &everything).await?);
        Ok(moto)
    }

    async fn start_as(run: &RunDir, program: impl Fn() -> Result<Command>) -> Result<Self> {
        let mut last = anyhow!("it was not tried");
        for _ in 0..TRIES {
            let [port] = port::free()?;
            match Self::start_on(port, program()?, run).await {
                Ok(moto) => return Ok(moto),
                Err(error) => last = error,
            }
        }
        Err(last.context("moto_server does not start"))
    }

    async fn start_on(port: u16, mut command: Command, run: &RunDir) -> Result<Self> {
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        // AWS's own managed policies are there, as in every account.
        command.env("MOTO_IAM_LOAD_MANAGED_POLICIES", "true");
        let process = Process::spawn("moto", &command, run)?;
        let mut moto = Self { process, port, administrator: None };
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
    /// nobody; with an administrator's where IAM is in force.
    pub fn env(&self, command: &mut Command) {
        environment(&self.endpoint(), command);
        command.envs(self.administrator.iter().flat_map(MotoKey::variables));
    }

    /// Makes an IAM user who may do what `policy` allows.
    ///
    /// # Errors
    /// There is one of that name, or the policy is none.
    pub async fn user(&self, name: &str, policy: &Value) -> Result<MotoKey> {
        self.aws(&["iam", "create-user", "--user-name", name]).await?;
        self.allow(name, policy).await?;
        let made = self.aws(&["iam", "create-access-key", "--user-name", name]).await?;
        let text = |member: &str| made["AccessKey"][member].as_str().unwrap_or_default().to_owned();
        Ok(MotoKey { id: text("AccessKeyId"), secret: text("SecretAccessKey") })
    }

    /// Makes the permissions boundary of nodes' roles, [`BOUNDARY`], of what `fleetmesh iam boundary` prints.
    ///
    /// # Errors
    /// `fleetmesh` is not built, or the policy is there already.
    pub async fn boundary(&self) -> Result<()> {
        let mut print = Command::new(tools::fleetmesh()?);
        print.args(["iam", "boundary", "--region", aws::REGION, "--account-id", "123456789012"]);
        let document = command::run(print).await.context("cannot print the boundary")?;
        let create = ["iam", "create-policy", "--policy-name", "fleetmesh-boundary", "--policy-document"];
        self.aws(&[&create[..], &[&document]].concat()).await?;
        Ok(())
    }

    /// From now on a user may do what `policy` allows, and no more.
    ///
    /// # Errors
    /// There is no such user, or the policy is none.
    pub async fn allow(&self, user: &str, policy: &Value) -> Result<()> {
        let policy = policy.to_string();
        let put = ["iam", "put-user-policy", "--policy-name", "allowed", "--user-name", user];
        self.aws(&[&put[..], &["--policy-document", &policy]].concat()).await?;
        Ok(())
    }

    /// Runs `aws` with `arguments` and returns what it printed, whatever its status.
    ///
    /// # Errors
    /// It is not installed or cannot be run.
    pub async fn capture(&self, arguments: &[&str]) -> Result<Captured> {
        let mut command = Command::new(tools::tool("aws")?);
        command.args(["--output", "json"]).args(arguments).env("AWS_PAGER", "");
        self.env(&mut command);
        resident::capture(&command).await
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

    #[tokio::test]
    async fn where_iam_is_in_force_resources_and_conditions_count() -> Result<()> {
        let run = RunDir::new("moto-iam")?;
        let moto = Moto::start_enforcing(&run).await?;
        let policy = json!({ "Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Action": ["iam:CreateRole", "iam:TagRole"],
            "Resource": "arn:aws:iam::123456789012:role/ours/*",
            "Condition": { "StringLike": { "aws:RequestTag/team": "m*" } },
        }] });
        let key = moto.user("somebody", &policy).await?;
        let create = async |name: &str, path: &str, team: &str| {
            let mut command = Command::new(tools::tool("aws")?);
            command.args(["iam", "create-role", "--assume-role-policy-document", "{}", "--role-name", name]);
            command.args(["--path", path, "--tags", &format!("Key=team,Value={team}")]);
            moto.env(&mut command);
            command.envs(key.variables());
            resident::capture(&command).await?.success()
        };
        create("as-allowed", "/ours/", "mesh").await?;
        for (name, path, team) in [("elsewhere", "/theirs/", "mesh"), ("otherwise", "/ours/", "lambda")] {
            let refusal = create(name, path, team).await.unwrap_or_else(|error| format!("{error:#}"));
            let words = format!(
                "is not authorized to perform: iam:CreateRole on resource: arn:aws:iam::123456789012:role{path}{name}"
            );
            assert!(refusal.contains("AccessDenied") && refusal.contains(&words), "{refusal}");
        }
        let roles = moto.aws(&["iam", "list-roles"]).await?["Roles"].to_string();
        assert!(roles.contains("as-allowed") && !roles.contains("elsewhere") && !roles.contains("otherwise"));
        Ok(())
    }
}
