//! Tests of snapshots: what they hold, that they are stable, and that a real Envoy accepts them.

mod acm;
mod bootstrap;
mod cloud_map;
mod content;
mod corpus;
mod gateway;
mod golden;
mod http;
mod in_force;
mod limits;
mod recall;
mod tcp_port;
mod tls;
mod validate;
mod virtual_address;

use std::sync::Arc;

use crate::cloud_map::Discovered;
use crate::snapshot::{ResourceType, Snapshot};
use crate::testing::node;
use crate::view::MeshView;

/// The snapshot of the virtual node `client`.
fn client(view: &MeshView) -> Arc<Snapshot> {
    Arc::new(Snapshot::build(view, &Discovered::default(), &node("client")).expect("the node exists"))
}

/// The names of its resources of one type.
fn names(snapshot: &Snapshot, kind: ResourceType) -> Vec<&str> {
    snapshot.content(kind).resources.keys().map(String::as_str).collect()
}
