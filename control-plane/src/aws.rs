//! What all clients of AWS services have in common: transport, time limits, region and credentials by the SDK's own resolution,
//! and operations of AWS JSON 1.1 by signed requests, as the SDK's crates for a few calls take minutes to compile.

use std::path::PathBuf;
use std::time::Duration;

use aws_config::meta::region::{ProvideRegion, RegionProviderChain};
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::http::SharedHttpConnector;
use aws_types::region::Region;
use fleetmesh_model::foreign::printable;
use fleetmesh_signing::{Bounds, JsonError, JsonOperation, ServiceError};
use serde_json::Value;
use tokio::sync::OnceCell;

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// How long commits are awaited after one, before it is looked what they ask AWS for: the virtual nodes of a mesh come together.
pub(crate) const GATHER: Duration = Duration::from_millis(20);

/// How AWS is asked again and again about what virtual nodes name.
#[derive(Clone, Debug)]
pub struct PollSettings {
    /// Where the file of what was found is.
    pub data_dir: PathBuf,
    /// The time after which the same is asked again.
    pub interval: Duration,
    /// The region to ask, or that of the credentials where what is asked for says the region, when the environment names none.
    pub region: String,
}

/// How long a call may take: the SDK has no limit of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallLimits {
    /// One attempt of it.
    pub(crate) attempt: Duration,
    /// With all its retries.
    pub(crate) operation: Duration,
}

/// What the environment describes, within `limits` and in `region`. Nothing is called yet.
async fn config(limits: CallLimits, region: impl ProvideRegion + 'static) -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(limits.attempt)
        .operation_timeout(limits.operation)
        .build();
    let transport = Builder::new().tls_provider(Provider::Rustls(CryptoMode::AwsLc)).build_https();
    aws_config::defaults(BehaviorVersion::latest())
        .http_client(transport)
        .timeout_config(timeouts)
        .region(region)
        .load()
        .await
}

/// How many requests a call is at the most, like the SDK's.
const ATTEMPTS: u32 = 3;
/// The longest pause before the second request, in milliseconds; before the third it is twice as long.
const PAUSE_MS: u64 = 200;
/// The names of the error that a service was asked too often, as AWS's SDKs know them, whatever the status.
pub(crate) const THROTTLED: [&str; 6] = [
    "RequestLimitExceeded",
    "RequestThrottled",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
];

/// A client of operations that speak AWS JSON 1.1, with the credentials that the environment gives in AWS's usual ways.
#[derive(Debug)]
pub(crate) struct JsonClient {
    /// The region of the credentials when the environment names none.
    region: String,
    limits: CallLimits,
    /// The most bytes that an answer may have.
    longest: usize,
    config: OnceCell<SdkConfig>,
    connector: SharedHttpConnector,
}

impl JsonClient {
    /// A client whose calls and answers stay within `limits` and `longest` bytes. Nothing is called yet.
    pub(crate) fn new(region: String, limits: CallLimits, longest: usize) -> Self {
        Self { region, limits, longest, config: OnceCell::new(), connector: connector() }
    }

    /// The region that the environment names, else the client's own.
    pub(crate) async fn region(&self) -> &str {
        self.config().await.region().map_or(self.region.as_str(), Region::as_ref)
    }

    /// What the service in `region` answers to `input`. What passes by itself is tried again within the client's limits.
    ///
    /// # Errors
    /// No answer in time, or one that refuses; [`CallFailure`] has the words.
    pub(crate) async fn call(
        &self,
        operation: &JsonOperation,
        region: &str,
        input: &Value,
    ) -> Result<Value, CallFailure> {
        let limit = self.limits.operation;
        let late = |_| CallFailure { code: String::new(), words: format!("no answer within {limit:?}") };
        let answer = tokio::time::timeout(limit, self.attempts(operation, region, input)).await;
        answer.map_err(late)?.map_err(CallFailure::from)
    }

    async fn attempts(
        &self,
        operation: &JsonOperation,
        region: &str,
        input: &Value,
    ) -> Result<Value, JsonError> {
        let bounds = Bounds { limit: self.limits.attempt, longest: self.longest };
        let mut attempt = 1;
        loop {
            let answer = operation.call(self.config().await, region, &self.connector, input, bounds).await;
            match answer {
                Err(error) if attempt < ATTEMPTS && passes(&error) => {
                    tokio::time::sleep(pause(attempt, fastrand::f64())).await;
                    attempt += 1;
                }
                answer => return answer,
            }
        }
    }

    async fn config(&self) -> &SdkConfig {
        let connect = || async {
            let own = Region::new(self.region.clone());
            config(self.limits, RegionProviderChain::default_provider().or_else(own)).await
        };
        self.config.get_or_init(connect).await
    }
}

/// A transport for signed requests. Its caller limits the time.
pub(crate) fn connector() -> SharedHttpConnector {
    let connector = Connector::builder().tls_provider(Provider::Rustls(CryptoMode::AwsLc)).build();
    SharedHttpConnector::new(connector)
}

/// Why a call led to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CallFailure {
    /// The error's name; empty when the service did not refuse, or without a name.
    pub(crate) code: String,
    /// In words, in one line.
    pub(crate) words: String,
}

impl From<JsonError> for CallFailure {
    fn from(error: JsonError) -> Self {
        let words = printable(&error.to_string());
        let code = match error {
            JsonError::Refused(error) => error.code,
            _ => String::new(),
        };
        Self { code, words }
    }
}

/// Whether the same request may have another answer soon.
fn passes(error: &JsonError) -> bool {
    match error {
        JsonError::NoCredentials(_) | JsonError::Malformed(_) => false,
        JsonError::Unreachable(_) => true,
        JsonError::Refused(ServiceError { status, code, .. }) => {
            *status == 429 || *status >= 500 || THROTTLED.contains(&code.as_str())
        }
    }
}

/// How long to wait after `attempt` requests, the first being 1; `random` is from 0 to 1.
fn pause(attempt: u32, random: f64) -> Duration {
    Duration::from_millis(PAUSE_MS).saturating_mul(attempt).mul_f64(random.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_tried_again() {
        let refused = |status, code: &str| {
            let (code, message) = (code.to_owned(), String::new());
            JsonError::Refused(ServiceError { status, code, message })
        };
        for (error, expected) in [
            (refused(500, "KMSInternalException"), true),
            (refused(503, ""), true),
            (refused(400, "ThrottlingException"), true),
            (refused(429, ""), true),
            (refused(400, "DisabledException"), false),
            (refused(403, "AccessDeniedException"), false),
            (JsonError::Unreachable("connection refused".to_owned()), true),
            (JsonError::NoCredentials("none".to_owned()), false),
        ] {
            assert_eq!(passes(&error), expected, "{error}");
        }
        assert_eq!(pause(1, 1.0), Duration::from_millis(200));
        assert_eq!(pause(2, 0.5), Duration::from_millis(200));
    }
}
