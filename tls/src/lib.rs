//! The bound on the cost of a peer's certificate chain: both sides of TLS look for a path from a certificate to a CA that they trust,
//! and among many certificates of one name there are more paths than anybody can try. The bound is checked before any path is
//! looked for. No I/O, no clock.

#[cfg(feature = "attacks")]
pub mod attacks;
mod client;
#[cfg(test)]
mod tests;

use rustls::Error;
use rustls::pki_types::CertificateDer;

pub use client::{roots, trusting};

/// The most certificates that may come with the one that is judged. Public CAs use one to three.
pub const MAX_BETWEEN: usize = 4;
/// The most bytes of a chain, in DER, of all certificates together.
pub const MAX_BYTES: usize = 16 * 1024;

/// A chain is longer than is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a chain of {count} certificates and {bytes} bytes: at most {} certificates and {MAX_BYTES} bytes are looked at",
    MAX_BETWEEN + 1
)]
pub struct ChainTooLong {
    /// How many certificates it has.
    pub count: usize,
    /// How many bytes they have together.
    pub bytes: usize,
}

impl From<ChainTooLong> for Error {
    fn from(error: ChainTooLong) -> Self {
        // One that shows the words, as `InvalidCertificate` does not.
        Self::General(error.to_string())
    }
}

/// Whether the chain of `leaf`, and of `between` that came with it, is short enough to be verified.
///
/// # Errors
/// It has more than [`MAX_BETWEEN`] certificates beside `leaf`, or more than [`MAX_BYTES`] bytes in all.
pub fn within_bounds(leaf: &CertificateDer<'_>, between: &[CertificateDer<'_>]) -> Result<(), ChainTooLong> {
    let bytes = between.iter().fold(leaf.len(), |sum, certificate| sum.saturating_add(certificate.len()));
    if between.len() <= MAX_BETWEEN && bytes <= MAX_BYTES {
        return Ok(());
    }
    Err(ChainTooLong { count: between.len().saturating_add(1), bytes })
}
