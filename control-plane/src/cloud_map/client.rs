//! The SDK's client of Cloud Map: its endpoint, its calls, and errors with messages. The types of the SDK are used here only.

use std::error::Error;
use std::time::Duration;

use aws_config::meta::region::RegionProviderChain;
use aws_sdk_servicediscovery::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_sdk_servicediscovery::config::{ConfigBag, Intercept, Region, RuntimeComponents};
use aws_sdk_servicediscovery::error::{BoxError, ProvideErrorMetadata, SdkError};
use aws_sdk_servicediscovery::types::{HealthStatus, HealthStatusFilter, HttpInstanceSummary};
use aws_smithy_runtime_api::client::endpoint::EndpointPrefix;
use aws_types::endpoint_config::EndpointUrl;
use fleetmesh_mesh::cloud_map::{RegisteredInstance, ServiceName};
use fleetmesh_model::causes::in_one_line;

use crate::aws::{self, CallLimits};

/// How long a call may take.
const LIMITS: CallLimits =
    CallLimits { attempt: Duration::from_secs(10), operation: Duration::from_secs(60) };
/// The most instances that an answer may hold, which is also the most that a service may have. Answers have no pages.
const MOST_INSTANCES: i32 = 1000;

/// The instances of a service and their revision.
pub(super) struct InstancesAnswer {
    pub(super) revision: Option<i64>,
    /// By id: the answer's own order is random.
    pub(super) instances: Vec<RegisteredInstance>,
}

/// A client of Cloud Map.
#[derive(Clone, Debug)]
pub(super) struct CloudMapClient {
    sdk: aws_sdk_servicediscovery::Client,
}

impl CloudMapClient {
    /// The client that the environment describes, in the SDK's own way; `region` is used when nothing names one. Nothing
    /// is called yet.
    pub(super) async fn connect(region: &str) -> Self {
        let region = RegionProviderChain::default_provider().or_else(Region::new(region.to_owned()));
        let shared = aws::config(LIMITS, region).await;
        let config = aws_sdk_servicediscovery::config::Builder::from(&shared).interceptor(GivenEndpoint);
        Self { sdk: aws_sdk_servicediscovery::Client::from_conf(config.build()) }
    }

    /// The revision of the service's instances.
    ///
    /// # Errors
    /// In words, in one line: no answer, or one that refuses.
    pub(super) async fn revision(&self, service: &ServiceName) -> Result<Option<i64>, String> {
        let call = self.sdk.discover_instances_revision();
        let call = call.namespace_name(&service.namespace_name).service_name(&service.service_name);
        let answer = call.send().await.map_err(|error| reason(&error))?;
        Ok(answer.instances_revision())
    }

    /// All instances of the service, whatever their health.
    ///
    /// # Errors
    /// As [`Self::revision`].
    pub(super) async fn instances(&self, service: &ServiceName) -> Result<InstancesAnswer, String> {
        let call = self.sdk.discover_instances();
        let call = call.namespace_name(&service.namespace_name).service_name(&service.service_name);
        // Which of them serve is decided per virtual node: "healthy or else all" of the service would leave a node
        // without any whose attributes choose only unhealthy ones.
        let call = call.max_results(MOST_INSTANCES).health_status(HealthStatusFilter::All);
        let answer = call.send().await.map_err(|error| reason(&error))?;
        let revision = answer.instances_revision();
        let mut instances: Vec<RegisteredInstance> =
            answer.instances.unwrap_or_default().into_iter().map(instance).collect();
        instances.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(InstancesAnswer { revision, instances })
    }
}

fn instance(summary: HttpInstanceSummary) -> RegisteredInstance {
    RegisteredInstance {
        id: summary.instance_id.unwrap_or_default(),
        unhealthy: summary.health_status == Some(HealthStatus::Unhealthy),
        attributes: summary.attributes.unwrap_or_default().into_iter().collect(),
    }
}

/// Discovery is served from hosts of its own: the SDK puts `data-` before the host of Cloud Map. It does so before the
/// host of an endpoint that somebody gave (`AWS_ENDPOINT_URL_SERVICEDISCOVERY`, `AWS_ENDPOINT_URL`, the profile) as
/// well, where no such host exists: `http://data-127.0.0.1:5000`. The prefix is put by an interceptor of each operation
/// before it is serialised and used in each attempt; this one takes it away in between.
#[derive(Debug)]
struct GivenEndpoint;

impl Intercept for GivenEndpoint {
    fn name(&self) -> &'static str {
        "GivenEndpoint"
    }

    fn modify_before_retry_loop(
        &self,
        _: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if config.load::<EndpointUrl>().is_some() {
            config.interceptor_state().unset::<EndpointPrefix>();
        }
        Ok(())
    }
}

/// Why a call failed, in one line: the service's own code and message, or what the transport says.
fn reason<E, R>(error: &SdkError<E, R>) -> String
where
    E: ProvideErrorMetadata + Error + 'static,
    R: std::fmt::Debug,
{
    if let SdkError::ServiceError(context) = error {
        let code = context.err().code().unwrap_or("an error without a code");
        return match context.err().message() {
            Some(message) => format!("{code}: {message}"),
            None => code.to_owned(),
        };
    }
    in_one_line(error)
}
