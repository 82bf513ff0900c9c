//! Tests of the commands: their certificates are verified as a listener verifies them.

use std::time::SystemTime;

use fleetmesh_control_plane::tls::{chain_verifier, verified};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::*;

/// Judges the certificates in `pem`, a proxy's first, as a control plane that trusts `bundle` does.
fn judged(bundle: &str, pem: &str) -> Result<(), String> {
    let all = |pem: &str| -> Vec<CertificateDer<'static>> {
        CertificateDer::pem_slice_iter(pem.as_bytes()).map(|one| one.expect("a certificate")).collect()
    };
    let verifier = chain_verifier(all(bundle)).expect("CAs");
    let chain = all(pem);
    verified(&verifier, &chain[0], &chain[1..], SystemTime::now())
}

/// `fleetmesh certs` with these arguments.
fn certs(arguments: &[&str]) -> Result<(), String> {
    #[derive(clap::Parser)]
    struct Cli {
        #[command(subcommand)]
        command: CertsCommand,
    }
    let cli = <Cli as clap::Parser>::try_parse_from([&["certs"], arguments].concat());
    let command = cli.map_err(|error| error.to_string())?.command;
    run(command, SystemTime::now(), &mut Vec::new()).map_err(|error| error.to_string())
}

#[test]
fn a_certificate_is_signed_for_a_key_that_stays_where_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let read = |name: &str| std::fs::read_to_string(path(name)).expect(name);
    certs(&["init", "--out-dir", &path("ca")]).expect("a CA");
    assert!(
        certs(&["init", "--out-dir", &path("ca")]).expect_err("refused").contains("a CA is not replaced")
    );
    let (ca, signing, key) = (path("ca/root.crt"), path("ca/signing.crt"), path("ca/signing.key"));
    let csr = path("node/tls.csr");
    let sign = |more: &[&str]| {
        let signer = ["sign", "--ca-cert", &ca, "--signing-cert", &signing, "--ca-key", &key];
        certs(&[&signer[..], &["--csr", &csr, "--out-dir", &path("signed")], more].concat())
    };
    let resource = ["--resource", "mesh/apps/virtualNode/serviceB"];
    certs(&[&["request", "--out-dir", &path("node")][..], &resource].concat()).expect("a request");
    sign(&resource).expect("signed");
    assert_eq!(judged(&read("ca/root.crt"), &read("signed/tls.crt")), Ok(()));
    assert!(!folder.path().join("signed/tls.key").exists(), "its key is where it was");
    for (arguments, words) in [
        (&["--resource", "mesh/apps/virtualNode/serviceA"][..], "it asks for arn:aws:appmesh:"),
        (&["--dns", "mesh.example"], "which is not among the names given here"),
        (&[], "is not among the names given here"),
        (&[&resource[..], &["--validity", "91d"]].concat(), "from 1s to 90d"),
        (&["--resource", "mesh/apps"], "a proxy runs a VirtualNode or a VirtualGateway"),
    ] {
        let error = sign(arguments).expect_err(words);
        assert!(error.contains(words), "{error}");
    }
    let issue = ["issue", "--ca-cert", &ca, "--signing-cert", &signing, "--ca-key", &key, "--out-dir"];
    let out = path("issued");
    let issue = [&issue[..], &[&out], &resource].concat();
    assert!(
        certs(&[&issue[..], &["--validity", "91d"]].concat())
            .expect_err("refused")
            .contains("from 1s to 90d")
    );
    // A new intermediate, with which the root alone has to do.
    let root = ["--ca-cert", &ca, "--ca-key", &path("ca/root.key"), "--out-dir", &path("ca")];
    certs(&[&["intermediate"][..], &root, &["--validity", "1h"]].concat()).expect("renewed");
    assert!(
        certs(&[&issue[..], &["--validity", "2h"]].concat()).expect_err("refused").contains("after the CA")
    );
    certs(&[&issue[..], &["--validity", "30m"]].concat()).expect("issued");
    assert_eq!(judged(&read("ca/root.crt"), &read("issued/tls.crt")), Ok(()));
    // It would outlive its root.
    assert!(certs(&[&["intermediate"][..], &root, &["--validity", "4000d"]].concat()).is_err());
}
