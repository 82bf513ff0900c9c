//! The configuration of an instance of a fleet, as text: the bootstrap of its Envoy ([`bootstrap`]), the rules that send its
//! traffic through that Envoy ([`interception`]), where images come from ([`registry`]), and the script that applies all of
//! that at boot ([`user_data`](mod@user_data)).
//!
//! Pure: no I/O, clock, environment or randomness. `fleetmesh proxy` and the operator share it, so that an instance is
//! set up in the same way by a person and at boot.

pub mod bootstrap;
pub mod interception;
pub mod registry;
pub mod user_data;

pub use user_data::{
    Application, DataPart, InstanceOptions, JoinOptions, MAX_BYTES, ProxyImage, ProxyOptions, UserDataError,
    user_data,
};
