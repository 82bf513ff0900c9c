//! How an instance gets a certificate: `POST` [`JOIN_CHALLENGE`](crate::urls::JOIN_CHALLENGE), then `POST`
//! [`JOIN`](crate::urls::JOIN) with a signed GetCallerIdentity that the control plane sends to STS.
//!
//! The signature covers the header [`CHALLENGE`](crate::headers::CHALLENGE), whose value [`bound`] makes on both sides: a challenge
//! proves itself for one virtual node and one key. Control planes refuse requests with members that they do not know, so a newer
//! instance sends a new member only where the challenge asks for it.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The body of the request to STS, always the same.
pub const STS_BODY: &str = "Action=GetCallerIdentity&Version=2011-06-15";
/// The type of that body.
pub const STS_CONTENT_TYPE: &str = "application/x-www-form-urlencoded; charset=utf-8";

/// What a challenge is asked for with. Instances of former versions say neither, or send no body at all: what it is for they
/// sign.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChallengeRequest {
    /// The public key, as in [`JoinRequest`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
    /// The virtual node, as in [`JoinRequest`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
}

/// What an instance has to sign.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Challenge {
    /// To be signed, once, within a minute: at most 512 letters, digits and `-_.=`.
    pub challenge: String,
    /// The host of STS that the request has to be signed for, with its port unless it is 443.
    pub sts_host: String,
    /// The region that it has to be signed for.
    pub sts_region: String,
    /// Whether the instance's identity document is asked for, too. Control planes of former versions do not say it, and ask for
    /// none.
    #[serde(default)]
    pub identity_document: bool,
}

/// What an instance sends.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JoinRequest {
    /// The virtual node, as an ARN or its last part.
    pub resource: String,
    /// The public key to certify: a point of P-256, uncompressed, in base 64.
    pub public_key: String,
    /// The challenge.
    pub challenge: String,
    /// The `Authorization` header of the signed request.
    pub authorization: Signature,
    /// Its `X-Amz-Date`.
    pub amz_date: String,
    /// Its `X-Amz-Security-Token`; `null` or absent for credentials of a user.
    pub security_token: Option<Signature>,
    /// The instance's identity document, signed with RSA-2048, as its metadata service gives it. Left out when there is none:
    /// control planes of former versions know no such member.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity_document: Option<String>,
}

/// What an instance gets.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JoinAnswer {
    /// Its certificate, in PEM.
    pub certificate: String,
    /// The CA of the control plane, in PEM.
    pub authority: String,
    /// How long the certificate is valid, in seconds.
    pub valid_seconds: u64,
    /// A certificate of the same key for connections between proxies, valid for as long. Left out by control planes of former
    /// versions, and by those that cannot sign one at the moment; instances of former versions ignore it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mesh: Option<MeshCertificate>,
}

/// A certificate for connections between proxies. No control plane accepts it from a proxy, and no proxy from a control plane.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MeshCertificate {
    /// The certificate, for servers and clients, in PEM. Its one name is the ARN of the virtual node, as a URI.
    pub certificate: String,
    /// The authorities by which such certificates are verified, in PEM.
    pub authority: String,
}

/// A part of a signed request, which no log may show: it can be read on purpose, and is never printed by accident.
#[derive(Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(transparent)]
pub struct Signature(String);

impl Signature {
    /// Keeps `text` from being printed.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("** redacted **")
    }
}

/// The value of the header [`CHALLENGE`](crate::headers::CHALLENGE): `CHALLENGE.HEX`, where HEX is the SHA-256 of
/// `RESOURCE\nPUBLIC_KEY`, both as the instance writes them.
pub fn bound(challenge: &str, resource: &str, public_key: &str) -> String {
    format!("{challenge}.{}", hex::encode(Sha256::digest(format!("{resource}\n{public_key}"))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::examples;

    fn request() -> JoinRequest {
        JoinRequest {
            resource: examples::RESOURCE.to_owned(),
            public_key: examples::PUBLIC_KEY.to_owned(),
            challenge: examples::CHALLENGE_TEXT.to_owned(),
            ..serde_json::from_str(examples::JOIN_REQUEST).expect("the example")
        }
    }

    #[test]
    fn the_examples_are_what_both_sides_read_and_write() {
        let [resource, public_key] = [examples::RESOURCE, examples::PUBLIC_KEY].map(str::to_owned);
        let asked = ChallengeRequest { public_key: Some(public_key), resource: Some(resource) };
        examples::same(&asked, examples::CHALLENGE_REQUEST);
        let challenge = Challenge {
            challenge: examples::CHALLENGE_TEXT.to_owned(),
            sts_host: "sts.us-west-2.amazonaws.com".to_owned(),
            sts_region: "us-west-2".to_owned(),
            identity_document: true,
        };
        examples::same(&challenge, examples::CHALLENGE);
        examples::same(&request(), examples::JOIN_REQUEST);
        let answer = JoinAnswer {
            certificate: "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n".to_owned(),
            authority: "-----BEGIN CERTIFICATE-----\nMIIC\n-----END CERTIFICATE-----\n".to_owned(),
            valid_seconds: 3600,
            mesh: Some(MeshCertificate {
                certificate: "-----BEGIN CERTIFICATE-----\nMIID\n-----END CERTIFICATE-----\n".to_owned(),
                authority: "-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----\n".to_owned(),
            }),
        };
        examples::same(&answer, examples::JOIN_ANSWER);
    }

    #[test]
    fn the_header_binds_the_challenge_to_the_node_and_the_key() {
        let bound = bound(examples::CHALLENGE_TEXT, examples::RESOURCE, examples::PUBLIC_KEY);
        assert_eq!(bound, examples::BOUND_CHALLENGE);
    }

    #[test]
    fn former_versions_say_less() {
        let asked: ChallengeRequest = serde_json::from_str("{}").expect("of an instance");
        assert_eq!(asked, ChallengeRequest::default());
        let challenge = r#"{"challenge":"a","stsHost":"h","stsRegion":"r","member":"that came later"}"#;
        let challenge: Challenge = serde_json::from_str(challenge).expect("of a control plane");
        assert!(!challenge.identity_document);
        let without = JoinRequest { identity_document: None, security_token: None, ..request() };
        let text = serde_json::to_string(&without).expect("JSON");
        assert!(text.ends_with(r#""securityToken":null}"#), "{text}");
        let text = text.replace(r#","securityToken":null"#, "");
        assert_eq!(serde_json::from_str::<JoinRequest>(&text).expect("of an instance"), without);
        let answer = r#"{"certificate":"a","authority":"b","validSeconds":1}"#;
        let read: JoinAnswer = serde_json::from_str(answer).expect("of a control plane");
        assert_eq!(read.mesh, None);
        assert_eq!(serde_json::to_string(&read).expect("JSON"), answer);
    }

    #[test]
    fn control_planes_take_no_members_that_they_do_not_know() {
        let more = |text: &str| text.replacen('{', r#"{"other":1,"#, 1);
        assert!(serde_json::from_str::<ChallengeRequest>(&more(examples::CHALLENGE_REQUEST)).is_err());
        assert!(serde_json::from_str::<JoinRequest>(&more(examples::JOIN_REQUEST)).is_err());
        assert!(serde_json::from_str::<JoinAnswer>(&more(examples::JOIN_ANSWER)).is_ok(), "instances do");
    }

    #[test]
    fn no_signature_is_printed() {
        let shown = format!("{:?}", request());
        assert!(shown.contains("** redacted **") && !shown.contains("AWS4-HMAC"), "{shown}");
    }
}
