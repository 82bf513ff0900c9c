//! Who may stream over TLS (S1): each way to have no identity, or another's, has its status code, and permission ends with the
//! certificate. Over real connections; certificates and keys are files that change while the service runs.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::service::load_stats::v3::LoadStatsRequest;
use envoy_types::pb::envoy::service::load_stats::v3::load_reporting_service_client::LoadReportingServiceClient;
use fleetmesh_mesh::identity::Identity;
use fleetmesh_mesh::snapshot::ResourceType;
use fleetmesh_tls::attacks::{self, Chain};
use http::uri::PathAndQuery;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_stream::StreamExt as _;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use super::AdsSettings;
use super::grpc::Method as _;
use super::load_reports::LoadReporting;
use super::service::AggregatedDiscovery;
use super::test_proxy::AdsProxy;
use super::tests::{AdsWorld, LONG};
use super::variants::StateOfTheWorld;
use crate::certs::{Authority, Issued, Validity, new_authority};
use crate::listen::{Bounds, Listen};
use crate::tls::{Purpose, Tls, TlsFiles};

const HOUR: Duration = Duration::from_secs(3600);
const CLIENT: &str = "mesh/apps/virtualNode/client";

/// A CA in files.
struct Ca {
    authority: Authority,
    certificate: String,
}

impl Ca {
    fn new() -> Self {
        let Issued { certificate, key } = new_authority("test", lasting(HOUR)).expect("a CA");
        Self { authority: Authority::read(certificate.as_bytes(), &key).expect("readable"), certificate }
    }

    /// A certificate for these nodes of the mesh.
    fn client(&self, nodes: &[&str], validity: Validity) -> Issued {
        let arn =
            |name: &&str| format!("arn:aws:appmesh:us-west-2:111122223333:mesh/apps/virtualNode/{name}");
        let arns: Vec<String> = nodes.iter().map(arn).collect();
        self.authority.issue_client("test", &arns, validity).expect("issued")
    }

    /// Puts the certificate of a server, and this CA beside `others`, where the control plane reads them.
    fn serve(&self, folder: &Path, others: &[&Ca]) {
        let server = self.authority.issue_server(&["localhost".into()], &[], lasting(HOUR)).expect("issued");
        fs::write(folder.join("tls.key"), server.key.reveal()).expect("written");
        fs::write(folder.join("tls.crt"), server.certificate).expect("written");
        let others = others.iter().map(|ca| ca.certificate.as_str());
        trust(folder, [self.certificate.as_str()].into_iter().chain(others));
    }
}

/// Puts the certificates of CAs where the control plane reads them.
fn trust<'a>(folder: &Path, certificates: impl Iterator<Item = &'a str>) {
    fs::write(folder.join("ca.crt"), certificates.collect::<String>()).expect("written");
}

fn lasting(length: Duration) -> Validity {
    Validity { now: SystemTime::now(), length }
}

/// A service over TLS.
struct AdsBed {
    world: AdsWorld,
    folder: tempfile::TempDir,
    address: String,
    stop: CancellationToken,
}

impl Drop for AdsBed {
    fn drop(&mut self) {
        self.stop.cancel();
        self.world.shutdown.cancel();
    }
}

impl AdsBed {
    async fn start(ca: &Ca) -> Self {
        Self::start_with(ca, AdsSettings::default()).await
    }

    async fn start_with(ca: &Ca, settings: AdsSettings) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        ca.serve(folder.path(), &[]);
        let path = |name: &str| -> PathBuf { folder.path().join(name) };
        let files = TlsFiles { certificate: path("tls.crt"), key: path("tls.key"), ca: Some(path("ca.crt")) };
        let identity = Identity::default();
        let tls = Tls::load(files, identity).expect("loaded");
        let listen = Listen::Tcp("0.0.0.0:0".into());
        let bound = listen.bind(Purpose::Proxies, Some(&tls), Bounds::default()).await.expect("a port");
        assert!(bound.is_exposed());
        let address = bound.address().replace("0.0.0.0", "127.0.0.1");
        let stop = CancellationToken::new();
        tokio::spawn(tls.follow(stop.clone()));
        Self { world: AdsWorld::start_on(bound, settings), folder, address, stop }
    }

    /// A connection that shows `certificate` and trusts servers of `ca`.
    async fn connect(
        &self,
        ca: &Ca,
        certificate: Option<&Issued>,
    ) -> Result<Channel, tonic::transport::Error> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(ca.certificate.as_bytes()).expect("PEM")).expect("a CA");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.expect("versions").with_root_certificates(roots);
        let mut config = match certificate {
            None => config.with_no_client_auth(),
            Some(Issued { certificate, key }) => {
                let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).expect("PEM")];
                let key = PrivateKeyDer::from_pem_slice(key.reveal().as_bytes()).expect("PEM");
                config.with_client_auth_cert(chain, key).expect("a pair")
            }
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        let (connector, address) = (TlsConnector::from(Arc::new(config)), self.address.clone());
        let connect = tower::service_fn(move |_| {
            let (connector, address) = (connector.clone(), address.clone());
            async move {
                let name = ServerName::try_from("localhost").expect("a name");
                let stream = connector.connect(name, TcpStream::connect(address).await?).await?;
                Ok::<_, io::Error>(TokioIo::new(stream))
            }
        });
        Endpoint::from_static("http://localhost").connect_with_connector(connect).await
    }

    /// A stream that asks for `id`.
    async fn stream(&self, ca: &Ca, certificate: Option<&Issued>, id: &str) -> Result<AdsProxy, Status> {
        AdsWorld::open(self.connect(ca, certificate).await.expect("connected"), id).await
    }

    /// The code that such a stream ends with, and the words.
    async fn refused(&self, ca: &Ca, certificate: Option<&Issued>, id: &str) -> (i32, String) {
        let status = match self.stream(ca, certificate, id).await {
            Err(status) => status,
            Ok(mut proxy) => proxy.refused().await,
        };
        (status.code().into(), status.message().to_owned())
    }
}

#[tokio::test]
async fn each_way_to_be_refused_has_its_code() {
    let (ca, other) = (Ca::new(), Ca::new());
    let bed = AdsBed::start(&ca).await;
    let good = ca.client(&["client", "a"], lasting(HOUR));
    for node in ["client", "a"] {
        let id = format!("mesh/apps/virtualNode/{node}");
        bed.stream(&ca, Some(&good), &id).await.expect("a stream").take(ResourceType::Cluster).await;
    }
    let past = Validity { now: SystemTime::now() - HOUR, length: HOUR / 2 };
    let cases = [
        (None, CLIENT, 16, "no client certificate was sent"),
        (Some(other.client(&["client"], lasting(HOUR))), CLIENT, 16, "was not signed by a CA of --ca-cert"),
        (Some(ca.client(&["client"], past)), CLIENT, 16, "has expired"),
        (Some(server_certificate(&ca)), CLIENT, 16, "is not one for clients"),
        (
            Some(good.clone()),
            "mesh/apps/virtualNode/b",
            7,
            "does not name mesh/apps/virtualNode/b; it names mesh/apps/virtualNode/a, mesh/apps/virtualNode/client",
        ),
        // Nor does it say whether another node exists.
        (
            Some(good.clone()),
            "mesh/other/virtualNode/client",
            7,
            "does not name mesh/other/virtualNode/client",
        ),
        (Some(ca.client(&[], lasting(HOUR))), CLIENT, 7, "it names no virtual node of this control plane"),
        (Some(ca.client(&["absent"], lasting(HOUR))), "mesh/apps/virtualNode/absent", 3, "does not exist"),
    ];
    for (certificate, id, code, words) in cases {
        let (found, message) = bed.refused(&ca, certificate.as_ref(), id).await;
        assert_eq!(found, code, "{id}: {message}");
        assert!(message.contains(words), "{message:?} does not say {words:?}");
    }
}

/// Anybody can make such a chain, and each handshake would hold a thread of the runtime for seconds.
#[tokio::test]
async fn a_chain_whose_paths_are_without_number_ends_the_handshake() {
    let ca = Ca::new();
    let bed = AdsBed::start(&ca).await;
    let Chain { certificates, key } = attacks::endless().expect("a chain");
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca.certificate.as_bytes()).expect("PEM")).expect("a CA");
    let config = fleetmesh_tls::trusting(roots).expect("roots").with_client_auth_cert(certificates, key);
    let mut config = config.expect("a pair");
    config.alpn_protocols = vec![b"h2".to_vec()];
    let name = ServerName::try_from("localhost").expect("a name");
    let stream = TcpStream::connect(&bed.address).await.expect("connected");
    // For a client the handshake of TLS 1.3 is over before the server has judged its certificate.
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("its part");
    let ended = timeout(LONG, stream.read_to_end(&mut Vec::new())).await.expect("it ends");
    let why = ended.expect_err("it is refused").to_string();
    assert!(why.contains("alert"), "{why}");
    // Others are served.
    let good = ca.client(&["client"], lasting(HOUR));
    bed.stream(&ca, Some(&good), CLIENT).await.expect("a stream").take(ResourceType::Cluster).await;
}

/// Eight streams of one certificate were four proxies, and before that a load of four: enough to stop another team's release.
#[tokio::test]
async fn all_streams_of_one_certificate_are_one_proxy() {
    let ca = Ca::new();
    let bed = AdsBed::start(&ca).await;
    let [mine, theirs] = [(), ()].map(|()| ca.client(&["client"], lasting(HOUR)));
    let mut open = Vec::new();
    for _ in 0..4 {
        let mut client =
            LoadReportingServiceClient::new(bed.connect(&ca, Some(&mine)).await.expect("connected"));
        let node = Some(Node { id: CLIENT.into(), ..Node::default() });
        let first = tokio_stream::once(LoadStatsRequest { node, cluster_stats: Vec::new() });
        let stream = first.chain(tokio_stream::pending());
        let mut answers = client.stream_load_stats(stream).await.expect("a stream").into_inner();
        timeout(LONG, answers.message()).await.expect("in time").expect("it goes on").expect("an interval");
        open.push(answers);
    }
    let proxies = async |count: i32| {
        bed.world.until("virtualNode/client", |status| status.proxies == count).await;
    };
    proxies(1).await;
    let mut streams = Vec::new();
    for (certificate, count) in [(&mine, 1), (&mine, 1), (&mine, 1), (&mine, 1), (&theirs, 2)] {
        let mut proxy = bed.stream(&ca, Some(certificate), CLIENT).await.expect("a stream");
        proxy.take(ResourceType::Cluster).await;
        streams.push(proxy);
        proxies(count).await;
    }
    drop(streams);
    proxies(1).await;
    drop(open);
}

/// What a stream ends with over which the proxy says nothing, of the service with this path.
async fn silent(channel: Channel, path: &'static str) -> Status {
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.expect("ready");
    let nothing = tokio_stream::pending::<()>();
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    let opened = client.streaming(Request::new(nothing), PathAndQuery::from_static(path), codec);
    let ended = async {
        match opened.await {
            Ok(answers) => answers.into_inner().message().await.map(|_| ()).expect_err("it says nothing"),
            Err(status) => status,
        }
    };
    timeout(LONG, ended).await.expect("it ends by itself")
}

#[tokio::test]
async fn a_stream_without_a_request_ends_and_gives_its_seat_back() {
    let ca = Ca::new();
    let first_request = Duration::from_millis(200);
    let settings =
        AdsSettings { max_streams_per_certificate: Some(1), first_request, ..AdsSettings::default() };
    let bed = AdsBed::start_with(&ca, settings).await;
    let certificate = ca.client(&["client"], lasting(HOUR));
    for path in [AggregatedDiscovery::<StateOfTheWorld>::PATH, LoadReporting::PATH] {
        let status = silent(bed.connect(&ca, Some(&certificate)).await.expect("connected"), path).await;
        assert_eq!(i32::from(status.code()), 4, "{path}: {status}");
        assert!(status.message().contains("no request came within 200ms"), "{path}: {status}");
    }
    // The seat is free a moment after the end of the stream is sent.
    let seated = async {
        loop {
            if let Ok(mut proxy) = bed.stream(&ca, Some(&certificate), CLIENT).await
                && proxy.answer().await.is_ok()
            {
                break;
            }
        }
    };
    timeout(LONG, seated).await.expect("another stream of the certificate");
}

fn server_certificate(ca: &Ca) -> Issued {
    ca.authority.issue_server(&["localhost".into()], &[], lasting(HOUR)).expect("issued")
}

#[tokio::test]
async fn a_stream_ends_with_its_certificate_and_so_does_the_connection() {
    let ca = Ca::new();
    let bed = AdsBed::start(&ca).await;
    let short = ca.client(&["client"], lasting(Duration::from_secs(3)));
    let channel = bed.connect(&ca, Some(&short)).await.expect("connected");
    let mut proxy = AdsWorld::open(channel.clone(), CLIENT).await.expect("a stream");
    proxy.take(ResourceType::Cluster).await;
    let status = proxy.refused().await;
    assert_eq!((i32::from(status.code()), status.message()), (16, "the client certificate has expired"));
    // The next stream is refused too, on the connection that is left or on a new one with the old certificate.
    let refused = AdsWorld::open(channel, CLIENT).await.err().expect("no stream");
    assert_ne!(i32::from(refused.code()), 0);
}

#[tokio::test]
async fn changed_files_count_for_new_connections_and_old_ones_last_while_their_ca_is_trusted() {
    let (ca, next) = (Ca::new(), Ca::new());
    let bed = AdsBed::start(&ca).await;
    let old = ca.client(&["client"], lasting(HOUR));
    let mut streaming = bed.stream(&ca, Some(&old), CLIENT).await.expect("a stream");
    streaming.take(ResourceType::Cluster).await;

    // Half of a change is no certificate with its key: what was read before stays in use.
    fs::write(bed.folder.path().join("tls.key"), "no key").expect("written");
    tokio::time::sleep(crate::reload::INTERVAL * 2).await;
    bed.stream(&ca, Some(&old), CLIENT).await.expect("a stream");

    // While one root replaces the other both are trusted, and nobody is cut off.
    next.serve(bed.folder.path(), &[&ca]);
    let new = next.client(&["client"], lasting(HOUR));
    let deadline = tokio::time::Instant::now() + super::tests::LONG;
    while bed.connect(&next, Some(&new)).await.is_err() {
        assert!(tokio::time::Instant::now() < deadline, "the new certificate is never used");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bed.stream(&next, Some(&new), CLIENT).await.expect("a stream").take(ResourceType::Cluster).await;
    assert!(bed.connect(&ca, Some(&old)).await.is_err(), "the former certificate is shown no more");
    bed.world.meshes.commit("virtualRouter/r/route/x", None);
    streaming.take(ResourceType::Cluster).await;
    let channel = bed.connect(&next, Some(&old)).await.expect("connected");
    let mut second = AdsWorld::open(channel.clone(), CLIENT).await.expect("a stream");
    second.take(ResourceType::Cluster).await;

    // Then the old one is taken out, and with it whatever it let in; the new one's stream does not notice.
    let mut lasting = bed.stream(&next, Some(&new), CLIENT).await.expect("a stream");
    lasting.take(ResourceType::Cluster).await;
    trust(bed.folder.path(), [next.certificate.as_str()].into_iter());
    for ended in [&mut streaming, &mut second] {
        let status = tokio::time::timeout(Duration::from_secs(5), ended.refused()).await.expect("soon");
        assert_eq!(i32::from(status.code()), 16, "{status}");
        assert!(status.message().contains("was not signed by a CA of --ca-cert"), "{status}");
    }
    let refused = AdsWorld::open(channel, CLIENT).await.err().expect("the connection ends too");
    assert_ne!(i32::from(refused.code()), 0);
    let (code, message) = bed.refused(&next, Some(&old), CLIENT).await;
    assert_eq!(code, 16, "{message}");
    let lasts = tokio::time::timeout(Duration::from_millis(100), lasting.refused()).await;
    assert!(lasts.is_err(), "the new root's stream ended: {lasts:?}");
}
