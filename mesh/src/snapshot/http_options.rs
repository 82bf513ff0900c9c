//! How HTTP is taken and spoken: limits of headers, their case, and what a connection may be upgraded to. Pure.
//!
//! What Envoy does by itself is left out, so that tags which say nothing change nothing. Envoy 1.29 passes over what it does not know.

use envoy_types::pb::envoy::config::core::v3::http1_protocol_options::HeaderKeyFormat;
use envoy_types::pb::envoy::config::core::v3::http1_protocol_options::header_key_format::HeaderFormat;
use envoy_types::pb::envoy::config::core::v3::{
    Http1ProtocolOptions, Http2ProtocolOptions, HttpProtocolOptions, TypedExtensionConfig,
};
use envoy_types::pb::envoy::extensions::http::header_formatters::preserve_case::v3::PreserveCaseFormatterConfig;
use envoy_types::pb::envoy::r#type::matcher::v3::{StringMatcher, string_matcher};
use envoy_types::pb::google::protobuf::UInt32Value;
use envoy_types::util::pack_any;
use fleetmesh_api::tags::{DEFAULT_HEADERS, DEFAULT_HEADERS_KIB};

use super::inputs::Reader;
use super::proto;
use crate::form::Form;
use crate::http_tags::HttpTags;
use crate::view::Record;

/// What a connection may be upgraded to, in HTTP/1.1 by `Upgrade` and in HTTP/2 by an extended CONNECT: WebSocket, and what the
/// clients of Kubernetes and of Docker ask for. Envoy refuses others, and takes none for all.
const UPGRADES: &[&str] = &["websocket", "spdy/3.1", "tcp"];
/// The same of [`Form::First`], and in HTTP/1.1 only.
const FIRST_UPGRADES: &[&str] = &["websocket"];

/// How many KiB Envoy lets a single header of HTTP/2 have by itself, at least, and how many it can be made to.
const HTTP2_HEADER_KIB: (u32, u32) = (64, 256);

/// How the proxies of a virtual node or gateway take and speak HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HttpWays {
    pub(super) form: Form,
    pub(super) tags: HttpTags,
}

impl HttpWays {
    /// As the virtual node or gateway `record` says.
    pub(super) fn of(reader: &Reader<'_>, record: &Record) -> Self {
        Self { form: reader.form(record), tags: HttpTags::of(&record.tags) }
    }

    /// The same, letting through what `tags` do as well.
    pub(super) fn or(self, tags: HttpTags) -> Self {
        Self { tags: self.tags.or(tags), ..self }
    }

    /// HTTP/1.1 as clients speak it. An offer of TLS over HTTP, which some clients make in each request, is passed over, as servers
    /// do that have none; Envoy would refuse the request.
    pub(super) fn http1_of_clients(self) -> Http1ProtocolOptions {
        let tls = || StringMatcher {
            match_pattern: Some(string_matcher::MatchPattern::Prefix("TLS/".to_owned())),
            ignore_case: true,
        };
        Http1ProtocolOptions {
            accept_http_10: true,
            ignore_http_11_upgrade: (self.form >= Form::Second).then(tls).into_iter().collect(),
            ..self.http1()
        }
    }

    /// HTTP/1.1 as it is spoken to servers.
    pub(super) fn http1(self) -> Http1ProtocolOptions {
        let format = || {
            let formatter = TypedExtensionConfig {
                name: "preserve_case".to_owned(),
                typed_config: Some(pack_any(PreserveCaseFormatterConfig::default())),
            };
            HeaderKeyFormat { header_format: Some(HeaderFormat::StatefulFormatter(formatter)) }
        };
        Http1ProtocolOptions {
            header_key_format: self.tags.header_case.then(format),
            ..Http1ProtocolOptions::default()
        }
    }

    /// HTTP/2 as clients speak it; `None` where it is Envoy's own.
    pub(super) fn http2_of_clients(self) -> Option<Http2ProtocolOptions> {
        let (least, most) = HTTP2_HEADER_KIB;
        let kib = self.tags.headers_kib;
        let single = (kib > DEFAULT_HEADERS_KIB).then(|| kib.clamp(least, most));
        let options =
            Http2ProtocolOptions { max_header_field_size_kb: single.and_then(number), ..self.http2() };
        (options != Http2ProtocolOptions::default()).then_some(options)
    }

    /// HTTP/2 as it is spoken to servers.
    pub(super) fn http2(self) -> Http2ProtocolOptions {
        Http2ProtocolOptions { allow_connect: self.form >= Form::Second, ..Http2ProtocolOptions::default() }
    }

    /// What all versions have in common.
    pub(super) fn common(self) -> Option<HttpProtocolOptions> {
        let headers = (self.tags.headers != DEFAULT_HEADERS).then_some(self.tags.headers)?;
        Some(HttpProtocolOptions { max_headers_count: number(headers), ..HttpProtocolOptions::default() })
    }

    /// The KiB of headers that a request may have.
    pub(super) fn request_headers(self) -> Option<UInt32Value> {
        let kib = self.tags.headers_kib;
        (kib != DEFAULT_HEADERS_KIB).then_some(kib).and_then(number)
    }

    /// What connections may be upgraded to.
    pub(super) fn upgrades(self) -> &'static [&'static str] {
        if self.form >= Form::Second { UPGRADES } else { FIRST_UPGRADES }
    }
}

fn number(value: u32) -> Option<UInt32Value> {
    proto::number(value.into())
}
