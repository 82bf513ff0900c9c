//! AWS Signature Version 4: verifies that a request was signed with one of this control plane's access keys. Pure.
//!
//! `Authorization header → what was claimed → the request rebuilt from what was signed, signed again by AWS's own
//! implementation → the two signatures compared in constant time`
//!
//! A signature counts for the host and the region that it was made for, and one of a write counts once ([`replay`]).
//!
//! The hash of the body is part of what is signed, so a body that was altered does not verify. Signatures in the query
//! (presigned addresses) are not taken: App Mesh's clients make none.

mod ahead;
mod audience;
mod bodies;
mod claim;
mod http;
mod local;
mod proofs;
mod refused;
mod replay;
mod seconds;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ::http::request::Parts;
use ::http::{HeaderMap, Version, header};
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use subtle::ConstantTimeEq;
use tracing::dispatcher::{Dispatch, with_default};

use crate::keys::{Key, Keys};
use crate::rights::KeyHolder;
pub use ahead::AheadError;
pub use audience::Audience;
pub use bodies::Bodies;
pub(crate) use claim::Claim;
pub use http::{SignatureGuard, guard};
pub use local::{LocalKeys, local};
pub use proofs::Proofs;
pub use refused::Refused;
pub use replay::Replays;

/// The name that App Mesh's requests are signed for.
const SERVICE: &str = "appmesh";
/// How far the clocks of both sides may differ.
const SKEW: Duration = Duration::from_secs(5 * 60);

/// A request whose signature is good.
#[derive(Clone, Debug)]
pub struct Verified {
    /// Whose key made it.
    pub holder: Arc<KeyHolder>,
    /// The signature, in hexadecimal: no other request of any key has it.
    pub signature: String,
    /// When it was made.
    pub time: SystemTime,
}

/// Verifies that a request was signed for `audience`, and answers with which key.
///
/// # Errors
/// See [`Refused`].
pub fn verify(
    head: &Parts,
    body: &[u8],
    keys: &Keys,
    audience: &Audience,
    now: SystemTime,
) -> Result<Verified, Refused> {
    let (claim, key) = claimed(head, keys, audience, now)?;
    let (id, secret) = (claim.access_key_id.clone(), key.secret.reveal());
    let credentials = Credentials::new(id, secret, None, None, "fleetmesh-access-keys");
    let expected = signature(head, body, &claim, credentials)?;
    if bool::from(expected.as_bytes().ct_eq(claim.signature.as_bytes())) {
        let Claim { signature, time, .. } = claim;
        Ok(Verified { holder: Arc::clone(&key.holder), signature, time })
    } else {
        Err(Refused::Mismatch)
    }
}

/// What a request claims, and the key that it names: all that can be judged without its body.
fn claimed(
    head: &Parts,
    keys: &Keys,
    audience: &Audience,
    now: SystemTime,
) -> Result<(Claim, Arc<Key>), Refused> {
    let claim = Claim::parse(&head.headers)?;
    if claim.service != SERVICE {
        let message = format!("Credential should be scoped to correct service: '{SERVICE}'.");
        return Err(Refused::Incomplete(message));
    }
    audience.check(&claim.region, &host(head))?;
    let distance = now.duration_since(claim.time).unwrap_or_else(|error| error.duration());
    if distance > SKEW {
        return Err(Refused::Expired { signed: claim.date_time, late: claim.time < now });
    }
    let unknown = || if keys.are_shut() { Refused::Shut } else { Refused::UnknownKey };
    let key = keys.find(&claim.access_key_id).ok_or_else(unknown)?;
    if let Some(end) = key.expires_at.filter(|end| SystemTime::from(*end) <= now) {
        return Err(Refused::EndedKey { id: key.holder.id.clone(), end: end.to_string() });
    }
    Ok((claim, key))
}

/// The signature that the request should carry.
fn signature(head: &Parts, body: &[u8], claim: &Claim, credentials: Credentials) -> Result<String, Refused> {
    let unreadable =
        |what: &dyn std::fmt::Display| Refused::Incomplete(format!("the request cannot be signed: {what}"));
    let identity = credentials.into();
    let mut settings = SigningSettings::default();
    // What the caller says that it signed decides, not what a client of AWS's would leave out.
    settings.excluded_headers = None;
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(&claim.region)
        .name(&claim.service)
        .time(claim.time)
        .settings(settings)
        .build()
        .map_err(|error| unreadable(&error))?
        .into();
    let host = host(head);
    let signed = signed_headers(&head.headers, claim, &host)?;
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let uri = format!("https://{host}{path}");
    let request =
        SignableRequest::new(head.method.as_str(), uri, signed.into_iter(), SignableBody::Bytes(body))
            .map_err(|error| unreadable(&error))?;
    // At trace the library logs what it signs, and a caller's session token is one of the headers.
    let signed = with_default(&Dispatch::none(), || sign(request, &parameters));
    let signed = signed.map_err(|error| unreadable(&error))?;
    Ok(signed.into_parts().1)
}

/// The headers that were signed, each as often as it was sent.
fn signed_headers<'a>(
    headers: &'a HeaderMap,
    claim: &'a Claim,
    host: &'a str,
) -> Result<Vec<(&'a str, &'a str)>, Refused> {
    let mut signed = Vec::with_capacity(claim.signed_headers.len());
    for name in &claim.signed_headers {
        if name == header::HOST.as_str() {
            signed.push((name.as_str(), host));
            continue;
        }
        let values = headers.get_all(name.as_str());
        if values.iter().next().is_none() {
            return Err(Refused::Incomplete(format!("the signed header '{name}' was not sent")));
        }
        for value in values {
            let unreadable = || Refused::Incomplete(format!("the header '{name}' is no ASCII text"));
            signed.push((name.as_str(), value.to_str().map_err(|_| unreadable())?));
        }
    }
    Ok(signed)
}

/// The host that the request was sent to: in HTTP/2 it is a part of the address.
fn host(head: &Parts) -> String {
    let named = head.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let authority = head.uri.authority().map(::http::uri::Authority::as_str);
    let (first, second) =
        if head.version == Version::HTTP_2 { (authority, named) } else { (named, authority) };
    first.or(second).unwrap_or_default().to_owned()
}
