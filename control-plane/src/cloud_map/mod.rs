//! AWS Cloud Map: the instances behind virtual nodes with `serviceDiscovery.awsCloudMap`.
//!
//! `virtual nodes → wanted services → a poller each → discovered instances → snapshots (EDS) → proxies`
//!
//! Which services are wanted, what is known of them and when to ask is [`fleetmesh_mesh::cloud_map`]'s. Here are the SDK's client
//! ([`client`]), the pollers ([`poller`]), and the file that keeps what was found over a restart ([`file`]).
//!
//! What it promises:
//! - **Nothing is emptied by a failure.** Errors, throttles and restarts leave a list as it is; only an answer of
//!   Cloud Map changes it. A service that truly has no instances is served without any.
//! - **No AWS without need.** No client is made, and no credentials are looked for, until a virtual node names a service.
//! - **Health.** Each node's callers get the instances that Cloud Map does not report as unhealthy, or all of them when
//!   there is no other. Health does not change the revision, so lists are read again every
//!   [`REREAD`](fleetmesh_mesh::cloud_map::schedule::REREAD) polls besides.
//!
//! The credentials need `servicediscovery:DiscoverInstancesRevision` and `servicediscovery:DiscoverInstances`.

mod client;
mod file;
mod poller;
#[cfg(test)]
mod tests;

pub use poller::{PollerSettings, remembered, run};
