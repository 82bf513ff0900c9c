//! The proof of this machine's role: an STS GetCallerIdentity that is signed here and sent by the control plane. Pure.

use std::net::{IpAddr, SocketAddr};
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use fleetmesh_api::headers;
use fleetmesh_api::join::{Challenge, JoinRequest, STS_BODY, STS_CONTENT_TYPE, Signature, bound};

/// Whether what `challenge` asks for is a signature for STS: for one of AWS's hosts, an address of this machine (a test's) or
/// `known`, and around a challenge that is one word.
///
/// # Errors
/// In words: it is for somebody else, to whom this machine would prove itself.
pub fn is_for_sts(challenge: &Challenge, known: Option<&str>) -> Result<(), String> {
    let Challenge { challenge, sts_host, sts_region, identity_document: _ } = challenge;
    let region = is_word(sts_region, b"-") && is_word(challenge, b"-_.=");
    let ours = known == Some(sts_host) || is_of_aws(sts_host, sts_region) || is_loopback(sts_host);
    if region && ours {
        return Ok(());
    }
    Err(format!(
        "the control plane asks for a signature for {sts_host:.200?} in {sts_region:.50?}, which is no host of AWS's STS in that region: nothing was signed (--sts-host)"
    ))
}

/// Whether `text` is letters, digits and `others`, at most 512 of them.
fn is_word(text: &str, others: &[u8]) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || others.contains(&byte);
    (1..=512).contains(&text.len()) && text.bytes().all(legal)
}

/// Whether `host` is one that AWS documents for STS: the global one, a region's (also FIPS, dual-stack) or an interface
/// endpoint's.
fn is_of_aws(host: &str, region: &str) -> bool {
    let regional = ["amazonaws.com", "amazonaws.com.cn", "api.aws", "api.amazonwebservices.com.cn"]
        .iter()
        .flat_map(|domain| ["sts", "sts-fips"].map(|name| format!("{name}.{region}.{domain}")));
    let interface = ["amazonaws.com", "amazonaws.com.cn"].into_iter().any(|domain| {
        let label = host.strip_suffix(&format!(".sts.{region}.vpce.{domain}"));
        label.is_some_and(|label| label.starts_with("vpce-") && is_word(label, b"-"))
    });
    host == "sts.amazonaws.com" || interface || regional.into_iter().any(|known| host == known)
}

/// Whether `host` is an address of this machine: a signature for it is of no use on another.
fn is_loopback(host: &str) -> bool {
    let address = host.parse::<SocketAddr>().map(|address| address.ip()).or_else(|_| host.parse::<IpAddr>());
    address.is_ok_and(|address| address.is_loopback())
}

/// The request to join, with what `credentials` sign at `now`.
///
/// # Errors
/// In words: the challenge cannot be signed.
pub fn request(
    challenge: &Challenge,
    resource: &str,
    public_key: &str,
    credentials: Credentials,
    now: SystemTime,
) -> Result<JoinRequest, String> {
    let Challenge { challenge, sts_host, sts_region, identity_document: _ } = challenge;
    let bound = bound(challenge, resource, public_key);
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
    let headers = [
        ("host", sts_host.as_str()),
        ("content-type", STS_CONTENT_TYPE),
        (headers::CHALLENGE, bound.as_str()),
    ];
    let url = format!("https://{sts_host}/");
    let body = SignableBody::Bytes(STS_BODY.as_bytes());
    let request = SignableRequest::new("POST", url, headers.into_iter(), body);
    let signed = sign(request.map_err(|error| error.to_string())?, &parameters);
    let (instructions, _) = signed.map_err(|error| error.to_string())?.into_parts();
    let mut made = JoinRequest {
        resource: resource.to_owned(),
        public_key: public_key.to_owned(),
        challenge: challenge.to_owned(),
        authorization: Signature::new(""),
        amz_date: String::new(),
        security_token: None,
        identity_document: None,
    };
    for (name, value) in instructions.headers() {
        match name.to_ascii_lowercase().as_str() {
            "authorization" => made.authorization = Signature::new(value),
            headers::AMZ_DATE => value.clone_into(&mut made.amz_date),
            headers::AMZ_SECURITY_TOKEN => made.security_token = Some(Signature::new(value)),
            _ => {}
        }
    }
    Ok(made)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use fleetmesh_api::examples;

    use super::*;

    /// The very bytes that the control plane's tests read.
    #[test]
    fn the_contract_s_example_is_signed() {
        let challenge: Challenge = serde_json::from_str(examples::CHALLENGE).expect("the example");
        let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
        let credentials =
            Credentials::new("ASIAIOSFODNN7EXAMPLE", secret, Some("dG9rZW4=".to_owned()), None, "example");
        let now = UNIX_EPOCH + Duration::from_secs(1_735_787_045);
        let request = request(&challenge, examples::RESOURCE, examples::PUBLIC_KEY, credentials, now);
        let document = Some("MIAGCSqGSIb3DQEHAqCA".to_owned());
        let request = JoinRequest { identity_document: document, ..request.expect("signed") };
        assert_eq!(serde_json::to_string(&request).expect("JSON"), examples::JOIN_REQUEST);
    }

    fn challenge(host: &str, region: &str) -> Challenge {
        let [challenge, sts_host, sts_region] = ["abc_DEF-012", host, region].map(str::to_owned);
        Challenge { challenge, sts_host, sts_region, identity_document: false }
    }

    #[test]
    fn only_sts_is_signed_for() {
        for host in [
            "sts.amazonaws.com",
            "sts.us-west-2.amazonaws.com",
            "sts-fips.us-west-2.amazonaws.com",
            "sts.us-west-2.api.aws",
            "vpce-0123-abcd.sts.us-west-2.vpce.amazonaws.com",
            "127.0.0.1:5000",
            "[::1]:5000",
        ] {
            assert_eq!(is_for_sts(&challenge(host, "us-west-2"), None), Ok(()), "{host}");
        }
        assert!(is_for_sts(&challenge("sts.cn-north-1.amazonaws.com.cn", "cn-north-1"), None).is_ok());
        for host in [
            "sts.example",
            "sts.us-west-2.amazonaws.com.example",
            "sts.eu-west-1.amazonaws.com",
            "iam.amazonaws.com",
            "ec2.us-west-2.amazonaws.com",
            "sts.us-west-2.amazonaws.com:8443",
            "evil/sts.us-west-2.amazonaws.com",
            "vpce-evil.example/.sts.us-west-2.vpce.amazonaws.com",
            "x.sts.us-west-2.vpce.amazonaws.com",
            "169.254.169.254",
            "localhost",
            "127.0.0.1.example",
            "",
        ] {
            let refused = is_for_sts(&challenge(host, "us-west-2"), None).expect_err(host);
            assert!(refused.contains("nothing was signed"), "{refused}");
        }
        let known = Some("sts.example:8443");
        assert!(is_for_sts(&challenge("sts.example:8443", "us-west-2"), known).is_ok());
        assert!(is_for_sts(&challenge("sts.example", "us-west-2"), known).is_err());
    }

    #[test]
    fn a_region_or_a_challenge_that_is_no_word_is_refused() {
        for region in ["", "us-west-2/sts", "us west", "a.example"] {
            let host = format!("sts.{region}.amazonaws.com");
            assert!(is_for_sts(&challenge(&host, region), None).is_err(), "{region}");
        }
        for text in ["", "a b", "a\r\nx-other: b", &"a".repeat(513)] {
            let bad = Challenge { challenge: text.to_owned(), ..challenge("sts.amazonaws.com", "us-west-2") };
            assert!(is_for_sts(&bad, None).is_err(), "{text:?}");
        }
    }
}
