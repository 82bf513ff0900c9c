//! What a Fleetmesh control plane answers beside the App Mesh API: asked with the credentials and the CA of the App Mesh
//! client, because it lets nobody else in where other hosts reach it.

use std::time::{Duration, SystemTime};

use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use fleetmesh_aws::transport::Http;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

/// The name that App Mesh's requests are signed for.
const SERVICE: &str = "appmesh";

/// The control plane at the App Mesh endpoint.
#[derive(Clone, Debug)]
pub struct ControlPlane {
    endpoint: String,
    http: Http,
    signer: Option<Signer>,
}

/// Who signs requests.
#[derive(Clone, Debug)]
pub struct Signer {
    /// The credentials.
    pub credentials: SharedCredentialsProvider,
    /// The region that is signed for.
    pub region: String,
}

impl ControlPlane {
    /// The control plane at `endpoint`, asked over `http`.
    pub fn new(endpoint: impl Into<String>, http: Http, signer: Option<Signer>) -> Self {
        Self { endpoint: endpoint.into(), http, signer }
    }

    /// Where it is.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The status and the body that it answers about `what` of `mesh`, at most `limit` after it was asked.
    ///
    /// # Errors
    /// In words: there are no credentials, the connection failed, or the time is over.
    pub async fn get(
        &self,
        mesh: &str,
        what: &str,
        query: &str,
        limit: Duration,
    ) -> Result<(u16, Vec<u8>), String> {
        let url = mesh_url(&self.endpoint, mesh, what) + query;
        let headers = match &self.signer {
            Some(signer) => signer.sign(&url).await?,
            None => Vec::new(),
        };
        self.http.get_with(&url, &headers, limit).await
    }
}

impl Signer {
    /// The headers that sign `GET url` now.
    async fn sign(&self, url: &str) -> Result<Vec<(String, String)>, String> {
        let credentials = self.credentials.provide_credentials().await;
        let credentials = credentials.map_err(|error| fleetmesh_model::causes::in_one_line(&error))?;
        let unsigned = |error: &dyn std::fmt::Display| format!("the request cannot be signed: {error}");
        let identity = credentials.into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(SERVICE)
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| unsigned(&error))?
            .into();
        let request = SignableRequest::new("GET", url, std::iter::empty(), SignableBody::Bytes(&[]));
        let signed = sign(request.map_err(|error| unsigned(&error))?, &parameters);
        let (instructions, _) = signed.map_err(|error| unsigned(&error))?.into_parts();
        Ok(instructions.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}

/// The address of `what` about `mesh` at `endpoint`, without a query.
fn mesh_url(endpoint: &str, mesh: &str, what: &str) -> String {
    format!("{}/fleetmesh/v1/meshes/{}/{what}", endpoint.trim_end_matches('/'), escape(mesh))
}

/// What is percent-encoded: all but letters, digits and the other unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Percent-encodes what is not unreserved (RFC 3986).
pub(crate) fn escape(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// What a refusal says in words, when it is one of a Fleetmesh control plane: a body in its shape.
pub(crate) fn refusal(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Refusal {
        message: String,
    }
    let refusal: Refusal = serde_json::from_slice(body).ok()?;
    (!refusal.message.is_empty()).then_some(refusal.message)
}
