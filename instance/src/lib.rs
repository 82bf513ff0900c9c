//! What an instance of a fleet is told, as text: the configuration its Envoy starts with ([`bootstrap`]) and the rules
//! that send its traffic through that Envoy ([`interception`]).
//!
//! Pure: no I/O, clock, environment or randomness. `fleetmesh proxy` and the operator share it, so that an instance is
//! set up in the same way by a person and at boot.

pub mod bootstrap;
pub mod interception;
