//! The HTTP transport below the SDK: one pool of connections, with the seam for faults around each attempt that writes;
//! and the limit on the rate of calls.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use tokio::time::Instant;

use crate::faults::{Call, SharedFaults, Target};

fn tls() -> Provider {
    Provider::Rustls(CryptoMode::AwsLc)
}

/// The SDK's HTTP client with faults around its attempts.
#[derive(Debug)]
pub(super) struct FaultyClient {
    inner: SharedHttpClient,
    faults: SharedFaults,
}

impl FaultyClient {
    pub(super) fn shared(faults: SharedFaults) -> SharedHttpClient {
        let inner = Builder::new().tls_provider(tls()).build_https();
        if faults.is_none() { inner } else { SharedHttpClient::new(Self { inner, faults }) }
    }
}

impl HttpClient for FaultyClient {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(FaultyConnector { inner, faults: self.faults.clone() })
    }
}

#[derive(Debug)]
struct FaultyConnector {
    inner: SharedHttpConnector,
    faults: SharedFaults,
}

impl HttpConnector for FaultyConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let Some(faults) = self.faults.clone().filter(|_| request.method() != "GET") else {
            return self.inner.call(request);
        };
        let path = request.uri().parse::<http::Uri>().map(|uri| uri.path().to_owned()).unwrap_or_default();
        let call = Call { target: Target::AppMesh, method: request.method().to_owned(), path };
        let inner = self.inner.clone();
        HttpConnectorFuture::new(async move {
            faults.before(&call).await;
            let answer = inner.call(request).await?;
            faults.after(&call).await.map_err(|lost| ConnectorError::io(lost.into()))?;
            Ok(answer)
        })
    }
}

/// Plain GET requests to the endpoint, for what the App Mesh API does not have.
#[derive(Clone, Debug)]
pub struct Http {
    connector: SharedHttpConnector,
}

impl Http {
    /// A client with its own pool of connections.
    pub fn new() -> Self {
        let connector = Connector::builder().tls_provider(tls()).build();
        Self { connector: SharedHttpConnector::new(connector) }
    }

    /// The status and the body of `GET url`, at most `limit` after it was sent.
    ///
    /// # Errors
    /// In words: the address is malformed, the connection failed, or the time is over.
    pub async fn get(&self, url: &str, limit: Duration) -> Result<(u16, Vec<u8>), String> {
        let request = http::Request::get(url).body(SdkBody::empty()).map_err(|error| error.to_string())?;
        let request = HttpRequest::try_from(request).map_err(|error| error.to_string())?;
        let exchange = async {
            let answer = self.connector.call(request).await.map_err(|error| error.to_string())?;
            let status = answer.status().as_u16();
            let body = http_body_util::BodyExt::collect(answer.into_body()).await;
            Ok((status, body.map_err(|error| error.to_string())?.to_bytes().to_vec()))
        };
        let late = || format!("no answer within {limit:?}");
        tokio::time::timeout(limit, exchange).await.map_err(|_| late())?
    }
}

impl Default for Http {
    fn default() -> Self {
        Self::new()
    }
}

/// A limit on the rate of calls; calls above it wait for their turn. Without a limit they go at once.
#[derive(Debug)]
pub struct Rate {
    gap: Option<Duration>,
    next: Mutex<Option<Instant>>,
}

impl Rate {
    /// At most `per_second` calls a second, evenly spread; no limit when `None` or not positive.
    pub fn new(per_second: Option<f64>) -> Self {
        let gap = per_second.filter(|rate| *rate > 0.0).map(|rate| Duration::from_secs_f64(1.0 / rate));
        Self { gap, next: Mutex::default() }
    }

    /// Waits for the next free turn.
    pub async fn turn(&self) {
        let Some(gap) = self.gap else { return };
        let turn = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            let turn = next.map_or(now, |next| next.max(now));
            *next = Some(turn + gap);
            turn
        };
        tokio::time::sleep_until(turn).await;
    }
}
