//! Why an outbound request failed: a fixed set of words, which repeats nothing of the server's. Pure.

use std::time::Duration;

/// Why a question has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutboundFailure {
    /// Routes may not name addresses.
    #[error(
        "addresses in Routes are not allowed here: name a {kind} in `provider`, which an administrator of the cluster makes (docs/canary.md, \"Whom it may ask\")"
    )]
    DirectAddress {
        /// The kind to name instead.
        kind: &'static str,
    },
    /// There is no such provider.
    #[error("the {kind} {name} does not exist")]
    NoProvider {
        /// Its kind.
        kind: &'static str,
        /// The name in the Route.
        name: String,
    },
    /// The provider is not for this namespace.
    #[error("the {kind} {name} does not allow this namespace (its allowedNamespaces)")]
    NotAllowed {
        /// Its kind.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// The provider lets Routes add no path, and this one does.
    #[error("the WebhookProvider {0} lets Routes add no path (its allowPath)")]
    PathNotAllowed(String),
    /// The credentials of the provider are not there.
    #[error(
        "the key {key} of the Secret {secret}, which the provider names, cannot be used: {why} (operator.providerSecrets of the chart)"
    )]
    Credentials {
        /// The Secret.
        secret: String,
        /// Its key.
        key: String,
        /// What is wrong.
        why: &'static str,
    },
    /// The provider's `caBundle` holds no certificates.
    #[error("the provider's caBundle holds no certificate of a CA in PEM")]
    Authority,
    /// The address is not one that can be asked.
    #[error("the address cannot be used: {0}")]
    Malformed(&'static str),
    /// The address leads to where questions may not go.
    #[error("the address leads to {0}, which is not asked")]
    Forbidden(&'static str),
    /// The name leads nowhere.
    #[error("the name in the address cannot be resolved")]
    Unresolved,
    /// No connection.
    #[error("the connection failed")]
    Unreachable,
    /// No trust.
    #[error("TLS failed: no CA that is trusted vouches for the server, or it does not speak TLS")]
    Untrusted,
    /// No HTTP.
    #[error("what answers does not speak HTTP, or ended early")]
    Protocol,
    /// More than is read.
    #[error("the answer is too long: at most {0} are read")]
    TooLong(&'static str),
    /// No answer in time.
    #[error("no answer within {0:?}")]
    Late(Duration),
    /// No turn in time.
    #[error("too many questions of this namespace are under way")]
    Busy,
}
