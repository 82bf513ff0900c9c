//! Metering of SDK calls: an interceptor counts the attempts of each call, and [`metered!`] notifies a [`Meter`] when it ended. Every
//! client of the operator sends through it. No I/O.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeSerializationInterceptorContextRef, BeforeTransmitInterceptorContextRef,
    FinalizerInterceptorContextRef,
};
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::client::retries::classifiers::{ClassifyRetry, RetryAction, RetryReason};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::retry::ErrorKind;
use fleetmesh_core::FailureClass;

/// Is notified of every call that ended.
pub trait Meter: fmt::Debug + Send + Sync {
    /// A call ended, well or with a failure.
    fn called(&self, call: &Called);
}

/// Nobody counts.
#[derive(Clone, Copy, Debug)]
pub struct Unmetered;

impl Meter for Unmetered {
    fn called(&self, _: &Called) {}
}

/// A call that ended, with all its attempts. The wait for its turn is not in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Called {
    /// The service as a label of metrics: `appmesh`, `iam`, `ec2`, `ssm`, `servicediscovery`.
    pub service: String,
    /// The operation, for example `CreateRole`. Bounded: the operations that this code names.
    pub operation: &'static str,
    /// The class of the failure.
    pub failed: Option<FailureClass>,
    /// How long it took.
    pub took: Duration,
    /// How many requests were sent; 0 when there were no credentials to sign one.
    pub attempts: u32,
    /// How many of them were answered by a throttle.
    pub throttled: u32,
}

/// Watches one call.
#[derive(Clone, Debug)]
pub struct Watch {
    begun: Instant,
    seen: Arc<Mutex<SeenCalls>>,
}

#[derive(Debug, Default)]
struct SeenCalls {
    service: String,
    attempts: u32,
    throttled: u32,
}

impl Watch {
    /// A call that begins now.
    pub fn begin() -> Self {
        Self { begun: Instant::now(), seen: Arc::default() }
    }

    /// The call ends now.
    pub fn end(&self, operation: &'static str, failed: Option<FailureClass>) -> Called {
        let seen = self.seen();
        Called {
            service: seen.service.clone(),
            operation,
            failed,
            took: self.begun.elapsed(),
            attempts: seen.attempts,
            throttled: seen.throttled,
        }
    }

    fn seen(&self) -> MutexGuard<'_, SeenCalls> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[dyn_dispatch_hint]
impl Intercept for Watch {
    fn name(&self) -> &'static str {
        "FleetmeshWatch"
    }

    fn read_before_execution(
        &self,
        _context: &BeforeSerializationInterceptorContextRef<'_>,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let service = config.load::<Metadata>().map_or("unknown", Metadata::service);
        self.seen().service = service.replace(' ', "").to_ascii_lowercase();
        Ok(())
    }

    fn read_before_transmit(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.seen().attempts += 1;
        Ok(())
    }

    /// The SDK's own classifiers say what a throttle is: it knows the codes of each service.
    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let throttle = |action: RetryAction| {
            matches!(
                action,
                RetryAction::RetryIndicated(RetryReason::RetryableError {
                    kind: ErrorKind::ThrottlingError,
                    ..
                })
            )
        };
        let mut classifiers = components.retry_classifiers();
        if classifiers.any(|classifier| throttle(classifier.classify_retry(context.inner()))) {
            self.seen().throttled += 1;
        }
        Ok(())
    }
}

/// Sends one request of an SDK (a `CustomizableOperation`), notifies the meter, and returns core's failure. A macro, because
/// each operation of the SDK is a type of its own and the trait that they share is private to the SDK.
#[macro_export]
macro_rules! metered {
    ($meter:expr, $endpoint:expr, $operation:expr, $request:expr) => {{
        let watch = $crate::metering::Watch::begin();
        let result = $request.interceptor(watch.clone()).send().await;
        let result = result.map_err(|error| $crate::error::failure($operation, $endpoint, &error));
        let failed = result.as_ref().err().map(|failure| failure.class);
        $crate::metering::Meter::called(&*$meter, &watch.end($operation, failed));
        result
    }};
}
