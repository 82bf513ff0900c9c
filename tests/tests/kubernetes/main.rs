//! The Kubernetes side end to end: a real kube-apiserver and etcd, `fleetmesh operator` and `fleetmesh control-plane` as
//! processes, kubectl and the AWS CLI as users have them.
//!
//! One program, so that it is linked once. Tests that end no part share one stack, each with a namespace and a mesh of
//! its own; the others have stacks of their own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a test fails by panicking"
)]

mod bed;
mod canary_access;
mod commits;
mod definitions;
mod deletion;
mod drift;
mod endpoints;
mod front;
mod gitops;
mod grants;
mod kube_rs;
mod leader;
mod lone;
mod mesh_tls;
mod meshes;
mod namespaces;
mod outages;
mod ownership;
mod references;
mod rights;
mod samples;
mod space;
mod tags;
mod takeover;
mod writers;
