//! The messages of `openapi.v2`, as far as Kubernetes' documents use them: which field a member is.

use serde_json::Value;

/// A message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Message {
    Document,
    Info,
    Paths,
    PathItem,
    Operation,
    /// A parameter or a reference to one.
    ParametersItem,
    Parameter,
    BodyParameter,
    NonBodyParameter,
    QueryParameter,
    PathParameter,
    HeaderParameter,
    Reference,
    Responses,
    ResponseValue,
    Response,
    SchemaItem,
    Schema,
    /// All members are schemas: `definitions` and `properties`.
    Schemas,
    /// All members are parameters.
    Parameters,
    AdditionalProperties,
    Items,
    SecurityRequirement,
    /// Strings: the type of a schema, which may also be one, and the scopes of a requirement.
    Texts,
    SecurityDefinitions,
    SecurityDefinition,
    ApiKey,
    ExternalDocs,
    Any,
}

/// A field of a message.
#[derive(Debug)]
pub(super) struct Field {
    /// The member; empty for one that is the value itself.
    pub(super) name: &'static str,
    /// Its number.
    pub(super) number: u32,
    /// Its type.
    pub(super) kind: Kind,
}

/// The type of a field.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Text,
    Flag,
    Integer,
    Double,
    Texts,
    One(Message),
    Many(Message),
    /// All members of a sort with their names.
    Rest(Rest),
}

/// Members that are one repeated field.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rest {
    /// Their type.
    pub(super) of: Message,
    which: Which,
}

#[derive(Debug, Clone, Copy)]
enum Which {
    All,
    Extensions,
    Others,
}

impl Rest {
    /// Whether the member `name` is one of them.
    pub(super) fn takes(self, name: &str) -> bool {
        match self.which {
            Which::All => true,
            Which::Extensions => name.starts_with("x-"),
            Which::Others => !name.starts_with("x-"),
        }
    }
}

const fn field(name: &'static str, number: u32, kind: Kind) -> Field {
    Field { name, number, kind }
}

const fn all(number: u32, of: Message) -> Field {
    field("", number, Kind::Rest(Rest { of, which: Which::All }))
}

const fn others(number: u32, of: Message) -> Field {
    field("", number, Kind::Rest(Rest { of, which: Which::Others }))
}

const fn extensions(number: u32) -> Field {
    field("", number, Kind::Rest(Rest { of: Message::Any, which: Which::Extensions }))
}

const DOCUMENT: &[Field] = &[
    field("swagger", 1, Kind::Text),
    field("info", 2, Kind::One(Message::Info)),
    field("host", 3, Kind::Text),
    field("basePath", 4, Kind::Text),
    field("schemes", 5, Kind::Texts),
    field("consumes", 6, Kind::Texts),
    field("produces", 7, Kind::Texts),
    field("paths", 8, Kind::One(Message::Paths)),
    field("definitions", 9, Kind::One(Message::Schemas)),
    field("parameters", 10, Kind::One(Message::Parameters)),
    field("security", 12, Kind::Many(Message::SecurityRequirement)),
    field("securityDefinitions", 13, Kind::One(Message::SecurityDefinitions)),
    extensions(16),
];

const INFO: &[Field] = &[
    field("title", 1, Kind::Text),
    field("version", 2, Kind::Text),
    field("description", 3, Kind::Text),
    extensions(7),
];

const PATHS: &[Field] = &[extensions(1), others(2, Message::PathItem)];

const PATH_ITEM: &[Field] = &[
    field("get", 2, Kind::One(Message::Operation)),
    field("put", 3, Kind::One(Message::Operation)),
    field("post", 4, Kind::One(Message::Operation)),
    field("delete", 5, Kind::One(Message::Operation)),
    field("options", 6, Kind::One(Message::Operation)),
    field("head", 7, Kind::One(Message::Operation)),
    field("patch", 8, Kind::One(Message::Operation)),
    field("parameters", 9, Kind::Many(Message::ParametersItem)),
    extensions(10),
];

const OPERATION: &[Field] = &[
    field("tags", 1, Kind::Texts),
    field("summary", 2, Kind::Text),
    field("description", 3, Kind::Text),
    field("operationId", 5, Kind::Text),
    field("produces", 6, Kind::Texts),
    field("consumes", 7, Kind::Texts),
    field("parameters", 8, Kind::Many(Message::ParametersItem)),
    field("responses", 9, Kind::One(Message::Responses)),
    field("schemes", 10, Kind::Texts),
    field("deprecated", 11, Kind::Flag),
    extensions(13),
];

const BODY_PARAMETER: &[Field] = &[
    field("description", 1, Kind::Text),
    field("name", 2, Kind::Text),
    field("in", 3, Kind::Text),
    field("required", 4, Kind::Flag),
    field("schema", 5, Kind::One(Message::Schema)),
    extensions(6),
];

const QUERY_PARAMETER: &[Field] = &[
    field("required", 1, Kind::Flag),
    field("in", 2, Kind::Text),
    field("description", 3, Kind::Text),
    field("name", 4, Kind::Text),
    field("type", 6, Kind::Text),
    field("format", 7, Kind::Text),
    field("uniqueItems", 20, Kind::Flag),
    extensions(23),
];

/// Also a header's, whose numbers are the same.
const PATH_PARAMETER: &[Field] = &[
    field("required", 1, Kind::Flag),
    field("in", 2, Kind::Text),
    field("description", 3, Kind::Text),
    field("name", 4, Kind::Text),
    field("type", 5, Kind::Text),
    field("format", 6, Kind::Text),
    field("uniqueItems", 19, Kind::Flag),
    extensions(22),
];

const REFERENCE: &[Field] = &[field("$ref", 1, Kind::Text), field("description", 2, Kind::Text)];

const RESPONSES: &[Field] = &[others(1, Message::ResponseValue), extensions(2)];

const RESPONSE: &[Field] =
    &[field("description", 1, Kind::Text), field("schema", 2, Kind::One(Message::SchemaItem)), extensions(5)];

const SCHEMA: &[Field] = &[
    field("$ref", 1, Kind::Text),
    field("format", 2, Kind::Text),
    field("title", 3, Kind::Text),
    field("description", 4, Kind::Text),
    field("default", 5, Kind::One(Message::Any)),
    field("multipleOf", 6, Kind::Double),
    field("maximum", 7, Kind::Double),
    field("exclusiveMaximum", 8, Kind::Flag),
    field("minimum", 9, Kind::Double),
    field("exclusiveMinimum", 10, Kind::Flag),
    field("maxLength", 11, Kind::Integer),
    field("minLength", 12, Kind::Integer),
    field("pattern", 13, Kind::Text),
    field("maxItems", 14, Kind::Integer),
    field("minItems", 15, Kind::Integer),
    field("uniqueItems", 16, Kind::Flag),
    field("maxProperties", 17, Kind::Integer),
    field("minProperties", 18, Kind::Integer),
    field("required", 19, Kind::Texts),
    field("enum", 20, Kind::Many(Message::Any)),
    field("additionalProperties", 21, Kind::One(Message::AdditionalProperties)),
    field("type", 22, Kind::One(Message::Texts)),
    field("items", 23, Kind::One(Message::Items)),
    field("allOf", 24, Kind::Many(Message::Schema)),
    field("properties", 25, Kind::One(Message::Schemas)),
    field("readOnly", 27, Kind::Flag),
    field("externalDocs", 29, Kind::One(Message::ExternalDocs)),
    field("example", 30, Kind::One(Message::Any)),
    extensions(31),
];

const EXTERNAL_DOCS: &[Field] =
    &[field("description", 1, Kind::Text), field("url", 2, Kind::Text), extensions(3)];

const API_KEY: &[Field] = &[
    field("type", 1, Kind::Text),
    field("name", 2, Kind::Text),
    field("in", 3, Kind::Text),
    field("description", 4, Kind::Text),
    extensions(5),
];

impl Message {
    /// Its fields in the order of their numbers.
    pub(super) fn fields(self) -> &'static [Field] {
        match self {
            Self::Document => DOCUMENT,
            Self::Info => INFO,
            Self::Paths => PATHS,
            Self::PathItem => PATH_ITEM,
            Self::Operation => OPERATION,
            Self::BodyParameter => BODY_PARAMETER,
            Self::QueryParameter => QUERY_PARAMETER,
            Self::PathParameter | Self::HeaderParameter => PATH_PARAMETER,
            Self::Reference => REFERENCE,
            Self::Responses => RESPONSES,
            Self::Response => RESPONSE,
            Self::Schema => SCHEMA,
            Self::Schemas => const { &[all(1, Self::Schema)] },
            Self::Parameters => const { &[all(1, Self::Parameter)] },
            Self::SecurityRequirement => const { &[all(1, Self::Texts)] },
            Self::SecurityDefinitions => const { &[all(1, Self::SecurityDefinition)] },
            Self::ExternalDocs => EXTERNAL_DOCS,
            Self::ApiKey => API_KEY,
            // These are no objects, or one of several others.
            Self::Texts
            | Self::Items
            | Self::Any
            | Self::ParametersItem
            | Self::Parameter
            | Self::NonBodyParameter
            | Self::ResponseValue
            | Self::SchemaItem
            | Self::AdditionalProperties
            | Self::SecurityDefinition => &[],
        }
    }

    /// For a message that holds one of several: the field that `value` is, and its type.
    pub(super) fn oneof(self, value: &Value) -> Option<(u32, Self)> {
        let is_reference = value.get("$ref").is_some();
        match self {
            Self::ParametersItem if is_reference => Some((2, Self::Reference)),
            Self::ParametersItem => Some((1, Self::Parameter)),
            Self::Parameter if value["in"] == "body" => Some((1, Self::BodyParameter)),
            Self::Parameter => Some((2, Self::NonBodyParameter)),
            Self::NonBodyParameter => match value["in"].as_str() {
                Some("header") => Some((1, Self::HeaderParameter)),
                Some("path") => Some((4, Self::PathParameter)),
                _ => Some((3, Self::QueryParameter)),
            },
            Self::ResponseValue if is_reference => Some((2, Self::Reference)),
            Self::ResponseValue => Some((1, Self::Response)),
            Self::SchemaItem => Some((1, Self::Schema)),
            Self::AdditionalProperties => Some((1, Self::Schema)),
            Self::SecurityDefinition => Some((2, Self::ApiKey)),
            _ => None,
        }
    }
}
