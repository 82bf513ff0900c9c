//! Clients with an address of their own: strangers without a certificate, and proxies with one.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::service::discovery::v3::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;
use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Status, Streaming};

use super::NODE;
use crate::bed::{BedCertificates, LIMIT};

pub const CLUSTER: &str = "type.googleapis.com/envoy.config.cluster.v3.Cluster";

/// What a client trusts, and whom it proves to be.
#[derive(Clone)]
pub struct FloodTls(Arc<ClientConfig>);

impl FloodTls {
    /// Of somebody without a certificate.
    pub fn stranger(certificates: &BedCertificates, protocol: &[u8]) -> Self {
        Self::new(certificates, None, protocol)
    }

    /// Of a proxy whose files are in `folder`.
    pub fn proxy(certificates: &BedCertificates, folder: &Path) -> Self {
        Self::new(certificates, Some(folder), b"h2")
    }

    fn new(certificates: &BedCertificates, folder: Option<&Path>, protocol: &[u8]) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(certificates.path("ca/ca.crt")).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.unwrap().with_root_certificates(roots);
        let mut config = match folder {
            None => config.with_no_client_auth(),
            Some(folder) => {
                let chain = CertificateDer::pem_file_iter(folder.join("tls.crt")).unwrap();
                let key = PrivateKeyDer::from_pem_file(folder.join("tls.key")).unwrap();
                config.with_client_auth_cert(chain.map(Result::unwrap).collect(), key).unwrap()
            }
        };
        config.alpn_protocols = vec![protocol.to_vec()];
        Self(Arc::new(config))
    }

    /// The first message of a handshake.
    pub fn hello(&self) -> Vec<u8> {
        let mut connection = ClientConnection::new(Arc::clone(&self.0), name()).unwrap();
        let mut hello = Vec::new();
        connection.write_tls(&mut hello).unwrap();
        hello
    }

    /// Shakes hands with `port` as a client at `from`.
    pub async fn connect(&self, from: Ipv4Addr, port: u16) -> Result<TlsStream<TcpStream>> {
        let stream = connect(from, port).await?;
        Ok(TlsConnector::from(Arc::clone(&self.0)).connect(name(), stream).await?)
    }

    /// A connection for gRPC.
    pub async fn channel(&self, from: Ipv4Addr, port: u16) -> Result<Channel> {
        let tls = self.clone();
        let connect = tower::service_fn(move |_| {
            let tls = tls.clone();
            async move { tls.connect(from, port).await.map(TokioIo::new) }
        });
        Ok(Endpoint::from_static("http://127.0.0.1").connect_with_connector(connect).await?)
    }

    /// [`Self::channel`], again while it is closed, which it is when this process is too busy to be in time.
    pub async fn patient_channel(&self, from: Ipv4Addr, port: u16) -> Channel {
        let began = Instant::now();
        loop {
            match self.channel(from, port).await {
                Ok(channel) => return channel,
                Err(error) => assert!(began.elapsed() < LIMIT, "{error}"),
            }
        }
    }

    /// [`Self::connect`] and the head of a request, again while it is closed, which it is when this process is too busy to be in time.
    pub async fn begun(&self, from: Ipv4Addr, port: u16, head: &[u8]) -> TlsStream<TcpStream> {
        let began = Instant::now();
        loop {
            let begun = match self.connect(from, port).await {
                Ok(mut stream) => stream.write_all(head).await.map(|()| stream).map_err(Into::into),
                Err(error) => Err(error),
            };
            match begun {
                Ok(stream) => return stream,
                Err(error) => assert!(began.elapsed() < LIMIT, "{error}"),
            }
        }
    }

    /// Connects as a proxy does, and answers how long it took until it was given clusters.
    pub async fn configured(&self, from: Ipv4Addr, port: u16) -> Result<Duration> {
        let began = Instant::now();
        let mut proxy = FloodProxy::open(self.channel(from, port).await?).await?;
        proxy.answers.message().await?.context("the stream ended")?;
        Ok(began.elapsed())
    }
}

fn name() -> ServerName<'static> {
    ServerName::try_from("127.0.0.1").unwrap()
}

/// A connection to `port` of 127.0.0.1 from another address of loopback.
pub async fn connect(from: Ipv4Addr, port: u16) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((from, 0).into())?;
    socket.connect((Ipv4Addr::LOCALHOST, port).into()).await
}

/// How many requests are made before they are sent: each takes many times its length in memory.
const AHEAD: usize = 2;

/// A proxy's stream, in the state of the world unless its messages say otherwise.
pub struct FloodProxy<Request = DiscoveryRequest, Answer = DiscoveryResponse> {
    pub requests: mpsc::Sender<Request>,
    pub answers: Streaming<Answer>,
}

/// The same in delta.
pub type DeltaFloodProxy = FloodProxy<DeltaDiscoveryRequest, DeltaDiscoveryResponse>;

impl FloodProxy {
    /// Opens a stream that asks for clusters.
    pub async fn open(channel: Channel) -> Result<Self, Status> {
        let (requests, outgoing) = mpsc::channel(AHEAD);
        let (node, type_url) = (Some(Node { id: NODE.into(), ..Node::default() }), CLUSTER.into());
        requests.send(DiscoveryRequest { node, type_url, ..Default::default() }).await.unwrap();
        let mut client = AggregatedDiscoveryServiceClient::new(channel);
        let answers = client.stream_aggregated_resources(ReceiverStream::new(outgoing)).await?;
        Ok(Self { requests, answers: answers.into_inner() })
    }
}

impl DeltaFloodProxy {
    /// Opens a stream that asks for clusters.
    pub async fn open_delta(channel: Channel) -> Result<Self, Status> {
        let (requests, outgoing) = mpsc::channel(AHEAD);
        let (node, type_url) = (Some(Node { id: NODE.into(), ..Node::default() }), CLUSTER.into());
        requests.send(DeltaDiscoveryRequest { node, type_url, ..Default::default() }).await.unwrap();
        let mut client = AggregatedDiscoveryServiceClient::new(channel);
        let answers = client.delta_aggregated_resources(ReceiverStream::new(outgoing)).await?;
        Ok(Self { requests, answers: answers.into_inner() })
    }
}

impl<Request, Answer> FloodProxy<Request, Answer> {
    /// The status that the stream ends with.
    pub async fn ended(&mut self) -> Status {
        loop {
            match self.answers.message().await {
                Ok(Some(_)) => {}
                Ok(None) => return Status::ok(""),
                Err(status) => return status,
            }
        }
    }
}
