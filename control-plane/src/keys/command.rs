//! The command line of `fleetmesh control-plane keys`.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::SystemTime;

use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{AccessKey, KeyError, KeyStore, Listed};

/// Make, show and revoke the access keys that requests from other hosts are signed with.
///
/// A running control plane takes a change in within a second. The keys are in access-keys.db of the data directory,
/// which only its owner may read: verifying a signature takes the secret itself.
#[derive(Clone, Debug, Subcommand)]
pub enum KeysCommand {
    /// Make a key and print it. Its secret is shown this once.
    ///
    /// With -o json it prints what --access-keys-file and the operator's --app-mesh-access-key-file read.
    Create {
        /// Where and how.
        #[command(flatten)]
        common: Common,
        /// What the key is for, as `list` will show it
        #[arg(long, value_name = "TEXT", default_value = "")]
        description: String,
    },
    /// Show every key, without secrets.
    List {
        /// Where and how.
        #[command(flatten)]
        common: Common,
    },
    /// Revoke a key: what it signs is refused from now on.
    Revoke {
        /// Where and how.
        #[command(flatten)]
        common: Common,
        /// The key's id
        #[arg(value_name = "ACCESS_KEY_ID")]
        id: String,
    },
}

/// What all have in common.
#[derive(Args, Clone, Debug)]
pub struct Common {
    /// The data directory of the control plane
    #[arg(long, env = "FLEETMESH_DATA_DIR", value_name = "DIR")]
    data_dir: PathBuf,

    /// The form of the answer
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// A form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people
    Text,
    /// For programs
    Json,
}

/// Why the command failed.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The keys.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// The output.
    #[error("cannot write to standard output")]
    Write(#[from] io::Error),
}

/// Runs `command` at `now`, which prints to `out`.
///
/// # Errors
/// See [`CommandError`].
pub fn run(command: KeysCommand, now: SystemTime, out: &mut dyn Write) -> Result<(), CommandError> {
    let now = Timestamp::try_from(now).unwrap_or(Timestamp::UNIX_EPOCH);
    match command {
        KeysCommand::Create { common, description } => {
            let AccessKey { id, secret } = KeyStore::open(&common.data_dir)?.create(&description, now)?;
            let secret = secret.reveal();
            match common.output {
                Output::Json => {
                    writeln!(out, "{:#}", json!({ "accessKeyId": id, "secretAccessKey": secret }))?
                }
                Output::Text => writeln!(
                    out,
                    "access key id:      {id}\nsecret access key:  {secret}\nThe secret is not shown again."
                )?,
            }
        }
        KeysCommand::List { common } => {
            let keys = KeyStore::open(&common.data_dir)?.list()?;
            match common.output {
                Output::Json => writeln!(out, "{:#}", keys.iter().map(listed).collect::<Value>())?,
                Output::Text => table(&keys, out)?,
            }
        }
        KeysCommand::Revoke { common, id } => {
            KeyStore::open(&common.data_dir)?.revoke(&id, now)?;
            match common.output {
                Output::Json => writeln!(out, "{:#}", json!({ "accessKeyId": id }))?,
                Output::Text => writeln!(out, "{id} is revoked")?,
            }
        }
    }
    Ok(())
}

fn listed(key: &Listed) -> Value {
    let Listed { id, description, created_at, revoked_at } = key;
    json!({
        "accessKeyId": id, "description": description,
        "createdAt": created_at.to_string(), "revokedAt": revoked_at.map(|at| at.to_string()),
    })
}

fn table(keys: &[Listed], out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{:<22}{:<22}{:<9}DESCRIPTION", "ACCESS KEY ID", "CREATED", "STATUS")?;
    for Listed { id, description, created_at, revoked_at } in keys {
        let status = if revoked_at.is_some() { "revoked" } else { "active" };
        let created = created_at.strftime("%Y-%m-%dT%H:%M:%SZ");
        writeln!(out, "{id:<22}{created:<22}{status:<9}{description}")?;
    }
    Ok(())
}
