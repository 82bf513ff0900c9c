//! TLS of listeners and of clients. Pure data.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// TLS of a listener (App Mesh `ListenerTls`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListenerTls {
    /// The certificate the listener shows.
    pub certificate: ListenerTlsCertificate,
    /// Whether clients must use TLS.
    pub mode: ListenerTlsMode,
    /// How certificates of clients are verified; none are asked for when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation: Option<ListenerTlsValidationContext>,
}

/// Whether a listener demands TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schemars(transform = crate::schema::plain_enum)]
pub enum ListenerTlsMode {
    /// TLS only.
    Strict,
    /// TLS or plaintext.
    Permissive,
    /// Plaintext only.
    Disabled,
}

/// Where a listener's certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = crate::schema::union)]
pub enum ListenerTlsCertificate {
    /// AWS Certificate Manager.
    Acm(ListenerTlsAcmCertificate),
    /// Files on the proxy's host.
    File(TlsFileCertificate),
    /// The proxy's secret discovery service.
    Sds(TlsSdsCertificate),
}

/// A certificate in AWS Certificate Manager.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListenerTlsAcmCertificate {
    /// The ARN of the certificate.
    #[schemars(length(max = 2048))]
    pub certificate_arn: String,
}

/// A certificate in files (App Mesh `ListenerTlsFileCertificate`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TlsFileCertificate {
    /// The file of the certificate chain, 1 to 255 characters.
    #[schemars(length(min = 1, max = 255))]
    pub certificate_chain: String,
    /// The file of the private key, 1 to 255 characters.
    #[schemars(length(min = 1, max = 255))]
    pub private_key: String,
}

/// A certificate by secret discovery (App Mesh `ListenerTlsSdsCertificate`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TlsSdsCertificate {
    /// The name of the secret.
    #[schemars(length(max = 1024))]
    pub secret_name: String,
}

/// How a listener verifies clients.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListenerTlsValidationContext {
    /// The names a client's certificate may have; any when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject_alternative_names: Option<SubjectAlternativeNames>,
    /// The authorities that are trusted.
    pub trust: ListenerTlsValidationContextTrust,
}

/// The authorities a listener trusts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = crate::schema::union)]
pub enum ListenerTlsValidationContextTrust {
    /// A file on the proxy's host.
    File(TlsFileTrust),
    /// The proxy's secret discovery service.
    Sds(TlsSdsTrust),
}

/// Trust in the authorities of a file (App Mesh `TlsValidationContextFileTrust`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TlsFileTrust {
    /// The file of the authorities' certificates, 1 to 255 characters.
    #[schemars(length(min = 1, max = 255))]
    pub certificate_chain: String,
}

/// Trust in the authorities of a secret (App Mesh `TlsValidationContextSdsTrust`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TlsSdsTrust {
    /// The name of the secret.
    #[schemars(length(max = 1024))]
    pub secret_name: String,
}

/// Trust in private authorities of ACM (App Mesh `TlsValidationContextAcmTrust`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TlsAcmTrust {
    /// The ARNs of the authorities, 1 to 3.
    #[schemars(length(min = 1, max = 3), inner(length(max = 2048)))]
    pub certificate_authority_arns: Vec<String>,
}

/// The names a certificate may have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SubjectAlternativeNames {
    /// How the names are compared.
    #[serde(rename = "match")]
    pub matchers: SubjectAlternativeNameMatchers,
}

/// How names of a certificate are compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SubjectAlternativeNameMatchers {
    /// Names that match exactly, each 1 to 254 characters; at most 100 (bound: CEL cost).
    #[schemars(length(max = 100), inner(length(min = 1, max = 254)))]
    pub exact: Vec<String>,
}

/// How a client connects to backends (App Mesh `ClientPolicy`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClientPolicy {
    /// TLS towards the backends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<ClientPolicyTls>,
}

/// TLS towards backends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClientPolicyTls {
    /// The certificate the client shows; none when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<ClientTlsCertificate>,
    /// Whether TLS is demanded; true when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enforce: Option<bool>,
    /// The ports it is demanded on; all when absent; at most 100 (bound: CEL cost).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100), inner(range(min = 1, max = 65535)))]
    pub ports: Option<Vec<i32>>,
    /// How the backend's certificate is verified.
    pub validation: TlsValidationContext,
}

/// Where a client's certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = crate::schema::union)]
pub enum ClientTlsCertificate {
    /// Files on the proxy's host.
    File(TlsFileCertificate),
    /// The proxy's secret discovery service.
    Sds(TlsSdsCertificate),
}

/// How a client verifies backends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TlsValidationContext {
    /// The names a backend's certificate may have; any when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject_alternative_names: Option<SubjectAlternativeNames>,
    /// The authorities that are trusted.
    pub trust: TlsValidationContextTrust,
}

/// The authorities a client trusts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = crate::schema::union)]
pub enum TlsValidationContextTrust {
    /// Private authorities of AWS Certificate Manager.
    Acm(TlsAcmTrust),
    /// A file on the proxy's host.
    File(TlsFileTrust),
    /// The proxy's secret discovery service.
    Sds(TlsSdsTrust),
}
