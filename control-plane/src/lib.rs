//! Fleetmesh's control plane: the App Mesh REST API northbound, Envoy's aggregated discovery service southbound.
//!
//! `API call → validate → store (commit) → snapshot per node → ADS stream → ACK/NACK → distribution`,
//! and back: `load report → loads per virtual node`
//!
//! The decisions are made by [`fleetmesh_mesh`], which is pure. Listeners, storage, timers and endpoints are here.
//!
//! Callers on loopback and Unix sockets are anonymous. Everywhere else everything is TLS: API requests are signed
//! ([`sigv4`], [`keys`]), proxies have certificates ([`tls`], [`certs`]).
//!
//! Whoever runs one gives it a [`ControlPlaneConfig`], binds it and serves it ([`bind`], [`Bound::serve`]). It reads no command
//! line and prints nothing.
//!
//! It needs no Kubernetes, and AWS only for virtual nodes that are discovered by Cloud Map.

pub mod accounts;
pub mod ads;
pub mod api;
pub mod authorities;
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
pub mod mesh_ca;
pub mod metrics;
mod private;
mod refusals;
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
pub mod views;

pub use config::{ControlPlaneConfig, JoinConfig};
pub use server::{Addresses, Bound, Error, bind};
pub use tasks::Task;
