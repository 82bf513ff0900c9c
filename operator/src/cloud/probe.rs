//! Which App Mesh endpoint an operator would use, with whose credentials, and what it answers: for a person who looks why nothing happens.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_types::region::Region;
use fleetmesh_aws::transport::Http;
use fleetmesh_aws::trust::Trust;
use fleetmesh_core::Failure;

use crate::cloud::client::{
    APP_MESH, AppMeshApi, CloudEndpoint, DEFAULT_REGION, EndpointError, load, trust_of,
};
use crate::metrics::Metrics;
use crate::write_hook::WriteHooks;

/// An endpoint that was found, and not asked yet.
#[derive(Debug)]
pub struct EndpointProbe {
    /// Its address.
    pub url: String,
    /// The region.
    pub region: String,
    endpoint: CloudEndpoint,
    config: aws_types::SdkConfig,
}

/// Whose requests these are; nothing of it is secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialSource {
    /// Where they are from, such as `EnvironmentVariable`.
    pub provider: String,
    /// The account, where they say it.
    pub account: Option<String>,
    /// When they end.
    pub expiry: Option<SystemTime>,
}

/// What an endpoint answered to `ListMeshes`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointList {
    /// How many meshes there are, on the first page.
    pub meshes: usize,
    /// Whether it is a Fleetmesh control plane.
    pub is_fleetmesh: bool,
}

impl EndpointProbe {
    /// The endpoint that `endpoint` and the environment mean. AWS's metadata service may be asked for the region.
    ///
    /// # Errors
    /// The address is none, or a file of the endpoint's cannot be read.
    pub async fn find(endpoint: &CloudEndpoint) -> Result<Self, EndpointError> {
        let (endpoint, config) = load(endpoint, &trust_of(endpoint)?).await?;
        let region = config.region().map_or(DEFAULT_REGION, Region::as_ref).to_owned();
        let found = match &endpoint.url {
            Some(url) => url.clone(),
            None => APP_MESH.endpoint(&config, &region),
        };
        let url = found.trim_end_matches('/').to_owned();
        Ok(Self { url, region, endpoint, config })
    }

    /// Whose credentials sign.
    ///
    /// # Errors
    /// There are none, in words.
    pub async fn credentials(&self) -> Result<CredentialSource, String> {
        let Some(provider) = self.config.credentials_provider() else {
            return Err("no provider is configured".to_owned());
        };
        let found = provider.provide_credentials().await;
        let found = found.map_err(|error| fleetmesh_model::causes::in_one_line(&error))?;
        Ok(CredentialSource {
            provider: provider_of(&found),
            account: found.account_id().map(|account| account.as_str().to_owned()),
            expiry: found.expiry(),
        })
    }

    /// Asks for its meshes, by a signed request.
    ///
    /// # Errors
    /// As the operator's calls; or the address is none.
    pub async fn list(&self) -> Result<Result<EndpointList, Failure>, EndpointError> {
        let endpoint = CloudEndpoint { url: Some(self.url.clone()), ..self.endpoint.clone() };
        let (client, _) = AppMeshApi::of(&endpoint).await?.connect(Metrics::new(), WriteHooks::default());
        Ok(match client.meshes().await {
            Ok(meshes) => Ok(EndpointList { meshes, is_fleetmesh: client.is_fleetmesh() }),
            Err(failure) => Err(failure),
        })
    }

    /// The status and the text of `path` there, such as `/readyz`, which needs no signature.
    ///
    /// # Errors
    /// In words: the connection failed, or there is no answer within `limit`.
    pub async fn page(&self, path: &str, limit: Duration) -> Result<(u16, String), String> {
        let trust = trust_of(&self.endpoint).unwrap_or_else(|_| Trust::system());
        let (status, body) = Http::trusting(trust).get(&format!("{}{path}", self.url), limit).await?;
        Ok((status, String::from_utf8_lossy(&body).trim().to_owned()))
    }
}

/// The name of who provided `credentials`, which has no accessor. Its `Debug` has it before the key, and no secret in the clear.
fn provider_of(credentials: &Credentials) -> String {
    let shown = format!("{credentials:?}");
    let name = shown.split_once("provider_name: \"").and_then(|(_, rest)| rest.split('"').next());
    name.unwrap_or("unknown").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_a_name_and_nothing_secret() {
        let credentials =
            Credentials::new("AKID", "hush", Some("hush-token".to_owned()), None, "ProfileFile");
        assert_eq!(provider_of(&credentials), "ProfileFile");
    }

    #[tokio::test]
    async fn an_endpoint_that_is_given_is_found_as_it_is() {
        let endpoint = CloudEndpoint {
            url: Some("http://127.0.0.1:9080/".to_owned()),
            region: Some("eu-west-1".to_owned()),
            ..CloudEndpoint::default()
        };
        let probe = EndpointProbe::find(&endpoint).await.expect("an endpoint");
        assert_eq!((probe.url.as_str(), probe.region.as_str()), ("http://127.0.0.1:9080", "eu-west-1"));
    }
}
