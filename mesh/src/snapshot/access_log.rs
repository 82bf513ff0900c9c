//! Access logs to a file, as text or JSON. Pure.

use std::collections::BTreeMap;

use envoy_types::pb::envoy::config::accesslog::v3::{AccessLog as EnvoyAccessLog, access_log};
use envoy_types::pb::envoy::config::core::v3::{DataSource, data_source};
use envoy_types::pb::google::protobuf::{Any, Value, value};
use fleetmesh_model::logging::{AccessLog, FileAccessLog, JsonFormatRef, Logging, LoggingFormat};
use prost::Message;

const FILE_ACCESS_LOG: &str = "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog";

/// The access logs that `logging` asks for, the same for all directions.
pub(super) fn of(logging: Option<&Logging>) -> Vec<EnvoyAccessLog> {
    let log = logging.and_then(|logging| logging.access_log.as_ref());
    let Some(AccessLog::File(FileAccessLog { format, path })) = log else { return Vec::new() };
    let log_format = format.as_ref().map(|format| match format {
        LoggingFormat::Text(text) => AccessFormat { json: None, text: Some(line(text)) },
        LoggingFormat::Json(members) => AccessFormat { json: Some(json(members)), text: None },
    });
    let config = FileLog { path: path.clone(), log_format };
    let any = Any { type_url: FILE_ACCESS_LOG.into(), value: config.encode_to_vec() };
    vec![EnvoyAccessLog {
        name: "envoy.access_loggers.file".into(),
        filter: None,
        config_type: Some(access_log::ConfigType::TypedConfig(any)),
    }]
}

/// A format as the format of a line: Envoy adds no line end of its own.
fn line(text: &str) -> DataSource {
    let text = if text.ends_with('\n') { text.to_owned() } else { format!("{text}\n") };
    DataSource { specifier: Some(data_source::Specifier::InlineString(text)), ..DataSource::default() }
}

fn json(members: &[JsonFormatRef]) -> LogMembers {
    let member = |JsonFormatRef { key, value }: &JsonFormatRef| {
        (key.clone(), Value { kind: Some(value::Kind::StringValue(value.clone())) })
    };
    LogMembers { fields: members.iter().map(member).collect() }
}

// The generated `google.protobuf.Struct` holds a HashMap, whose order, and so whose bytes, differ from one run to the
// next. These three are the same messages on the wire, with sorted members.

/// `envoy.extensions.access_loggers.file.v3.FileAccessLog`
#[derive(Clone, PartialEq, Message)]
struct FileLog {
    #[prost(string, tag = "1")]
    path: String,
    #[prost(message, optional, tag = "5")]
    log_format: Option<AccessFormat>,
}

/// `envoy.config.core.v3.SubstitutionFormatString`
#[derive(Clone, PartialEq, Message)]
struct AccessFormat {
    #[prost(message, optional, tag = "2")]
    json: Option<LogMembers>,
    #[prost(message, optional, tag = "5")]
    text: Option<DataSource>,
}

/// `google.protobuf.Struct`
#[derive(Clone, PartialEq, Message)]
struct LogMembers {
    #[prost(btree_map = "string, message", tag = "1")]
    fields: BTreeMap<String, Value>,
}
