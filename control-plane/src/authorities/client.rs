//! The one call of ACM PCA.

use std::time::Duration;

use fleetmesh_mesh::authorities::AuthorityArn;
use fleetmesh_signing::JsonOperation;
use serde_json::json;

use crate::aws::{CallLimits, JsonClient};

const GET_CERTIFICATE: JsonOperation = JsonOperation {
    service: "acm-pca",
    host: "acm-pca",
    service_id: "ACM PCA",
    target: "ACMPrivateCA.GetCertificateAuthorityCertificate",
};
/// How long a call may take, credentials included.
const LIMITS: CallLimits = CallLimits { attempt: Duration::from_secs(5), operation: Duration::from_secs(15) };
/// A certificate and its chain have 32 KiB and 2 MiB at the most; usual ones have less than 4 KiB together.
const LONGEST: usize = 64 * 1024;

/// A client of ACM PCA in every region.
#[derive(Debug)]
pub(super) struct AuthorityClient(JsonClient);

impl AuthorityClient {
    /// One with the credentials that the environment gives in AWS's usual ways, of `region` when it names none. Nothing is
    /// called yet.
    pub(super) fn new(region: String) -> Self {
        Self(JsonClient::new(region, LIMITS, LONGEST))
    }

    /// The certificate of the authority, in PEM: its own alone. What is above it in the hierarchy vouches for others as well.
    ///
    /// # Errors
    /// In words, in one line: no answer, one that refuses, or one without a certificate.
    pub(super) async fn certificate(&self, arn: &AuthorityArn) -> Result<String, String> {
        let input = json!({ "CertificateAuthorityArn": arn.as_str() });
        let answer = self.0.call(&GET_CERTIFICATE, arn.region(), &input).await;
        let answer = answer.map_err(|failure| failure.words)?;
        usable(answer["Certificate"].as_str().unwrap_or_default())
    }
}

/// `pem`, if proxies can trust by it: one certificate of an authority.
pub(super) fn usable(pem: &str) -> Result<String, String> {
    match fleetmesh_tls::roots(pem.as_bytes()) {
        Some(roots) if roots.len() == 1 => Ok(format!("{}\n", pem.trim_end())),
        Some(roots) => Err(format!("ACM PCA's answer has {} certificates for the authority", roots.len())),
        None => Err("ACM PCA's answer has no certificate of an authority in PEM".to_owned()),
    }
}
