//! What a control plane decides: of a change whether it may be, of a virtual node what its proxies run, of a stream what it is
//! sent, of a mesh how far it has come. Pure: no I/O, no clock, no randomness, no runtime; times and random values come in.
//!
//! `change → rules → state → view → snapshot per node → stream → ACK/NACK → distribution`,
//! and back: `load report → windows of loads per virtual node`
//!
//! What listens, stores, waits and tells is `fleetmesh-control-plane`.

pub mod ads;
pub mod cloud_map;
pub mod decide;
pub mod distribution;
pub mod foreign;
pub mod grant;
pub mod holder;
pub mod identity;
pub mod loads;
pub mod quota;
pub mod refusal;
pub mod rules;
pub mod snapshot;
pub mod store;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod view;
