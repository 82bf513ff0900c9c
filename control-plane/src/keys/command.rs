//! The command line of `fleetmesh control-plane keys`.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use clap::{Args, Subcommand, ValueEnum};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};
use tokio::runtime::Builder;

use super::seal::{self, SealError, SealKeys};
use super::{AccessKey, KeyError, KeyStore, Listed, LoadError, NewKey, SealSource};
use crate::kms::{AwsKey, KeyArn};
use crate::rights::{Access, KeyPolicy};

/// Make, show, replace and revoke the access keys that requests from other hosts are signed with.
///
/// A running control plane takes a change in within a second. The keys are in access-keys.db of the data directory,
/// which only its owner may read: verifying a signature takes the secret itself. With --seal-key-file or --seal-kms-key it is
/// sealed there.
#[derive(Clone, Debug, Subcommand)]
pub enum KeysCommand {
    /// Make a key and print it. Its secret is shown this once.
    ///
    /// With -o json it prints what --access-keys-file and the operator's --app-mesh-access-key-file read.
    Create(CreateArgs),
    /// Make another key of a name, with the same policy; those that it has go on for a while, until it is in use.
    Rotate(RotateArgs),
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
    /// Seal the keys that are in the clear, or sealed with another key than --seal-kms-key or the first of --seal-key-file.
    ///
    /// --old-seal-key-file or --old-seal-kms-key opens those that are sealed with something else, so that they move from a file to
    /// KMS, back, or to another key of KMS. Start the control plane with the new one then.
    ///
    /// A control plane does it when it starts with that flag for the first time. Later ones in the clear were not made by who
    /// has the key, and do not count: look at `list` before you seal them.
    Seal {
        /// Where and how.
        #[command(flatten)]
        common: Common,
        /// What with.
        #[command(flatten)]
        seal: SealArgs,
        /// What they are sealed with.
        #[command(flatten)]
        old: OldSealArgs,
    },
    /// Make a file for --seal-key-file: a random key. Without it the keys that it sealed are lost.
    NewSealKey {
        /// The file; one that is there is not replaced
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

/// Options of `keys create`.
#[derive(Args, Clone, Debug)]
pub struct CreateArgs {
    /// Where and how.
    #[command(flatten)]
    common: Common,

    /// What with.
    #[command(flatten)]
    seal: SealArgs,

    /// Whose key it is, for example ci; a name has two keys that count at the most, so that one can replace the other
    #[arg(long, value_name = "NAME", default_value = "")]
    name: String,

    /// The mesh that the key is for, and no other: it does not list meshes either. May be repeated; all of them without it
    #[arg(long = "mesh", value_name = "MESH")]
    meshes: Vec<String>,

    /// What the key may do
    #[arg(long, value_enum, default_value_t = Access::Write)]
    access: Access,

    /// How long it is valid, for example 90d; until it is revoked without it
    #[arg(long, value_name = "TIME", value_parser = lifetime)]
    expires: Option<Duration>,

    /// What the key is for, as `list` will show it
    #[arg(long, value_name = "TEXT", default_value = "")]
    description: String,
}

/// Options of `keys rotate`.
#[derive(Args, Clone, Debug)]
pub struct RotateArgs {
    /// Where and how.
    #[command(flatten)]
    common: Common,

    /// What with.
    #[command(flatten)]
    seal: SealArgs,

    /// The name whose key is replaced
    #[arg(value_name = "NAME")]
    name: String,

    /// How long the new key is valid; until it is revoked without it
    #[arg(long, value_name = "TIME", value_parser = lifetime)]
    expires: Option<Duration>,

    /// How long the old key still counts
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = lifetime)]
    overlap: Duration,
}

/// What secrets are sealed with.
#[derive(Args, Clone, Debug)]
pub struct SealArgs {
    /// The file with the key that seals the secrets at rest, as `new-seal-key` makes it; outside of the data directory
    #[arg(long, env = "FLEETMESH_SEAL_KEY_FILE", value_name = "FILE", conflicts_with = "seal_kms_key")]
    seal_key_file: Option<PathBuf>,

    /// The symmetric KMS key (its ARN) that protects what seals the secrets. It takes kms:Decrypt and kms:GenerateDataKey
    #[arg(long, env = "FLEETMESH_SEAL_KMS_KEY", value_name = "ARN")]
    seal_kms_key: Option<KeyArn>,
}

/// What secrets were sealed with.
#[derive(Args, Clone, Debug)]
pub struct OldSealArgs {
    /// The file whose keys opened the secrets until now
    #[arg(long, value_name = "FILE", conflicts_with = "old_seal_kms_key")]
    old_seal_key_file: Option<PathBuf>,

    /// The KMS key (its ARN) that opened the secrets until now. It takes kms:Decrypt
    #[arg(long, value_name = "ARN")]
    old_seal_kms_key: Option<KeyArn>,
}

/// What all have in common.
#[derive(Args, Clone, Debug)]
pub struct Common {
    /// The data directory of the control plane
    #[arg(long, env = "FLEETMESH_DATA_DIR", value_name = "DIR")]
    data_dir: PathBuf,

    /// The form of the answer
    #[arg(short, long, value_enum, default_value_t = KeysOutput::Text)]
    output: KeysOutput,
}

/// A form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum KeysOutput {
    /// For people
    Text,
    /// For programs
    Json,
}

/// Why the command failed.
#[derive(Debug, thiserror::Error)]
pub enum KeysCommandError {
    /// The keys.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// What they are sealed with.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The same, or the keys.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// There is nothing to seal with.
    #[error("--seal-key-file or --seal-kms-key is required: what seals them")]
    NoSeal,
    /// There is no thread to wait for KMS.
    #[error("cannot start a thread to ask KMS: {0}")]
    Thread(io::Error),
    /// The output.
    #[error("cannot write to standard output")]
    Write(#[from] io::Error),
}

/// The longest life of a key, and the longest overlap: ten years.
const LONGEST: Duration = Duration::from_secs(3650 * 24 * 3600);

fn lifetime(text: &str) -> Result<Duration, String> {
    let length = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if (Duration::from_secs(1)..=LONGEST).contains(&length) {
        return Ok(length);
    }
    Err(format!("{text} is out of bounds: from 1s to 3650d"))
}

/// Runs `command` at `now`, which prints to `out`.
///
/// # Errors
/// See [`KeysCommandError`].
pub fn run(command: KeysCommand, now: SystemTime, out: &mut dyn Write) -> Result<(), KeysCommandError> {
    let now = Timestamp::try_from(now).unwrap_or(Timestamp::UNIX_EPOCH);
    match command {
        KeysCommand::Create(args) => create(args, now, out),
        KeysCommand::Rotate(RotateArgs { common, seal, name, expires, overlap }) => {
            KeyStore::open_existing(&common.data_dir, None)?;
            let seal = seal.read(&common, None)?;
            let store = KeyStore::open_existing(&common.data_dir, seal.as_ref())?;
            let end = expires.map(|length| after(now, length));
            let (key, about) = store.rotate(&name, end, after(now, overlap), now)?;
            print(&key, &about, common.output, out)
        }
        KeysCommand::List { common } => {
            let keys = KeyStore::open_existing(&common.data_dir, None)?.list()?;
            match common.output {
                KeysOutput::Json => writeln!(out, "{:#}", keys.iter().map(listed).collect::<Value>())?,
                KeysOutput::Text => table(&keys, now, out)?,
            }
            Ok(())
        }
        KeysCommand::Revoke { common, id } => {
            KeyStore::open_existing(&common.data_dir, None)?.revoke(&id, now)?;
            match common.output {
                KeysOutput::Json => writeln!(out, "{:#}", json!({ "accessKeyId": id }))?,
                KeysOutput::Text => writeln!(out, "{id} is revoked")?,
            }
            Ok(())
        }
        KeysCommand::Seal { common, seal, old } => {
            KeyStore::open_existing(&common.data_dir, None)?;
            let seal = seal.read(&common, Some(old))?.ok_or(KeysCommandError::NoSeal)?;
            let count = KeyStore::open_existing(&common.data_dir, Some(&seal))?.seal(now)?;
            match common.output {
                KeysOutput::Json => writeln!(out, "{:#}", json!({ "sealed": count }))?,
                KeysOutput::Text => writeln!(out, "sealed: {count}")?,
            }
            Ok(())
        }
        KeysCommand::NewSealKey { out: path } => {
            seal::write_new(&path)?;
            writeln!(out, "{}", path.display()).map_err(KeysCommandError::Write)
        }
    }
}

impl SealArgs {
    /// What they say, together with what `old` opens.
    fn read(&self, common: &Common, old: Option<OldSealArgs>) -> Result<Option<SealKeys>, KeysCommandError> {
        let Some(source) = source_of(self.seal_key_file.as_ref(), self.seal_kms_key.as_ref()) else {
            return Ok(None);
        };
        let old =
            old.and_then(|old| source_of(old.old_seal_key_file.as_ref(), old.old_seal_kms_key.as_ref()));
        let runtime = Builder::new_current_thread().enable_all().build().map_err(KeysCommandError::Thread)?;
        runtime.block_on(async {
            let old = match old {
                Some(old) => Some(old.open(&common.data_dir, None).await?),
                None => None,
            };
            Ok(Some(source.open(&common.data_dir, old).await?))
        })
    }
}

/// What two flags name, of which there is one at the most.
pub(crate) fn source_of(file: Option<&PathBuf>, kms: Option<&KeyArn>) -> Option<SealSource> {
    let held = |arn: &KeyArn| SealSource::Kms(Arc::new(AwsKey::new(arn.clone())));
    file.cloned().map(SealSource::File).or_else(|| kms.map(held))
}

fn create(args: CreateArgs, now: Timestamp, out: &mut dyn Write) -> Result<(), KeysCommandError> {
    let CreateArgs { common, seal, name, meshes, access, expires, description } = args;
    let meshes: BTreeSet<String> = meshes.into_iter().collect();
    let policy = KeyPolicy { meshes: (!meshes.is_empty()).then_some(meshes), access };
    let expires_at = expires.map(|length| after(now, length));
    let about = NewKey { name, description, policy, expires_at };
    let seal = seal.read(&common, None)?;
    let key = KeyStore::open(&common.data_dir, seal.as_ref())?.create(&about, now)?;
    print(&key, &about, common.output, out)
}

/// Whole seconds after: that is what is shown and written.
fn after(now: Timestamp, length: Duration) -> Timestamp {
    let length = SignedDuration::try_from(length).unwrap_or(SignedDuration::MAX);
    let end = now.saturating_add(length).unwrap_or(Timestamp::MAX);
    Timestamp::from_second(end.as_second()).unwrap_or(end)
}

fn print(
    key: &AccessKey,
    about: &NewKey,
    form: KeysOutput,
    out: &mut dyn Write,
) -> Result<(), KeysCommandError> {
    let AccessKey { id, secret } = key;
    let secret = secret.reveal();
    match form {
        KeysOutput::Json => {
            let mut members = policy(about);
            members.insert("accessKeyId".into(), json!(id));
            members.insert("secretAccessKey".into(), json!(secret));
            writeln!(out, "{:#}", Value::Object(members))?;
        }
        KeysOutput::Text => writeln!(
            out,
            "access key id:      {id}\nsecret access key:  {secret}\nThe secret is not shown again."
        )?,
    }
    Ok(())
}

/// What a key may do and for how long, as the file of keys has it.
fn policy(about: &NewKey) -> Map<String, Value> {
    let NewKey { name, policy, expires_at, description: _ } = about;
    let mut members = Map::new();
    if !name.is_empty() {
        members.insert("name".into(), json!(name));
    }
    if let Some(meshes) = &policy.meshes {
        members.insert("meshes".into(), json!(meshes));
    }
    members.insert("access".into(), json!(policy.access));
    if let Some(end) = expires_at {
        members.insert("expiresAt".into(), json!(end.to_string()));
    }
    members
}

fn listed(key: &Listed) -> Value {
    let Listed { id, about, created_at, revoked_at, sealed } = key;
    let mut members = policy(about);
    let more = json!({
        "accessKeyId": id, "description": about.description, "sealed": sealed,
        "createdAt": created_at.to_string(), "revokedAt": revoked_at.map(|at| at.to_string()),
    });
    members.extend(more.as_object().cloned().unwrap_or_default());
    Value::Object(members)
}

fn table(keys: &[Listed], now: Timestamp, out: &mut dyn Write) -> io::Result<()> {
    let time = |time: &Timestamp| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let mut rows = vec![
        [
            "ACCESS KEY ID",
            "NAME",
            "MESHES",
            "ACCESS",
            "CREATED",
            "EXPIRES",
            "STATUS",
            "SEALED",
            "DESCRIPTION",
        ]
        .map(str::to_owned),
    ];
    for key in keys {
        let Listed { id, about, created_at, revoked_at, sealed } = key;
        let meshes = about.policy.meshes.iter().flatten().cloned().collect::<Vec<_>>().join(",");
        let status = match revoked_at {
            Some(_) => "revoked",
            None if key.is_live(now) => "active",
            None => "expired",
        };
        rows.push([
            id.clone(),
            or_dash(&about.name),
            if about.policy.meshes.is_some() { meshes } else { "all".into() },
            about.policy.access.word().into(),
            time(created_at),
            about.expires_at.as_ref().map_or_else(|| "never".into(), time),
            status.into(),
            if *sealed { "yes" } else { "no" }.into(),
            about.description.clone(),
        ]);
    }
    columns(&rows, out)
}

fn or_dash(text: &str) -> String {
    if text.is_empty() { "-".into() } else { text.into() }
}

/// Prints rows in columns as wide as they have to be.
fn columns<const N: usize>(rows: &[[String; N]], out: &mut dyn Write) -> io::Result<()> {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..N).map(width).collect();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}
