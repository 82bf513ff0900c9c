//! The App Mesh API that an operator uses, given by its address or as a client: endpoint, region, credentials, timeouts.

use std::path::PathBuf;

use aws_config::identity::IdentityCache;
use aws_config::{BehaviorVersion, ConfigLoader};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_types::SdkConfig;
use aws_types::region::Region;
use fleetmesh_aws::error::CalledEndpoint;
use fleetmesh_aws::transport::{Http, Rate, app_mesh_client, hooked_app_mesh_client, timeouts};
use fleetmesh_aws::trust::Trust;
use fleetmesh_signing::{JsonOperation, RequestSigner};
use url::Url;

use crate::cloud::calls::AppMeshClient;
use crate::cloud::commit::CommitEndpoint;
use crate::cloud::credentials::{self, KeyFile};
use crate::control_plane::{self, ControlPlane};
use crate::metrics::Metrics;
use crate::write_hook::WriteHooks;

/// The region when nothing names one; a Fleetmesh control plane's default too.
pub(super) const DEFAULT_REGION: &str = "us-west-2";
/// What gives the address of an endpoint.
const FLAG: &str = "--app-mesh-endpoint";
const ENVIRONMENT: &str = "the address of AWS_ENDPOINT_URL_APP_MESH, AWS_ENDPOINT_URL or the profile";
/// App Mesh, as the environment and profiles name it.
pub(super) const APP_MESH: JsonOperation =
    JsonOperation { service: control_plane::SERVICE, host: "appmesh", service_id: "App Mesh", target: "" };
/// Reads a second at AWS unless configured otherwise.
const AWS_READS: f64 = 40.0;
/// Writes a second at AWS unless configured otherwise.
const AWS_WRITES: f64 = 8.0;

/// Which endpoint to use and how fast.
#[derive(Clone, Debug, Default)]
pub struct CloudEndpoint {
    /// The endpoint's address; that of `AWS_ENDPOINT_URL_APP_MESH`, `AWS_ENDPOINT_URL` or the profile, then AWS's, when `None`.
    pub url: Option<String>,
    /// The file with the CA that vouches for it; those that this system trusts when `None`.
    pub ca_file: Option<PathBuf>,
    /// The file with the access key for it; other credentials when `None`.
    pub access_key_file: Option<PathBuf>,
    /// The region; the SDK's standard resolution when `None`.
    pub region: Option<String>,
    /// Reads a second; unlimited at an endpoint that was given, 40 at AWS when `None`.
    pub reads: Option<f64>,
    /// Writes a second; unlimited at an endpoint that was given, 8 at AWS when `None`.
    pub writes: Option<f64>,
}

/// The endpoint's address, or a file of the endpoint's, cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot use {given_by}: {reason}")]
pub struct EndpointError {
    /// The flag or the variables that give it.
    pub given_by: &'static str,
    /// What is wrong with it.
    pub reason: String,
}

/// An App Mesh API: AWS's, or that of a Fleetmesh control plane. Nothing is called yet: one that does not answer is a
/// condition, not an error.
#[derive(Clone, Debug)]
pub struct AppMeshApi {
    client: aws_sdk_appmesh::Client,
    at_aws: bool,
    control_plane: Option<ControlPlane>,
    reads: Option<f64>,
    writes: Option<f64>,
}

impl AppMeshApi {
    /// The one at `endpoint`. It is taken for a Fleetmesh control plane when its address was given by flag or environment.
    ///
    /// # Errors
    /// The address is none, or a file of the endpoint's cannot be read.
    pub async fn of(endpoint: &CloudEndpoint) -> Result<Self, EndpointError> {
        let trust = trust_of(endpoint)?;
        let (CloudEndpoint { url: given, .. }, shared) = load(endpoint, &trust).await?;
        let mut config = aws_sdk_appmesh::config::Builder::from(&shared);
        if shared.region().is_none() {
            config = config.region(Region::new(DEFAULT_REGION));
        }
        let at_aws = given.is_none();
        let control_plane = given.map(|url| {
            let region = shared.region().map_or(DEFAULT_REGION, Region::as_ref).to_owned();
            // Nobody but AWS can verify what AWS's credentials sign, so the control plane is asked with its own key or none.
            let key = shared.credentials_provider().filter(|_| endpoint.access_key_file.is_some());
            let signer =
                key.map(|credentials| RequestSigner { credentials, region, service: control_plane::SERVICE });
            ControlPlane::new(url, Http::trusting(trust), signer)
        });
        Ok(Self {
            at_aws,
            control_plane,
            reads: endpoint.reads,
            writes: endpoint.writes,
            ..Self::new(aws_sdk_appmesh::Client::from_conf(config.build()))
        })
    }

    /// The one that `client` calls, which somebody else made. It is AWS's, unless [`Self::of_control_plane`] says otherwise.
    pub fn new(client: aws_sdk_appmesh::Client) -> Self {
        Self { client, at_aws: true, control_plane: None, reads: None, writes: None }
    }

    /// The same client, for `control_plane`: it is also asked for what App Mesh's API does not have, and calls are not limited.
    #[must_use]
    pub fn of_control_plane(self, control_plane: ControlPlane) -> Self {
        Self { at_aws: false, control_plane: Some(control_plane), ..self }
    }

    /// The control plane that it is of; `None` of AWS's.
    pub fn control_plane(&self) -> Option<&ControlPlane> {
        self.control_plane.as_ref()
    }

    /// What calls it, counted in `metrics` and with `hooks` around its writes, and the control plane.
    pub(crate) fn connect(
        self,
        metrics: Metrics,
        hooks: WriteHooks,
    ) -> (AppMeshClient, Option<ControlPlane>) {
        let Self { client, at_aws, control_plane, reads, writes } = self;
        let config = client.config();
        let inner = config.http_client().unwrap_or_else(|| app_mesh_client(Trust::system()));
        let config = config.to_builder().http_client(hooked_app_mesh_client(inner, hooks.clone())).build();
        let client = aws_sdk_appmesh::Client::from_conf(config);
        let commits = control_plane.clone().map(|control_plane| CommitEndpoint { control_plane, hooks });
        let reads = Rate::new(reads.or(at_aws.then_some(AWS_READS)));
        let writes = Rate::new(writes.or(at_aws.then_some(AWS_WRITES)));
        let whose = if at_aws { CalledEndpoint::AppMeshAtAws } else { CalledEndpoint::Running };
        (AppMeshClient::new(client, whose, reads, writes, metrics, commits), control_plane)
    }
}

/// Whom `endpoint` trusts.
pub(super) fn trust_of(endpoint: &CloudEndpoint) -> Result<Trust, EndpointError> {
    match &endpoint.ca_file {
        None => Ok(Trust::system()),
        Some(path) => {
            Trust::file(path).map_err(|reason| EndpointError { given_by: "--app-mesh-ca-file", reason })
        }
    }
}

/// Checks an address that was given by flag or environment: nothing is ever answered at one that is none.
fn check_address(address: &str) -> Result<(), String> {
    let parsed = Url::parse(address).map_err(|error| error.to_string());
    let fault = match parsed {
        Ok(url) if !matches!(url.scheme(), "http" | "https") => "it begins with neither".to_owned(),
        Ok(url) if url.query().is_some() || url.fragment().is_some() => {
            "it has a query or a fragment".to_owned()
        }
        Ok(_) => return Ok(()),
        Err(error) => error,
    };
    Err(format!("{address:?} is no address of http:// or https://, a host and a port: {fault}"))
}

/// The endpoint with the address that was given by whatever means, none at AWS, and what the SDK finds out for it. An address of the
/// environment or of a profile is treated as one of the flag.
pub(super) async fn load(
    endpoint: &CloudEndpoint,
    trust: &Trust,
) -> Result<(CloudEndpoint, SdkConfig), EndpointError> {
    if let Some(url) = &endpoint.url {
        check_address(url).map_err(|reason| EndpointError { given_by: FLAG, reason })?;
        return Ok((endpoint.clone(), load_given(endpoint, url, trust).await?));
    }
    let config = loader(endpoint, trust).load().await;
    let Some(url) = APP_MESH.given_endpoint(&config) else { return Ok((endpoint.clone(), config)) };
    check_address(&url).map_err(|reason| EndpointError { given_by: ENVIRONMENT, reason })?;
    let found = CloudEndpoint { url: Some(url.clone()), ..endpoint.clone() };
    let config = load_given(&found, &url, trust).await?;
    Ok((found, config))
}

fn loader(endpoint: &CloudEndpoint, trust: &Trust) -> ConfigLoader {
    let loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(app_mesh_client(trust.clone()))
        .timeout_config(timeouts());
    match &endpoint.region {
        Some(region) => loader.region(Region::new(region.clone())),
        None => loader,
    }
}

async fn load_given(endpoint: &CloudEndpoint, url: &str, trust: &Trust) -> Result<SdkConfig, EndpointError> {
    let mut loader = loader(endpoint, trust).endpoint_url(url);
    if let Some(provider) = provider(endpoint)? {
        // Without the chain there is nothing to ask for the region either: no request to EC2's metadata service.
        let region = endpoint.region.clone().or_else(|| std::env::var("AWS_REGION").ok());
        let region = region.unwrap_or_else(|| DEFAULT_REGION.to_owned());
        loader = loader.credentials_provider(provider).region(Region::new(region));
    }
    if endpoint.access_key_file.is_some() {
        // The file is asked each time, so that a replaced key counts at once.
        loader = loader.identity_cache(IdentityCache::no_cache());
    }
    Ok(loader.load().await)
}

/// The credentials for the endpoint, when the SDK's chain should not be asked.
fn provider(endpoint: &CloudEndpoint) -> Result<Option<SharedCredentialsProvider>, EndpointError> {
    match &endpoint.access_key_file {
        None => Ok(credentials::for_endpoint(endpoint.url.as_deref())),
        Some(path) => {
            let file = KeyFile::new(path)
                .map_err(|reason| EndpointError { given_by: "--app-mesh-access-key-file", reason })?;
            Ok(Some(SharedCredentialsProvider::new(file)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_is_none_is_refused_before_anybody_waits_for_it() {
        for good in
            ["http://127.0.0.1:9080", "https://control-plane.fleetmesh.svc:9080", "http://[::1]:1/prefix"]
        {
            assert_eq!(check_address(good), Ok(()));
        }
        for bad in [
            "",
            "127.0.0.1:9080",
            "control-plane:9080",
            "http://",
            "http:// x",
            "http://h:99999",
            "ftp://h",
            "http://h/?a",
        ] {
            let refusal = check_address(bad).expect_err(bad);
            assert!(refusal.contains(&format!("{bad:?}")) && refusal.contains("http://"), "{refusal}");
        }
    }
}
