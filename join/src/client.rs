//! The conversation with the control plane, over HTTPS.

use std::path::Path;
use std::time::{Duration, SystemTime};

use aws_config::BehaviorVersion;
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_runtime_api::client::http::{HttpConnector, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt, Limited};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;

use crate::proof::{self, Challenge};
use crate::{Error, JoinArgs, identity};

/// How long an answer may take: the control plane asks STS meanwhile.
const LIMIT: Duration = Duration::from_secs(30);
/// The longest answer, in bytes.
const LONGEST: usize = 256 * 1024;

/// What joining gives.
#[derive(Clone, Debug)]
pub struct Joined {
    /// The certificate, in PEM.
    pub certificate: String,
    /// The CA of the control plane, in PEM.
    pub authority: String,
    /// How long the certificate is valid.
    pub valid: Duration,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    certificate: String,
    authority: String,
    valid_seconds: u64,
}

#[derive(Deserialize)]
struct Refusal {
    message: String,
}

/// Asks one control plane for one virtual node.
#[derive(Debug)]
pub struct Client {
    url: String,
    resource: String,
    sts_host: Option<String>,
    connector: SharedHttpConnector,
}

impl Client {
    /// A client as `args` say.
    ///
    /// # Errors
    /// The CA's file cannot be used.
    pub fn new(args: &JoinArgs) -> Result<Self, Error> {
        let context = args.ca_file.as_deref().map(context).transpose().map_err(Error::Authority)?;
        let connector = Connector::builder()
            .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
            .tls_context(context.unwrap_or_default())
            .build();
        Ok(Self {
            url: args.control_plane.to_string(),
            resource: args.resource.clone(),
            sts_host: args.sts_host.clone(),
            connector: SharedHttpConnector::new(connector),
        })
    }

    /// Joins with the public key `point`.
    ///
    /// # Errors
    /// [`Error::Join`], in the words of whoever refused.
    pub async fn join(&self, point: &[u8]) -> Result<Joined, Error> {
        let credentials = credentials().await?;
        let malformed = |what: &str| Error::Join(format!("the control plane's {what} cannot be read"));
        let purpose = serde_json::json!({ "resource": self.resource, "publicKey": STANDARD.encode(point) });
        let challenge = self.post("join/challenge", purpose.to_string()).await?;
        let challenge: Challenge = serde_json::from_slice(&challenge).map_err(|_| malformed("challenge"))?;
        challenge.is_for_sts(self.sts_host.as_deref()).map_err(Error::Join)?;
        let document = if challenge.identity_document { identity::document().await } else { None };
        let public_key = STANDARD.encode(point);
        let request = proof::request(&challenge, &self.resource, &public_key, credentials, SystemTime::now());
        let request = proof::JoinRequest { identity_document: document, ..request.map_err(Error::Join)? };
        let body = serde_json::to_string(&request).map_err(|error| Error::Join(error.to_string()))?;
        let answer = self.post("join", body).await?;
        let answer = serde_json::from_slice(&answer).map_err(|_| malformed("answer"))?;
        let Answer { certificate, authority, valid_seconds } = answer;
        Ok(Joined { certificate, authority, valid: Duration::from_secs(valid_seconds) })
    }

    async fn post(&self, what: &str, json: String) -> Result<Vec<u8>, Error> {
        let url = format!("{}/fleetmesh/v1/{what}", self.url);
        let failed = |why: String| Error::Join(format!("{} cannot be asked: {why}", self.url));
        let request = http::Request::post(&url).header("content-type", "application/json");
        let request = request.body(SdkBody::from(json)).map_err(|error| failed(error.to_string()))?;
        let request = HttpRequest::try_from(request).map_err(|error| failed(error.to_string()))?;
        let exchange = async {
            let answer = self.connector.call(request).await;
            let answer = answer.map_err(|error| fleetmesh_model::causes::in_one_line(&error))?;
            let status = answer.status().as_u16();
            let body = Limited::new(answer.into_body(), LONGEST).collect().await;
            Ok((status, body.map_err(|error| error.to_string())?.to_bytes().to_vec()))
        };
        let late = || failed(format!("no answer within {LIMIT:?}"));
        let (status, body) =
            tokio::time::timeout(LIMIT, exchange).await.map_err(|_| late())?.map_err(failed)?;
        if status == 200 {
            return Ok(body);
        }
        let said = serde_json::from_slice::<Refusal>(&body).map(|refusal| refusal.message);
        Err(Error::Join(said.unwrap_or_else(|_| {
            format!("{} answers with status {status}: it lets nobody join (--ca-key)", self.url)
        })))
    }
}

/// The credentials of this machine, anew each time: those of an instance change.
async fn credentials() -> Result<Credentials, Error> {
    let config = aws_config::defaults(BehaviorVersion::latest()).load().await;
    let none = || Error::Join("this machine has no AWS credentials: give the instance a role".into());
    let provider = config.credentials_provider().ok_or_else(none)?;
    let found = provider.provide_credentials().await;
    found.map_err(|error| {
        let why = fleetmesh_model::causes::in_one_line(&error);
        Error::Join(format!("this machine has no AWS credentials ({why}): give the instance a role"))
    })
}

/// TLS that trusts the CAs in `path` alone. The HTTP client panics on what is no certificate, so it is checked here.
fn context(path: &Path) -> Result<TlsContext, String> {
    let pem = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut roots = RootCertStore::empty();
    let mut certificates = CertificateDer::pem_slice_iter(&pem);
    let valid = certificates.all(|certificate| certificate.is_ok_and(|found| roots.add(found).is_ok()));
    if !valid || roots.is_empty() {
        return Err(format!("{}: it holds no certificate of a CA in PEM", path.display()));
    }
    let store = TrustStore::empty().with_pem_certificate(pem);
    TlsContext::builder().with_trust_store(store).build().map_err(|error| error.to_string())
}
