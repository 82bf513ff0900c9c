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

/// Connects to `address` (`NAME:PORT`), reads the server's name and has an echo returned.
pub async fn call(address: &str) -> Result<String> {
    let mut stream = BufReader::new(TcpStream::connect(address).await.context("connect")?);
    let mut name = String::new();
    stream.read_line(&mut name).await.context("read")?;
    ensure!(name.ends_with('\n'), "closed before the name came");
    stream.write_all(ECHO).await.context("write")?;
    let mut echo = [0; ECHO.len()];
    stream.read_exact(&mut echo).await.context("read the echo")?;
    ensure!(echo == ECHO, "the echo differs");
    Ok(name.trim_end().to_owned())
}
