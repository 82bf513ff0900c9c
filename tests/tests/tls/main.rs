//! A control plane that other hosts reach, by the real clients: the AWS CLI and botocore with signatures, Envoy with
//! certificates, the operator with both. What each refusal looks like, and what changes while all run.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a test fails by panicking"
)]

mod api;
mod bed;
mod envoy;
mod flood;
mod join;
mod kms;
mod mesh;
mod operator;
mod owners;
mod replays;
mod rights;
mod rotation;
mod secrets;
