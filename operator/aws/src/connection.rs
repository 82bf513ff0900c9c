//! The connection to AWS: region and credentials by the SDK's standard resolution, made at the first call that needs it,
//! so that an operator without `iam` and `fleet` asks nobody for credentials.

use std::sync::Arc;

use aws_config::{BehaviorVersion, SdkConfig};
use aws_types::region::Region;
use tokio::sync::OnceCell;

use crate::metering::Meter;
use crate::transport::{Rate, aws_client, timeouts};
use crate::write_hook::WriteHooks;

/// The region when nothing names one.
const DEFAULT_REGION: &str = "us-west-2";
/// Reads a second at AWS, of all services together; IAM allows the least.
const READS: f64 = 15.0;
/// Writes a second at AWS, of all services together.
#[cfg(feature = "clients")]
const WRITES: f64 = 5.0;

/// What the clients of all services share.
#[derive(Debug)]
pub struct AwsConnection {
    region: Option<String>,
    hooks: WriteHooks,
    pub(crate) meter: Arc<dyn Meter>,
    shared: OnceCell<SharedConfig>,
}

#[derive(Debug)]
pub(crate) struct SharedConfig {
    pub(crate) config: SdkConfig,
    reads: Rate,
    #[cfg(feature = "clients")]
    writes: Rate,
}

impl AwsConnection {
    /// A connection that is not made yet. `region` as given on the command line, if it was. `hooks` are asked
    /// before each write.
    pub fn new(region: Option<String>, meter: Arc<dyn Meter>, hooks: WriteHooks) -> Arc<Self> {
        Arc::new(Self { region, hooks, meter, shared: OnceCell::new() })
    }

    pub(crate) async fn shared(&self) -> &SharedConfig {
        self.shared.get_or_init(|| self.connect()).await
    }

    async fn connect(&self) -> SharedConfig {
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(aws_client(self.hooks.clone()))
            .timeout_config(timeouts());
        if let Some(region) = &self.region {
            loader = loader.region(Region::new(region.clone()));
        }
        let mut config = loader.load().await;
        if config.region().is_none() {
            config = config.into_builder().region(Region::new(DEFAULT_REGION)).build();
        }
        // An endpoint that was given is not AWS's and has no limits of AWS's.
        let at_aws = config.endpoint_url().is_none();
        let rate = |limit| Rate::new(at_aws.then_some(limit));
        SharedConfig {
            config,
            reads: rate(READS),
            #[cfg(feature = "clients")]
            writes: rate(WRITES),
        }
    }

    /// The region that calls go to.
    pub async fn region(&self) -> String {
        let region = self.shared().await.config.region().map(ToString::to_string);
        region.unwrap_or_else(|| DEFAULT_REGION.to_owned())
    }
}

impl SharedConfig {
    /// Waits for the turn of a read.
    pub(crate) async fn read(&self) {
        self.reads.turn().await;
    }

    /// Waits for the turn of a write.
    #[cfg(feature = "clients")]
    pub(crate) async fn write(&self) {
        self.writes.turn().await;
    }
}

/// Sends one request of the SDK: waits for its turn (`read` or `write`), counts it, and gives core's failure.
#[cfg(feature = "clients")]
macro_rules! call {
    ($connection:expr, $turn:ident, $operation:literal, $request:expr) => {{
        $connection.shared().await.$turn().await;
        let meter = &*$connection.meter;
        $crate::metered!(meter, $crate::error::CalledEndpoint::Running, $operation, $request.customize())
    }};
}
#[cfg(feature = "clients")]
pub(crate) use call;
