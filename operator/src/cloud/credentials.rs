//! Credentials of the operator. A control plane on this machine takes anonymous requests, so a person who tries
//! Fleetmesh needs no AWS account; everything else uses the SDK's own chain.

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;

/// Signs requests to a control plane that does not ask who calls. It is no secret.
const ANONYMOUS: &str = "anonymous";

/// The provider for `endpoint` when the SDK's chain should not be asked: the endpoint is on this machine and the
/// environment names no credentials.
pub(super) fn for_endpoint(endpoint: Option<&str>) -> Option<SharedCredentialsProvider> {
    let on_this_machine = endpoint.is_some_and(is_loopback);
    let named = ["AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE"]
        .iter()
        .any(|variable| std::env::var_os(variable).is_some());
    (on_this_machine && !named).then(|| {
        SharedCredentialsProvider::new(Credentials::new(
            ANONYMOUS,
            ANONYMOUS,
            None,
            None,
            "fleetmesh-loopback",
        ))
    })
}

fn is_loopback(endpoint: &str) -> bool {
    let Ok(uri) = endpoint.parse::<http::Uri>() else { return false };
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_loopback() {
        assert!(is_loopback("http://127.0.0.1:9080"));
        assert!(is_loopback("http://[::1]:9080"));
        assert!(is_loopback("http://localhost:9080"));
        assert!(!is_loopback("https://appmesh.us-west-2.amazonaws.com"));
        assert!(!is_loopback("http://10.0.0.1:9080"));
    }
}
