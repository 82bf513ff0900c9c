//! Signed requests to AWS for the few operations of which the SDK's crate would take minutes to compile: Signature Version 4
//! ([`RequestSigner`]), where a service is ([`JsonOperation::endpoint`]), and AWS JSON 1.1 ([`JsonOperation::call`]). Whoever calls
//! brings the HTTP connector, the SDK's configuration of the environment, and the bounds.

mod endpoint;
mod json;
mod send;
mod signer;

pub use json::{Bounds, JsonError, JsonOperation, ServiceError};
pub use send::send;
pub use signer::{RequestSigner, Unsigned};
