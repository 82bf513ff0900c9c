//! Tests of the CA of the mesh: what it signs is of use between proxies alone, and its file.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::certs::Issued;
use crate::keys::seal;
use crate::tls::{chain_verifier, verified};

const ARN: &str = "arn:aws:appmesh:us-west-2:111122223333:mesh/apps/virtualNode/serviceB";
const HOUR: Duration = Duration::from_secs(3600);

fn all(pem: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).map(|one| one.expect("a certificate")).collect()
}

/// Judges the certificate of a client as whoever trusts `bundle` does.
fn judged(bundle: &str, pem: &str, now: SystemTime) -> Result<(), String> {
    verified(&chain_verifier(all(bundle)).expect("CAs"), &all(pem)[0], &[], now)
}

/// Judges the certificate of a server as an instance does that trusts `bundle` and means `name`.
fn serves(bundle: &str, pem: &str, name: &str) -> Result<(), rustls::Error> {
    use rustls::client::WebPkiServerVerifier;
    use rustls::client::danger::ServerCertVerifier as _;
    let mut roots = rustls::RootCertStore::empty();
    all(bundle).into_iter().for_each(|root| roots.add(root).expect("a CA"));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
    let name = rustls::pki_types::ServerName::try_from(name).expect("a name");
    let now = rustls::pki_types::UnixTime::now();
    verifier.expect("a verifier").verify_server_cert(&all(pem)[0], &[], &name, &[], now).map(drop)
}

fn peer(authority: &Authority, now: SystemTime) -> String {
    let key = rcgen::KeyPair::generate().expect("a key");
    let validity = Validity { now, length: HOUR };
    authority.sign_peer("serviceB", ARN, &key, validity).expect("signed")
}

#[tokio::test]
async fn what_it_signs_is_accepted_between_proxies_and_nowhere_else() {
    let (folder, now) = (tempfile::tempdir().expect("a folder"), SystemTime::now());
    let mesh = MeshCa::new(folder.path(), None).authority(now).await.expect("a CA");
    let Issued { certificate, key } =
        new_authority("fleetmesh mesh", Validity { now, length: HOUR }).expect("a CA");
    let own = Authority::read(certificate.as_bytes(), &key).expect("readable");
    let leaf = peer(&mesh, now);
    assert_eq!(judged(mesh.certificate(), &leaf, now), Ok(()));
    let unknown = Err("the client certificate was not signed by a CA of --ca-cert".to_owned());
    assert_eq!(judged(own.certificate(), &leaf, now), unknown, "no control plane takes it for a proxy's");
    // A member that poses as a control plane: not with this certificate, nor with the one for clients, whatever name is meant.
    let client = own.issue_client("x", &[ARN.into()], Validity { now, length: HOUR }).expect("issued");
    for (bundle, pem) in
        [(own.certificate(), &leaf), (own.certificate(), &client.certificate), (mesh.certificate(), &leaf)]
    {
        for name in ["mesh.example", "localhost", "127.0.0.1"] {
            assert!(serves(bundle, pem, name).is_err(), "{name}");
        }
    }
    // And the other way: what opens the control plane's door opens none between proxies.
    assert_eq!(judged(mesh.certificate(), &client.certificate, now), unknown);
    // It names the node by its ARN alone.
    let leaf = all(&leaf).remove(0);
    let parsed = webpki::EndEntityCert::try_from(&leaf).expect("a certificate");
    assert_eq!(parsed.valid_uri_names().collect::<Vec<_>>(), [ARN]);
    assert_eq!(parsed.valid_dns_names().count(), 0);
}

#[tokio::test]
async fn it_is_the_same_after_a_restart_and_the_next_is_trusted_before_it_signs() {
    let (folder, start) = (tempfile::tempdir().expect("a folder"), SystemTime::now());
    let open = || MeshCa::new(folder.path(), None);
    let first = open().authority(start).await.expect("a CA");
    assert_eq!(open().authority(start).await.expect("the same").certificate(), first.certificate());
    let file = folder.path().join(FILE);
    assert_eq!(fs::metadata(&file).expect("the file").permissions().mode() & 0o777, 0o600);

    let half = start + succession::LIFE / 2;
    let ca = open();
    let both = ca.authority(half).await.expect("two");
    assert_eq!(all(both.certificate()).len(), 2);
    assert_eq!(judged(first.certificate(), &peer(&both, half), half), Ok(()), "the first one still signs");
    let later = half + succession::SETTLE;
    let taken_over = ca.authority(later).await.expect("two");
    assert_eq!(taken_over.certificate(), both.certificate());
    let leaf = peer(&taken_over, later);
    assert!(judged(first.certificate(), &leaf, later).is_err(), "the second one signs");
    assert_eq!(judged(both.certificate(), &leaf, later), Ok(()));
    let end = start + succession::LIFE + HOUR;
    let left = open().authority(end).await.expect("one");
    assert!(!left.certificate().contains(first.certificate()), "the first one is over");
}

#[tokio::test]
async fn its_keys_are_sealed_and_a_file_that_cannot_be_read_is_left_as_it_is() {
    let (folder, now) = (tempfile::tempdir().expect("a folder"), SystemTime::now());
    let (data, path) = (folder.path().join("data"), folder.path().join("seal"));
    fs::create_dir(&data).expect("a folder");
    seal::write_new(&path).expect("a key");
    let file = data.join(FILE);
    let read = || fs::read_to_string(&file).expect("the file");
    let clear = MeshCa::new(&data, None).authority(now).await.expect("a CA");
    assert!(read().contains("PRIVATE KEY"));
    let with = |path: &Path| MeshCa::new(&data, Some(SealSource::File(path.to_owned())));
    let sealed = with(&path).authority(now).await.expect("the same, sealed from now on");
    assert_eq!(sealed.certificate(), clear.certificate());
    assert!(!read().contains("PRIVATE KEY"), "{}", read());
    assert_eq!(with(&path).authority(now).await.expect("the same").certificate(), clear.certificate());

    // A new key above the old one: it seals from now on, and the old one may go.
    let next = folder.path().join("next");
    seal::write_new(&next).expect("a key");
    let new = fs::read_to_string(&next).expect("a key");
    fs::write(&next, format!("{new}{}", fs::read_to_string(&path).expect("a key"))).expect("written");
    with(&next).authority(now).await.expect("the same, sealed anew");
    fs::write(&next, new).expect("written");
    assert_eq!(with(&next).authority(now).await.expect("the same").certificate(), clear.certificate());
    let other = path;
    let path = next;
    let kept = read();
    for ca in [MeshCa::new(&data, None), with(&other)] {
        let error = ca.authority(now).await.expect_err("it does not open").to_string();
        assert!(error.contains("was sealed by") && error.contains("mesh-ca.json"), "{error}");
    }
    // Another certificate for the sealed key is no CA of ours.
    let stranger = new_authority(NAME, Validity { now, length: HOUR }).expect("a CA").certificate;
    let escaped = |pem: &str| serde_json::to_string(pem).expect("JSON");
    fs::write(&file, kept.replace(&escaped(clear.certificate()), &escaped(&stranger))).expect("written");
    assert!(with(&path).authority(now).await.is_err());
    fs::write(&file, "{}").expect("written");
    let error = with(&path).authority(now).await.expect_err("refused").to_string();
    assert!(error.contains("put the one of a backup back"), "{error}");
    assert_eq!(read(), "{}", "it is not replaced");
}
