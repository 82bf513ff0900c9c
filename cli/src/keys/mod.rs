//! `fleetmesh control-plane keys`: changes and shows the access keys in a data directory.

mod args;
mod print;

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fleetmesh_control_plane::keys::seal::{self, SealError, SealKeys};
use fleetmesh_control_plane::keys::{KeyError, KeyStore, LoadError, NewKey, SealSource};
use fleetmesh_control_plane::kms::{AwsKey, KeyArn};
use fleetmesh_control_plane::rights::KeyPolicy;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::runtime::Builder;

pub use args::KeysCommand;
use args::{Common, CreateArgs, KeysOutput, OldSealArgs, RotateArgs, SealArgs};
use print::{listed, print, table};

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
pub fn source_of(file: Option<&PathBuf>, kms: Option<&KeyArn>) -> Option<SealSource> {
    let held = |arn: &KeyArn| SealSource::Kms(Arc::new(AwsKey::new(arn.clone())));
    file.cloned().map(SealSource::File).or_else(|| kms.map(held))
}

fn create(args: CreateArgs, now: Timestamp, out: &mut dyn Write) -> Result<(), KeysCommandError> {
    let CreateArgs { common, seal, name, account_id: account, meshes, access, expires, description } = args;
    let meshes: BTreeSet<String> = meshes.into_iter().collect();
    let meshes = (!meshes.is_empty()).then_some(meshes);
    let policy = KeyPolicy { account, meshes, access: access.into() };
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

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[test]
    fn commands_that_make_no_key_make_no_database() {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("misspelt");
        let at = data.display().to_string();
        let seal = folder.path().join("seal");
        super::seal::write_new(&seal).expect("a key");
        let seal = seal.display().to_string();
        for arguments in [
            &["list", "--data-dir", &at][..],
            &["revoke", "FMKY", "--data-dir", &at],
            &["rotate", "ci", "--data-dir", &at],
            &["seal", "--data-dir", &at, "--seal-key-file", &seal],
        ] {
            let parsed = KeyLine::try_parse_from([&["keys"], arguments].concat()).expect("arguments");
            let error = run(parsed.keys, SystemTime::now(), &mut Vec::new());
            let error = error.expect_err("there is none").to_string();
            assert!(error.contains(&at) && error.contains("--data-dir"), "{arguments:?}: {error}");
            assert!(!data.exists(), "{arguments:?} made {at}");
        }
    }

    /// A command line.
    #[derive(clap::Parser)]
    struct KeyLine {
        #[command(subcommand)]
        keys: KeysCommand,
    }
}
