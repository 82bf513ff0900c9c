//! HTTP/1.1 word for word: the server answers with the very head of the request that it got, the client sends the very text that it is
//! given. Libraries change the case of names and bound what they take.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::client::AppAnswer;
use super::server::RESPONDER;

/// A request with this header is the last of its connection, which the server closes without having said so: as soon as the next one is there,
/// unread.
const CLOSE: &str = "x-close-on-next: ";
/// A request of this path is read and not answered: the server closes the connection.
const HANG_UP: &str = " /hang-up ";

/// Serves connections until the task is dropped.
pub async fn serve(listener: TcpListener, name: Arc<str>) -> Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        let name = Arc::clone(&name);
        // A client that goes away ends its own connection only.
        tokio::spawn(async move { answer(stream, &name).await });
    }
}

async fn answer(mut stream: TcpStream, name: &str) -> Result<()> {
    stream.set_nodelay(true)?;
    while let Some(head) = head(&mut stream).await? {
        if head.contains(HANG_UP) {
            return Ok(());
        }
        let length = head.len();
        let answer = format!(
            "HTTP/1.1 200 OK\r\n{RESPONDER}: {name}\r\nX-Case: Kept\r\ncontent-length: {length}\r\n\r\n{head}"
        );
        stream.write_all(answer.as_bytes()).await?;
        if head.lines().any(|line| line.starts_with(CLOSE)) {
            return Ok(stream.peek(&mut [0]).await.map(drop)?);
        }
    }
    Ok(())
}

/// The next request up to the empty line; no request here has more. `None` at the end of the connection.
async fn head(stream: &mut TcpStream) -> Result<Option<String>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let byte = stream.read_u8().await;
        match byte {
            Ok(byte) => head.push(byte),
            Err(_) if head.is_empty() => return Ok(None),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Some(String::from_utf8_lossy(&head).into_owned()))
}

/// Connects to `address` (`NAME:PORT`), sends `request` and reads until the server closes, which the request has to ask for.
pub async fn call(address: &str, request: &[u8]) -> Result<AppAnswer> {
    let mut stream = TcpStream::connect(address).await.context("connect")?;
    stream.write_all(request).await.context("write")?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.context("read")?;
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").context("no head")?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).context("no status")?;
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    ensure!(!headers.is_empty(), "no headers in {head:?}");
    let named = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(RESPONDER));
    let responder = named.map(|(_, value)| value.clone()).unwrap_or_default();
    Ok(AppAnswer { status, grpc_status: None, responder, headers, body: body.to_owned() })
}
