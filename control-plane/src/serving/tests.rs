//! The limits over a real connection.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::*;
use crate::listen::{Bounds, Listen};
use crate::tls::Purpose;

/// What a client of HTTP/2 sends that asks for `/` and takes not a byte of what is answered: the preface, settings with
/// windows of 0 bytes, and the head of a request by HPACK's static table.
const TAKES_NOTHING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\
    \0\0\x06\x04\0\0\0\0\0\0\x04\0\0\0\0\
    \0\0\x0e\x01\x05\0\0\0\x01\x82\x86\x84\x41\x09localhost";

#[tokio::test]
async fn a_client_that_takes_nothing_of_its_answer_is_left() {
    let listen = Listen::Tcp("127.0.0.1:0".into());
    let bound = listen.bind(Purpose::Api, None, Bounds::default()).await.expect("a port");
    let (address, shutdown) = (bound.address(), CancellationToken::new());
    let router = Router::new().route("/", axum::routing::get(async || "x".repeat(1000)));
    let limits = Limits { answer: Duration::from_millis(500), ..Limits::API };
    tokio::spawn(serve(bound, router, limits, Hosts::Any, shutdown.clone()));
    let mut client = TcpStream::connect(address).await.expect("connected");
    client.write_all(TAKES_NOTHING).await.expect("sent");
    let mut heard = Vec::new();
    // No idle connection ends as early.
    timeout(Duration::from_secs(20), client.read_to_end(&mut heard)).await.expect("it ends").expect("an end");
    let answered = heard.windows(9).any(|frame| frame[3..] == [1, 4, 0, 0, 0, 1]);
    assert!(answered, "the head of the answer came: {heard:?}");
    shutdown.cancel();
}

/// Requests over one connection, none of which ends: beyond the bound each is refused, and the connection goes on.
#[tokio::test]
async fn a_connection_has_so_many_requests_at_once_and_no_more() {
    let listen = Listen::Tcp("127.0.0.1:0".into());
    let bound = listen.bind(Purpose::Api, None, Bounds::default()).await.expect("a port");
    let (address, shutdown) = (bound.address(), CancellationToken::new());
    let router = Router::new().route("/", axum::routing::get(std::future::pending::<()>));
    tokio::spawn(serve(bound, router, Limits::API, Hosts::Any, shutdown.clone()));
    let mut client = TcpStream::connect(address).await.expect("connected");
    let mut requests = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    for number in 0..=STREAMS {
        // A head without the end of the request; clients' streams have odd numbers.
        requests.extend_from_slice(b"\0\0\x0e\x01\x04");
        requests.extend_from_slice(&(2 * number + 1).to_be_bytes());
        requests.extend_from_slice(b"\x82\x86\x84\x41\x09localhost");
    }
    client.write_all(&requests).await.expect("sent");
    let (reset, refused, last) = (3, 7_u32, 2 * STREAMS + 1);
    let refusal = loop {
        let mut head = [0; 9];
        let read = timeout(Duration::from_secs(10), client.read_exact(&mut head)).await;
        read.expect("a frame in time").expect("a frame");
        let [high, middle, low, kind, _, id @ ..] = head;
        let mut payload = vec![0; usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low)];
        client.read_exact(&mut payload).await.expect("the frame");
        if kind == reset {
            break (u32::from_be_bytes(id), payload);
        }
    };
    assert_eq!(refusal, (last, refused.to_be_bytes().to_vec()));
    shutdown.cancel();
}
