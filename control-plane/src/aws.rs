//! The common configuration of all clients of AWS services: transport, time limits, and region and credentials by the SDK's own
//! resolution.

use std::path::PathBuf;
use std::time::Duration;

use aws_config::meta::region::ProvideRegion;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::http::SharedHttpConnector;

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

/// A transport for requests that no SDK sends. Its caller limits the time.
pub(crate) fn connector() -> SharedHttpConnector {
    let connector = Connector::builder().tls_provider(Provider::Rustls(CryptoMode::AwsLc)).build();
    SharedHttpConnector::new(connector)
}
