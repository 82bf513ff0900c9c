//! Asks STS who signed a request. It is sent as it was rebuilt, to the one configured host; redirects are not followed.

use std::net::IpAddr;
use std::time::Duration;

use aws_smithy_runtime_api::client::http::SharedHttpConnector;
use aws_smithy_types::body::SdkBody;
use aws_smithy_xml::decode::{Document, try_data};
use fleetmesh_api::join::STS_BODY;
use fleetmesh_mesh::grant::StsCaller;
use fleetmesh_mesh::refusal::{Class, Refusal};
use http::{HeaderMap, Uri};

use crate::aws::{self, THROTTLED};

/// How long STS may take.
const LIMIT: Duration = Duration::from_secs(10);
/// The longest answer, in bytes.
const LONGEST: usize = 64 * 1024;

/// Where STS is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StsEndpoint {
    /// The address.
    pub url: String,
    /// Its host, with the port if it is not the scheme's.
    pub host: String,
    /// The region that requests are signed for.
    pub region: String,
}

impl StsEndpoint {
    /// STS at `url`, or else that of `region`.
    ///
    /// # Errors
    /// In words: the address is none.
    pub fn new(url: Option<&str>, region: &str) -> Result<Self, String> {
        let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        let url = url.map_or_else(|| format!("https://sts.{region}.{domain}"), str::to_owned);
        let url = url.trim_end_matches('/').to_owned();
        let parsed: Uri = url.parse().map_err(|_| format!("{url:?} is no address"))?;
        let plain = parsed.path().trim_matches('/').is_empty() && parsed.query().is_none();
        match (parsed.scheme_str(), parsed.authority()) {
            (Some("http"), Some(host)) if plain && !is_loopback(host.host()) => Err(format!(
                "{url:?}: signatures and tokens are sent over TLS only, http:// is for 127.0.0.1 and [::1]"
            )),
            (Some("http" | "https"), Some(host)) if plain => {
                Ok(Self { host: host.to_string(), region: region.to_owned(), url })
            }
            _ => Err(format!("{url:?} is not https://HOST or https://HOST:PORT")),
        }
    }
}

/// Whether `host` is an address of this machine alone. A name is not: what it means is not decided here.
fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    address.is_ok_and(|address| address.is_loopback())
}

/// The client.
#[derive(Clone, Debug)]
pub struct Sts {
    endpoint: StsEndpoint,
    connector: SharedHttpConnector,
}

impl Sts {
    /// A client of `endpoint`.
    pub fn new(endpoint: StsEndpoint) -> Self {
        Self { endpoint, connector: aws::connector() }
    }

    /// Where it is.
    pub fn endpoint(&self) -> &StsEndpoint {
        &self.endpoint
    }

    /// Who signed the request with these headers.
    ///
    /// # Errors
    /// STS refuses the signature, or does not answer.
    pub async fn caller(&self, headers: HeaderMap) -> Result<StsCaller, Refusal> {
        let unavailable = |why: String| {
            let message = format!("STS at {} cannot be asked: {why}", self.endpoint.host);
            Refusal::new(Class::ServiceUnavailable, message)
        };
        let mut request = http::Request::post(format!("{}/", self.endpoint.url));
        if let Some(all) = request.headers_mut() {
            *all = headers;
        }
        let request =
            request.body(SdkBody::from(STS_BODY)).map_err(|error| unavailable(error.to_string()))?;
        let answer = fleetmesh_signing::send(&self.connector, request, LIMIT, LONGEST).await;
        let (status, body) = answer.map_err(unavailable)?;
        match status {
            _ if is_throttled(status, &body) => Err(Refusal::new(
                Class::ServiceUnavailable,
                format!("STS at {} is asked too often at the moment: try again", self.endpoint.host),
            )),
            200 => caller(&body).map_err(|error| unavailable(format!("its answer cannot be read: {error}"))),
            400..=499 => {
                let message = format!(
                    "STS does not accept the signature (status {status}): sign for {} in {}",
                    self.endpoint.host, self.endpoint.region
                );
                Err(Refusal::new(Class::Forbidden, message))
            }
            _ => Err(unavailable(format!("status {status}"))),
        }
    }
}

/// Whether STS says that it was asked too often, which says nothing of the signature: by a status of 429, or by the name
/// that AWS's query services give the error with a status of 400.
fn is_throttled(status: u16, body: &[u8]) -> bool {
    let named = || error_code(body).is_some_and(|code| THROTTLED.contains(&code.as_str()));
    status == 429 || ((400..500).contains(&status) && named())
}

/// The name of the error in an answer of STS.
fn error_code(body: &[u8]) -> Option<String> {
    let mut document = Document::new(std::str::from_utf8(body).ok()?);
    let mut root = document.root_element().ok()?;
    while let Some(mut error) = root.next_tag() {
        if !error.start_el().matches("Error") {
            continue;
        }
        while let Some(mut member) = error.next_tag() {
            if member.start_el().matches("Code") {
                return Some(try_data(&mut member).ok()?.trim().to_owned());
            }
        }
        return None;
    }
    None
}

/// Whom an answer to GetCallerIdentity names.
pub(crate) fn caller(body: &[u8]) -> Result<StsCaller, String> {
    let text = std::str::from_utf8(body).map_err(|error| error.to_string())?;
    let mut document = Document::new(text);
    let mut root = document.root_element().map_err(|error| error.to_string())?;
    while let Some(mut result) = root.next_tag() {
        if !result.start_el().matches("GetCallerIdentityResult") {
            continue;
        }
        let (mut arn, mut user_id) = (None, None);
        while let Some(mut member) = result.next_tag() {
            let into = match member.start_el().local() {
                "Arn" => &mut arn,
                "UserId" => &mut user_id,
                _ => continue,
            };
            *into = Some(try_data(&mut member).map_err(|error| error.to_string())?.trim().to_owned());
        }
        let caller = arn.zip(user_id).map(|(arn, user_id)| StsCaller { arn, user_id });
        return caller.ok_or_else(|| "it names no ARN and user id".into());
    }
    Err("it names nobody".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_host_and_nothing_else() {
        let default = StsEndpoint::new(None, "cn-north-1").expect("a region's");
        assert_eq!(default.host, "sts.cn-north-1.amazonaws.com.cn");
        assert_eq!(
            StsEndpoint::new(Some("http://127.0.0.1:5000/"), "x").expect("moto's").host,
            "127.0.0.1:5000"
        );
        assert!(StsEndpoint::new(Some("http://[::1]:5000"), "x").is_ok());
        for url in [
            "sts.example",
            "ftp://sts.example",
            "https://sts.example/path",
            "https://sts.example?x=1",
            "http://sts.example",
            "http://sts.us-west-2.amazonaws.com",
            "http://127.0.0.1.sts.example",
            "http://localhost:5000",
            "http://169.254.169.254",
        ] {
            assert!(StsEndpoint::new(Some(url), "us-west-2").is_err(), "{url}");
        }
    }

    #[test]
    fn an_sts_that_is_asked_too_often_refuses_nobody() {
        let answer = |code: &str| {
            let error =
                format!("<Error><Type>Sender</Type><Code>{code}</Code><Message>Throttling</Message></Error>");
            format!(
                "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">{error}</ErrorResponse>"
            )
        };
        for code in THROTTLED {
            assert!(is_throttled(400, answer(code).as_bytes()), "{code}");
        }
        assert!(is_throttled(429, b""));
        for (status, body) in [
            (403, answer("SignatureDoesNotMatch")),
            (400, answer("InvalidClientTokenId")),
            (200, answer("Throttling")),
            (400, "Throttling".to_owned()),
            (400, "<ErrorResponse/>".to_owned()),
        ] {
            assert!(!is_throttled(status, body.as_bytes()), "{status} {body}");
        }
    }

    #[test]
    fn the_caller_is_found_where_sts_puts_it_and_nowhere_else() {
        let answer = |inner: &str| {
            format!(
                "<GetCallerIdentityResponse><Other><Arn>no</Arn></Other>{inner}</GetCallerIdentityResponse>"
            )
        };
        let good = answer(
            "<GetCallerIdentityResult><UserId>x</UserId><Arn>arn:aws:sts::1:assumed-role/r/s</Arn></GetCallerIdentityResult>",
        );
        let expected = StsCaller { arn: "arn:aws:sts::1:assumed-role/r/s".into(), user_id: "x".into() };
        assert_eq!(caller(good.as_bytes()), Ok(expected));
        let half = answer("<GetCallerIdentityResult><UserId>x</UserId></GetCallerIdentityResult>");
        for bad in [answer("").as_str(), half.as_str(), "", "{}"] {
            assert!(caller(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
