//! The test bed: real parts (etcd, kube-apiserver, Envoy, moto, the AWS CLI, `fleetmesh` itself) in throw-away
//! surroundings, shared by the black-box tests, `cargo xtask demo` and `cargo xtask bench`.
//!
//! One instance of an EC2 fleet is one network namespace. Everything started here is a child process that ends
//! with its owner, also when the owner is killed; namespaces have no name, so they vanish with their processes
//! and nothing on the host's network or file system changes outside a temporary folder.

pub mod app;
pub mod aws;
pub mod chi_square;
pub mod cluster;
pub mod command;
pub mod control_plane;
pub mod dns;
pub mod envoy;
pub mod etcd;
pub mod fleet_class;
pub mod front;
pub mod helm;
pub mod host;
pub mod http;
pub mod join;
pub mod kubectl;
pub mod launch;
pub mod metadata;
pub mod moto;
pub mod netns;
pub mod objects;
pub mod operator;
pub mod port;
pub mod process;
#[cfg(feature = "proxies")]
pub mod proxies;
pub mod resident;
pub mod run_dir;
pub mod scenario;
pub mod shared;
pub mod stack;
pub mod standalone;
pub mod sts;
pub mod wait;

pub use fleetmesh_tools::{api_server, long, tools, userns};
