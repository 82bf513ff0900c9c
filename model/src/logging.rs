//! Access logs of virtual nodes. Pure data.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Logging of a virtual node (App Mesh `Logging`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Logging {
    /// Where and how requests are logged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_log: Option<AccessLog>,
}

/// An access log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = crate::schema::union)]
pub enum AccessLog {
    /// A file on the proxy's host.
    File(FileAccessLog),
}

/// An access log in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FileAccessLog {
    /// The format of a line; Envoy's default text when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<LoggingFormat>,
    /// The file, 1 to 255 characters; `/dev/stdout` for the proxy's standard output.
    #[schemars(length(min = 1, max = 255))]
    pub path: String,
}

/// The format of an access log line, in Envoy's command operators.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = crate::schema::union)]
pub enum LoggingFormat {
    /// An object a line, its members in this order; at most 100 (bound: CEL cost).
    Json(#[schemars(length(max = 100))] Vec<JsonFormatRef>),
    /// Text, 1 to 1000 characters.
    Text(#[schemars(length(min = 1, max = 1000))] String),
}

/// One member of a JSON access log line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JsonFormatRef {
    /// The member's name, 1 to 100 characters.
    #[schemars(length(min = 1, max = 100))]
    pub key: String,
    /// The member's value in Envoy's command operators, 1 to 100 characters.
    #[schemars(length(min = 1, max = 100))]
    pub value: String,
}
