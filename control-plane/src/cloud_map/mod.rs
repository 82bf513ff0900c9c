//! AWS Cloud Map: the instances behind virtual nodes with `serviceDiscovery.awsCloudMap`.
//!
//! `virtual nodes → services in use → a poller each → discovered instances → snapshots (EDS) → proxies`
//!
//! [`fleetmesh_mesh::cloud_map`] decides which services are needed and when to ask, and knows their instances. Here are the SDK's
//! client ([`client`]), the pollers ([`poller`]), and the file that keeps the instances over a restart ([`file`]).
//!
//! Guarantees:
//! - **A failure empties nothing.** Errors, throttling and restarts leave a list as it is; only an answer of Cloud Map changes
//!   it. A service that really has no instances is served without any.
//! - **No AWS without need.** No client is made, and no credentials are looked up, until a virtual node names a service.
//! - **Health.** Each node's callers get the instances that Cloud Map does not report as unhealthy, or all of them when there is no
//!   other. Health does not change the revision, so lists are also read again every
//!   [`REREAD`](fleetmesh_mesh::cloud_map::schedule::REREAD) polls.
//!
//! The credentials need `servicediscovery:DiscoverInstancesRevision` and `servicediscovery:DiscoverInstances`.

mod client;
mod file;
mod poller;
#[cfg(test)]
mod tests;

pub use poller::{remembered, run};
