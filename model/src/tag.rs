//! Tags of App Mesh resources. Pure data.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The most tags a resource may have (App Mesh `TagList`).
pub const MAX_TAGS: usize = 50;

/// A tag (App Mesh `TagRef`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tag {
    /// The key, 1 to 128 characters.
    #[schemars(length(min = 1, max = 128))]
    pub key: String,
    /// The value, 0 to 256 characters.
    #[schemars(length(max = 256))]
    pub value: String,
}

/// Tags by key.
pub type Tags = BTreeMap<String, String>;
