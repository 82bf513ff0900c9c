//! The file of `--access-keys-file`: one key as a JSON object, or a list of them. `accessKeyId` and `secretAccessKey` are
//! required; `name`, `account`, `meshes`, `access` and `expiresAt` say what it may do and for how long, all of the first account's
//! for ever without them.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Deserialize;

use super::{Key, KeyTable};
use crate::reload::{FileError, Named};
use crate::rights::{Access, KeyHolder, KeyPolicy};
use crate::secret::Secret;

/// The fewest characters of a secret: AWS's have 40, and one that can be guessed protects nothing.
const SHORTEST_SECRET: usize = 20;

// A misspelt restriction must not be none.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct KeyEntry {
    access_key_id: String,
    secret_access_key: String,
    #[serde(default)]
    name: String,
    account: Option<String>,
    meshes: Option<BTreeSet<String>>,
    access: Option<Access>,
    expires_at: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum FileContent {
    One(KeyEntry),
    Many(Vec<KeyEntry>),
}

/// The keys in `file`.
///
/// # Errors
/// It cannot be read or is not of this form. The message quotes nothing of it.
pub fn read(file: &Named) -> Result<KeyTable, FileError> {
    let expected = r#"expected {"accessKeyId": "…", "secretAccessKey": "…"} or a list of such objects; beside them "name", "account": "12 digits", "meshes": ["…"], "access": "read" or "write", and "expiresAt" in RFC 3339 are understood, and nothing else"#;
    let content = serde_json::from_slice(&file.read()?).map_err(|_| file.error(expected))?;
    let entries = match content {
        FileContent::One(entry) => vec![entry],
        FileContent::Many(entries) => entries,
    };
    let mut keys = KeyTable::new();
    for entry in entries {
        let key = key(entry).map_err(|reason| file.error(reason))?;
        keys.insert(key.holder.id.clone(), Arc::new(key));
    }
    Ok(keys)
}

fn key(entry: KeyEntry) -> Result<Key, String> {
    let KeyEntry { access_key_id: id, secret_access_key: secret, name, account, meshes, access, expires_at } =
        entry;
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Err("an accessKeyId has letters, digits and underscores only".into());
    }
    if secret.len() < SHORTEST_SECRET {
        return Err(format!("the secretAccessKey of {id} has fewer than {SHORTEST_SECRET} characters"));
    }
    if meshes.as_ref().is_some_and(BTreeSet::is_empty) {
        return Err(format!("the meshes of {id} are none: leave them out for all of them"));
    }
    let account = account.map(|digits| digits.parse()).transpose();
    let account = account.map_err(|reason: String| format!("the account of {id}: {reason}"))?;
    let policy = KeyPolicy { account, meshes, access: access.unwrap_or(Access::Write) };
    let holder = Arc::new(KeyHolder { id, name, policy });
    Ok(Key { holder, secret: Secret::new(secret), expires_at })
}
