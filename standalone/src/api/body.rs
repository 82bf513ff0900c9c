//! The body of a request: bounded, and read in the forms that clients send.

use axum::body::Body;
use bytes::Bytes;
use fleetmesh_standalone_core::protobuf;
use fleetmesh_standalone_core::schema::{Decoded, decode};
use fleetmesh_standalone_core::status::Status;
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

/// JSON, with the members that are there twice.
fn json(bytes: &[u8]) -> Result<Decoded, Status> {
    decode(bytes).map_err(|error| {
        Status::bad_request(format!("the object provided is unrecognized (must be of type Object): {error}"))
    })
}

/// YAML, of which JSON is a part.
pub(crate) fn yaml(bytes: &[u8]) -> Result<Value, Status> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| Status::bad_request("error converting YAML to JSON: it is not UTF-8"))?;
    serde_saphyr::from_str(text)
        .map_err(|error| Status::bad_request(format!("error converting YAML to JSON: {error}")))
}

impl ApiRequest<'_> {
    /// The media type of the body, without its parameters.
    pub(super) fn media_type(&self) -> String {
        let header = self.header(CONTENT_TYPE);
        header.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }

    /// The object in the body. What an envelope leaves out is that of `expected`, a version and a kind.
    async fn read(&self, body: Body, expected: (&str, &str)) -> Result<Decoded, Status> {
        let media_type = self.media_type();
        let bytes = bytes(body).await?;
        if bytes.is_empty() {
            return Ok(Decoded { value: Value::Null, duplicates: Vec::new() });
        }
        match media_type.as_str() {
            "" | "application/json" => json(&bytes),
            "application/yaml" => Ok(Decoded { value: yaml(&bytes)?, duplicates: Vec::new() }),
            "application/vnd.kubernetes.protobuf" => {
                let value = protobuf::decode(&bytes, expected);
                let value = value.map_err(|error| Status::bad_request(error.to_string()))?;
                Ok(Decoded { value, duplicates: Vec::new() })
            }
            _ => Err(Status::unsupported_media_type(&ACCEPTED)),
        }
    }

    /// The object in the body, which is of the resource.
    pub(super) async fn object(&self, body: Body) -> Result<Decoded, Status> {
        let version = self.resource().api_version();
        self.read(body, (&version, &self.resource().kind)).await
    }

    /// The options in the body of a deletion, if it has one.
    pub(super) async fn options(&self, body: Body) -> Result<Value, Status> {
        Ok(self.read(body, ("v1", "DeleteOptions")).await?.value)
    }
}
