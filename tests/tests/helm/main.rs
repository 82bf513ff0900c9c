//! The chart: what it renders, what a real API server makes of it, and that its workloads do their work.
//!
//! No kubelet and no controllers are at hand. So Pods are made from the workloads' templates by the test, and the
//! workloads run as processes of this machine with the arguments, environment, files and tokens that a kubelet would give.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a test fails by panicking"
)]

mod admission;
mod bed;
mod chart;
mod dashboard;
mod jobs;
mod kubelet;
mod life;
mod manifests;
mod query;
mod releases;
mod replicas;
mod values;
mod workloads;
