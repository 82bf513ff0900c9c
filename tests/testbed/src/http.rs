//! Plain HTTP requests to programs on loopback.

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use crate::app::Protocol;
use crate::app::client::{AppAnswer, AppCall, Client};

/// Sends a request without a body and returns the answer, whatever its status.
///
/// # Errors
/// No answer comes.
pub async fn send(method: Method, url: &str) -> Result<AppAnswer> {
    let (url, protocol, headers) = (url.parse()?, Protocol::Http, HeaderMap::new());
    let call = AppCall { url, protocol, method, headers, opening: Vec::new(), upgrade: None };
    Client::new(Protocol::Http).send(&call).await
}

/// The body of a successful GET.
///
/// # Errors
/// No answer comes, or its status is not 200.
pub async fn get(url: &str) -> Result<String> {
    let answer = send(Method::GET, url).await?;
    ensure!(answer.status == 200, "{url} answers {}: {}", answer.status, answer.body);
    Ok(answer.body)
}

/// The JSON that a POST of `body` is answered with.
///
/// # Errors
/// No answer comes, its status is not 200, or it is no JSON.
pub async fn post(url: &str, body: &Value) -> Result<Value> {
    let request = Request::post(url).header("content-type", "application/json").body(body.to_string())?;
    let text = exchange(request).await?;
    serde_json::from_str(&text).with_context(|| format!("no JSON: {text}"))
}

/// The text of the successful answer to `request`, whose URI is absolute.
///
/// # Errors
/// No answer comes, or its status is not 200.
pub async fn exchange(request: Request<String>) -> Result<String> {
    let (url, request) = (request.uri().clone(), request.map(|body| Full::new(Bytes::from(body))));
    let (parts, body) = Pool::builder(TokioExecutor::new()).build_http().request(request).await?.into_parts();
    let text = String::from_utf8_lossy(&body.collect().await?.to_bytes()).into_owned();
    ensure!(parts.status == 200, "{url} answers {}: {text}", parts.status);
    Ok(text)
}
