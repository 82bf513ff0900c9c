//! The TCP flavour of the application: the server sends its name as a line, then echoes; the client checks both.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// What the client sends and expects back.
const ECHO: &[u8] = b"fleetmesh";

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
    stream.write_all(format!("{name}\n").as_bytes()).await?;
    let (mut reader, mut writer) = stream.split();
    tokio::io::copy(&mut reader, &mut writer).await?;
    Ok(())
}

/// Connects to `address` (`NAME:PORT`), sends `opening` if there is any, reads the server's name and has all of it returned.
pub async fn call(address: &str, opening: &[u8]) -> Result<String> {
    let mut stream = BufReader::new(TcpStream::connect(address).await.context("connect")?);
    stream.write_all(opening).await.context("write")?;
    let mut name = String::new();
    stream.read_line(&mut name).await.context("read")?;
    ensure!(name.ends_with('\n'), "closed before the name came");
    stream.write_all(ECHO).await.context("write")?;
    let sent = [opening, ECHO].concat();
    let mut echo = vec![0; sent.len()];
    stream.read_exact(&mut echo).await.context("read the echo")?;
    ensure!(echo == sent, "the echo differs");
    Ok(name.trim_end().to_owned())
}

/// What a connection of TLS begins with that asks for `server_name`: as much of a ClientHello as whoever looks into it needs.
///
/// # Errors
/// The name is longer than a DNS name can be.
pub fn client_hello(server_name: &str) -> Result<Vec<u8>> {
    ensure!(server_name.len() <= 253, "{server_name:?} is longer than 253 bytes");
    let name = vector::<2>(&[&[0], vector::<2>(server_name.as_bytes()).as_slice()].concat());
    let extensions = [
        extension(0, &name),
        // x25519, ecdsa_secp256r1_sha256, TLS 1.3, and a key.
        extension(10, &vector::<2>(&[0, 29])),
        extension(13, &vector::<2>(&[4, 3])),
        extension(43, &vector::<1>(&[3, 4])),
        extension(51, &vector::<2>(&[&[0, 29][..], &vector::<2>(&[9; 32])].concat())),
    ]
    .concat();
    let body = [
        &[3, 3][..],
        &[7; 32],
        &vector::<1>(&[]),
        // TLS_AES_128_GCM_SHA256, no compression.
        &vector::<2>(&[0x13, 0x01]),
        &vector::<1>(&[0]),
        &vector::<2>(&extensions),
    ]
    .concat();
    let hello = [&[1][..], &vector::<3>(&body)].concat();
    Ok([&[22, 3, 1][..], &vector::<2>(&hello)].concat())
}

fn extension(kind: u8, content: &[u8]) -> Vec<u8> {
    [&[0, kind][..], &vector::<2>(content)].concat()
}

/// `content` after its length in so many bytes, as TLS writes it.
fn vector<const BYTES: usize>(content: &[u8]) -> Vec<u8> {
    let length = u64::try_from(content.len()).unwrap_or(u64::MAX).to_be_bytes();
    [&length[length.len() - BYTES..], content].concat()
}
