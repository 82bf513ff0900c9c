//! Which connections of an instance go through its Envoy, and the rules that say so in the language of each of the
//! kernel's two interfaces. Pure.

pub mod iptables;
mod network;
pub mod nft;
mod options;
mod table;
#[cfg(test)]
mod tests;

pub use network::Network;
pub use options::{Ingress, Interception, MAX_ID, Options, Refusal};
