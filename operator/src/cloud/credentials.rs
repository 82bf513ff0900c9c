//! Credentials of the operator. A control plane on this machine takes anonymous requests, so a person who tries
//! Fleetmesh needs no AWS account; everything else uses the SDK's own chain.

use std::path::{Path, PathBuf};

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use serde::Deserialize;

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

/// A file with one access key, `{"accessKeyId": …, "secretAccessKey": …}`, which is read for each request: it is small,
/// and a key that was replaced counts at once.
#[derive(Clone, Debug)]
pub(super) struct KeyFile(PathBuf);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CredentialKey {
    access_key_id: String,
    secret_access_key: String,
}

impl KeyFile {
    /// The file `path`, which has to be readable now.
    ///
    /// # Errors
    /// In words, which quote nothing of it.
    pub(super) fn new(path: &Path) -> Result<Self, String> {
        let file = Self(path.to_owned());
        file.read().map(|_| file)
    }

    fn read(&self) -> Result<Credentials, String> {
        let path = self.0.display();
        let text = std::fs::read(&self.0).map_err(|error| format!("{path}: {error}"))?;
        let CredentialKey { access_key_id, secret_access_key } = serde_json::from_slice(&text)
            .map_err(|_| format!(r#"{path}: expected {{"accessKeyId": "…", "secretAccessKey": "…"}}"#))?;
        Ok(Credentials::new(access_key_id, secret_access_key, None, None, "app-mesh-access-key-file"))
    }
}

impl ProvideCredentials for KeyFile {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(self.read().map_err(CredentialsError::provider_error))
    }
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

    #[test]
    fn a_key_file_is_read_anew_and_its_errors_quote_nothing() {
        let path = std::env::temp_dir().join(format!("fleetmesh-key-{}", std::process::id()));
        let write = |text: &str| std::fs::write(&path, text).expect("written");
        write(r#"{"accessKeyId": "ONE", "secretAccessKey": "hush"}"#);
        let file = KeyFile::new(&path).expect("readable");
        assert_eq!(file.read().expect("a key").access_key_id(), "ONE");
        assert!(!format!("{file:?}{:?}", file.read()).contains("hush"));
        write(r#"{"accessKeyId": "TWO", "secretAccessKey": "hush"}"#);
        assert_eq!(file.read().expect("a key").access_key_id(), "TWO");
        write(r#"{"secretAccessKey": "hush"}"#);
        let error = file.read().expect_err("incomplete");
        assert!(error.contains("expected {") && !error.contains("hush"), "{error}");
        std::fs::remove_file(&path).expect("removed");
    }
}
