//! The proof: a signed GetCallerIdentity, rebuilt. Pure.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use sha2::{Digest, Sha256};

use super::{JoinRequest, Signature, denied};
use crate::refusal::Refusal;
use crate::sigv4::Claim;

/// The body of every request.
pub const BODY: &str = "Action=GetCallerIdentity&Version=2011-06-15";
/// The type of the body.
pub const TYPE: &str = "application/x-www-form-urlencoded; charset=utf-8";
/// The header with the challenge and what it is for.
pub const CHALLENGE: &str = "x-fleetmesh-challenge";
/// The name of STS in signatures.
const SERVICE: &str = "sts";
/// The headers that may be signed; each is set here.
const ALLOWED: [&str; 5] = ["content-type", "host", "x-amz-date", "x-amz-security-token", CHALLENGE];

/// What the header [`CHALLENGE`] has to say: the challenge, and a digest of what it is for.
fn bound(challenge: &str, resource: &str, public_key: &str) -> String {
    let digest = Sha256::digest(format!("{resource}\n{public_key}"));
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{challenge}.{hex}")
}

/// The headers of the request to STS at `host` that `request` proves itself by.
///
/// # Errors
/// The signature is none, is for something else, or does not cover the challenge.
pub fn headers(request: &JoinRequest, host: &str) -> Result<HeaderMap, Refusal> {
    let JoinRequest { resource, public_key, challenge, authorization, amz_date, security_token } = request;
    let mut headers = HeaderMap::new();
    let mut set = |name: HeaderName, value: &str, secret: bool| {
        let mut value =
            HeaderValue::from_str(value).map_err(|_| Refusal::bad_request(format!("{name} is not ASCII")))?;
        value.set_sensitive(secret);
        headers.insert(name, value);
        Ok::<_, Refusal>(())
    };
    let Signature(authorization) = authorization;
    set(header::HOST, host, false)?;
    set(header::CONTENT_TYPE, TYPE, false)?;
    set(HeaderName::from_static(CHALLENGE), &bound(challenge, resource, public_key), false)?;
    set(HeaderName::from_static("x-amz-date"), amz_date, false)?;
    set(header::AUTHORIZATION, authorization.reveal(), true)?;
    if let Some(Signature(token)) = security_token {
        set(HeaderName::from_static("x-amz-security-token"), token.reveal(), true)?;
    }
    let claim = Claim::parse(&headers).map_err(|refused| denied(&format!("authorization: {refused}")))?;
    if claim.service != SERVICE {
        return Err(denied(&format!("authorization: it is for {}, not for {SERVICE}", claim.service)));
    }
    let signed = &claim.signed_headers;
    if let Some(other) = signed.iter().find(|name| !ALLOWED.contains(&name.as_str())) {
        return Err(denied(&format!("authorization: the header {other:?} may not be signed")));
    }
    if !signed.iter().any(|name| name == CHALLENGE) {
        return Err(denied(&format!("authorization: the header {CHALLENGE} has to be signed")));
    }
    Ok(headers)
}
