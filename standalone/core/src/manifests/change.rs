//! A change of an object that was applied, as a watch or an answer shows it.
//!
//! Whoever gives a field that was applied another value, or removes it, takes it out of what [`MANAGER`] owns (`managedFields`). So a
//! status, a finalizer or a field that no file has is none of this, and nothing is compared but what is owned.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{MANAGER, is_owned};

/// What [`MANAGER`] owns of an object, as a digest; `None` when it owns nothing.
pub(super) type Owned = Option<[u8; 32]>;

/// What another manager owns of an object: when that changed last, the manager, and the digest of all of the entry. The last is the
/// greatest.
pub(super) type Write = (String, String, [u8; 32]);

/// What has become of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Existence {
    Live(Owned),
    /// It has finalizers, or is a namespace that is not empty.
    Deleting,
    Gone,
}

/// A change of an object, or how it was left by a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub(super) revision: u64,
    pub(super) existence: Existence,
    /// What others wrote of it.
    pub(super) others: BTreeSet<Write>,
    /// Its uid, when an answer shows that it was made for the directory.
    pub(super) ours: Option<String>,
}

/// What a line of a watch says.
#[derive(Debug, PartialEq, Eq)]
pub enum WatchLine {
    /// An object changed: its namespace, its name, and how.
    Changed {
        /// Empty for kinds that have none.
        namespace: String,
        /// Its name.
        name: String,
        /// How it is now.
        change: Change,
    },
    /// Nothing changed until this resource version.
    Bookmark(u64),
    /// The watch has to begin anew: it missed changes.
    Lost,
}

#[derive(Deserialize)]
struct Line {
    #[serde(rename = "type")]
    kind: String,
    object: Object,
}

#[derive(Deserialize)]
struct Object {
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Metadata {
    namespace: String,
    name: String,
    resource_version: String,
    deletion_timestamp: Option<String>,
    managed_fields: Vec<Entry>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Entry {
    manager: String,
    operation: String,
    subresource: String,
    time: String,
    fields_v1: Value,
}

impl Entry {
    fn write(&self) -> Write {
        let Self { manager, operation, time, fields_v1, .. } = self;
        let digest = Sha256::digest(format!("{operation} {fields_v1}")).into();
        (time.clone(), manager.clone(), digest)
    }
}

impl Metadata {
    fn change(&self, is_gone: bool) -> Change {
        let applies = |entry: &&Entry| entry.manager == MANAGER && entry.operation == "Apply";
        let own = self.managed_fields.iter().find(|entry| applies(entry) && entry.subresource.is_empty());
        let owned = own.map(|entry| Sha256::digest(entry.fields_v1.to_string()).into());
        // Statuses are not applied.
        let others = self.managed_fields.iter().filter(|one| !applies(one) && one.subresource.is_empty());
        // Who deletes leaves no trace.
        let others = others.filter(|_| !is_gone).map(Entry::write).collect();
        let existence = match (is_gone, &self.deletion_timestamp) {
            (true, _) => Existence::Gone,
            (false, Some(_)) => Existence::Deleting,
            (false, None) => Existence::Live(owned),
        };
        Change { revision: self.resource_version.parse().unwrap_or_default(), existence, others, ours: None }
    }
}

impl Change {
    /// The resource version of the change.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// How an answer shows an object; `None` when it has no metadata.
    pub fn of(object: &Value) -> Option<Self> {
        let Object { metadata } = Object::deserialize(object).ok()?;
        let uid = object["metadata"]["uid"].as_str().filter(|_| is_owned(object));
        Some(Change { ours: uid.map(str::to_owned), ..metadata.change(false) })
    }
}

/// Reads a line of a watch. What is no such line ends the watch.
pub fn watch_line(line: &[u8]) -> WatchLine {
    let read = || -> Option<WatchLine> {
        let Line { kind, object: Object { metadata } } = serde_json::from_slice(line).ok()?;
        Some(match kind.as_str() {
            "ADDED" | "MODIFIED" | "DELETED" => {
                let change = metadata.change(kind == "DELETED");
                WatchLine::Changed { namespace: metadata.namespace, name: metadata.name, change }
            }
            "BOOKMARK" => WatchLine::Bookmark(metadata.resource_version.parse().ok()?),
            _ => WatchLine::Lost,
        })
    };
    read().unwrap_or(WatchLine::Lost)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_watch_are_read_and_what_is_none_ends_it() {
        let line = |text: &str| watch_line(text.as_bytes());
        let bookmark =
            r#"{"type":"BOOKMARK","object":{"kind":"ConfigMap","metadata":{"resourceVersion":"7"}}}"#;
        assert_eq!(line(bookmark), WatchLine::Bookmark(7));
        for lost in [
            "",
            "{",
            r#"{"type":"ERROR","object":{"kind":"Status","code":410}}"#,
            r#"{"type":"BOOKMARK","object":{}}"#,
        ] {
            assert_eq!(line(lost), WatchLine::Lost, "{lost}");
        }
    }
}
