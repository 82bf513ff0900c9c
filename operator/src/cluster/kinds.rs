//! The five kinds: what is particular to each, and the macro that picks the type for a kind. No I/O.

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

/// Evaluates an expression with `$resource` standing for the type of a kind.
macro_rules! with_kind {
    ($kind:expr, $resource:ident => $body:expr) => {
        match $kind {
            ::fleetmesh_model::Kind::Mesh => {
                type $resource = ::fleetmesh_crds::Mesh;
                $body
            }
            ::fleetmesh_model::Kind::VirtualNode => {
                type $resource = ::fleetmesh_crds::VirtualNode;
                $body
            }
            ::fleetmesh_model::Kind::VirtualRouter => {
                type $resource = ::fleetmesh_crds::VirtualRouter;
                $body
            }
            ::fleetmesh_model::Kind::Route => {
                type $resource = ::fleetmesh_crds::Route;
                $body
            }
            ::fleetmesh_model::Kind::VirtualService => {
                type $resource = ::fleetmesh_crds::VirtualService;
                $body
            }
        }
    };
}
pub(super) use with_kind;
