//! The decisions of a control plane: whether a change is allowed, what the proxies of a virtual node run, what a stream is sent,
//! how many proxies run each object. Pure: no I/O, no clock, no randomness, no runtime; times and random values come in.
//!
//! `change → rules → state → view → snapshot per node → stream → ACK/NACK → distribution`,
//! and back: `load report → windows of loads per virtual node`
//!
//! Listeners, storage, timers and endpoints are in `fleetmesh-control-plane`.

pub mod ads;
pub mod authorities;
pub mod cloud_map;
pub mod decide;
pub mod distribution;
pub mod foreign;
pub mod form;
pub mod grant;
pub mod holder;
pub mod http_tags;
pub mod identity;
pub mod loads;
pub mod quota;
pub mod refusal;
pub mod rules;
pub mod shares;
pub mod snapshot;
pub mod store;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod together;
pub mod view;
