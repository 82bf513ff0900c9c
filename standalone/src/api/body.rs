//! The body of a request: bounded, and read in the forms that clients send.

use axum::body::Body;
use bytes::Bytes;
use fleetmesh_standalone_core::schema::{Decoded, decode};
use fleetmesh_standalone_core::status::Status;
use fleetmesh_standalone_core::{body, go, protobuf};
use http::header::CONTENT_TYPE;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde_json::Value;

use super::ApiRequest;

/// The largest body, in bytes, as kube-apiserver has it.
pub(crate) const LARGEST: usize = 3 << 20;

/// What a body may be.
const ACCEPTED: [&str; 3] = ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"];

/// All of a body.
///
/// # Errors
/// 413 when it is larger than [`LARGEST`]; 400 when it ends early.
pub(crate) async fn bytes(body: Body) -> Result<Bytes, Status> {
    match Limited::new(body, LARGEST).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Status::too_large(LARGEST)),
        Err(error) => Err(Status::bad_request(format!("the body of the request could not be read: {error}"))),
    }
}

/// YAML, of which JSON is a part.
pub(crate) fn yaml(bytes: &[u8]) -> Result<Value, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "error converting YAML to JSON: it is not UTF-8")?;
    serde_saphyr::from_str(text).map_err(|error| format!("error converting YAML to JSON: {error}"))
}

impl ApiRequest<'_> {
    /// The media type of the body, without its parameters.
    pub(super) fn media_type(&self) -> String {
        let header = self.header(CONTENT_TYPE);
        header.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }

    /// The object in the body, which is of the resource.
    pub(super) async fn object(&self, body: Body) -> Result<Decoded, Status> {
        let (media_type, resource) = (self.media_type(), self.resource());
        let bytes = bytes(body).await?;
        match media_type.as_str() {
            "" | "application/json" => body::json(&bytes, resource),
            "application/yaml" => {
                let value = yaml(&bytes).map_err(|why| body::unrecognized(&resource.kind, why, &bytes));
                let mut value = value.map_err(Status::bad_request)?;
                body::check_type(&mut value, resource, &bytes)?;
                Ok(Decoded { value, duplicates: Vec::new() })
            }
            "application/vnd.kubernetes.protobuf" => {
                let value = protobuf::decode(&bytes, (&resource.api_version(), &resource.kind));
                let value = value.map_err(|error| Status::bad_request(error.message(&resource.kind, &bytes)));
                Ok(Decoded { value: value?, duplicates: Vec::new() })
            }
            _ => Err(Status::unsupported_media_type(&ACCEPTED)),
        }
    }

    /// The options in the body of a deletion, if it has one.
    pub(super) async fn options(&self, body: Body) -> Result<Value, Status> {
        let media_type = self.media_type();
        let bytes = bytes(body).await?;
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        match media_type.as_str() {
            "" | "application/json" => decode(&bytes).map(|decoded| decoded.value).map_err(|error| {
                Status::bad_request(go::syntax_error(&bytes).unwrap_or_else(|| error.to_string()))
            }),
            "application/yaml" => yaml(&bytes).map_err(Status::bad_request),
            "application/vnd.kubernetes.protobuf" => protobuf::decode(&bytes, ("v1", "DeleteOptions"))
                .map_err(|error| Status::bad_request(error.to_string())),
            _ => Err(Status::unsupported_media_type(&ACCEPTED)),
        }
    }
}
