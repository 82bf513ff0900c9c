//! Tests of the CA and of what it signs, verified as a listener verifies it.

use std::time::{Duration, SystemTime};

use fleetmesh_mesh::identity::Identity;
use fleetmesh_model::ResourceId;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::*;
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
    let identity = Identity::default();
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

/// The serial number of a certificate: in it after the version.
fn serial_of(pem: &str) -> Vec<u8> {
    let certificate = der(pem);
    let (outer, _) = tlv(&certificate);
    let (tbs, _) = tlv(outer);
    let (_, rest) = tlv(tbs);
    tlv(rest).0.to_vec()
}

/// The content of the first element of DER, and what follows it.
fn tlv(der: &[u8]) -> (&[u8], &[u8]) {
    let (start, length) = match der[1] {
        long @ 0x81..=0x84 => {
            let count = usize::from(long & 0x7f);
            let length = der[2..2 + count].iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
            (2 + count, length)
        }
        short => (2, usize::from(short)),
    };
    (&der[start..start + length], &der[start + length..])
}

#[test]
fn serials_are_random_and_none_repeats_for_the_same_key() {
    let authority = authority("a CA");
    let key = rcgen::KeyPair::generate().expect("a key");
    let issue = |_| authority.sign_client("x", &[ARN.into()], &key, validity()).expect("issued");
    let serials: std::collections::BTreeSet<Vec<u8>> =
        (0..20).map(issue).map(|pem| serial_of(&pem)).collect();
    assert_eq!(serials.len(), 20);
    let long = serials.iter().filter(|serial| serial.len() >= 16).count();
    assert!(long >= 15, "128 bits but for leading zeros: {serials:02x?}");
}

/// A root of this name, and an intermediate of it.
fn two_tiers(name: &str) -> (Issued, Issued) {
    let root = new_root(name, Validity { now: SystemTime::now(), length: HOUR * 9 }).expect("a root");
    let authority = Authority::read(root.certificate.as_bytes(), &root.key).expect("readable");
    let signing = authority.issue_intermediate("signing", validity()).expect("an intermediate");
    (root, signing)
}

fn reads(bundle: &str, signing: &Issued) -> Authority {
    let chain = Some(signing.certificate.as_bytes());
    Authority::read_with(bundle.as_bytes(), chain, &signing.key).expect("readable")
}

/// Judges the certificates in `pem`, a proxy's first, as a control plane that trusts `bundle` does.
fn judged(bundle: &str, pem: &str) -> Result<(), String> {
    let all = |pem: &str| -> Vec<CertificateDer<'static>> {
        CertificateDer::pem_slice_iter(pem.as_bytes()).map(|one| one.expect("a certificate")).collect()
    };
    let verifier = tls::chain_verifier(all(bundle)).expect("CAs");
    let chain = all(pem);
    verified(&verifier, &chain[0], &chain[1..], SystemTime::now())
}

#[test]
fn an_intermediate_signs_for_a_root_whose_key_is_elsewhere() {
    let (root, signing) = two_tiers("root");
    let authority = reads(&root.certificate, &signing);
    let issued = authority.issue_client("serviceB", &[ARN.into()], validity()).expect("issued");
    assert_eq!(judged(&root.certificate, &issued.certificate), Ok(()));
    let leaf = issued.certificate.split_inclusive("-----END CERTIFICATE-----").next().expect("a leaf");
    assert!(judged(&root.certificate, leaf).is_err(), "the chain is needed");
    // The intermediate signs no CA, and neither does a CA of one.
    let error = authority.issue_intermediate("third", validity()).expect_err("refused");
    assert!(matches!(error, CertificateError::Unfit(_)), "{error}");
    let one = self::authority("one");
    assert!(matches!(one.issue_intermediate("x", validity()), Err(CertificateError::Unfit(_))));
}

#[test]
fn while_one_root_replaces_another_what_either_signed_is_trusted() {
    let ((old_root, old), (new_root, new)) = (two_tiers("fleetmesh"), two_tiers("fleetmesh"));
    let issue = |authority: &Authority| {
        authority.issue_client("serviceB", &[ARN.into()], validity()).expect("issued").certificate
    };
    for both in [
        format!("{}{}", old_root.certificate, new_root.certificate),
        format!("{}{}", new_root.certificate, old_root.certificate),
    ] {
        for signing in [&old, &new] {
            let authority = reads(&both, signing);
            assert_eq!(judged(&both, &issue(&authority)), Ok(()));
            assert_eq!(authority.certificate(), both, "proxies get both");
        }
    }
    let by_old = issue(&reads(&old_root.certificate, &old));
    assert!(judged(&new_root.certificate, &by_old).is_err(), "once the old root is taken out");
}

#[test]
fn the_key_says_which_certificate_of_a_bundle_signs() {
    let (one, two) = (new_authority("one", validity()), new_authority("two", validity()));
    let (one, two) = (one.expect("a CA"), two.expect("a CA"));
    let both = format!("{}{}", one.certificate, two.certificate);
    let authority = Authority::read(both.as_bytes(), &two.key).expect("readable");
    let issued = authority.issue_client("x", &[ARN.into()], validity()).expect("issued");
    assert_eq!(judged(&two.certificate, &issued.certificate), Ok(()));
    assert!(judged(&one.certificate, &issued.certificate).is_err());
}

#[test]
fn nothing_outlives_the_certificate_that_signs_it() {
    let authority = authority("a CA");
    let longer = Validity { now: SystemTime::now(), length: HOUR * 2 };
    let error = authority.check_end(longer).expect_err("refused").to_string();
    assert!(error.contains("after the CA that signs it"), "{error}");
    assert_eq!(authority.check_end(Validity { length: HOUR / 2, ..longer }), Ok(()));
    // Who joins is not refused for it, but gets a certificate that ends as early.
    let capped = authority.capped(longer);
    assert!(capped.length <= HOUR && capped.length > HOUR - Duration::from_secs(60), "{capped:?}");
    assert_eq!(authority.check_end(capped), Ok(()));
    assert_eq!(authority.capped(Validity { length: HOUR / 2, ..longer }).length, HOUR / 2);
    let later = Validity { now: longer.now + HOUR * 3, ..longer };
    assert_eq!(authority.capped(later).length, Duration::ZERO);
}

#[test]
fn names_of_servers_are_names_of_hosts() {
    let authority = authority("a CA");
    for name in ["mesh.example", "*.mesh.example", "localhost"] {
        authority.issue_server(&[name.into()], &[], validity()).expect(name);
    }
    for name in ["", "a b", "*", "*.*.example", "https://mesh.example", "mesh.example:9443", "ü.example"] {
        assert!(authority.issue_server(&[name.into()], &[], validity()).is_err(), "{name}");
    }
}

/// A request for `names` by whoever has `key`.
fn csr(key: &rcgen::KeyPair, names: &[rcgen::SanType], authority: bool) -> String {
    let mut params = rcgen::CertificateParams::default();
    params.subject_alt_names = names.to_vec();
    if authority {
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    }
    params.serialize_request(key).expect("a request").pem().expect("PEM")
}

#[test]
fn a_request_is_read_when_its_sender_has_the_key() {
    let uri = || rcgen::SanType::URI(ARN.try_into().expect("ASCII"));
    let dns = || rcgen::SanType::DnsName("mesh.example".try_into().expect("ASCII"));
    for algorithm in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384] {
        let key = rcgen::KeyPair::generate_for(algorithm).expect("a key");
        assert!(SigningRequest::read(csr(&key, &[], false).as_bytes()).expect("read").names.is_empty());
        let names = [uri(), dns(), rcgen::SanType::IpAddress([127, 0, 0, 1].into())];
        let request = SigningRequest::read(csr(&key, &names, false).as_bytes()).expect("read");
        let expected =
            [Name::Dns("mesh.example".into()), Name::Address([127, 0, 0, 1].into()), Name::Uri(ARN.into())];
        assert_eq!(request.names, expected.into());
        let authority = authority("a CA");
        let signed = authority.sign_client("x", &[ARN.into()], &request.key, validity()).expect("signed");
        let certified = der(&signed);
        let certified = webpki::EndEntityCert::try_from(&certified).expect("a certificate");
        assert_eq!(
            *certified.subject_public_key_info(),
            *rcgen::PublicKeyData::subject_public_key_info(&key)
        );
    }
    let other = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("a key");
    let error = SigningRequest::read(csr(&other, &[], false).as_bytes()).expect_err("refused");
    assert!(error.contains("is not one of ECDSA on P-256 or P-384"), "{error}");
    let key = rcgen::KeyPair::generate().expect("a key");
    let error = SigningRequest::read(csr(&key, &[], true).as_bytes()).expect_err("refused");
    assert_eq!(error, "it asks for a CA's certificate");
}

#[test]
fn a_request_for_somebody_elses_key_is_refused() {
    let (own, stolen) = (rcgen::KeyPair::generate(), rcgen::KeyPair::generate());
    let (own, stolen) = (own.expect("a key"), stolen.expect("a key"));
    let request = csr(&own, &[], false);
    let mut der = rustls::pki_types::CertificateSigningRequestDer::from_pem_slice(request.as_bytes())
        .expect("a request")
        .to_vec();
    let point = rcgen::PublicKeyData::der_bytes(&own);
    let at = der.windows(point.len()).position(|bytes| bytes == point).expect("the key");
    der[at..at + point.len()].copy_from_slice(rcgen::PublicKeyData::der_bytes(&stolen));
    let error = SigningRequest::parse(&der).expect_err("refused");
    assert_eq!(error, "it was not signed with the key that it is about");
    // No altered request passes, and none does harm.
    let good = rustls::pki_types::CertificateSigningRequestDer::from_pem_slice(request.as_bytes());
    let good = good.expect("a request").to_vec();
    assert!(SigningRequest::parse(&good).is_ok());
    for index in 0..good.len() {
        for bit in [1, 0x20, 0x80] {
            let mut altered = good.clone();
            altered[index] ^= bit;
            assert!(SigningRequest::parse(&altered).is_err(), "byte {index}");
        }
        assert!(SigningRequest::parse(&good[..index]).is_err(), "cut at {index}");
    }
}

#[test]
fn a_key_that_is_no_point_of_the_curve_is_not_certified() {
    let key = rcgen::KeyPair::generate().expect("a key");
    let point = rcgen::PublicKeyData::der_bytes(&key);
    assert!(PublicKey::p256(point).is_ok());
    let mut off = point.to_vec();
    off[64] ^= 1;
    assert_eq!(PublicKey::p256(&off), Err("the key is no point of its curve".into()));
    let zero = [&[4][..], &[0; 64]].concat();
    for bytes in [&[][..], &point[1..], &zero, &[0], &[4; 65]] {
        assert!(PublicKey::p256(bytes).is_err(), "{bytes:?}");
    }
}
