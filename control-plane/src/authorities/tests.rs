//! Tests of the file and of what is taken as a certificate. The reader is tested against moto, in `tests/tests/envoy/acm_pca.rs`.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use fleetmesh_mesh::authorities::Authority;
use fleetmesh_mesh::cloud_map::Discovered;

use super::client::usable;

fn certificate() -> String {
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut parameters = rcgen::CertificateParams::default();
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    parameters.self_signed(&key).expect("a certificate").pem()
}

#[test]
fn the_file_gives_back_the_certificates_and_no_failures() {
    let folder = tempfile::tempdir().expect("a directory");
    let path = folder.path().join(super::file::NAME);
    let mut known = Discovered::default();
    super::file::load(&path, &mut known).expect("no file is no error");
    let pem: Arc<str> = usable(&certificate()).expect("usable").into();
    assert!(known.enter_authority("a", Authority::Certificate(Arc::clone(&pem))));
    assert!(known.enter_authority("b", Authority::Failed("x".into())));
    super::file::save(&path, &known).expect("saved");
    let mut loaded = Discovered::default();
    super::file::load(&path, &mut loaded).expect("loaded");
    assert_eq!(loaded.authority("a"), Some(&pem));
    assert_eq!((loaded.authorities().count(), loaded.authority_failure("b")), (1, None));
    assert_eq!(std::fs::metadata(&path).expect("the file").permissions().mode() & 0o777, 0o600);
    std::fs::write(&path, r#"[{"arn": "a", "certificate": "none"}]"#).expect("written");
    assert!(super::file::load(&path, &mut loaded).is_err());
}

#[test]
fn what_is_not_one_certificate_of_an_authority_is_trusted_by_nobody() {
    let pem = certificate();
    assert_eq!(usable(&pem).expect("usable").trim_end(), pem.trim_end());
    for text in [
        "",
        "-----BEGIN CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        let error = usable(text).expect_err(text);
        assert!(error.contains("no certificate of an authority"), "{error}");
    }
    let error = usable(&format!("{pem}{}", certificate())).expect_err("two");
    assert!(error.contains("2 certificates"), "{error}");
}
