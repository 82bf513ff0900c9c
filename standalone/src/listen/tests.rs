use fleetmesh_standalone_core::resource::Resources;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::DropGuard;

use super::*;
use crate::api::Api;
use crate::pki::Pki;
use crate::store::Store;

#[test]
fn one_source_has_so_many_connections_and_others_have_theirs() {
    let seats = Seats::default();
    let source = |last| SocketAddr::from(([10, 0, 0, last], 1));
    let limits = ConnectionLimits { of_source: 2, of_all: 3, known: 2, ..ConnectionLimits::default() };
    let take = |last| seats.take(source(last), limits);
    let mine = [1, 1, 1].map(take);
    // The oldest gives way.
    assert_eq!(mine.each_ref().map(|seat| seat.given_up.is_cancelled()), [true, false, false]);
    mine[0].move_to_known(limits);
    assert!(!mine[0].is_known.load(Ordering::Relaxed), "its connection ends");
    let other = take(2);
    // There is no more room for all: the source that has most makes some.
    let third = take(3);
    assert_eq!(mine.each_ref().map(|seat| seat.given_up.is_cancelled()), [true, true, false]);
    assert!(!other.given_up.is_cancelled() && !third.given_up.is_cancelled());
    drop((mine, third));

    // Who is known makes room, once and as far as there are seats of the known.
    let first = seats.take(source(1), limits);
    first.move_to_known(limits);
    first.move_to_known(limits);
    let counted = |source: SocketAddr| {
        let taken = seats.lock();
        (taken.known, taken.strangers.get(&source.ip()).map(BTreeMap::len))
    };
    assert_eq!(counted(source(1)), (1, None));
    let more: Vec<Seat> = (0..2).map(|_| seats.take(source(1), limits)).collect();
    more.iter().for_each(|seat| seat.move_to_known(limits));
    assert_eq!(counted(source(1)), (2, Some(1)));
    drop((first, more, other));
    let taken = seats.lock();
    assert!(taken.known == 0 && taken.strangers.is_empty(), "{taken:?}");
}

/// A listener with its own API in memory, and what its clients need.
struct Bed {
    address: SocketAddr,
    token: String,
    connector: TlsConnector,
    _folder: tempfile::TempDir,
    _ends: DropGuard,
}

impl Bed {
    async fn new(limits: ConnectionLimits) -> Self {
        let store = Arc::new(Store::in_memory().expect("a store"));
        let resources = Arc::new(Resources::new(&fleetmesh_crds::all()));
        let shutdown = CancellationToken::new();
        let api = Api::new(store, resources, "127.0.0.1:6443", shutdown.clone()).expect("schemas");
        let folder = tempfile::tempdir().expect("a folder");
        let pki = Pki::load(folder.path()).expect("a token and an authority");
        let listener = bind(([127, 0, 0, 1], 0).into()).expect("bound");
        let address = listener.local_addr().expect("an address");
        let gate = Gate::new(api, &pki.token, Vec::new());
        let tls = pki.tls(&[]).expect("a certificate");
        tokio::spawn(serve(listener, tls, gate, limits, shutdown.clone()));
        let mut roots = RootCertStore::empty();
        let authority = CertificateDer::from_pem_file(folder.path().join("ca.crt")).expect("its certificate");
        roots.add(authority).expect("an authority");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.expect("versions").with_root_certificates(roots).with_no_client_auth();
        let connector = TlsConnector::from(Arc::new(config));
        Self { address, token: pki.token, connector, _folder: folder, _ends: shutdown.drop_guard() }
    }

    /// A connection, unless it is closed at once.
    async fn connect(&self) -> Option<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(self.address).await.expect("the kernel takes it");
        let name = ServerName::try_from("localhost").expect("a name");
        self.connector.connect(name, stream).await.ok()
    }

    /// A connection over which a request has been answered with this code.
    async fn asked(&self, token: &str, code: &str) -> Option<TlsStream<TcpStream>> {
        let mut stream = self.connect().await?;
        let request =
            format!("GET /version HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut first = [0; 12];
        stream.read_exact(&mut first).await.expect("an answer");
        assert_eq!(String::from_utf8_lossy(&first), format!("HTTP/1.1 {code}"));
        Some(stream)
    }
}

#[tokio::test]
async fn who_has_shown_the_token_takes_no_room_of_those_who_have_not() {
    let limits = ConnectionLimits { of_source: 2, of_all: 4, known: 5, ..ConnectionLimits::default() };
    let bed = Bed::new(limits).await;
    let mut known = Vec::new();
    for _ in 1..limits.known {
        known.push(bed.asked(&bed.token, "200").await.expect("there is room"));
    }
    let mut strangers = vec![bed.connect().await.expect("there is room")];
    strangers.push(bed.asked("wrong", "401").await.expect("there is room"));
    // More of them end the oldest of them, and keep nobody out who has the token.
    strangers.push(bed.connect().await.expect("the oldest gives way"));
    let mut rest = Vec::new();
    // A reset ends it, too; its own time would be over much later.
    let ended = tokio::time::timeout(limits.head / 4, strangers[0].read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "the oldest is still there");
    known.push(bed.asked(&bed.token, "200").await.expect("there is room"));
    // Those who are known go on meanwhile.
    let one = &mut known[0];
    one.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("sent");
    let mut text = String::new();
    while !text.contains("\r\n\r\nok") {
        let mut bytes = [0; 1024];
        let read = one.read(&mut bytes).await.expect("an answer");
        assert!(read > 0, "{text}");
        text += &String::from_utf8_lossy(&bytes[..read]);
    }
}
