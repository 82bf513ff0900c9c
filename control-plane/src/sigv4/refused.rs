//! Why a signature is refused, with the names that AWS's services give these errors. Pure.

use http::StatusCode;

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
    /// The key may be one of those that KMS did not open yet.
    #[error(
        "the access keys of this control plane cannot be opened, because KMS cannot be asked (--seal-kms-key): try again later, and see the control plane's log"
    )]
    Shut,
    /// The key has ended.
    #[error(
        "The security token included in the request is expired: the access key {id} ended at {end}; make another with `fleetmesh control-plane keys rotate`"
    )]
    EndedKey {
        /// The key.
        id: String,
        /// When it ended.
        end: String,
    },
    /// The signature is for another region.
    #[error(
        "Credential should be scoped to a valid region: it is '{signed}', this control plane is in '{ours}'."
    )]
    Region {
        /// The region of the signature.
        signed: String,
        /// That of this control plane.
        ours: String,
    },
    /// The signature is for another host.
    #[error(
        "The signed host '{signed}' is none of this control plane's: call it by a name of its certificate, or give it that name with --api-host"
    )]
    Host {
        /// The host of the signature.
        signed: String,
    },
    /// The signature was used before.
    #[error("The signature was used before, and a signed write counts once: sign the request again")]
    Replayed,
    /// The signature was made before this process could have seen that it was used, or what it saw was forgotten.
    #[error(
        "Signature expired: a write has to be signed after {after}, from when on it is known which signatures were used; sign it again, and set the clock if that does not help"
    )]
    Unremembered {
        /// The time after which signatures are known.
        after: String,
    },
    /// The signature was made in the future, and so were as many others as are remembered.
    #[error(
        "Signature not yet current: too many writes were signed ahead of the control plane's time; set the clock"
    )]
    Ahead,
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
    /// The status of the answer: clients try again what is not their fault.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Shut => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::FORBIDDEN,
        }
    }

    /// The name of the error, which clients match on.
    pub fn shape(&self) -> &'static str {
        match self {
            Self::MissingToken => "MissingAuthenticationTokenException",
            Self::Incomplete(_) => "IncompleteSignatureException",
            Self::EndedKey { .. } => "ExpiredTokenException",
            Self::UnknownKey => "UnrecognizedClientException",
            Self::Shut => "ServiceUnavailableException",
            Self::Expired { .. }
            | Self::Mismatch
            | Self::Region { .. }
            | Self::Host { .. }
            | Self::Replayed
            | Self::Ahead
            | Self::Unremembered { .. } => "InvalidSignatureException",
        }
    }
}
