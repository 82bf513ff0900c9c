//! The flags of `fleetmesh control-plane keys`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use fleetmesh_control_plane::kms::KeyArn;
use fleetmesh_control_plane::rights::Access;
use fleetmesh_model::AccountId;

use crate::duration::within;

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
    pub common: Common,

    /// What with.
    #[command(flatten)]
    pub seal: SealArgs,

    /// Whose key it is, for example ci; a name has two keys that count at the most, so that one can replace the other
    #[arg(long, value_name = "NAME", default_value = "")]
    pub name: String,

    /// The account that whoever signs with it acts for: one of the control plane's --account-id; the first without it
    #[arg(long, value_name = "ID")]
    pub account_id: Option<AccountId>,

    /// The mesh that the key is for, and no other: it does not list meshes either. May be repeated; all of them without it.
    /// NAME@ACCOUNT for one that another account shares
    #[arg(long = "mesh", value_name = "MESH")]
    pub meshes: Vec<String>,

    /// What the key may do
    #[arg(long, value_enum, default_value_t = AccessArg::Write)]
    pub access: AccessArg,

    /// How long it is valid, for example 90d; until it is revoked without it
    #[arg(long, value_name = "TIME", value_parser = lifetime)]
    pub expires: Option<Duration>,

    /// What the key is for, as `list` will show it
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub description: String,
}

/// Options of `keys rotate`.
#[derive(Args, Clone, Debug)]
pub struct RotateArgs {
    /// Where and how.
    #[command(flatten)]
    pub common: Common,

    /// What with.
    #[command(flatten)]
    pub seal: SealArgs,

    /// The name whose key is replaced
    #[arg(value_name = "NAME")]
    pub name: String,

    /// How long the new key is valid; until it is revoked without it
    #[arg(long, value_name = "TIME", value_parser = lifetime)]
    pub expires: Option<Duration>,

    /// How long the old key still counts
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = lifetime)]
    pub overlap: Duration,
}

/// What secrets are sealed with.
#[derive(Args, Clone, Debug)]
pub struct SealArgs {
    /// The file with the key that seals the secrets at rest, as `new-seal-key` makes it; outside of the data directory
    #[arg(long, env = "FLEETMESH_SEAL_KEY_FILE", value_name = "FILE", conflicts_with = "seal_kms_key")]
    pub seal_key_file: Option<PathBuf>,

    /// The symmetric KMS key (its ARN) that protects what seals the secrets. It takes kms:Decrypt and kms:GenerateDataKey
    #[arg(long, env = "FLEETMESH_SEAL_KMS_KEY", value_name = "ARN")]
    pub seal_kms_key: Option<KeyArn>,
}

/// What secrets were sealed with.
#[derive(Args, Clone, Debug)]
pub struct OldSealArgs {
    /// The file whose keys opened the secrets until now
    #[arg(long, value_name = "FILE", conflicts_with = "old_seal_kms_key")]
    pub old_seal_key_file: Option<PathBuf>,

    /// The KMS key (its ARN) that opened the secrets until now. It takes kms:Decrypt
    #[arg(long, value_name = "ARN")]
    pub old_seal_kms_key: Option<KeyArn>,
}

/// What all have in common.
#[derive(Args, Clone, Debug)]
pub struct Common {
    /// The data directory of the control plane
    #[arg(long, env = "FLEETMESH_DATA_DIR", value_name = "DIR")]
    pub data_dir: PathBuf,

    /// The form of the answer
    #[arg(short, long, value_enum, default_value_t = KeysOutput::Text)]
    pub output: KeysOutput,
}

/// A form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum KeysOutput {
    /// For people
    Text,
    /// For programs
    Json,
}

/// How much a key may do with what its policy covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AccessArg {
    /// Describe and List, tags included, distribution and loads
    Read,
    /// The same, and Create, Update, Delete and tagging
    Write,
}

impl From<AccessArg> for Access {
    fn from(access: AccessArg) -> Self {
        match access {
            AccessArg::Read => Self::Read,
            AccessArg::Write => Self::Write,
        }
    }
}

/// The life of a key, or an overlap: up to ten years.
fn lifetime(text: &str) -> Result<Duration, String> {
    within(text, "1s", "3650d")
}
