//! The file of the authorities of the mesh: their certificates, and their keys, sealed where there is a seal. Blocking.

use std::fs;
use std::io;
use std::path::Path;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::MeshCaError;
use crate::certs::Issued;
use crate::keys::seal::{SealKeys, Sealed};
use crate::private;
use crate::secret::Secret;

/// What a key of the file is sealed together with, before its certificate: it opens for this alone.
const PURPOSE: &str = "fleetmesh mesh CA\n";

/// An authority, and when it was made.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) made: SystemTime,
    pub(super) issued: Issued,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Content {
    /// In the order of their making.
    authorities: Vec<Entry>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Entry {
    certificate: String,
    made: Timestamp,
    /// In PEM; absent where it is sealed.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sealed: Option<SealedEntry>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SealedEntry {
    /// The name of what opens it.
    by: String,
    /// In base 64.
    bytes: String,
}

/// The authorities in the file at `path`, in the order of their making, and whether one of them is to be sealed anew: it is in the
/// clear although there is a seal, or sealed by an old key; none when there is no file.
///
/// # Errors
/// It cannot be read, or not all of it. Nothing of it is quoted.
pub(super) fn read(path: &Path, seal: Option<&SealKeys>) -> Result<(Vec<Member>, bool), MeshCaError> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Vec::new(), false)),
        Err(error) => return Err(MeshCaError::file(path, &error.to_string())),
    };
    let malformed =
        || MeshCaError::file(path, "it is not as this program writes it: put the one of a backup back");
    let content: Content = serde_json::from_slice(&text).map_err(|_| malformed())?;
    let mut anew = false;
    let member = |entry: Entry| {
        let key = match (entry.key, entry.sealed) {
            (Some(key), None) => {
                anew |= seal.is_some();
                Secret::new(key)
            }
            (None, Some(sealed)) => {
                anew |= seal.is_some_and(|seal| seal.is_old(&sealed.by));
                opened(path, seal, &entry.certificate, sealed)?
            }
            _ => return Err(malformed()),
        };
        Ok(Member { made: entry.made.into(), issued: Issued { certificate: entry.certificate, key } })
    };
    let members: Result<_, MeshCaError> = content.authorities.into_iter().map(member).collect();
    Ok((members?, anew))
}

fn opened(
    path: &Path,
    seal: Option<&SealKeys>,
    certificate: &str,
    SealedEntry { by, bytes }: SealedEntry,
) -> Result<Secret, MeshCaError> {
    let sealed = Sealed { key: by, bytes: STANDARD.decode(bytes).unwrap_or_default() };
    let secret = seal.and_then(|seal| seal.open(&sealed, &about(certificate)));
    secret.ok_or_else(|| {
        let by = &sealed.key;
        MeshCaError::file(
            path,
            &format!(
                "a key in it was sealed by {by:?}, which --seal-key-file or --seal-kms-key do not have: name that key, or delete the file and have all proxies join again"
            ),
        )
    })
}

/// Writes `members` to the file at `path`, at once or not at all.
///
/// # Errors
/// It cannot be written.
pub(super) fn write(path: &Path, members: &[Member], seal: Option<&SealKeys>) -> Result<(), MeshCaError> {
    let entry = |member: &Member| {
        let Issued { certificate, key } = &member.issued;
        let sealed = seal.map(|seal| seal.seal(key, &about(certificate))).transpose();
        let sealed = sealed.map_err(|error| MeshCaError::file(path, &error.to_string()))?;
        Ok(Entry {
            certificate: certificate.clone(),
            made: Timestamp::try_from(member.made).unwrap_or(Timestamp::UNIX_EPOCH),
            key: sealed.is_none().then(|| key.reveal().to_owned()),
            sealed: sealed
                .map(|Sealed { key, bytes }| SealedEntry { by: key, bytes: STANDARD.encode(bytes) }),
        })
    };
    let authorities: Result<_, MeshCaError> = members.iter().map(entry).collect();
    let text = serde_json::to_vec_pretty(&Content { authorities: authorities? });
    let text = text.map_err(|error| MeshCaError::file(path, &error.to_string()))?;
    private::replace(path, &text).map(drop).map_err(|error| MeshCaError::file(path, &error.to_string()))
}

fn about(certificate: &str) -> Vec<u8> {
    format!("{PURPOSE}{certificate}").into_bytes()
}
