//! The wire contracts between Fleetmesh's own programs: what the control plane serves besides the App Mesh API, what an instance
//! sends to join, and the names that one program writes and another reads (tags, metadata, headers, ports). Each is defined here
//! once. Pure: no I/O, no clock, no client and no server.
//!
//! Programs of different versions talk to each other. Readers ignore unknown members of responses; a member that was added later is
//! absent from what an older program sends, and its documentation says so. [`examples`] fix the bytes: the tests of both sides read
//! and write the same ones.
//!
//! Contracts of others are elsewhere: the shapes of the App Mesh API in `fleetmesh-model`, the custom resources with their
//! annotations and finalizers in `fleetmesh-crds`.

pub mod bootstrap;
pub mod commits;
pub mod distribution;
pub mod error;
pub mod examples;
pub mod headers;
pub mod join;
pub mod loads;
pub mod metadata;
pub mod ports;
pub mod services;
pub mod tags;
pub mod unserved;
pub mod urls;
pub mod virtual_addresses;
