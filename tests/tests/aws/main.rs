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
mod architectures;
mod bed;
mod discovery;
mod drift;
mod ec2;
mod failures;
mod fleet;
mod fleet_class;
mod fleet_drift;
mod fleet_failures;
mod forged;
mod forward;
mod front;
mod joiner;
mod life;
mod ownership;
mod permissions;
mod refused;
mod space;
mod taken;
mod zones;
