//! The HTTP transport below the SDK: one pool of connections, with the hooks around each attempt that writes, the time limits of
//! calls, and the limit on their rate.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext};
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::timeout::TimeoutConfig;
use tokio::time::Instant;

use crate::trust::{Made, Trust};
use crate::write_hook::{Write, WriteHooks, WriteTarget};

/// How long one attempt of a call may take. The SDK has no limit of its own.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a call may take with all its retries.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(60);
/// How long one attempt of a launch may take, and how much longer for each instance.
const LAUNCH_TIMEOUT: Duration = Duration::from_secs(60);
const LAUNCH_TIMEOUT_EACH: Duration = Duration::from_millis(300);
/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// The limits that every client of the SDK is given.
pub fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .operation_timeout(OPERATION_TIMEOUT)
        .build()
}

/// The limits of a launch of `count` instances. EC2 answers when all of them are launched, which takes tens of seconds for
/// hundreds; a launch that was given up is asked for again with its token, and waited for as long.
pub fn launch_timeouts(count: i32) -> TimeoutConfig {
    let count = u32::try_from(count).unwrap_or_default();
    let attempt = LAUNCH_TIMEOUT.saturating_add(LAUNCH_TIMEOUT_EACH.saturating_mul(count));
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(attempt)
        .operation_timeout(attempt.saturating_mul(2))
        .build()
}

fn tls() -> Provider {
    Provider::Rustls(CryptoMode::AwsLc)
}

/// What a request writes; `None` for one that only reads.
type DescribedError = fn(&HttpRequest) -> Option<Write>;

/// The SDK's HTTP client for the App Mesh API at an endpoint that `trust` vouches for.
pub fn app_mesh_client(trust: Trust) -> SharedHttpClient {
    SharedHttpClient::new(TrustingClient(Made::new(trust, https)))
}

/// `inner`, which calls the App Mesh API, with `hooks` around its writes.
pub fn hooked_app_mesh_client(inner: SharedHttpClient, hooks: WriteHooks) -> SharedHttpClient {
    client(inner, hooks, app_mesh_write)
}

/// The SDK's HTTP client for the other services; with `hooks` around their writes.
pub fn aws_client(hooks: WriteHooks) -> SharedHttpClient {
    client(https(None), hooks, aws_write)
}

fn https(context: Option<TlsContext>) -> SharedHttpClient {
    Builder::new().tls_provider(tls()).tls_context(context.unwrap_or_default()).build_https()
}

/// The SDK's HTTP client, made anew when those change whom it trusts.
#[derive(Debug)]
struct TrustingClient(Made<SharedHttpClient>);

impl HttpClient for TrustingClient {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        self.0.get().http_connector(settings, components)
    }
}

fn client(inner: SharedHttpClient, hooks: WriteHooks, described: DescribedError) -> SharedHttpClient {
    if hooks.is_empty() { inner } else { SharedHttpClient::new(HookedClient { inner, hooks, described }) }
}

fn app_mesh_write(request: &HttpRequest) -> Option<Write> {
    let path = request.uri().parse::<http::Uri>().map(|uri| uri.path().to_owned()).unwrap_or_default();
    (request.method() != "GET").then(|| Write {
        target: WriteTarget::AppMesh,
        method: request.method().to_owned(),
        path,
    })
}

/// Every request of these services is a POST. The Query protocol names the action in the body, the JSON protocol in a
/// header.
fn aws_write(request: &HttpRequest) -> Option<Write> {
    let action = match request.headers().get("x-amz-target") {
        Some(target) => target.rsplit('.').next().unwrap_or_default().to_owned(),
        None => {
            let body = String::from_utf8_lossy(request.body().bytes().unwrap_or_default());
            let action = body.split('&').find_map(|pair| pair.strip_prefix("Action="));
            action.unwrap_or_default().to_owned()
        }
    };
    let reads = ["Describe", "Discover", "Get", "List"].iter().any(|verb| action.starts_with(verb));
    (!reads).then(|| Write { target: WriteTarget::Aws, method: request.method().to_owned(), path: action })
}

/// The SDK's HTTP client with the hooks around its attempts.
#[derive(Debug)]
struct HookedClient {
    inner: SharedHttpClient,
    hooks: WriteHooks,
    described: DescribedError,
}

impl HttpClient for HookedClient {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        let (hooks, described) = (self.hooks.clone(), self.described);
        SharedHttpConnector::new(HookedConnector { inner, hooks, described })
    }
}

#[derive(Debug)]
struct HookedConnector {
    inner: SharedHttpConnector,
    hooks: WriteHooks,
    described: DescribedError,
}

impl HttpConnector for HookedConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let Some(write) = (self.described)(&request) else {
            return self.inner.call(request);
        };
        let (inner, hooks) = (self.inner.clone(), self.hooks.clone());
        HttpConnectorFuture::new(async move {
            hooks.before(&write).await;
            let answer = inner.call(request).await?;
            hooks.after(&write).await.map_err(|lost| ConnectorError::io(lost.into()))?;
            Ok(answer)
        })
    }
}

/// Plain requests, for what no SDK has. Redirects are not followed.
#[derive(Clone, Debug)]
pub struct Http {
    connector: Arc<Made<SharedHttpConnector>>,
}

impl Http {
    /// A client with its own pool of connections.
    pub fn new() -> Self {
        Self::trusting(Trust::system())
    }

    /// The same for servers that `trust` vouches for.
    pub fn trusting(trust: Trust) -> Self {
        let make = |context: Option<TlsContext>| {
            let connector = Connector::builder().tls_provider(tls()).tls_context(context.unwrap_or_default());
            SharedHttpConnector::new(connector.build())
        };
        Self { connector: Arc::new(Made::new(trust, make)) }
    }

    /// The status and the body of `GET url`, at most `limit` after it was sent.
    ///
    /// # Errors
    /// In words: the address is malformed, the connection failed, or the time is over.
    pub async fn get(&self, url: &str, limit: Duration) -> Result<(u16, Vec<u8>), String> {
        self.get_with(url, &[], limit).await
    }

    /// The same with these headers.
    ///
    /// # Errors
    /// In words, as of [`Self::get`].
    pub async fn get_with(
        &self,
        url: &str,
        headers: &[(String, String)],
        limit: Duration,
    ) -> Result<(u16, Vec<u8>), String> {
        self.send(http::Method::GET, url, headers, SdkBody::empty(), limit).await
    }

    /// The status and the body of `POST url` with `body` and these headers, at most `limit` after it was sent.
    ///
    /// # Errors
    /// In words, as of [`Self::get`].
    pub async fn post_with(
        &self,
        url: &str,
        headers: &[(String, String)],
        body: String,
        limit: Duration,
    ) -> Result<(u16, Vec<u8>), String> {
        self.send(http::Method::POST, url, headers, SdkBody::from(body), limit).await
    }

    async fn send(
        &self,
        method: http::Method,
        url: &str,
        headers: &[(String, String)],
        body: SdkBody,
        limit: Duration,
    ) -> Result<(u16, Vec<u8>), String> {
        let mut request = addressed(method, url);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request.body(body).map_err(|error| error.to_string())?;
        fleetmesh_signing::send(&self.connector(), request, limit, usize::MAX).await
    }

    /// What requests go over.
    pub(crate) fn connector(&self) -> SharedHttpConnector {
        self.connector.get()
    }
}

impl Default for Http {
    fn default() -> Self {
        Self::new()
    }
}

/// A request to `url`. The user and password in it go into a header, where they belong (RFC 7617): as a part of the address
/// they would name the connection in hyper's logs.
fn addressed(method: http::Method, url: &str) -> http::request::Builder {
    let request = http::Request::builder().method(method);
    let Some((scheme, rest)) = url.split_once("://") else { return request.uri(url) };
    let (authority, target) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let Some((user, host)) = authority.rsplit_once('@') else { return request.uri(url) };
    let credentials: Vec<u8> = percent_encoding::percent_decode_str(user).collect();
    let basic = format!("Basic {}", aws_smithy_types::base64::encode(credentials));
    let request = request.uri(format!("{scheme}://{host}{target}"));
    match http::HeaderValue::try_from(basic) {
        Ok(mut basic) => {
            basic.set_sensitive(true);
            request.header(http::header::AUTHORIZATION, basic)
        }
        Err(_) => request,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_an_address_becomes_a_header() {
        for (url, uri, header) in [
            ("http://ann:pass%2Fword@h:1/a?b=c@d", "http://h:1/a?b=c@d", Some("Basic YW5uOnBhc3Mvd29yZA==")),
            ("https://ann@h", "https://h/", Some("Basic YW5u")),
            ("http://h/a@b", "http://h/a@b", None),
        ] {
            let request = addressed(http::Method::GET, url).body(()).expect(url);
            assert_eq!(request.uri(), uri);
            let authorization = request.headers().get("authorization");
            assert_eq!(authorization.and_then(|value| value.to_str().ok()), header, "{url}");
            assert!(authorization.is_none_or(http::HeaderValue::is_sensitive), "{url}");
        }
    }
}
