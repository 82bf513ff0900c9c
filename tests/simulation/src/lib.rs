//! Surroundings for tests of the operator's decisions, in memory: a cluster and an endpoint ([`cluster`]), and what a canary sees
//! ([`canary`]). Pure: their clocks move only on request. The tests of `operator/core` and those of what tools
//! make of our statuses share them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a part of tests, which fail by panicking"
)]

pub mod canary;
pub mod cluster;
mod rules;
