//! Tests of the files: what is wrong with them is said with the flag, and nothing of a key is shown.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use fleetmesh_tls::attacks;

use super::*;
use crate::certs::{Authority, Issued, Validity, new_authority};

fn identity() -> Identity {
    Identity::default()
}

fn files(folder: &Path) -> TlsFiles {
    let validity = Validity { now: SystemTime::now(), length: Duration::from_secs(3600) };
    let Issued { certificate, key } = new_authority("a CA", validity).expect("a CA");
    let authority = Authority::read(certificate.as_bytes(), &key).expect("readable");
    let server = authority.issue_server(&["localhost".into()], &[], validity).expect("issued");
    let write = |name: &str, content: &str| {
        let path = folder.join(name);
        fs::write(&path, content).expect("written");
        path
    };
    TlsFiles {
        certificate: write("tls.crt", &server.certificate),
        key: write("tls.key", server.key.reveal()),
        ca: Some(write("ca.crt", &certificate)),
    }
}

#[test]
fn files_that_cannot_be_used_are_named_with_their_flag() {
    let folder = tempfile::tempdir().expect("a folder");
    let good = files(folder.path());
    assert!(Tls::load(good.clone(), identity()).is_ok());
    let text = folder.path().join("text");
    fs::write(&text, "no PEM").expect("written");
    let absent = folder.path().join("absent");
    let foreign = folder.path().join("foreign");
    fs::create_dir(&foreign).expect("a folder");
    let foreign = files(&foreign);
    for (files, words) in [
        (TlsFiles { certificate: text.clone(), ..good.clone() }, "--tls-cert): it holds no certificate"),
        (TlsFiles { key: text.clone(), ..good.clone() }, "--tls-key): it holds no private key"),
        (TlsFiles { key: foreign.key, ..good.clone() }, "--tls-cert): with its key"),
        (TlsFiles { ca: Some(text), ..good.clone() }, "--ca-cert): it holds no certificate"),
        (TlsFiles { certificate: absent, ..good }, "--tls-cert): it does not exist"),
    ] {
        let error = Tls::load(files, identity()).expect_err(words).to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn whoever_sends_no_certificate_is_nobody() {
    let folder = tempfile::tempdir().expect("a folder");
    let material = Material::load(&files(folder.path())).expect("loaded");
    for chain in [None, Some(&[][..])] {
        let caller = material.caller(chain, &identity(), SystemTime::now());
        assert!(
            matches!(&caller, Caller::Unproven(reason) if reason == "no client certificate was sent"),
            "{caller:?}"
        );
    }
}

#[test]
fn an_instance_that_joins_again_is_the_same_holder_and_a_key_made_by_hand_is_another() {
    let validity = Validity { now: SystemTime::now(), length: Duration::from_secs(3600) };
    let Issued { certificate, key } = new_authority("a CA", validity).expect("a CA");
    let authority = Authority::read(certificate.as_bytes(), &key).expect("readable");
    let holder = |uris: Vec<String>| {
        let issued = authority.issue_client("x", &uris, validity).expect("issued");
        let der = CertificateDer::from_pem_slice(issued.certificate.as_bytes()).expect("PEM");
        Certificate::parse(&der, &identity()).expect("a certificate").holder
    };
    let arn = |node: &str| identity().arn(&fleetmesh_mesh::testing::node(node));
    let joined = |node: &str, session: &str| {
        holder([vec![arn(node)], fleetmesh_mesh::testing::session(session).uris()].concat())
    };
    // Each is for another key.
    assert_eq!(joined("a", "i-01234567"), joined("a", "i-01234567"));
    assert_ne!(joined("a", "i-01234567"), joined("b", "i-01234567"));
    assert_ne!(joined("a", "i-01234567"), joined("a", "i-01234568"));
    assert_ne!(holder(vec![arn("a")]), holder(vec![arn("a")]));
    assert_ne!(holder(vec![arn("a")]), joined("a", "i-01234567"));
}

/// A name of another account is another node's, and of one that is not served nobody's.
#[test]
fn a_certificate_is_for_nodes_of_the_accounts_that_its_names_have() {
    let validity = Validity { now: SystemTime::now(), length: Duration::from_secs(3600) };
    let Issued { certificate, key } = new_authority("a CA", validity).expect("a CA");
    let authority = Authority::read(certificate.as_bytes(), &key).expect("readable");
    let uris = ["111122223333", "444455556666", "777788889999"]
        .map(|account| format!("arn:aws:appmesh:us-west-2:{account}:mesh/apps/virtualNode/a"));
    let issued = authority.issue_client("x", &uris, validity).expect("issued");
    let der = CertificateDer::from_pem_slice(issued.certificate.as_bytes()).expect("PEM");
    let nodes = |identity: &Identity| {
        Certificate::parse(&der, identity).expect("a certificate").nodes.into_iter().collect::<Vec<_>>()
    };
    let own = fleetmesh_mesh::testing::node("a");
    assert_eq!(nodes(&identity()), std::slice::from_ref(&own));
    let other = "444455556666".parse().expect("an account");
    let several = Identity { others: [other].into(), ..identity() };
    assert_eq!(nodes(&several), [own.clone(), own.owned_by(fleetmesh_model::Account::Other(other))]);
}

/// A self-made chain costs seconds of path-building in webpki, which no time limit interrupts.
#[test]
fn no_path_is_looked_for_in_a_chain_that_is_longer_than_the_bound() {
    let folder = tempfile::tempdir().expect("a folder");
    let material = Material::load(&files(folder.path())).expect("loaded");
    let chain = attacks::endless().expect("a chain").certificates;
    let now = SystemTime::now();
    let caller = material.caller(Some(&chain), &identity(), now);
    let words = "at most 5 certificates and 16384 bytes are looked at";
    assert!(matches!(&caller, Caller::Unproven(reason) if reason.contains(words)), "{caller:?}");
    assert!(!material.trusts(&chain, now));
    // The dearest that is looked at: each of the paths among them leads to the CA that is trusted, and costs a signature.
    let dearest = attacks::among("a CA", fleetmesh_tls::MAX_BETWEEN).expect("a chain").certificates;
    let began = Instant::now();
    let caller = material.caller(Some(&dearest), &identity(), now);
    println!("the dearest chain within the bounds costs {:?}", began.elapsed());
    assert!(matches!(&caller, Caller::Unproven(reason) if !reason.contains("looked at")), "{caller:?}");
}
