//! The proof of this machine's role: an STS GetCallerIdentity that is signed here and sent by the control plane. Pure.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use serde::Serialize;
use sha2::{Digest, Sha256};

/// The body of the request, always the same.
const BODY: &str = "Action=GetCallerIdentity&Version=2011-06-15";
/// The type of the body.
const TYPE: &str = "application/x-www-form-urlencoded; charset=utf-8";
/// The header with the challenge and what it is for.
const CHALLENGE: &str = "x-fleetmesh-challenge";

/// What the control plane is sent.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JoinRequest<'a> {
    pub resource: &'a str,
    pub public_key: &'a str,
    pub challenge: &'a str,
    pub authorization: String,
    pub amz_date: String,
    pub security_token: Option<String>,
}

/// What has to be signed, and for whom.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Challenge {
    pub challenge: String,
    pub sts_host: String,
    pub sts_region: String,
}

/// The request to join, with what `credentials` sign at `now`.
///
/// # Errors
/// In words: the challenge cannot be signed.
pub fn request<'a>(
    challenge: &'a Challenge,
    resource: &'a str,
    public_key: &'a str,
    credentials: Credentials,
    now: SystemTime,
) -> Result<JoinRequest<'a>, String> {
    let Challenge { challenge, sts_host, sts_region } = challenge;
    let digest = Sha256::digest(format!("{resource}\n{public_key}"));
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let bound = format!("{challenge}.{hex}");
    let identity = credentials.into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(sts_region)
        .name("sts")
        .time(now)
        .settings(SigningSettings::default())
        .build()
        .map_err(|error| error.to_string())?
        .into();
    let headers = [("host", sts_host.as_str()), ("content-type", TYPE), (CHALLENGE, bound.as_str())];
    let url = format!("https://{sts_host}/");
    let request =
        SignableRequest::new("POST", url, headers.into_iter(), SignableBody::Bytes(BODY.as_bytes()));
    let signed = sign(request.map_err(|error| error.to_string())?, &parameters);
    let (instructions, _) = signed.map_err(|error| error.to_string())?.into_parts();
    let mut made = JoinRequest {
        resource,
        public_key,
        challenge,
        authorization: String::new(),
        amz_date: String::new(),
        security_token: None,
    };
    for (name, value) in instructions.headers() {
        match name.to_ascii_lowercase().as_str() {
            "authorization" => value.clone_into(&mut made.authorization),
            "x-amz-date" => value.clone_into(&mut made.amz_date),
            "x-amz-security-token" => made.security_token = Some(value.to_owned()),
            _ => {}
        }
    }
    Ok(made)
}
