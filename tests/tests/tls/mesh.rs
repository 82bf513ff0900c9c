//! The certificate of the mesh that a proxy gets by joining is worth nothing to a control plane, and nothing as one.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tonic::Code;

use crate::flood::clients::{FloodProxy, FloodTls};
use crate::join::{JoinBed, role};

/// A server with the certificate in `certificate` and the key in `folder`, for as many connections as come; its port.
async fn server(folder: &Path, certificate: &str) -> u16 {
    let chain = CertificateDer::pem_file_iter(folder.join(certificate)).unwrap();
    let key = PrivateKeyDer::from_pem_file(folder.join("tls.key")).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth();
    let config = config.with_single_cert(chain.map(Result::unwrap).collect(), key).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // The client ends it.
            let _ = acceptor.accept(stream).await;
        }
    });
    port
}

#[tokio::test]
async fn a_member_is_neither_let_in_by_its_mesh_certificate_nor_taken_for_the_control_plane() {
    let mut bed = JoinBed::start("mesh-certificate").await;
    let session = bed.session("apps-red").await;
    bed.grant(&role("apps-red")).await;
    let folder = bed.run.join("joined");
    let joined = bed.join_once(&session, &folder).await;
    assert!(joined.status.success(), "{joined:?}");
    let text = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    assert_ne!(text("mesh.crt"), text("tls.crt"));
    assert_ne!(text("mesh-ca.crt"), text("ca.crt"));

    // As a proxy at the control plane: what it is let in with, and the mesh's.
    let (_, port) = bed.ads.rsplit_once(':').unwrap();
    let port: u16 = port.parse().unwrap();
    let from = std::net::Ipv4Addr::LOCALHOST;
    let open = async |folder: &Path| {
        let channel = FloodTls::proxy(&bed.certificates, folder).channel(from, port).await.unwrap();
        FloodProxy::open(channel).await
    };
    open(&folder).await.unwrap().answers.message().await.unwrap().unwrap();
    let posing = bed.run.join("posing");
    fs::create_dir(&posing).unwrap();
    fs::copy(folder.join("mesh.crt"), posing.join("tls.crt")).unwrap();
    fs::copy(folder.join("tls.key"), posing.join("tls.key")).unwrap();
    let refused = match open(&posing).await {
        Ok(mut proxy) => proxy.ended().await,
        Err(status) => status,
    };
    assert_eq!(refused.code(), Code::Unauthenticated, "{refused:?}");
    assert!(refused.message().contains("was not signed by a CA of --ca-cert"), "{refused:?}");

    // As the control plane at an instance that joins: by neither of its certificates, though each is for the same key.
    for (certificate, words) in [("mesh.crt", "UnknownIssuer"), ("tls.crt", "invalid peer certificate")] {
        bed.joins = format!("https://127.0.0.1:{}", server(&folder, certificate).await);
        let refused = bed.join_once(&session, &bed.run.join("nobody")).await;
        assert!(!refused.status.success() && refused.stderr.contains(words), "{certificate}: {refused:?}");
    }
}
