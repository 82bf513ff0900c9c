//! The proof: a signed GetCallerIdentity. The instance's input is read by a strict grammar, and the request is built anew from it: no
//! byte outside of that grammar reaches STS. Pure.

use fleetmesh_api::headers::{AMZ_DATE as DATE, AMZ_SECURITY_TOKEN as TOKEN, CHALLENGE};
use fleetmesh_api::join::{JoinRequest, STS_CONTENT_TYPE, bound};
use fleetmesh_mesh::refusal::Refusal;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use jiff::civil::DateTime;

use super::denied;
use super::sts::StsEndpoint;
use crate::secret::Secret;

/// The only algorithm.
const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// The name of STS in signatures.
const SERVICE: &str = "sts";
/// What every scope ends in.
const TERMINATOR: &str = "aws4_request";
/// The headers that may be signed; each is set here.
const ALLOWED: [&str; 5] = ["content-type", "host", DATE, TOKEN, CHALLENGE];
/// The longest session token, in bytes. AWS names no bound; theirs have less than 4,096.
const LONGEST_TOKEN: usize = 8192;
/// The longest word that a message repeats, in bytes.
const LONGEST_WORD: usize = 64;

/// The headers of the request to `sts` that `request` proves itself by.
///
/// # Errors
/// The signature is none, is for something else, or does not cover the challenge. No message repeats more of what was sent
/// than one word of 64 letters, digits and hyphens.
pub fn headers(request: &JoinRequest, sts: &StsEndpoint) -> Result<HeaderMap, Refusal> {
    let JoinRequest { resource, public_key, challenge, authorization, amz_date, security_token, .. } =
        request;
    let token = security_token.as_ref().map(|token| token.reveal());
    let authorization = Authorization::parse(authorization.reveal()).and_then(|authorization| {
        authorization.covers(sts, amz_date, token.is_some())?;
        Ok(authorization)
    });
    let authorization = authorization.map_err(|reason| denied(&format!("authorization: {reason}")))?;
    let day_and_time = is_date_time(amz_date).then_some(amz_date.as_str());
    let date = day_and_time.ok_or_else(|| malformed("amzDate: expected a time as YYYYMMDDTHHMMSSZ"))?;
    if token.is_some_and(|token| !is_token(token)) {
        return Err(malformed(&format!("securityToken: expected base 64, of at most {LONGEST_TOKEN} bytes")));
    }
    let mut headers = HeaderMap::new();
    let mut set = |name: HeaderName, value: &str, secret: bool| {
        let mut value =
            HeaderValue::from_str(value).map_err(|_| malformed(&format!("{name}: it is not ASCII")))?;
        value.set_sensitive(secret);
        headers.insert(name, value);
        Ok::<_, Refusal>(())
    };
    set(header::HOST, &sts.host, false)?;
    set(header::CONTENT_TYPE, STS_CONTENT_TYPE, false)?;
    set(HeaderName::from_static(CHALLENGE), &bound(challenge, resource, public_key), false)?;
    set(HeaderName::from_static(DATE), date, false)?;
    set(header::AUTHORIZATION, authorization.header().reveal(), true)?;
    if let Some(token) = token {
        set(HeaderName::from_static(TOKEN), token, true)?;
    }
    Ok(headers)
}

fn malformed(message: &str) -> Refusal {
    Refusal::bad_request(message)
}

/// What an `Authorization` header of Signature Version 4 says.
struct Authorization<'a> {
    key: &'a str,
    day: &'a str,
    region: &'a str,
    service: &'a str,
    signed: Vec<&'a str>,
    signature: &'a str,
}

impl<'a> Authorization<'a> {
    /// Reads `AWS4-HMAC-SHA256 Credential=KEY/DAY/REGION/SERVICE/aws4_request, SignedHeaders=NAME;…, Signature=HEX`, to the
    /// byte as AWS's SDKs write it.
    fn parse(text: &'a str) -> Result<Self, String> {
        let form = || {
            format!(
                "expected `{ALGORITHM} Credential=KEY/DAY/REGION/SERVICE/{TERMINATOR}, SignedHeaders=NAMES, Signature=HEX`"
            )
        };
        let rest = text.strip_prefix(ALGORITHM).and_then(|rest| rest.strip_prefix(" Credential="));
        let (credential, rest) =
            rest.and_then(|rest| rest.split_once(", SignedHeaders=")).ok_or_else(form)?;
        let (signed, signature) = rest.split_once(", Signature=").ok_or_else(form)?;
        let scope: Vec<&str> = credential.splitn(6, '/').collect();
        let &[key, day, region, service, TERMINATOR] = scope.as_slice() else { return Err(form()) };
        let signed: Vec<&str> = signed.split(';').collect();
        let key_is_one = (16..=128).contains(&key.len())
            && key.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
        let day_is_one = day.len() == 8 && digits(day);
        let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let signature_is_one = signature.len() == 64 && signature.bytes().all(hex);
        let words = [region, service].into_iter().chain(signed.iter().copied()).all(is_word);
        let sorted = signed.is_sorted_by(|one, next| one < next);
        if key_is_one && day_is_one && signature_is_one && words && sorted {
            return Ok(Self { key, day, region, service, signed, signature });
        }
        Err(form())
    }

    /// Whether it is for a request to `sts`, made at `amz_date`, and covers what it has to and nothing that is not set here.
    fn covers(&self, sts: &StsEndpoint, amz_date: &str, token: bool) -> Result<(), String> {
        if self.service != SERVICE {
            return Err(format!("it is for {}, not for {SERVICE}", self.service));
        }
        if self.region != sts.region {
            return Err(format!("it is for the region {}, not for {}", self.region, sts.region));
        }
        if !amz_date.starts_with(self.day) {
            return Err("its day is not that of amzDate".into());
        }
        if let Some(other) = self.signed.iter().find(|name| !ALLOWED.contains(name)) {
            return Err(format!("the header {other:?} may not be signed"));
        }
        let needed = ["host", DATE, CHALLENGE].into_iter().chain(token.then_some(TOKEN));
        let missing = needed.into_iter().find(|name| !self.signed.contains(name));
        missing.map_or(Ok(()), |name| Err(format!("the header {name} has to be signed")))
    }

    /// The header, built anew.
    fn header(&self) -> Secret {
        let Self { key, day, region, service, signed, signature } = self;
        let (scope, signed) = (format!("{key}/{day}/{region}/{service}/{TERMINATOR}"), signed.join(";"));
        Secret::new(format!("{ALGORITHM} Credential={scope}, SignedHeaders={signed}, Signature={signature}"))
    }
}

fn digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The name of a region, a service or a header.
fn is_word(text: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=LONGEST_WORD).contains(&text.len()) && text.bytes().all(legal)
}

fn is_date_time(text: &str) -> bool {
    text.len() == 16 && DateTime::strptime("%Y%m%dT%H%M%SZ", text).is_ok()
}

fn is_token(text: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=_-".contains(&byte);
    (1..=LONGEST_TOKEN).contains(&text.len()) && text.bytes().all(legal)
}

#[cfg(test)]
mod tests;
