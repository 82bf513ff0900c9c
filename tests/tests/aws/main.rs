//! A node's IAM identity and its fleet end to end: a real kube-apiserver and etcd, `fleetmesh operator` and `fleetmesh control-plane`
//! as processes, kubectl and the AWS CLI as users have them, and moto in AWS's place.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a test fails by panicking"
)]

mod account;
mod bed;
mod drift;
mod failures;
mod fleet;
mod front;
mod joiner;
mod life;
mod ownership;
mod permissions;
mod space;
