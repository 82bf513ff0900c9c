//! The calls of Cloud Map.

use std::collections::BTreeMap;
use std::time::Duration;

use fleetmesh_mesh::cloud_map::{RegisteredInstance, ServiceName};
use fleetmesh_signing::JsonOperation;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::aws::{CallLimits, JsonClient};

const REVISION: JsonOperation = operation("Route53AutoNaming_v20170314.DiscoverInstancesRevision");
const INSTANCES: JsonOperation = operation("Route53AutoNaming_v20170314.DiscoverInstances");
/// How long a call may take.
const LIMITS: CallLimits =
    CallLimits { attempt: Duration::from_secs(10), operation: Duration::from_secs(60) };
/// The most instances that an answer may hold, which is also the most that a service may have. Answers have no pages.
const MOST_INSTANCES: i32 = 1000;
/// The most bytes of an answer: an instance has at most 5,000 characters of attributes (quotas of Cloud Map), and JSON may write
/// each in six.
const LONGEST: usize = 32 * 1024 * 1024;

/// Discovery is served from hosts of its own.
const fn operation(target: &'static str) -> JsonOperation {
    let (service, host) = ("servicediscovery", "data-servicediscovery");
    JsonOperation { service, host, service_id: "ServiceDiscovery", target }
}

/// The instances of a service and their revision.
pub(super) struct InstancesAnswer {
    pub(super) revision: Option<i64>,
    /// By id: the answer's own order is random.
    pub(super) instances: Vec<RegisteredInstance>,
}

/// A client of Cloud Map.
#[derive(Debug)]
pub(super) struct CloudMapClient(JsonClient);

impl CloudMapClient {
    /// The client that the environment describes, in the SDK's own way; `region` is used when nothing names one. Nothing
    /// is called yet.
    pub(super) fn new(region: &str) -> Self {
        Self(JsonClient::new(region.to_owned(), LIMITS, LONGEST))
    }

    /// The revision of the service's instances.
    ///
    /// # Errors
    /// In words, in one line: no answer, one that refuses, or one that cannot be read.
    pub(super) async fn revision(&self, service: &ServiceName) -> Result<Option<i64>, String> {
        let answer: RevisionAnswer = self.call(&REVISION, &input(service)).await?;
        Ok(answer.instances_revision)
    }

    /// All instances of the service, whatever their health.
    ///
    /// # Errors
    /// As [`Self::revision`].
    pub(super) async fn instances(&self, service: &ServiceName) -> Result<InstancesAnswer, String> {
        let mut input = input(service);
        input["MaxResults"] = MOST_INSTANCES.into();
        // Which of them serve is decided per virtual node: "healthy or else all" of the service would leave a node
        // without any whose attributes choose only unhealthy ones.
        input["HealthStatus"] = "ALL".into();
        let answer: DiscoveryAnswer = self.call(&INSTANCES, &input).await?;
        let instances = answer.instances.unwrap_or_default().into_iter();
        let mut instances: Vec<RegisteredInstance> = instances.map(InstanceSummary::registered).collect();
        instances.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(InstancesAnswer { revision: answer.instances_revision, instances })
    }

    async fn call<T: DeserializeOwned>(&self, operation: &JsonOperation, input: &Value) -> Result<T, String> {
        let region = self.0.region().await;
        let answer = self.0.call(operation, region, input).await.map_err(|failure| failure.words)?;
        T::deserialize(answer).map_err(|error| format!("Cloud Map's answer cannot be read: {error}"))
    }
}

fn input(service: &ServiceName) -> Value {
    json!({ "NamespaceName": service.namespace_name, "ServiceName": service.service_name })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RevisionAnswer {
    instances_revision: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DiscoveryAnswer {
    instances: Option<Vec<InstanceSummary>>,
    instances_revision: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InstanceSummary {
    #[serde(default)]
    instance_id: String,
    health_status: Option<String>,
    attributes: Option<BTreeMap<String, String>>,
}

impl InstanceSummary {
    fn registered(self) -> RegisteredInstance {
        RegisteredInstance {
            id: self.instance_id,
            unhealthy: self.health_status.as_deref() == Some("UNHEALTHY"),
            attributes: self.attributes.unwrap_or_default(),
        }
    }
}
