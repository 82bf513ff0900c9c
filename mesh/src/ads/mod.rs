//! Envoy's aggregated discovery service (ADS) without the connections: who a proxy says it is
//! ([`identity`]), which names it may ask for ([`names`]), what its stream is sent next ([`stream`]), what a NACK is about
//! ([`blame`]), what is served while that stands ([`isolation`]), in which order the proxies of several nodes learn that a port
//! moves ([`handover`]), how fast its requests are read ([`pace`]), when it gets again what it rejected of its secrets ([`resend`]), and
//! what it counted of its own requests ([`load_reports`]).

pub mod blame;
mod error;
pub mod handover;
pub mod identity;
pub mod isolation;
pub mod load_reports;
pub mod names;
pub mod pace;
pub mod resend;
pub mod stream;
pub mod wire;

pub use error::{StreamCode, StreamError};
