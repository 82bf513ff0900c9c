//! One operation of a service that speaks AWS JSON 1.1, by a signed request.

use std::fmt;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_smithy_runtime_api::client::http::SharedHttpConnector;
use aws_smithy_types::body::SdkBody;
use serde_json::Value;

use crate::endpoint::{endpoint, given};
use crate::send::send;
use crate::signer::{RequestSigner, Unsigned};

/// What the body of a request is.
const CONTENT_TYPE: (&str, &str) = ("content-type", "application/x-amz-json-1.1");

/// An operation of a service.
#[derive(Clone, Copy, Debug)]
pub struct JsonOperation {
    /// The name that requests are signed for: `acm-pca`.
    pub service: &'static str,
    /// What AWS's hosts of the operation begin with: `acm-pca`, `data-servicediscovery`.
    pub host: &'static str,
    /// The service's id, by which the environment names its endpoint: `ACM PCA` of `AWS_ENDPOINT_URL_ACM_PCA`.
    pub service_id: &'static str,
    /// What says which operation a request is of: `ACMPrivateCA.GetCertificateAuthorityCertificate`.
    pub target: &'static str,
}

/// What a call may cost.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// How long the answer may take, after credentials were found.
    pub limit: Duration,
    /// How many bytes it may have.
    pub longest: usize,
}

/// Why a call led to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JsonError {
    /// There are no credentials, so nothing was sent; in words.
    NoCredentials(String),
    /// The request cannot be signed, so nothing was sent; in words.
    Malformed(String),
    /// No whole answer came; in words.
    Unreachable(String),
    /// The service refuses.
    Refused(ServiceError),
}

/// What a service says when it refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceError {
    /// The status of its answer.
    pub status: u16,
    /// The error's name; empty when the answer has none.
    pub code: String,
    /// Its message, else its name; empty when the answer has neither.
    pub message: String,
}

impl JsonError {
    /// Whether a request was sent.
    pub fn was_sent(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Refused(_))
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCredentials(reason) => write!(f, "no credentials: {reason}"),
            Self::Malformed(reason) | Self::Unreachable(reason) => f.write_str(reason),
            Self::Refused(ServiceError { status, code, message }) => {
                match (code.as_str(), message.as_str()) {
                    ("", "") => write!(f, "status {status} without a message"),
                    ("", message) => f.write_str(message),
                    (code, message) if message.is_empty() || message == code => f.write_str(code),
                    (code, message) => write!(f, "{code}: {message}"),
                }
            }
        }
    }
}

impl From<Unsigned> for JsonError {
    fn from(why: Unsigned) -> Self {
        match why {
            Unsigned::NoCredentials(_) => Self::NoCredentials(why.to_string()),
            Unsigned::Malformed(_) => Self::Malformed(why.to_string()),
        }
    }
}

impl JsonOperation {
    /// Where the service is in `region`: the endpoint that the environment gives for it or for every service, else AWS's.
    pub fn endpoint(&self, config: &SdkConfig, region: &str) -> String {
        endpoint(config, self.service_id, self.host, region)
    }

    /// The endpoint that the environment or the profile gives for the service or for every service; `None` means AWS's.
    pub fn given_endpoint(&self, config: &SdkConfig) -> Option<String> {
        given(config, self.service_id)
    }

    /// What the service in `region` answers to `input`. One request is sent, over `connector`, with the credentials and to the
    /// endpoint of `config`. An answer that is no JSON is `null`.
    ///
    /// # Errors
    /// See [`JsonError`].
    pub async fn call(
        &self,
        config: &SdkConfig,
        region: &str,
        connector: &SharedHttpConnector,
        input: &Value,
        bounds: Bounds,
    ) -> Result<Value, JsonError> {
        let none = || Unsigned::NoCredentials("no providers in chain provided credentials".to_owned());
        let credentials = config.credentials_provider().ok_or_else(none)?;
        let signer = RequestSigner { credentials, region: region.to_owned(), service: self.service };
        let (url, body) = (self.endpoint(config, region), input.to_string());
        let headers = [CONTENT_TYPE, ("x-amz-target", self.target)];
        let signed = signer.sign("POST", &url, &headers, body.as_bytes()).await?;
        let mut request = http::Request::post(url);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        for (name, value) in signed {
            request = request.header(name, value);
        }
        let request = request.body(SdkBody::from(body));
        let request = request.map_err(|error| JsonError::Malformed(error.to_string()))?;
        let answer = send(connector, request, bounds.limit, bounds.longest).await;
        let (status, body) = answer.map_err(JsonError::Unreachable)?;
        read(status, &body)
    }
}

/// What an answer says.
fn read(status: u16, body: &[u8]) -> Result<Value, JsonError> {
    let mut answer: Value = serde_json::from_slice(body).unwrap_or_default();
    if (200..300).contains(&status) {
        return Ok(answer);
    }
    // The code may have the namespace of the model before it.
    let code = answer["__type"].as_str().and_then(|code| code.rsplit('#').next()).unwrap_or_default();
    let code = code.to_owned();
    let mut text = |member: &str| match answer[member].take() {
        Value::String(text) if !text.is_empty() => Some(text),
        _ => None,
    };
    let message = text("message").or_else(|| text("Message")).unwrap_or_else(|| code.clone());
    Err(JsonError::Refused(ServiceError { status, code, message }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_is_a_value_or_what_the_service_says() {
        assert_eq!(
            read(200, br#"{"Parameter":{"Value":"ami-1"}}"#),
            Ok(json!({"Parameter": {"Value": "ami-1"}}))
        );
        assert_eq!(read(200, b"<html>"), Ok(Value::Null));
        for (status, body, code, shown) in [
            (400, r#"{"__type":"ParameterNotFound"}"#, "ParameterNotFound", "ParameterNotFound"),
            (
                400,
                r#"{"__type":"com.amazonaws.ssm#ParameterNotFound","message":""}"#,
                "ParameterNotFound",
                "ParameterNotFound",
            ),
            (
                400,
                r#"{"__type":"AccessDeniedException","Message":"no"}"#,
                "AccessDeniedException",
                "AccessDeniedException: no",
            ),
            (503, "<html>", "", "status 503 without a message"),
        ] {
            let Err(JsonError::Refused(error)) = read(status, body.as_bytes()) else { panic!("{body}") };
            assert_eq!((error.status, error.code.as_str()), (status, code));
            assert_eq!(JsonError::Refused(error).to_string(), shown);
        }
    }
}
