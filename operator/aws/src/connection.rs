//! The connection to AWS: region and credentials by the SDK's standard resolution, made at the first call that needs it,
//! so that an operator without `iam` and `fleet` asks nobody for credentials.

use std::sync::Arc;

use aws_config::{BehaviorVersion, SdkConfig};
use aws_types::region::Region;
use fleetmesh_core::{Failure, FailureClass};
use tokio::sync::OnceCell;

use crate::metering::Meter;
use crate::transport::{Rate, aws_client, timeouts};
use crate::write_hook::WriteHooks;

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
    shared: OnceCell<Arc<SharedConfig>>,
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

    /// What the clients share. Without a region it is made anew at the next call: whatever names one, such as the instance's
    /// metadata, may only have been late.
    pub(crate) async fn shared(&self) -> Arc<SharedConfig> {
        let connect = || async {
            let shared = Arc::new(self.connect().await);
            if shared.config.region().is_some() { Ok(shared) } else { Err(shared) }
        };
        match self.shared.get_or_try_init(connect).await {
            Ok(shared) => Arc::clone(shared),
            Err(shared) => shared,
        }
    }

    async fn connect(&self) -> SharedConfig {
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(aws_client(self.hooks.clone()))
            .timeout_config(timeouts());
        if let Some(region) = &self.region {
            loader = loader.region(Region::new(region.clone()));
        }
        let config = loader.load().await;
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

    /// The region that `operation` goes to.
    ///
    /// # Errors
    /// Nothing names one: `Invalid`.
    pub async fn region(&self, operation: &str) -> Result<String, Failure> {
        let shared = self.shared().await;
        match no_region(&shared.config, operation) {
            Some(failure) => Err(failure),
            None => Ok(shared.config.region().map(ToString::to_string).unwrap_or_default()),
        }
    }
}

impl SharedConfig {
    /// Why `operation` cannot be called, if nothing names a region.
    #[cfg(feature = "clients")]
    pub(crate) fn no_region(&self, operation: &str) -> Option<Failure> {
        no_region(&self.config, operation)
    }

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

/// Why nothing can be called without a region. EC2 of another region than the one that is meant would launch where nobody looks,
/// so none is assumed.
fn no_region(config: &SdkConfig, operation: &str) -> Option<Failure> {
    let message = "no AWS region is configured. Start the operator with --region (aws.region in the chart), or set AWS_REGION";
    config.region().is_none().then(|| Failure {
        class: FailureClass::Invalid,
        operation: operation.to_owned(),
        message: message.to_owned(),
    })
}

/// Sends one request of the SDK, with another configuration for this one where one is given: waits for its turn (`read` or
/// `write`), counts it, and gives core's failure.
#[cfg(feature = "clients")]
macro_rules! call {
    ($connection:expr, $turn:ident, $operation:literal, $request:expr) => {
        $crate::connection::sent!($connection, $turn, $operation, $request.customize())
    };
    ($connection:expr, $turn:ident, $operation:literal, $request:expr, $config:expr) => {
        $crate::connection::sent!(
            $connection,
            $turn,
            $operation,
            $request.customize().config_override($config)
        )
    };
}
#[cfg(feature = "clients")]
pub(crate) use call;

#[cfg(feature = "clients")]
macro_rules! sent {
    ($connection:expr, $turn:ident, $operation:literal, $request:expr) => {{
        let shared = $connection.shared().await;
        match shared.no_region($operation) {
            Some(failure) => Err(failure),
            None => {
                shared.$turn().await;
                let meter = &*$connection.meter;
                $crate::metered!(meter, $crate::error::CalledEndpoint::Running, $operation, $request)
            }
        }
    }};
}
#[cfg(feature = "clients")]
pub(crate) use sent;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_region_nothing_is_called_and_the_way_out_is_named() {
        let failure = no_region(&SdkConfig::builder().build(), "CreateFleet").unwrap();
        assert_eq!(failure.class, FailureClass::Invalid);
        let words = failure.to_string();
        assert!(words.starts_with("CreateFleet: no AWS region") && words.contains("--region"), "{words}");
        let somewhere = SdkConfig::builder().region(Region::new("eu-west-1")).build();
        assert_eq!(no_region(&somewhere, "CreateFleet"), None);
    }
}
