//! Retry policies of routes. Pure data.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::Duration;

/// The retry policy of an http or http2 route (App Mesh `HttpRetryPolicy`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HttpRetryPolicy {
    /// HTTP events that are retried, 1 to 25.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 25))]
    pub http_retry_events: Option<Vec<HttpRetryPolicyEvent>>,
    /// Retries at most, 0 or more.
    #[schemars(range(min = 0))]
    pub max_retries: i64,
    /// How long one try may take.
    pub per_retry_timeout: Duration,
    /// TCP events that are retried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1))]
    pub tcp_retry_events: Option<Vec<TcpRetryPolicyEvent>>,
}

/// The retry policy of a grpc route (App Mesh `GrpcRetryPolicy`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GrpcRetryPolicy {
    /// gRPC statuses that are retried, 1 to 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 5))]
    pub grpc_retry_events: Option<Vec<GrpcRetryPolicyEvent>>,
    /// HTTP events that are retried, 1 to 25.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 25))]
    pub http_retry_events: Option<Vec<HttpRetryPolicyEvent>>,
    /// Retries at most, 0 or more.
    #[schemars(range(min = 0))]
    pub max_retries: i64,
    /// How long one try may take.
    pub per_retry_timeout: Duration,
    /// TCP events that are retried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1))]
    pub tcp_retry_events: Option<Vec<TcpRetryPolicyEvent>>,
}

/// An HTTP event that is retried. The model leaves it a string of 1 to 25 characters; these are the values that App
/// Mesh documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(transform = crate::schema::plain_enum)]
pub enum HttpRetryPolicyEvent {
    /// Statuses 500, 501, 502, 503, 504, 505, 506, 507, 508, 510 and 511.
    ServerError,
    /// Statuses 502, 503 and 504.
    GatewayError,
    /// Status 409.
    ClientError,
    /// A refused stream.
    StreamError,
}

/// A TCP event that is retried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(transform = crate::schema::plain_enum)]
pub enum TcpRetryPolicyEvent {
    /// A failed connection.
    ConnectionError,
}

/// A gRPC status that is retried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(transform = crate::schema::plain_enum)]
pub enum GrpcRetryPolicyEvent {
    /// CANCELLED (1).
    Cancelled,
    /// DEADLINE_EXCEEDED (4).
    DeadlineExceeded,
    /// INTERNAL (13).
    Internal,
    /// RESOURCE_EXHAUSTED (8).
    ResourceExhausted,
    /// UNAVAILABLE (14).
    Unavailable,
}
