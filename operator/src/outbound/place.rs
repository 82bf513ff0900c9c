//! Where an outbound request goes, with which CA and credentials: the result of a Route's destination and its provider. Reads the
//! files of Secrets and nothing else.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fleetmesh_core::canary::Destination;
use fleetmesh_crds::provider::{Credentials, Scheme};
use http::HeaderValue;
use tokio::io::AsyncReadExt as _;

use super::address::Address;
use super::{Outbound, OutboundFailure};
use crate::cache::Cache;

/// The longest credentials, in bytes.
const LONGEST: u64 = 8 * 1024;

/// Where a question goes.
pub struct OutboundPlace {
    pub(super) address: Address,
    pub(super) ca_bundle: Option<String>,
    pub(super) authorization: Option<HeaderValue>,
    /// Whether the Route chose the address, and not an administrator.
    pub(super) chosen_by_route: bool,
}

impl std::fmt::Debug for OutboundPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Place")
    }
}

impl OutboundPlace {
    /// What a Route named itself.
    fn direct(address: Address) -> Self {
        Self { address, ca_bundle: None, authorization: None, chosen_by_route: true }
    }
}

impl Outbound {
    /// Where a query of a Route of `namespace` goes.
    ///
    /// # Errors
    /// The Route may not ask there, or the provider cannot be used.
    pub async fn metrics(
        &self,
        cache: &Cache,
        namespace: &str,
        destination: &Destination,
    ) -> Result<OutboundPlace, OutboundFailure> {
        const KIND: &str = "MetricProvider";
        match destination {
            Destination::Address(address) => self.direct(address, KIND),
            Destination::Provider { name, .. } => {
                let provider = cache.metric_provider(name, namespace)?;
                let place = self.provided(&provider.address, provider.ca_bundle, provider.credentials);
                place.await
            }
        }
    }

    /// Where a webhook of a Route of `namespace` is.
    ///
    /// # Errors
    /// As [`Self::metrics`].
    pub async fn webhook(
        &self,
        cache: &Cache,
        namespace: &str,
        destination: &Destination,
    ) -> Result<OutboundPlace, OutboundFailure> {
        const KIND: &str = "WebhookProvider";
        match destination {
            Destination::Address(address) => self.direct(address, KIND),
            Destination::Provider { name, path } => {
                let provider = cache.webhook_provider(name, namespace)?;
                let address = &provider.address;
                let mut place = self.provided(address, provider.ca_bundle, provider.credentials).await?;
                if let Some(path) = path {
                    if !provider.allow_path {
                        return Err(OutboundFailure::PathNotAllowed(name.clone()));
                    }
                    if !is_below(path) {
                        return Err(OutboundFailure::Malformed("the path leads out of its provider's"));
                    }
                    place.address.path.push_str(path);
                }
                Ok(place)
            }
        }
    }

    fn direct(&self, address: &str, kind: &'static str) -> Result<OutboundPlace, OutboundFailure> {
        if !self.policy.direct_addresses {
            return Err(OutboundFailure::DirectAddress { kind });
        }
        Address::parse(address).map(OutboundPlace::direct)
    }

    async fn provided(
        &self,
        address: &str,
        ca_bundle: Option<String>,
        credentials: Option<Credentials>,
    ) -> Result<OutboundPlace, OutboundFailure> {
        let address = Address::parse(address)?;
        let authorization = match &credentials {
            Some(credentials) => Some(self.authorization(credentials).await?),
            None => None,
        };
        Ok(OutboundPlace { address, ca_bundle, authorization, chosen_by_route: false })
    }

    /// Read anew for each question: the kubelet renews the files.
    async fn authorization(&self, credentials: &Credentials) -> Result<HeaderValue, OutboundFailure> {
        let Credentials { secret, key, scheme } = credentials;
        let unusable = |why| OutboundFailure::Credentials { secret: secret.clone(), key: key.clone(), why };
        // The API server lets in nothing else; these are parts of a path here.
        let names =
            |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        if !names(secret) || !names(key) || secret.starts_with('.') || key.starts_with('.') {
            return Err(unusable("it is no name"));
        }
        let path = self.policy.secrets.join(secret).join(key);
        let missing = || unusable("the operator's Pod has no such file");
        let file = tokio::fs::File::open(path).await.map_err(|_| missing())?;
        let mut value = Vec::new();
        file.take(LONGEST + 1).read_to_end(&mut value).await.map_err(|_| missing())?;
        let value = String::from_utf8(value).map_err(|_| unusable("it is not UTF-8"))?;
        let value = value.trim_end_matches(['\r', '\n']);
        if value.is_empty() || value.len() as u64 > LONGEST {
            return Err(unusable("it is empty, or longer than 8 KiB"));
        }
        let header = match scheme.unwrap_or_default() {
            Scheme::Bearer => format!("Bearer {value}"),
            Scheme::Basic => format!("Basic {}", STANDARD.encode(value)),
        };
        let mut header =
            HeaderValue::try_from(header).map_err(|_| unusable("it does not fit into a header"))?;
        header.set_sensitive(true);
        Ok(header)
    }
}

/// Whether a path stays below what it is appended to. The API server lets in no other.
fn is_below(path: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    path.strip_prefix('/').is_some_and(|rest| {
        rest.split('/').all(|name| name.bytes().all(plain) && name.bytes().any(|byte| byte != b'.'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_below() {
        for path in ["/a", "/a/b-1_2.3~", "/..a/b"] {
            assert!(is_below(path), "{path}");
        }
        for path in [
            "",
            "a",
            "/",
            "//",
            "/..",
            "/a/../b",
            "/./a",
            "/a/",
            "/%2e%2e/a",
            "/a?b",
            "/a#b",
            "/a b",
            "/a\\b",
        ] {
            assert!(!is_below(path), "{path}");
        }
    }
}
