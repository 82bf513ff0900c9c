//! What of a mesh is stored and not in force: `GET` [`UNSERVED`](crate::urls::UNSERVED), answered at once.
//!
//! An entry is `path: reason`. Where the path ends in `.acm` the member is not served at all, and what depends on it is closed; every other entry is of a member that is in force as soon as what the reason says is mended.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What of a mesh is not in force.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UnservedAnswer {
    /// The mesh.
    pub mesh: String,
    /// The objects of which something is not in force, by resource.
    pub objects: Vec<UnservedObject>,
}

/// What of one object is not in force.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UnservedObject {
    /// The resource part of its ARN.
    pub resource: String,
    /// The name of its kind.
    pub kind: String,
    /// The version of the spec.
    pub version: i64,
    /// The entries, at least one, in the order of the spec.
    pub unserved: Vec<String>,
}

/// An entry for the member at `path`, which is not in force.
pub fn because(path: &str, reason: impl fmt::Display) -> String {
    format!("{path}: {reason}")
}

/// The path of an entry.
pub fn path(entry: &str) -> &str {
    entry.split_once(": ").map_or(entry, |(path, _)| path)
}

/// Whether the member of an entry is not served at all: a certificate of ACM, or an authority of ACM PCA that cannot be read.
pub fn is_unavailable(entry: &str) -> bool {
    path(entry).ends_with(".acm")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::examples;

    #[test]
    fn the_example_is_what_both_sides_read_and_write() {
        let answer: UnservedAnswer = serde_json::from_str(examples::UNSERVED).expect("the example");
        examples::same(&answer, examples::UNSERVED);
        let entries = &answer.objects[0].unserved;
        assert_eq!(entries.iter().map(|entry| is_unavailable(entry)).collect::<Vec<_>>(), [true, false]);
        assert_eq!(path(&entries[0]), "spec.listeners[0].tls.certificate.acm");
        assert_eq!(because("spec.tls", "no file: /x"), "spec.tls: no file: /x");
        assert_eq!(path("spec.tls"), "spec.tls");
    }
}
