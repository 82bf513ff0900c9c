//! Answers of HTTP.

use axum::body::Body;
use axum::response::Response;
use fleetmesh_standalone_core::status::Status;
use http::header::{
    CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderName, IF_NONE_MATCH, RETRY_AFTER, VARY, WARNING,
    WWW_AUTHENTICATE,
};
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use serde_json::Value;

use super::header;

/// The media type of answers.
pub(crate) const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";

fn respond(code: u16, media_type: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    response
}

/// JSON that is written already.
pub(crate) fn json(code: u16, text: impl Into<Body>) -> Response {
    respond(code, JSON, text)
}

/// An object.
pub(crate) fn value(code: u16, value: &Value) -> Response {
    json(code, value.to_string())
}

/// A document that is the same for all, with its tag in quotes; without its body for a client that has it.
pub(crate) fn tagged(head: &Parts, media_type: &'static str, body: impl Into<Body>, tag: &str) -> Response {
    let mut response = match header(head, IF_NONE_MATCH) == tag {
        true => respond(304, media_type, Body::empty()),
        false => respond(200, media_type, body),
    };
    insert(&mut response, VARY, "Accept");
    insert(&mut response, ETAG, tag);
    response
}

/// Sets a header, unless no header can have this text.
pub(crate) fn insert(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

/// Plain text.
pub(crate) fn text(text: &'static str) -> Response {
    respond(200, TEXT, text)
}

/// Why a request is not done.
pub(crate) fn failure(status: &Status) -> Response {
    if status.is_plain() {
        return respond(status.code, TEXT, format!("{}\n", status.message));
    }
    let mut response = value(status.code, &status.to_value());
    let headers = response.headers_mut();
    let seconds = status.details.as_ref().map_or(0, |details| details.retry_after_seconds);
    if seconds > 0 {
        headers.insert(RETRY_AFTER, seconds.into());
    }
    if status.code == 401 {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// With warnings that clients show, each once.
pub(crate) fn warned(mut response: Response, warnings: &[String]) -> Response {
    let mut seen = std::collections::BTreeSet::new();
    for warning in warnings.iter().filter(|warning| seen.insert(warning.as_str())) {
        let text = warning.replace('\\', "\\\\").replace('"', "\\\"");
        // A text that no header can have is left out.
        if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{text}\"")) {
            response.headers_mut().append(WARNING, value);
        }
    }
    response
}
