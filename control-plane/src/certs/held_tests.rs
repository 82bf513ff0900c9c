//! Tests of a CA whose key KMS holds.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::runtime::Runtime;

use super::*;
use crate::kms::fake::FakeKey;
use crate::kms::{KmsError, Signing};

const ARN: &str = "arn:aws:appmesh:us-west-2:111122223333:mesh/apps/virtualNode/serviceB";

fn validity() -> Validity {
    Validity { now: SystemTime::now(), length: Duration::from_secs(3600) }
}

/// A key, and what waits for it.
fn held(runtime: &Runtime, id: &str, signing: Signing) -> (Arc<FakeKey>, KmsKeyHandle) {
    let key = FakeKey::new(id, signing);
    let held = KmsKeyHandle::new(Arc::clone(&key) as _, runtime.handle().clone());
    (key, held)
}

/// Judges the certificates in `pem`, a proxy's first, as a control plane that trusts `bundle` does.
fn judged(bundle: &str, pem: &str) -> Result<(), String> {
    let all = |pem: &str| -> Vec<CertificateDer<'static>> {
        CertificateDer::pem_slice_iter(pem.as_bytes()).map(|one| one.expect("a certificate")).collect()
    };
    let chain = all(pem);
    tls::verified(&tls::chain_verifier(all(bundle)).expect("CAs"), &chain[0], &chain[1..], SystemTime::now())
}

#[test]
fn a_ca_whose_key_kms_holds_signs_what_is_trusted_on_both_curves() {
    let runtime = Runtime::new().expect("a runtime");
    for signing in [Signing::EcdsaSha256, Signing::EcdsaSha384] {
        let (_, held) = held(&runtime, "one", signing);
        let root = new_authority_of(&held, "a CA", validity()).expect("a CA");
        let authority = Authority::read_held(root.as_bytes(), None, &held).expect("readable");
        let issued = authority.issue_client("serviceB", &[ARN.into()], validity()).expect("issued");
        assert_eq!(judged(&root, &issued.certificate), Ok(()), "{signing:?}");
        authority.issue_server(&["mesh.example".into()], &[], validity()).expect("issued");
        let refused = authority.issue_intermediate("x", validity()).expect_err("a CA of one");
        assert!(matches!(refused, CertificateError::Unfit(_)), "{refused}");
    }
}

#[test]
fn an_intermediate_whose_key_kms_holds_signs_for_a_root_that_is_offline() {
    let runtime = Runtime::new().expect("a runtime");
    let (key, held) = held(&runtime, "one", Signing::EcdsaSha256);
    let root = new_root("root", validity()).expect("a root");
    let offline = Authority::read(root.certificate.as_bytes(), &root.key).expect("readable");
    let signing = offline.issue_intermediate_of(&held, "signing", validity()).expect("an intermediate");
    assert_eq!(*key.asked.lock().expect("no panic"), 1, "for its public half, and for no signature");
    // Of two roots, one of which replaces the other.
    let other = new_root("root", validity()).expect("a root").certificate;
    let both = format!("{other}{}", root.certificate);
    let authority = Authority::read_held(both.as_bytes(), Some(signing.as_bytes()), &held).expect("readable");
    let issued = authority.issue_client("serviceB", &[ARN.into()], validity()).expect("issued");
    assert_eq!(judged(&root.certificate, &issued.certificate), Ok(()));
    let one = Authority::read(root.certificate.as_bytes(), &root.key).expect("readable");
    *key.away.lock().expect("no panic") = Some(KmsError::Failed("AccessDeniedException: no".into()));
    let error = one.issue_intermediate_of(&held, "x", validity()).expect_err("refused").to_string();
    assert!(error.contains("kms:GetPublicKey") && error.contains("AccessDeniedException: no"), "{error}");
}

#[test]
fn a_ca_is_read_while_kms_is_away_and_says_why_it_does_not_sign_until_kms_is_back() {
    let runtime = Runtime::new().expect("a runtime");
    let (key, held) = held(&runtime, "one", Signing::EcdsaSha256);
    let root = new_authority_of(&held, "a CA", validity()).expect("a CA");
    *key.away.lock().expect("no panic") = Some(KmsError::Failed("a fault of KMS".into()));
    *key.asked.lock().expect("no panic") = 0;
    let authority = Authority::read_held(root.as_bytes(), None, &held).expect("readable");
    assert_eq!(*key.asked.lock().expect("no panic"), 0, "KMS is not asked until something is signed");
    let issue = || authority.issue_client("serviceB", &[ARN.into()], validity());
    let expected = CertificateError::Kms { key: held.arn().to_string(), reason: "a fault of KMS".into() };
    assert_eq!(issue().map(drop), Err(expected.clone()));
    let server = authority.issue_server(&["mesh.example".into()], &[], validity());
    assert_eq!(server.map(drop), Err(expected));
    *key.away.lock().expect("no panic") = None;
    issue().expect("KMS is back");
}

#[test]
fn what_another_key_of_kms_signed_is_never_handed_out() {
    let runtime = Runtime::new().expect("a runtime");
    let (_, one) = held(&runtime, "one", Signing::EcdsaSha256);
    let (_, two) = held(&runtime, "two", Signing::EcdsaSha256);
    let (_, large) = held(&runtime, "large", Signing::EcdsaSha384);
    let root = new_authority_of(&one, "a CA", validity()).expect("a CA");
    let wrong = Authority::read_held(root.as_bytes(), None, &two).expect("readable");
    let expected = CertificateError::OtherKey { key: two.arn().to_string() };
    let client = wrong.issue_client("serviceB", &[ARN.into()], validity());
    assert_eq!(client.map(drop), Err(expected.clone()));
    let server = wrong.issue_server(&["mesh.example".into()], &[], validity());
    assert_eq!(server.map(drop), Err(expected));
    // One of another curve KMS itself refuses.
    let wrong = Authority::read_held(root.as_bytes(), None, &large).expect("readable");
    let error = wrong.issue_client("x", &[], validity()).expect_err("refused");
    assert!(matches!(error, CertificateError::Kms { .. }), "{error}");
}
