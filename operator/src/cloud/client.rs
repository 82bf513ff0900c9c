//! Builds the SDK's client: endpoint, region, credentials, timeouts.

use aws_config::BehaviorVersion;
use aws_types::region::Region;
use fleetmesh_aws::error;
use fleetmesh_aws::faults::SharedFaults;
use fleetmesh_aws::transport::{Rate, app_mesh_client, timeouts};

use crate::cloud::calls::AppMesh;
use crate::cloud::credentials;
use crate::metrics::Metrics;

/// The region when nothing names one; a Fleetmesh control plane's default too.
const DEFAULT_REGION: &str = "us-west-2";
/// Reads a second at AWS unless told otherwise.
const AWS_READS: f64 = 40.0;
/// Writes a second at AWS unless told otherwise.
const AWS_WRITES: f64 = 8.0;

/// Which endpoint to use and how fast.
#[derive(Clone, Debug, Default)]
pub struct Endpoint {
    /// The endpoint's address; the SDK's standard resolution when `None`.
    pub url: Option<String>,
    /// The region; the SDK's standard resolution when `None`.
    pub region: Option<String>,
    /// Reads a second; unlimited at an endpoint that was given, 40 at AWS when `None`.
    pub reads: Option<f64>,
    /// Writes a second; unlimited at an endpoint that was given, 8 at AWS when `None`.
    pub writes: Option<f64>,
}

/// The client for the endpoint, and the endpoint's address when it was given by flag or environment. Nothing is called
/// yet: an endpoint that does not answer is a condition, not an error.
pub async fn connect(
    endpoint: &Endpoint,
    metrics: Metrics,
    faults: SharedFaults,
) -> (AppMesh, Option<String>) {
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(app_mesh_client(faults))
        .timeout_config(timeouts());
    if let Some(region) = &endpoint.region {
        loader = loader.region(Region::new(region.clone()));
    }
    if let Some(url) = &endpoint.url {
        loader = loader.endpoint_url(url);
        if let Some(provider) = credentials::for_endpoint(Some(url)) {
            // Without the chain there is nothing to ask for the region either: no request to EC2's metadata service.
            let region = endpoint.region.clone().or_else(|| std::env::var("AWS_REGION").ok());
            let region = region.unwrap_or_else(|| DEFAULT_REGION.to_owned());
            loader = loader.credentials_provider(provider).region(Region::new(region));
        }
    }
    let shared = loader.load().await;
    let mut config = aws_sdk_appmesh::config::Builder::from(&shared);
    if shared.region().is_none() {
        config = config.region(Region::new(DEFAULT_REGION));
    }
    let url = shared.endpoint_url().map(ToOwned::to_owned);
    let at_aws = url.is_none();
    let reads = Rate::new(endpoint.reads.or(at_aws.then_some(AWS_READS)));
    let writes = Rate::new(endpoint.writes.or(at_aws.then_some(AWS_WRITES)));
    let client = aws_sdk_appmesh::Client::from_conf(config.build());
    let whose = if at_aws { error::Endpoint::AppMeshAtAws } else { error::Endpoint::Running };
    (AppMesh::new(client, whose, reads, writes, metrics), url)
}
