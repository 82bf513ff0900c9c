//! Which connections of an instance go through its Envoy, and the rules for that in the language of each of the kernel's two
//! interfaces. Pure.

pub mod iptables;
mod network;
pub mod nft;
mod options;
mod table;
#[cfg(test)]
mod tests;

pub use network::Network;
pub use options::{Guard, Ingress, Interception, MAX_ID, Options, OptionsRefusal};

/// Where EC2 serves an instance's metadata and credentials: in IPv4, and in IPv6.
pub const METADATA: [&str; 2] = ["169.254.169.254", "fd00:ec2::254"];
