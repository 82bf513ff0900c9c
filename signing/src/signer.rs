//! Signature Version 4 for the few requests that no SDK sends. No I/O except for credentials.

use std::time::SystemTime;

use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;

/// Who signs requests to one service.
#[derive(Clone, Debug)]
pub struct RequestSigner {
    /// The credentials.
    pub credentials: SharedCredentialsProvider,
    /// The region that is signed for.
    pub region: String,
    /// The name that the service's requests are signed for, for example `appmesh`.
    pub service: &'static str,
}

/// Why a request was not signed.
#[derive(Debug)]
pub enum Unsigned {
    /// There are no credentials; in words.
    NoCredentials(String),
    /// The request is none that can be signed; in words.
    Malformed(String),
}

impl std::fmt::Display for Unsigned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoCredentials(reason) => f.write_str(reason),
            Self::Malformed(reason) => write!(f, "the request cannot be signed: {reason}"),
        }
    }
}

impl RequestSigner {
    /// The headers that sign this request now, to be sent beside `headers`, which are signed as well.
    ///
    /// # Errors
    /// See [`Unsigned`].
    pub async fn sign(
        &self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Vec<(String, String)>, Unsigned> {
        let credentials = self.credentials.provide_credentials().await;
        let credentials = credentials
            .map_err(|error| Unsigned::NoCredentials(fleetmesh_model::causes::in_one_line(&error)))?;
        let malformed = |error: &dyn std::fmt::Display| Unsigned::Malformed(error.to_string());
        let identity = credentials.into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(self.service)
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| malformed(&error))?
            .into();
        let request = SignableRequest::new(method, url, headers.iter().copied(), SignableBody::Bytes(body));
        let signed = sign(request.map_err(|error| malformed(&error))?, &parameters);
        let (instructions, _) = signed.map_err(|error| malformed(&error))?.into_parts();
        Ok(instructions.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}
