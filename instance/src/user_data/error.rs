//! Why there is no user data. Pure.

use crate::bootstrap::RenderError;
use crate::interception::OptionsRefusal;

/// EC2's bound on user data, in bytes before it is encoded as base64.
pub const MAX_BYTES: usize = 16_384;

/// The most characters of a wrong value that a message repeats.
const SHOWN: usize = 80;

/// Why user data cannot be made of some options.
#[derive(Debug, thiserror::Error)]
pub enum UserDataError {
    /// A value is not what its field takes.
    #[error("{field} is {found}: {demand}")]
    Invalid {
        /// The field, by its place in a VirtualNode's `spec.fleet` or by its name in the options.
        field: String,
        /// The value or, when it is long, its beginning.
        found: String,
        /// What the field takes.
        demand: String,
    },
    /// A stock Envoy would not know whom to ask for its configuration.
    #[error(
        "proxy.image is Envoy, which needs the address of a control plane (HOST:PORT or unix:///PATH), and there is \
         none: give one, or use proxy.image AppMesh"
    )]
    NoControlPlane,
    /// The options of interception contradict each other; the message names those of `fleetmesh proxy intercept`.
    #[error("the traffic cannot be intercepted: {0}")]
    Interception(#[from] OptionsRefusal),
    /// The configuration of Envoy could not be written.
    #[error(transparent)]
    Bootstrap(#[from] RenderError),
    /// EC2 would refuse it.
    #[error(
        "the user data has {size} bytes and EC2 takes at most {MAX_BYTES}; the largest piece is {largest} with \
         {largest_size} bytes: shorten it, or let the instance fetch it (cloud-init's text/x-include-url)"
    )]
    TooLarge {
        /// The size of the whole, in bytes.
        size: usize,
        /// What takes most of it.
        largest: String,
        /// The bytes that this takes.
        largest_size: usize,
    },
}

impl UserDataError {
    /// `found` is not what `field` takes.
    pub(crate) fn invalid(field: impl Into<String>, found: &str, demand: impl Into<String>) -> Self {
        let mut shown: String = found.chars().take(SHOWN).collect();
        if shown.len() < found.len() {
            shown.push('…');
        }
        Self::Invalid { field: field.into(), found: format!("{shown:?}"), demand: demand.into() }
    }
}
