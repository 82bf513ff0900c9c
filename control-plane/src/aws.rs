//! The common configuration of all clients of AWS services: transport, time limits, and region and credentials by the SDK's own
//! resolution.

use std::time::Duration;

use aws_config::meta::region::ProvideRegion;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a call may take: the SDK has no limit of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallLimits {
    /// One attempt of it.
    pub(crate) attempt: Duration,
    /// With all its retries.
    pub(crate) operation: Duration,
}

/// What the environment describes, within `limits` and in `region`. Nothing is called yet.
pub(crate) async fn config(limits: CallLimits, region: impl ProvideRegion + 'static) -> SdkConfig {
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
