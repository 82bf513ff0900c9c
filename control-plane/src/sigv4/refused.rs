//! Why a signature is refused, with the names that AWS's services give these errors. Pure.

/// A refused request. Messages say nothing that helps to guess a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is no signature.
    #[error(
        "Missing Authentication Token: sign the request with a key of `fleetmesh control-plane keys create`"
    )]
    MissingToken,
    /// The signature is not complete, or signs too little.
    #[error("{0}")]
    Incomplete(String),
    /// Nobody has this key, or it was revoked.
    #[error(
        "The security token included in the request is invalid: this control plane knows no such access key, or it was revoked"
    )]
    UnknownKey,
    /// The signature was made too long ago, or in the future.
    #[error("Signature {}: {signed} is more than 5 minutes from the control plane's time; set the clock", if *late { "expired" } else { "not yet current" })]
    Expired {
        /// The time of the signature.
        signed: String,
        /// Whether it lies in the past.
        late: bool,
    },
    /// The signature is another than this request's with this key.
    #[error(
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method."
    )]
    Mismatch,
}

impl Refused {
    /// The name of the error, which clients match on.
    pub fn shape(&self) -> &'static str {
        match self {
            Self::MissingToken => "MissingAuthenticationTokenException",
            Self::Incomplete(_) => "IncompleteSignatureException",
            Self::UnknownKey => "UnrecognizedClientException",
            Self::Expired { .. } | Self::Mismatch => "InvalidSignatureException",
        }
    }
}
