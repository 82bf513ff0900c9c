//! The kinds and the identity of a resource inside an account. Pure data.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The kinds of App Mesh resources that Fleetmesh serves, in the order in which they depend on each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the variants are App Mesh's kinds")]
pub enum Kind {
    Mesh,
    VirtualNode,
    VirtualRouter,
    Route,
    VirtualService,
}

impl Kind {
    /// Every kind, a referent before what refers to it.
    pub const ALL: [Self; 5] =
        [Self::Mesh, Self::VirtualNode, Self::VirtualRouter, Self::Route, Self::VirtualService];

    /// The kind's name in Kubernetes and in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mesh => "Mesh",
            Self::VirtualNode => "VirtualNode",
            Self::VirtualRouter => "VirtualRouter",
            Self::Route => "Route",
            Self::VirtualService => "VirtualService",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What identifies a resource inside an account. It displays as the resource part of its ARN, for example
/// `mesh/apps/virtualRouter/serviceB/route/serviceB`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the members are App Mesh's names")]
pub enum ResourceId {
    Mesh { mesh: String },
    VirtualNode { mesh: String, virtual_node: String },
    VirtualRouter { mesh: String, virtual_router: String },
    Route { mesh: String, virtual_router: String, route: String },
    VirtualService { mesh: String, virtual_service: String },
}

impl ResourceId {
    /// The mesh called `mesh`.
    pub fn mesh(mesh: impl Into<String>) -> Self {
        Self::Mesh { mesh: mesh.into() }
    }

    /// The virtual node `name` of `mesh`.
    pub fn virtual_node(mesh: impl Into<String>, name: impl Into<String>) -> Self {
        Self::VirtualNode { mesh: mesh.into(), virtual_node: name.into() }
    }

    /// The virtual router `name` of `mesh`.
    pub fn virtual_router(mesh: impl Into<String>, name: impl Into<String>) -> Self {
        Self::VirtualRouter { mesh: mesh.into(), virtual_router: name.into() }
    }

    /// The route `name` of the virtual router `router` of `mesh`.
    pub fn route(mesh: impl Into<String>, router: impl Into<String>, name: impl Into<String>) -> Self {
        Self::Route { mesh: mesh.into(), virtual_router: router.into(), route: name.into() }
    }

    /// The virtual service `name` of `mesh`.
    pub fn virtual_service(mesh: impl Into<String>, name: impl Into<String>) -> Self {
        Self::VirtualService { mesh: mesh.into(), virtual_service: name.into() }
    }

    /// The kind of the resource.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Mesh { .. } => Kind::Mesh,
            Self::VirtualNode { .. } => Kind::VirtualNode,
            Self::VirtualRouter { .. } => Kind::VirtualRouter,
            Self::Route { .. } => Kind::Route,
            Self::VirtualService { .. } => Kind::VirtualService,
        }
    }

    /// The name of the mesh it is, or is in.
    pub fn mesh_name(&self) -> &str {
        match self {
            Self::Mesh { mesh }
            | Self::VirtualNode { mesh, .. }
            | Self::VirtualRouter { mesh, .. }
            | Self::Route { mesh, .. }
            | Self::VirtualService { mesh, .. } => mesh,
        }
    }

    /// The resource's own name.
    pub fn name(&self) -> &str {
        match self {
            Self::Mesh { mesh: name }
            | Self::VirtualNode { virtual_node: name, .. }
            | Self::VirtualRouter { virtual_router: name, .. }
            | Self::Route { route: name, .. }
            | Self::VirtualService { virtual_service: name, .. } => name,
        }
    }

    /// The virtual router that a route belongs to; the mesh of the other kinds; nothing for a mesh.
    pub fn parent(&self) -> Option<Self> {
        match self {
            Self::Mesh { .. } => None,
            Self::Route { mesh, virtual_router, .. } => Some(Self::virtual_router(mesh, virtual_router)),
            Self::VirtualNode { mesh, .. }
            | Self::VirtualRouter { mesh, .. }
            | Self::VirtualService { mesh, .. } => Some(Self::mesh(mesh)),
        }
    }

    /// Parses the resource part of an ARN; the error says what was expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split('/').collect();
        if parts.iter().any(|part| part.is_empty()) {
            return Err(expected(text));
        }
        match parts.as_slice() {
            ["mesh", mesh] => Ok(Self::mesh(*mesh)),
            ["mesh", mesh, "virtualNode", name] => Ok(Self::virtual_node(*mesh, *name)),
            ["mesh", mesh, "virtualRouter", name] => Ok(Self::virtual_router(*mesh, *name)),
            ["mesh", mesh, "virtualRouter", router, "route", name] => Ok(Self::route(*mesh, *router, *name)),
            ["mesh", mesh, "virtualService", name] => Ok(Self::virtual_service(*mesh, *name)),
            _ => Err(expected(text)),
        }
    }
}

fn expected(text: &str) -> String {
    format!(
        "{text:?} is not a resource: expected mesh/MESH/virtualNode/NAME, mesh/MESH or another kind of App Mesh's"
    )
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mesh { mesh } => write!(f, "mesh/{mesh}"),
            Self::VirtualNode { mesh, virtual_node } => write!(f, "mesh/{mesh}/virtualNode/{virtual_node}"),
            Self::VirtualRouter { mesh, virtual_router } => {
                write!(f, "mesh/{mesh}/virtualRouter/{virtual_router}")
            }
            Self::Route { mesh, virtual_router, route } => {
                write!(f, "mesh/{mesh}/virtualRouter/{virtual_router}/route/{route}")
            }
            Self::VirtualService { mesh, virtual_service } => {
                write!(f, "mesh/{mesh}/virtualService/{virtual_service}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_parses_back() {
        let ids = [
            ResourceId::mesh("apps"),
            ResourceId::virtual_node("apps", "serviceB"),
            ResourceId::virtual_router("apps", "serviceB"),
            ResourceId::route("apps", "serviceB", "r"),
            ResourceId::virtual_service("apps", "serviceb.apps.local"),
        ];
        for id in ids {
            assert_eq!(ResourceId::parse(&id.to_string()), Ok(id));
        }
    }

    #[test]
    fn nonsense_is_refused_with_what_was_expected() {
        for text in
            ["", "mesh", "mesh/", "mesh/a/virtualNode", "mesh/a/virtualNode/", "mesh/a/virtualNode/b/c"]
        {
            let error = ResourceId::parse(text).expect_err(text);
            assert!(error.contains("expected mesh/MESH/virtualNode/NAME"), "{error}");
        }
    }
}
