//! Secrets that come on the stream: they name files of the proxy's host or hold certificates of authorities, and nothing secret
//! themselves. Pure.
//!
//! A name says what the secret holds: another file is another secret, and a listener or a cluster that asks for it changes with
//! it. So nobody ever runs with half of a change.
//!
//! Envoy reads the files when the secret that names them is another one than it got last, byte for byte; one that it rejected because
//! a file was not there it acknowledges when it gets the same again, and reads nothing. So what is sent again is [`reworded`].

use envoy_types::pb::envoy::config::core::v3::{DataSource, data_source};
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::{
    CertificateValidationContext, Secret, TlsCertificate, secret,
};
use envoy_types::pb::google::protobuf::{Any, UInt32Value};
use fleetmesh_model::tls::{TlsFileCertificate, TlsFileTrust};
use prost::Message;

use super::names;
pub(super) use super::resource::hash;
use super::resource::{Encoded, Resource, ResourceType, encoded};

/// How many certificates a chain may have at most beside both its ends where a secret does not say it: no real one has as many, so
/// a greater bound is the same.
const DEEPEST: u32 = 100;
/// How many bounds above that distinguish wordings.
const DEPTHS: u32 = 1_000_000_000;

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

/// The secret `resource` in other words, which mean the same; `number` distinguishes them. `None` for what names no file, such as the
/// authorities of ACM PCA: whether Envoy accepts that does not change with time.
pub fn reworded(resource: &Resource, number: u32) -> Option<Encoded> {
    let any = Any::decode(resource.body().clone()).ok()?;
    if any.type_url != ResourceType::Secret.url() {
        return None;
    }
    let mut secret = Secret::decode(any.value.as_slice()).ok()?;
    match secret.r#type.as_mut()? {
        secret::Type::TlsCertificate(certificate) if is_file(certificate.certificate_chain.as_ref()) => {
            // Envoy has this member and no use for it.
            let unused = data_source::Specifier::InlineString(number.to_string());
            let unused = DataSource { specifier: Some(unused), ..DataSource::default() };
            certificate.signed_certificate_timestamp = vec![unused];
        }
        secret::Type::ValidationContext(context) if is_file(context.trusted_ca.as_ref()) => {
            context.max_verify_depth = Some(UInt32Value { value: DEEPEST + number % DEPTHS });
        }
        _ => return None,
    }
    Some(Encoded::new(&resource.name, &resource.version, encoded(&secret)))
}

fn is_file(source: Option<&DataSource>) -> bool {
    source.is_some_and(|source| matches!(source.specifier, Some(data_source::Specifier::Filename(_))))
}

fn path(path: &str) -> Option<DataSource> {
    Some(DataSource {
        specifier: Some(data_source::Specifier::Filename(path.to_owned())),
        ..DataSource::default()
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn resource(secret: &Secret) -> Resource {
        Resource::new(secret.name.clone(), secret, BTreeSet::new(), BTreeSet::new())
    }

    #[test]
    fn other_words_for_files_differ_in_bytes_and_not_in_name_version_or_files() {
        let file = |path: &str| TlsFileTrust { certificate_chain: path.into() };
        let pair = TlsFileCertificate { certificate_chain: "/a.pem".into(), private_key: "/a.key".into() };
        for secret in [certificate(&pair), trust(&file("/ca.pem"))] {
            let resource = resource(&secret);
            let words = [1, 2, u32::MAX].map(|number| reworded(&resource, number).expect("files").any);
            let all: BTreeSet<_> = words.iter().chain([resource.body()]).collect();
            assert_eq!(all.len(), 4, "each differs");
            for words in words {
                let any = Any::decode(words).expect("an Any");
                let mut read = Secret::decode(any.value.as_slice()).expect("a secret");
                match read.r#type.as_mut().expect("a type") {
                    secret::Type::TlsCertificate(read) => read.signed_certificate_timestamp.clear(),
                    secret::Type::ValidationContext(read) => {
                        assert!(read.max_verify_depth.take().expect("a bound").value >= DEEPEST);
                    }
                    other => panic!("{other:?}"),
                }
                assert_eq!(read, secret);
            }
        }
        assert!(reworded(&resource(&acm_trust("PEM".into())), 1).is_none(), "no file");
    }
}
