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
