//! The `Authorization` header of Signature Version 4: who claims to have signed what, and when. Pure.

use std::time::SystemTime;

use fleetmesh_api::headers::AMZ_DATE as DATE;
use http::{HeaderMap, HeaderValue, header};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::Refused;

/// The only algorithm.
const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// How it is written.
const FORMAT: &str = "%Y%m%dT%H%M%SZ";
/// The most headers that may be signed. AWS's clients sign fewer than ten.
const MAX_SIGNED: usize = 64;
/// Headers of this prefix change what a request means, so they must be signed.
const AMAZON: &str = "x-amz-";

/// What a request claims. Nothing of it is verified.
#[derive(Debug, PartialEq, Eq)]
pub struct Claim {
    /// The key.
    pub access_key_id: String,
    /// The region of the scope.
    pub region: String,
    /// The service of the scope.
    pub service: String,
    /// The names of the signed headers, in lower case.
    pub signed_headers: Vec<String>,
    /// The signature, in hexadecimal.
    pub signature: String,
    /// When it was made.
    pub time: SystemTime,
    /// The same as it was sent.
    pub date_time: String,
}

impl Claim {
    /// Reads what `headers` claim.
    ///
    /// # Errors
    /// There is no claim, or not all of it.
    pub fn parse(headers: &HeaderMap) -> Result<Self, Refused> {
        let sent = headers.get(header::AUTHORIZATION).ok_or(Refused::MissingToken)?;
        let text = text(sent)?;
        let parameters = text
            .strip_prefix(ALGORITHM)
            .filter(|rest| rest.starts_with(' '))
            .ok_or_else(|| incomplete(format!("Authorization header requires the algorithm {ALGORITHM}")))?;
        let parameter = |name: &str| {
            let mut found =
                parameters.split(',').filter_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='));
            match (found.next(), found.next()) {
                (Some(value), None) if !value.is_empty() => Ok(value),
                _ => Err(incomplete(format!("Authorization header requires '{name}' parameter."))),
            }
        };
        let scope: Vec<&str> = parameter("Credential")?.split('/').collect();
        let &[access_key_id, day, region, service, "aws4_request"] = scope.as_slice() else {
            return Err(incomplete(
                "Credential must have the form ID/DATE/REGION/SERVICE/aws4_request".into(),
            ));
        };
        let signed_headers = signed_headers(parameter("SignedHeaders")?)?;
        covers(&signed_headers, headers)?;
        let date_time =
            headers.get(DATE).ok_or_else(|| incomplete(format!("the header '{DATE}' is required")))?;
        let date_time = self::text(date_time)?.to_owned();
        let time = time(&date_time)?;
        if !date_time.starts_with(day) || day.len() != 8 {
            return Err(incomplete(format!("Date in Credential scope does not match the header {DATE}.")));
        }
        Ok(Self {
            access_key_id: access_key_id.to_owned(),
            region: region.to_owned(),
            service: service.to_owned(),
            signed_headers,
            signature: parameter("Signature")?.to_owned(),
            time,
            date_time,
        })
    }
}

/// The names of the signed headers, which AWS's clients sort. Each name is worth a copy of its header, so one that is repeated
/// would let a few kilobytes become hundreds of megabytes: nothing is copied before all of them were looked at.
fn signed_headers(text: &str) -> Result<Vec<String>, Refused> {
    let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
    let names = || text.split(';');
    let bounded = names().nth(MAX_SIGNED).is_none();
    if bounded
        && names().all(|name| !name.is_empty() && name.bytes().all(legal))
        && names().is_sorted_by(|one, next| one < next)
    {
        return Ok(names().map(str::to_owned).collect());
    }
    Err(incomplete(format!(
        "SignedHeaders has to list at most {MAX_SIGNED} names of headers in lower case, sorted, each of them once"
    )))
}

/// Whether everything that must be signed is.
fn covers(signed: &[String], headers: &HeaderMap) -> Result<(), Refused> {
    let amazon = headers.keys().map(http::HeaderName::as_str).filter(|name| name.starts_with(AMAZON));
    for name in ["host", DATE].into_iter().chain(amazon) {
        if !signed.iter().any(|signed| signed == name) {
            return Err(incomplete(format!("'{name}' must be a 'SignedHeader' in the AWS Authorization.")));
        }
    }
    Ok(())
}

fn text(value: &HeaderValue) -> Result<&str, Refused> {
    value.to_str().map_err(|_| incomplete("a header of the signature is no ASCII text".into()))
}

fn time(text: &str) -> Result<SystemTime, Refused> {
    // The parser passes over blanks; the signer, which writes the time anew, would not notice.
    let civil = DateTime::strptime(FORMAT, text).ok();
    let civil = civil.filter(|civil| civil.strftime(FORMAT).to_string() == text);
    let zoned = civil.and_then(|civil| civil.to_zoned(TimeZone::UTC).ok());
    let malformed = || incomplete(format!("Date must be in ISO-8601 'basic format'. Got '{text}'."));
    Ok(zoned.ok_or_else(malformed)?.timestamp().into())
}

fn incomplete(message: String) -> Refused {
    Refused::Incomplete(message)
}
