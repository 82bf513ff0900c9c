//! Access logs of virtual nodes. Pure data and its rules.

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

use crate::rule::{Rule, Violations};
use crate::{header, log_format, schema};

const PATH: Rule = Rule {
    cel: "self.startsWith('/') && !self.endsWith('/')",
    message: "must be the whole path of a file, which begins with / and does not end with it",
};

fn path_rules(schema: &mut Schema) {
    schema::add_rule(schema, &PATH);
    header::plain_rules(schema);
}

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

impl AccessLog {
    pub(crate) fn check(&self, path: &str, violations: &mut Violations) {
        let Self::File(FileAccessLog { format, path: file }) = self;
        let at = format!("{path}.file.path");
        if !file.starts_with('/') || file.ends_with('/') {
            violations.broken(&at, &PATH, format!("{file:?}"));
        }
        header::check_plain(file, &at, violations);
        match format {
            None => {}
            Some(LoggingFormat::Text(text)) => {
                check_format(text, &format!("{path}.file.format.text"), violations)
            }
            Some(LoggingFormat::Json(members)) => {
                for (index, member) in members.iter().enumerate() {
                    check_format(
                        &member.value,
                        &format!("{path}.file.format.json[{index}].value"),
                        violations,
                    );
                }
            }
        }
    }
}

/// Checks a format, which CEL cannot judge.
fn check_format(format: &str, path: &str, violations: &mut Violations) {
    if let Some(fault) = log_format::fault(format) {
        violations.found(path, &format!("must be a format that Envoy takes: {fault}"), format!("{format:?}"));
    }
}

/// An access log in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FileAccessLog {
    /// The format of a line; Envoy's default text when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<LoggingFormat>,
    /// The file, 1 to 255 characters, with its whole path; `/dev/stdout` for the proxy's standard output. The proxy makes the
    /// file, but no directory: a proxy that cannot open it takes no listener.
    #[schemars(length(min = 1, max = 255), transform = path_rules)]
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
