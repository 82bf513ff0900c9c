//! The Kubernetes API: what is watched, what is written. The kinds meet their types here; everywhere else is one path.

mod client;
mod kinds;
mod recorders;
mod uid;
mod watch;
mod write;

pub use client::KubernetesApi;
pub use uid::uid;
pub use watch::watch_all;
pub use write::{ClusterWriter, WriteError};
