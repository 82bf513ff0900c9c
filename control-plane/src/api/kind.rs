//! What the REST API calls each kind: path segments and member names. One table, used to read paths and to write
//! answers. Pure data.

use fleetmesh_model::{Kind, ResourceId};

/// The API's words for a kind.
#[derive(Debug)]
pub struct Words {
    /// The path segment of the collection, also the member of the list's answer, for example `virtualNodes`.
    pub collection: &'static str,
    /// The member that holds the resource's name, for example `virtualNodeName`.
    pub name: &'static str,
}

/// The words for `kind`.
pub fn words(kind: Kind) -> &'static Words {
    match kind {
        Kind::Mesh => &Words { collection: "meshes", name: "meshName" },
        Kind::VirtualNode => &Words { collection: "virtualNodes", name: "virtualNodeName" },
        Kind::VirtualRouter => &Words { collection: "virtualRouters", name: "virtualRouterName" },
        Kind::Route => &Words { collection: "routes", name: "routeName" },
        Kind::VirtualService => &Words { collection: "virtualServices", name: "virtualServiceName" },
    }
}

/// The kinds whose collection lies directly in a mesh.
const IN_MESH: [Kind; 3] = [Kind::VirtualNode, Kind::VirtualRouter, Kind::VirtualService];

/// The kind whose collection in a mesh is the path segment `collection`.
pub fn in_mesh(collection: &str) -> Option<Kind> {
    IN_MESH.into_iter().find(|kind| words(*kind).collection == collection)
}

/// Where a collection lies: what every member of it has in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Collection {
    /// All meshes of the account.
    Meshes,
    /// The resources of a kind in a mesh; never [`Kind::Mesh`] or [`Kind::Route`].
    InMesh {
        /// The mesh's name.
        mesh: String,
        /// The kind.
        kind: Kind,
    },
    /// The routes of a virtual router.
    Routes {
        /// The mesh's name.
        mesh: String,
        /// The virtual router's name.
        virtual_router: String,
    },
}

impl Collection {
    /// The kind of its members.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Meshes => Kind::Mesh,
            Self::InMesh { kind, .. } => *kind,
            Self::Routes { .. } => Kind::Route,
        }
    }

    /// The identity of its member `name`.
    pub fn member(&self, name: &str) -> ResourceId {
        match self {
            Self::Meshes => ResourceId::mesh(name),
            Self::Routes { mesh, virtual_router } => ResourceId::route(mesh, virtual_router, name),
            Self::InMesh { mesh, kind } => match kind {
                Kind::VirtualNode => ResourceId::virtual_node(mesh, name),
                Kind::VirtualRouter => ResourceId::virtual_router(mesh, name),
                Kind::VirtualService => ResourceId::virtual_service(mesh, name),
                // Not constructed; a mesh holds neither meshes nor, directly, routes.
                Kind::Mesh | Kind::Route => ResourceId::mesh(name),
            },
        }
    }

    /// What its members belong to; nothing for meshes.
    pub fn parent(&self) -> Option<ResourceId> {
        match self {
            Self::Meshes => None,
            Self::InMesh { mesh, .. } => Some(ResourceId::mesh(mesh)),
            Self::Routes { mesh, virtual_router } => Some(ResourceId::virtual_router(mesh, virtual_router)),
        }
    }

    /// Whether `id` is a member.
    pub fn contains(&self, id: &ResourceId) -> bool {
        self.kind() == id.kind() && self.parent() == id.parent()
    }
}
