//! Secrets that come on the stream: they name files of the proxy's host or hold certificates of authorities, and nothing secret
//! themselves. Pure.
//!
//! A name says what the secret holds: another file is another secret, and a listener or a cluster that asks for it changes with
//! it. So nobody ever runs with half of a change.

use envoy_types::pb::envoy::config::core::v3::{DataSource, data_source};
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::{
    CertificateValidationContext, Secret, TlsCertificate, secret,
};
use fleetmesh_model::tls::{TlsFileCertificate, TlsFileTrust};

use super::names;
pub(super) use super::resource::hash;

/// A certificate with its key.
pub(super) fn certificate(file: &TlsFileCertificate) -> Secret {
    let TlsFileCertificate { certificate_chain, private_key } = file;
    let name = names::certificate_secret(&hash([certificate_chain.as_bytes(), private_key.as_bytes()]));
    let certificate = TlsCertificate {
        certificate_chain: path(certificate_chain),
        private_key: path(private_key),
        ..TlsCertificate::default()
    };
    Secret { name, r#type: Some(secret::Type::TlsCertificate(certificate)) }
}

/// The authorities that are trusted.
pub(super) fn trust(file: &TlsFileTrust) -> Secret {
    let TlsFileTrust { certificate_chain } = file;
    let context = CertificateValidationContext {
        trusted_ca: path(certificate_chain),
        ..CertificateValidationContext::default()
    };
    Secret {
        name: names::trust_secret(&hash([certificate_chain.as_bytes()])),
        r#type: Some(secret::Type::ValidationContext(context)),
    }
}

/// Authorities of ACM PCA: their certificates, in PEM.
pub(super) fn acm_trust(pem: String) -> Secret {
    let name = names::acm_trust_secret(&hash([pem.as_bytes()]));
    let source =
        DataSource { specifier: Some(data_source::Specifier::InlineString(pem)), ..DataSource::default() };
    let context =
        CertificateValidationContext { trusted_ca: Some(source), ..CertificateValidationContext::default() };
    Secret { name, r#type: Some(secret::Type::ValidationContext(context)) }
}

fn path(path: &str) -> Option<DataSource> {
    Some(DataSource {
        specifier: Some(data_source::Specifier::Filename(path.to_owned())),
        ..DataSource::default()
    })
}
