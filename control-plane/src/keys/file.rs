//! The file of `--access-keys-file`: one key as a JSON object, `{"accessKeyId": …, "secretAccessKey": …}`, or a list of
//! them.

use serde::Deserialize;

use super::Secrets;
use crate::reload::{FileError, Named};
use crate::secret::Secret;

/// The fewest characters of a secret: AWS's have 40, and one that can be guessed protects nothing.
const SHORTEST_SECRET: usize = 20;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    access_key_id: String,
    secret_access_key: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    One(Entry),
    Many(Vec<Entry>),
}

/// The keys in `file`.
///
/// # Errors
/// It cannot be read or is not of this form. The message quotes nothing of it.
pub fn read(file: &Named) -> Result<Secrets, FileError> {
    let expected = r#"expected {"accessKeyId": "…", "secretAccessKey": "…"} or a list of such objects"#;
    let content = serde_json::from_slice(&file.read()?).map_err(|_| file.error(expected))?;
    let entries = match content {
        Content::One(entry) => vec![entry],
        Content::Many(entries) => entries,
    };
    let mut secrets = Secrets::new();
    for Entry { access_key_id: id, secret_access_key: secret } in entries {
        if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return Err(file.error("an accessKeyId has letters, digits and underscores only"));
        }
        if secret.len() < SHORTEST_SECRET {
            let reason = format!("the secretAccessKey of {id} has fewer than {SHORTEST_SECRET} characters");
            return Err(file.error(reason));
        }
        secrets.insert(id, Secret::new(secret));
    }
    Ok(secrets)
}
