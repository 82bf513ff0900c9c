//! The kinds that the operator watches. No I/O.

use fleetmesh_core::Object;
use fleetmesh_crds::MeshResource;

/// A kind as the operator watches it.
pub(super) trait Watched: MeshResource {
    /// The resource in the form that decisions need.
    fn parse(&self) -> Object {
        Object::read(self)
    }
}

impl<K: MeshResource> Watched for K {}
