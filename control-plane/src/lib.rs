//! Fleetmesh's control plane: the App Mesh REST API northbound, Envoy's aggregated discovery service southbound.
//!
//! `API call → validate → store (commit) → snapshot per node (pure) → ADS stream → ACK/NACK → distribution`,
//! and back: `load report → loads per virtual node`
//!
//! It needs no Kubernetes, and AWS only for virtual nodes that are discovered by Cloud Map.

pub mod ads;
pub mod api;
pub mod args;
pub mod cloud_map;
pub mod distribution;
pub mod identity;
pub mod listen;
pub mod loads;
pub mod refusal;
pub mod server;
pub mod snapshot;
pub mod store;
#[cfg(test)]
mod testing;
pub mod view;

pub use args::ControlPlaneArgs;
pub use server::{Error, run};
