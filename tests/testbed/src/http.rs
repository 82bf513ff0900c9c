//! Plain HTTP requests to programs on loopback.

use anyhow::{Result, ensure};
use http::{HeaderMap, Method};

use crate::app::Protocol;
use crate::app::client::{Answer, Call, Client};

/// Sends a request without a body and returns the answer, whatever its status.
///
/// # Errors
/// No answer comes.
pub async fn send(method: Method, url: &str) -> Result<Answer> {
    let call = Call { url: url.parse()?, protocol: Protocol::Http, method, headers: HeaderMap::new() };
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
