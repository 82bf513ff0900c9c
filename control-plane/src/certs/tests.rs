//! Tests of the CA and of what it signs, judged as a listener judges it.

use std::time::{Duration, SystemTime};

use fleetmesh_model::ResourceId;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::*;
use crate::identity::Identity;
use crate::tls::{Certificate, verified};

const HOUR: Duration = Duration::from_secs(3600);
const ARN: &str = "arn:aws:appmesh:us-west-2:111122223333:mesh/apps/virtualNode/serviceB";

fn validity() -> Validity {
    Validity { now: SystemTime::now(), length: HOUR }
}

fn authority(name: &str) -> Authority {
    let Issued { certificate, key } = new_authority(name, validity()).expect("a CA");
    Authority::read(certificate.as_bytes(), &key).expect("readable")
}

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate")
}

#[test]
fn a_proxy_s_certificate_names_its_nodes_until_it_ends() {
    let authority = authority("a CA");
    let validity = validity();
    let issued = authority.issue_client("serviceB", &[ARN.into()], validity).expect("issued");
    let certificate = der(&issued.certificate);
    let judge = |now| verified(&authority.verifier, &certificate, &[], now);
    assert_eq!(judge(validity.now), Ok(()));
    assert_eq!(judge(validity.now + HOUR * 2), Err("the client certificate has expired".into()));
    assert_eq!(
        judge(validity.now - HOUR),
        Err("the client certificate is not valid yet: is a clock wrong?".into())
    );
    let identity =
        Identity { partition: "aws".into(), region: "us-west-2".into(), account: "111122223333".into() };
    let parsed = Certificate::parse(&certificate, &identity).expect("parsed");
    assert_eq!(parsed.nodes, [ResourceId::virtual_node("apps", "serviceB")].into());
    let off = (validity.now + HOUR).duration_since(parsed.not_after).expect("rounded down");
    assert!(off < Duration::from_secs(1), "{off:?}");
    let elsewhere = Identity { region: "eu-west-1".into(), ..identity };
    assert!(Certificate::parse(&certificate, &elsewhere).expect("parsed").nodes.is_empty());
}

#[test]
fn another_ca_and_another_purpose_are_refused() {
    let (ours, theirs) = (authority("a CA"), authority("a CA"));
    let judge = |pem: &str| verified(&ours.verifier, &der(pem), &[], SystemTime::now());
    let other = theirs.issue_client("serviceB", &[ARN.into()], validity()).expect("issued");
    assert_eq!(
        judge(&other.certificate),
        Err("the client certificate was not signed by a CA of --ca-cert".into())
    );
    let server = ours.issue_server(&["localhost".into()], &[], validity()).expect("issued");
    assert_eq!(judge(&server.certificate), Err("the client certificate is not one for clients".into()));
}

#[test]
fn a_ca_with_the_wrong_key_signs_nothing_and_no_key_is_shown() {
    let Issued { certificate, key } = new_authority("one", validity()).expect("a CA");
    let Issued { key: other, .. } = new_authority("two", validity()).expect("a CA");
    let mixed = Authority::read(certificate.as_bytes(), &other).expect("both can be read");
    let error = mixed.issue_client("serviceB", &[ARN.into()], validity()).expect_err("refused");
    assert!(matches!(error, CertificateError::Unfit(_)), "{error}");
    let authority = Authority::read(certificate.as_bytes(), &key).expect("readable");
    let body = key.reveal().lines().nth(1).expect("a line");
    let shown = format!("{authority:?}{:?}", authority.issue_client("x", &[ARN.into()], validity()));
    assert!(!shown.contains(body) && !shown.contains("PRIVATE"), "{shown}");
    assert_eq!(
        Authority::read(certificate.as_bytes(), &Secret::new("none")).expect_err("refused"),
        CertificateError::Key
    );
}
