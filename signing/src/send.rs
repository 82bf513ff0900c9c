//! One exchange over HTTP, within bounds of time and size. Redirects are not followed.

use std::time::Duration;

use aws_smithy_runtime_api::client::http::{HttpConnector, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use http_body_util::{BodyExt, Limited};

/// The status and the body that `request` is answered, at most `limit` after it was sent and with at most `longest` bytes.
///
/// # Errors
/// In words: the connection failed, the time is over, or the body is longer.
pub async fn send(
    connector: &SharedHttpConnector,
    request: http::Request<SdkBody>,
    limit: Duration,
    longest: usize,
) -> Result<(u16, Vec<u8>), String> {
    let request = HttpRequest::try_from(request).map_err(|error| error.to_string())?;
    let exchange = async {
        let answer = connector.call(request).await.map_err(|error| error.to_string())?;
        let status = answer.status().as_u16();
        let body = Limited::new(answer.into_body(), longest).collect().await;
        Ok((status, body.map_err(|error| error.to_string())?.to_bytes().to_vec()))
    };
    let late = |_| format!("no answer within {limit:?}");
    tokio::time::timeout(limit, exchange).await.map_err(late)?
}
