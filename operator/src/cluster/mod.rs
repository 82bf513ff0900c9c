//! The Kubernetes API: watches and writes. The types of the kinds are used here only; everywhere else there is one code path.

mod client;
mod news;
mod recorders;
mod uid;
mod untyped;
mod watch;
mod write;

pub use client::KubernetesApi;
pub use uid::uid;
pub use watch::watch_all;
pub use write::{ClusterWriter, WriteError};
