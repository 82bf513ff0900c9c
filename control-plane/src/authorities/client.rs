//! The one call of ACM PCA, by a signed request: the SDK's crate for it would take minutes to compile.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::meta::region::RegionProviderChain;
use aws_smithy_runtime_api::client::http::SharedHttpConnector;
use aws_types::region::Region;
use fleetmesh_mesh::authorities::AuthorityArn;
use fleetmesh_model::foreign::printable;
use fleetmesh_signing::{Bounds, JsonOperation};
use serde_json::json;
use tokio::sync::OnceCell;

use crate::aws::{self, CallLimits};

const GET_CERTIFICATE: JsonOperation = JsonOperation {
    service: "acm-pca",
    service_id: "ACM PCA",
    target: "ACMPrivateCA.GetCertificateAuthorityCertificate",
};
/// A certificate and its chain have 32 KiB and 2 MiB at the most; usual ones have less than 4 KiB together.
const BOUNDS: Bounds = Bounds { limit: Duration::from_secs(5), longest: 64 * 1024 };
/// How long credentials and the answer may take together.
const LIMIT: Duration = Duration::from_secs(15);
/// How long calls for credentials may take.
const LIMITS: CallLimits = CallLimits { attempt: Duration::from_secs(4), operation: Duration::from_secs(10) };

/// A client of ACM PCA in every region.
#[derive(Debug)]
pub(super) struct AuthorityClient {
    /// The region of the credentials when the environment names none.
    region: String,
    config: OnceCell<SdkConfig>,
    connector: SharedHttpConnector,
}

impl AuthorityClient {
    /// One with the credentials that the environment gives in AWS's usual ways. Nothing is called yet.
    pub(super) fn new(region: String) -> Self {
        Self { region, config: OnceCell::new(), connector: aws::connector() }
    }

    /// The certificate of the authority, in PEM: its own alone. What is above it in the hierarchy vouches for others as well.
    ///
    /// # Errors
    /// In words, in one line: no answer, one that refuses, or one without a certificate.
    pub(super) async fn certificate(&self, arn: &AuthorityArn) -> Result<String, String> {
        let input = json!({ "CertificateAuthorityArn": arn.as_str() });
        let call = async {
            let config = self.config.get_or_init(|| connect(&self.region)).await;
            GET_CERTIFICATE.call(config, arn.region(), &self.connector, &input, BOUNDS).await
        };
        let late = |_| format!("no answer within {LIMIT:?}");
        let answer = tokio::time::timeout(LIMIT, call).await.map_err(late)?;
        let answer = answer.map_err(|error| printable(&error.to_string()))?;
        usable(answer["Certificate"].as_str().unwrap_or_default())
    }
}

async fn connect(region: &str) -> SdkConfig {
    let region = RegionProviderChain::default_provider().or_else(Region::new(region.to_owned()));
    aws::config(LIMITS, region).await
}

/// `pem`, if proxies can trust by it: one certificate of an authority.
pub(super) fn usable(pem: &str) -> Result<String, String> {
    match fleetmesh_tls::roots(pem.as_bytes()) {
        Some(roots) if roots.len() == 1 => Ok(format!("{}\n", pem.trim_end())),
        Some(roots) => Err(format!("ACM PCA's answer has {} certificates for the authority", roots.len())),
        None => Err("ACM PCA's answer has no certificate of an authority in PEM".to_owned()),
    }
}
