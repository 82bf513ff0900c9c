//! What a route matches. Pure data and its rules.

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

use crate::header;
use crate::path;
use crate::regex;
use crate::rule::{Rule, Violations};
use crate::schema;

const METHOD_NEEDS_SERVICE: Rule = Rule {
    cel: "!has(self.methodName) || has(self.serviceName)",
    message: "serviceName must be set when methodName is",
};
const RANGE_ORDER: Rule =
    Rule { cel: "self.start < self.end", message: "start must be less than end (end is excluded)" };

/// Of routes and of gateway routes.
pub(crate) const ONE_PATH: Rule =
    Rule { cel: "!has(self.prefix) || !has(self.path)", message: "only one of prefix and path may be set" };

fn http_match_rules(schema: &mut Schema) {
    schema::add_rule(schema, &ONE_PATH);
}

fn grpc_match_rules(schema: &mut Schema) {
    schema::add_rule(schema, &METHOD_NEEDS_SERVICE);
}

fn range_rules(schema: &mut Schema) {
    schema::add_rule(schema, &RANGE_ORDER);
}

/// What an http or http2 route matches (App Mesh `HttpRouteMatch`); all that is given must hold, nothing given matches all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = http_match_rules)]
pub struct HttpRouteMatch {
    /// Headers that must match, 1 to 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 10))]
    pub headers: Option<Vec<HttpRouteHeader>>,
    /// The request method; any when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<HttpMethod>,
    /// The path, exactly or by regular expression; not together with `prefix`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<HttpPathMatch>,
    /// The router's port, 1 to 65535; all its ports when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<i32>,
    /// The beginning of the path, which begins with `/`; any path when neither this nor `path` is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024), regex(pattern = r"^/"), transform = path::prefix_rules)]
    pub prefix: Option<String>,
    /// Query parameters that must match, 1 to 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 10))]
    pub query_parameters: Option<Vec<HttpQueryParameter>>,
    /// The scheme; any when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheme: Option<HttpScheme>,
}

impl HttpRouteMatch {
    pub(crate) fn check(&self, path: &str, violations: &mut Violations) {
        check_paths(self.prefix.as_deref(), self.path.as_ref(), path, violations);
        check_parameters(self.query_parameters.as_deref(), path, violations);
        check_headers(self.headers.as_deref(), path, violations);
    }
}

/// Checks what a match, which stands at `at`, says of the requests' paths.
pub(crate) fn check_paths(
    prefix: Option<&str>,
    matched: Option<&HttpPathMatch>,
    at: &str,
    violations: &mut Violations,
) {
    if let (Some(prefix), Some(_)) = (prefix, matched) {
        violations.broken(at, &ONE_PATH, format!("both, prefix {prefix:?}"));
    }
    if let Some(prefix) = prefix {
        path::check_prefix(prefix, &format!("{at}.prefix"), violations);
    }
    match matched {
        Some(HttpPathMatch::Regex(pattern)) => {
            path::check_regex(pattern, &format!("{at}.path.regex"), violations)
        }
        Some(HttpPathMatch::Exact(exact)) => {
            path::check_exact(exact, &format!("{at}.path.exact"), violations);
        }
        None => {}
    }
}

/// Checks the query parameters of a match, which stands at `path`.
pub(crate) fn check_parameters(
    parameters: Option<&[HttpQueryParameter]>,
    path: &str,
    violations: &mut Violations,
) {
    for (index, parameter) in parameters.into_iter().flatten().enumerate() {
        parameter.check(&format!("{path}.queryParameters[{index}]"), violations);
    }
}

/// Checks the headers of a match, which stands at `path`.
pub(crate) fn check_headers(headers: Option<&[HttpRouteHeader]>, path: &str, violations: &mut Violations) {
    for (index, header) in headers.into_iter().flatten().enumerate() {
        header::check_name(&header.name, &format!("{path}.headers[{index}].name"), violations);
        if let Some(matcher) = &header.matcher {
            matcher.check(&format!("{path}.headers[{index}].match"), violations);
        }
    }
}

/// Checks the metadata of a match, which stands at `path`.
pub(crate) fn check_metadata(
    metadata: Option<&[GrpcRouteMetadata]>,
    path: &str,
    violations: &mut Violations,
) {
    for (index, metadata) in metadata.into_iter().flatten().enumerate() {
        header::check_name(&metadata.name, &format!("{path}.metadata[{index}].name"), violations);
        if let Some(matcher) = &metadata.matcher {
            matcher.check(&format!("{path}.metadata[{index}].match"), violations);
        }
    }
}

/// A request method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs, reason = "the variants are RFC 9110's methods")]
#[schemars(transform = crate::schema::plain_enum)]
pub enum HttpMethod {
    Get,
    Head,
    Post,
    Put,
    Delete,
    Connect,
    Options,
    Trace,
    Patch,
}

impl HttpMethod {
    /// The method as it stands in a request (RFC 9110).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
            Self::Connect => "CONNECT",
            Self::Options => "OPTIONS",
            Self::Trace => "TRACE",
            Self::Patch => "PATCH",
        }
    }
}

/// A request's scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(transform = crate::schema::plain_enum)]
pub enum HttpScheme {
    /// http.
    Http,
    /// https.
    Https,
}

/// A path to match; exactly one member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = crate::schema::union)]
pub enum HttpPathMatch {
    /// The whole path without the query, 1 to 255 characters; it begins with `/`.
    Exact(#[schemars(length(min = 1, max = 255), transform = path::exact_rules)] String),
    /// A regular expression (RE2) for the whole path without the query, 1 to 255 characters.
    Regex(#[schemars(length(min = 1, max = 255), transform = path::regex_rules)] String),
}

/// A header to match.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HttpRouteHeader {
    /// Match when the rest does not; false when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invert: Option<bool>,
    /// How the value must be; the header's presence is enough when absent.
    #[serde(default, rename = "match", skip_serializing_if = "Option::is_none")]
    pub matcher: Option<HeaderMatchMethod>,
    /// The header's name, 1 to 50 characters.
    #[schemars(length(min = 1, max = 50), transform = header::name_rules)]
    pub name: String,
}

/// How a value is compared; exactly one member (App Mesh `HeaderMatchMethod`, `GrpcRouteMetadataMatchMethod`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = crate::schema::union)]
pub enum HeaderMatchMethod {
    /// The whole value, 1 to 255 characters.
    Exact(#[schemars(length(min = 1, max = 255), transform = header::value_rules)] String),
    /// The value's beginning, 1 to 255 characters.
    Prefix(#[schemars(length(min = 1, max = 255), transform = header::value_rules)] String),
    /// A range of integers.
    Range(MatchRange),
    /// A regular expression (RE2) for the whole value, 1 to 255 characters.
    Regex(#[schemars(length(min = 1, max = 255), transform = regex::rules)] String),
    /// The value's end, 1 to 255 characters.
    Suffix(#[schemars(length(min = 1, max = 255), transform = header::value_rules)] String),
}

impl HeaderMatchMethod {
    fn check(&self, path: &str, violations: &mut Violations) {
        match self {
            Self::Range(range) => range.check(&format!("{path}.range"), violations),
            Self::Regex(pattern) => regex::check(pattern, &format!("{path}.regex"), violations),
            Self::Exact(value) => header::check_value(value, &format!("{path}.exact"), violations),
            Self::Prefix(value) => header::check_value(value, &format!("{path}.prefix"), violations),
            Self::Suffix(value) => header::check_value(value, &format!("{path}.suffix"), violations),
        }
    }
}

/// A half-open range of integers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = range_rules)]
pub struct MatchRange {
    /// The end, excluded.
    pub end: i64,
    /// The start, included.
    pub start: i64,
}

impl MatchRange {
    fn check(&self, path: &str, violations: &mut Violations) {
        if self.start >= self.end {
            violations.broken(path, &RANGE_ORDER, format!("start {} and end {}", self.start, self.end));
        }
    }
}

/// A query parameter to match.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HttpQueryParameter {
    /// How the value must be; the parameter's presence is enough when absent.
    #[serde(default, rename = "match", skip_serializing_if = "Option::is_none")]
    pub matcher: Option<QueryParameterMatch>,
    /// The parameter's name.
    #[schemars(length(min = 1, max = 255), transform = header::plain_rules)]
    pub name: String,
}

impl HttpQueryParameter {
    fn check(&self, path: &str, violations: &mut Violations) {
        header::check_plain(&self.name, &format!("{path}.name"), violations);
        if let Some(exact) = self.matcher.as_ref().and_then(|matcher| matcher.exact.as_ref()) {
            header::check_plain(exact, &format!("{path}.match.exact"), violations);
        }
    }
}

/// How a query parameter is compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct QueryParameterMatch {
    /// The whole value; the parameter's presence is enough when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024), transform = header::plain_rules)]
    pub exact: Option<String>,
}

/// What a grpc route matches (App Mesh `GrpcRouteMatch`); all that is given must hold, nothing given matches all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = grpc_match_rules)]
pub struct GrpcRouteMatch {
    /// Metadata that must match, 1 to 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 10))]
    pub metadata: Option<Vec<GrpcRouteMetadata>>,
    /// The method's name, 1 to 50 characters; needs `serviceName`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 50))]
    pub method_name: Option<String>,
    /// The router's port, 1 to 65535; all its ports when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<i32>,
    /// The service's full name, `package.Service`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub service_name: Option<String>,
}

impl GrpcRouteMatch {
    pub(crate) fn check(&self, path: &str, violations: &mut Violations) {
        if let (Some(method), None) = (&self.method_name, &self.service_name) {
            violations.broken(
                &format!("{path}.methodName"),
                &METHOD_NEEDS_SERVICE,
                format!("{method:?} alone"),
            );
        }
        check_metadata(self.metadata.as_deref(), path, violations);
    }
}

/// Metadata to match.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GrpcRouteMetadata {
    /// Match when the rest does not; false when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invert: Option<bool>,
    /// How the value must be; presence is enough when absent.
    #[serde(default, rename = "match", skip_serializing_if = "Option::is_none")]
    pub matcher: Option<HeaderMatchMethod>,
    /// The metadata's name, 1 to 50 characters.
    #[schemars(length(min = 1, max = 50), transform = header::name_rules)]
    pub name: String,
}

/// What a tcp route matches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TcpRouteMatch {
    /// The router's port, 1 to 65535; all its ports when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<i32>,
}
