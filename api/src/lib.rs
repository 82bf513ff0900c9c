//! The wire contracts between Fleetmesh's own programs: what the control plane serves beside the App Mesh API, what an instance
//! sends to join, and the names that one program writes and another reads (tags, metadata, headers, ports). Each stands here
//! once. Pure: no I/O, no clock, no client and no server.
//!
//! Programs of different versions talk to each other. Members that a reader does not know are ignored in answers; a member that
//! came later is absent in what an older program sends, and says so in its documentation. [`examples`] fix the bytes: the
//! tests of both sides read and write the same ones.
//!
//! What others define is elsewhere: the shapes of the App Mesh API in `fleetmesh-model`, the custom resources with their
//! annotations and finalizers in `fleetmesh-crds`.

pub mod distribution;
pub mod error;
pub mod examples;
pub mod headers;
pub mod join;
pub mod loads;
pub mod metadata;
pub mod ports;
pub mod tags;
pub mod urls;
