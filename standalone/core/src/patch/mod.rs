//! Patches: JSON patch (RFC 6902), JSON merge patch (RFC 7396) and, for built-in kinds, strategic merge patch.
//!
//! Where the RFCs leave something open, or the API server's libraries read them in their own way, the API server is followed.

mod json;
mod merge;
mod order;
mod printed;
mod strategic;

pub use json::{MAX_COPIED, MAX_OPERATIONS, json_patch, unknown_members};
pub use merge::merge_patch;
pub(crate) use printed::printed;
pub use strategic::strategic_merge_patch;

/// Why a patch is not applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// 400, reason `BadRequest`: the patch itself is wrong.
    #[error("{0}")]
    BadRequest(String),
    /// 413, reason `RequestEntityTooLarge`.
    #[error("The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {0}")]
    TooManyOperations(usize),
    /// 422, reason `Invalid`: the patch does not fit the object. The API server says so in a generic message, and this one as its
    /// cause.
    #[error("{0}")]
    Unprocessable(String),
    /// 500 without a reason: the API server has no better answer.
    #[error("{0}")]
    Internal(String),
}

/// What is said of a patch of this media type that is no JSON; `error` is what the decoder found. Where unknown fields are ignored,
/// another decoder of kube-apiserver's reads it, with other words.
pub fn undecodable(media_type: &str, ignores: bool, body: &[u8], error: &serde_json::Error) -> String {
    let why = crate::go::syntax_error(body).unwrap_or_else(|| error.to_string());
    match media_type {
        "application/merge-patch+json" if ignores => "Invalid JSON Patch".to_owned(),
        "application/strategic-merge-patch+json" => why,
        _ if ignores => why,
        _ => format!("error decoding patch: {why}"),
    }
}

#[cfg(test)]
mod tests;
