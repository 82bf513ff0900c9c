//! Connections that are upgraded: in HTTP/1.1 by `Upgrade`, in HTTP/2 by an extended CONNECT (RFC 8441). What follows is an echo.

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn;
use hyper::ext::Protocol as Token;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// What the client sends and expects back.
const ECHO: &[u8] = b"fleetmesh";

/// What the request asks for; `None` when it asks for no upgrade.
pub(super) fn token(request: &Request<Incoming>) -> Option<HeaderValue> {
    match request.extensions().get::<Token>() {
        Some(token) => HeaderValue::from_str(token.as_str()).ok(),
        None => request.headers().get(header::UPGRADE).cloned(),
    }
}

/// Accepts the upgrade of `request` to `token` and echoes; gives the answer, to which a body may not be added.
pub(super) fn accept(mut request: Request<Incoming>, token: HeaderValue) -> Response<()> {
    let of_http2 = request.method() == Method::CONNECT;
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let (mut reader, mut writer) = tokio::io::split(TokioIo::new(upgraded.await?));
        tokio::io::copy(&mut reader, &mut writer).await?;
        anyhow::Ok(())
    });
    let mut response = Response::new(());
    if !of_http2 {
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        response.headers_mut().insert(header::UPGRADE, token);
    }
    response
}

/// Asks `url` for an upgrade to `token`, over HTTP/2 or HTTP/1.1, and has an echo returned; gives the answer.
pub(super) async fn call(url: &Uri, token: &str, http2: bool) -> Result<Response<Incoming>> {
    let authority = url.authority().context("no host in the URL")?;
    let address = (authority.host(), authority.port_u16().unwrap_or(80));
    let stream = TokioIo::new(TcpStream::connect(address).await.context("connect")?);
    let mut response = if http2 {
        over_http2(stream, url, token).await?
    } else {
        let (mut sender, connection) = conn::http1::handshake(stream).await?;
        tokio::spawn(connection.with_upgrades());
        let request = Request::get(url.path_and_query().map_or("/", |path| path.as_str()))
            .header(header::HOST, authority.as_str())
            .header(header::CONNECTION, "upgrade")
            .header(header::UPGRADE, token);
        sender.send_request(request.body(Full::<Bytes>::default())?).await?
    };
    let agreed = if http2 { StatusCode::OK } else { StatusCode::SWITCHING_PROTOCOLS };
    if response.status() == agreed {
        let mut io = TokioIo::new(hyper::upgrade::on(&mut response).await.context("upgrade")?);
        io.write_all(ECHO).await.context("write")?;
        let mut echo = [0; ECHO.len()];
        io.read_exact(&mut echo).await.context("read the echo")?;
        ensure!(echo == ECHO, "the echo differs");
    }
    Ok(response)
}

async fn over_http2(stream: TokioIo<TcpStream>, url: &Uri, token: &str) -> Result<Response<Incoming>> {
    let (mut sender, connection) = conn::http2::handshake(TokioExecutor::new(), stream).await?;
    tokio::spawn(connection);
    // The server has said by its answer whether it takes extended CONNECTs.
    sender.send_request(Request::get(url).body(Full::<Bytes>::default())?).await?;
    let mut request = Request::connect(url).body(Full::<Bytes>::default())?;
    request.extensions_mut().insert(Token::from(token));
    Ok(sender.send_request(request).await?)
}
