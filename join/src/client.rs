//! The conversation with the control plane, over HTTPS.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_config::BehaviorVersion;
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use fleetmesh_api::error::ErrorBody;
use fleetmesh_api::join::{Challenge, ChallengeRequest, JoinAnswer, JoinRequest, MeshCertificate};
use fleetmesh_api::urls;
use fleetmesh_instance::bootstrap::ControlPlaneAddress;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use serde::Serialize;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use crate::{Error, JoinerConfig, identity, proof};

/// How long an answer may take: the control plane asks STS meanwhile.
const LIMIT: Duration = Duration::from_secs(30);
/// The longest answer, in bytes.
const LONGEST: usize = 256 * 1024;

/// What joining gives.
#[derive(Clone, Debug)]
pub struct JoinedAs {
    /// The certificate, in PEM.
    pub certificate: String,
    /// The CA of the control plane, in PEM.
    pub authority: String,
    /// How long the certificates are valid.
    pub valid: Duration,
    /// The certificate for connections between proxies, of the same key; none where the control plane gives none.
    pub mesh: Option<MeshCertificate>,
}

/// Asks one control plane for one virtual node.
#[derive(Debug)]
pub struct JoinClient {
    url: String,
    host: String,
    port: u16,
    resource: String,
    sts_host: Option<String>,
    tls: Arc<ClientConfig>,
}

impl JoinClient {
    /// A client as `config` says.
    ///
    /// # Errors
    /// The CA's file cannot be used.
    pub fn new(config: &JoinerConfig) -> Result<Self, Error> {
        let ControlPlaneAddress::Tls { host, port } = &config.control_plane else {
            return Err(Error::Join(format!("{}: it has to be https://HOST:PORT", config.control_plane)));
        };
        let roots = match &config.ca_file {
            Some(path) => trusted(path).map_err(Error::Authority)?,
            None => system()?,
        };
        Ok(Self {
            url: config.control_plane.to_string(),
            host: host.clone(),
            port: *port,
            resource: config.resource.clone(),
            sts_host: config.sts_host.clone(),
            tls: tls(roots).map_err(|error| Error::Join(error.to_string()))?,
        })
    }

    /// Joins with the public key `point`.
    ///
    /// # Errors
    /// [`Error::Join`], in the words of whoever refused.
    pub async fn join(&self, point: &[u8]) -> Result<JoinedAs, Error> {
        let credentials = credentials().await?;
        let malformed = |what: &str| Error::Join(format!("the control plane's {what} cannot be read"));
        let public_key = STANDARD.encode(point);
        let challenge = self.post(urls::JOIN_CHALLENGE, &self.challenge_request(&public_key)).await?;
        let challenge: Challenge = serde_json::from_slice(&challenge).map_err(|_| malformed("challenge"))?;
        proof::is_for_sts(&challenge, self.sts_host.as_deref()).map_err(Error::Join)?;
        let document = if challenge.identity_document { identity::document().await } else { None };
        let request = proof::request(&challenge, &self.resource, &public_key, credentials, SystemTime::now());
        let request = JoinRequest { identity_document: document, ..request.map_err(Error::Join)? };
        let answer = self.post(urls::JOIN, &request).await?;
        let answer = serde_json::from_slice(&answer).map_err(|_| malformed("answer"))?;
        let JoinAnswer { certificate, authority, valid_seconds, mesh } = answer;
        Ok(JoinedAs { certificate, authority, valid: Duration::from_secs(valid_seconds), mesh })
    }

    fn challenge_request(&self, public_key: &str) -> ChallengeRequest {
        ChallengeRequest { public_key: Some(public_key.to_owned()), resource: Some(self.resource.clone()) }
    }

    async fn post(&self, path: &str, body: &impl Serialize) -> Result<Vec<u8>, Error> {
        let json = serde_json::to_string(body).map_err(|error| Error::Join(error.to_string()))?;
        let failed = |why: String| Error::Join(format!("{} cannot be asked: {why}", self.url));
        let exchange = tokio::time::timeout(LIMIT, self.exchange(path, json));
        let late = || failed(format!("no answer within {LIMIT:?}"));
        let (status, body) = exchange.await.map_err(|_| late())?.map_err(failed)?;
        if status == 200 {
            return Ok(body);
        }
        let said = serde_json::from_slice::<ErrorBody>(&body).map(|error| error.message);
        Err(Error::Join(said.unwrap_or_else(|_| {
            format!("{} answers with status {status}: joining is not enabled there (--ca-key)", self.url)
        })))
    }
}

impl JoinClient {
    /// The status and the body of an answer.
    async fn exchange(&self, path: &str, json: String) -> Result<(u16, Vec<u8>), String> {
        fn words(error: &(dyn std::error::Error + 'static)) -> String {
            fleetmesh_model::causes::in_one_line(error)
        }
        let authority = self.url.trim_start_matches("https://");
        let request = http::Request::post(path)
            .header("host", authority)
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(json)))
            .map_err(|error| words(&error))?;
        let name = ServerName::try_from(self.host.clone()).map_err(|error| words(&error))?;
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await;
        let stream = stream.map_err(|error| words(&error))?;
        let stream = TlsConnector::from(Arc::clone(&self.tls)).connect(name, stream).await;
        let stream = stream.map_err(|error| words(&error))?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| words(&error))?;
        // It ends with this exchange.
        let mut driver = JoinSet::new();
        driver.spawn(connection);
        let answer = sender.send_request(request).await.map_err(|error| words(&error))?;
        let status = answer.status().as_u16();
        let body = Limited::new(answer.into_body(), LONGEST).collect().await;
        Ok((status, body.map_err(|error| error.to_string())?.to_bytes().to_vec()))
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

/// TLS whose servers lead to `roots`, by chains of a bounded cost: whoever answers may be anybody.
fn tls(roots: RootCertStore) -> Result<Arc<ClientConfig>, rustls::Error> {
    let mut config = fleetmesh_tls::trusting(roots)?.with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// The CAs that this system trusts.
///
/// # Errors
/// There is none.
fn system() -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(Error::Join("this system trusts no CA: name the control plane's with --ca-file".into()));
    }
    Ok(roots)
}

/// The CAs in `path`.
fn trusted(path: &Path) -> Result<RootCertStore, String> {
    let pem = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    fleetmesh_tls::roots(&pem)
        .ok_or_else(|| format!("{}: it holds no certificate of a CA in PEM", path.display()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use fleetmesh_tls::attacks;

    use super::*;

    /// No time limit would end the path-building of one handshake.
    #[test]
    fn a_server_whose_chain_has_paths_without_number_is_refused_before_one_is_looked_for() {
        let mut roots = RootCertStore::empty();
        roots.add(attacks::among("a", 1).unwrap().certificates.remove(1)).unwrap();
        let said = attacks::shown_to(tls(roots).unwrap(), attacks::endless().unwrap()).unwrap();
        let why = said.unwrap().to_string();
        assert!(why.contains("at most 5 certificates and 16384 bytes are looked at"), "{why}");
    }
}
