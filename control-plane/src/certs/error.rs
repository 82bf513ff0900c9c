//! Why there is no certificate.

/// Why there is no certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// The CA's certificate is none.
    #[error("the CA's certificate cannot be used: {0}")]
    Authority(String),
    /// The CA's key is none.
    #[error("the CA's key cannot be used: it is no private key in PEM (PKCS #8, PKCS #1 or SEC 1)")]
    Key,
    /// The two do not belong together, or the CA may not sign.
    #[error("the CA's certificate and key do not belong together, or it may not sign: {0}")]
    Unfit(String),
    /// KMS does not sign with the key that it holds.
    #[error(
        "KMS does not sign with {key}: {reason}; nothing is signed until it does: see that the key is enabled, and that these credentials have kms:Sign for it"
    )]
    Kms {
        /// The ARN of the key.
        key: String,
        /// What KMS, or what is between here and KMS, says.
        reason: String,
    },
    /// KMS does not return the public half of a key, or the key is of another kind.
    #[error(
        "cannot make a certificate for {key}: {reason}; it takes a key of ECC_NIST_P256 or ECC_NIST_P384 for SIGN_VERIFY, and kms:GetPublicKey for it"
    )]
    Unread {
        /// The ARN of the key.
        key: String,
        /// What is wrong.
        reason: String,
    },
    /// What KMS signed is not of the CA.
    #[error(
        "what KMS signs with {key} does not verify under the CA's certificate, which is another key's: name that key, or give the certificate that was made for this one"
    )]
    OtherKey {
        /// The ARN of the key.
        key: String,
    },
    /// A name cannot stand in a certificate.
    #[error("{0:?} cannot stand in a certificate: it is not ASCII, or no name of a host")]
    Name(String),
    /// It would outlive its CA, and be of no use from then on.
    #[error(
        "the certificate would end at {end}, after the CA that signs it, at {authority}: choose a shorter --validity, or renew the CA"
    )]
    Outlives {
        /// When the certificate would end.
        end: String,
        /// When the CA ends.
        authority: String,
    },
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    Random,
    /// It could not be made.
    #[error("cannot make the certificate: {0}")]
    Make(String),
}

impl From<rcgen::Error> for CertificateError {
    fn from(error: rcgen::Error) -> Self {
        Self::Make(error.to_string())
    }
}
