//! Fleetmesh's control plane: the App Mesh REST API northbound, Envoy's aggregated discovery service southbound.
//!
//! `API call → validate → store (commit) → snapshot per node → ADS stream → ACK/NACK → distribution`,
//! and back: `load report → loads per virtual node`
//!
//! What is decided on that way is decided by [`fleetmesh_mesh`], which is pure. Here is what listens, stores, waits and tells.
//!
//! On loopback and Unix sockets callers are not asked who they are. Elsewhere everything is TLS: API requests are signed
//! ([`sigv4`], [`keys`]), proxies have certificates ([`tls`], [`certs`]).
//!
//! Whoever runs one gives it a [`ControlPlaneConfig`], binds it and serves it ([`bind`], [`Bound::serve`]). It reads no command
//! line and prints nothing.
//!
//! It needs no Kubernetes, and AWS only for virtual nodes that are discovered by Cloud Map.

pub mod ads;
pub mod api;
mod aws;
pub mod certs;
pub mod cloud_map;
pub mod config;
pub mod distribution;
#[doc(hidden)]
pub mod fuzzing;
pub mod join;
pub mod keys;
pub mod kms;
pub mod listen;
pub mod loads;
pub mod metrics;
mod private;
pub mod reload;
mod response;
pub mod rights;
pub mod secret;
pub mod server;
pub mod serving;
pub mod sigv4;
pub mod store;
mod tasks;
#[cfg(test)]
mod testing;
pub mod tls;
mod told;
pub mod views;

pub use config::{ControlPlaneConfig, JoinConfig};
pub use server::{Addresses, Bound, Error, bind};
pub use tasks::Task;
