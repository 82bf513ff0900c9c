//! The reference graph: which resources a spec names, and whether they must exist. Pure.

use crate::kind::Kind;
use crate::mesh_name::MeshName;
use crate::resource::ResourceId;

/// One resource that a spec names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The path of the member that names it, for example `spec.provider.virtualRouter.virtualRouterName`; `None` for
    /// the resource's parent, which is part of its identity.
    pub path: Option<String>,
    /// What is named.
    pub target: ResourceId,
    /// Whether the endpoint demands that it exists. Backends need not: two services may call each other.
    pub required: bool,
}

/// Collects what the spec of a resource names.
#[derive(Debug)]
pub(crate) struct NamedResources<'a> {
    mesh: &'a MeshName,
    kind: Kind,
    references: Vec<Reference>,
}

impl<'a> NamedResources<'a> {
    /// Of a spec of `kind` in `mesh`, beginning with the parent.
    pub(crate) fn new(mesh: &'a MeshName, kind: Kind, parent: Option<Reference>) -> Self {
        Self { mesh, kind, references: parent.into_iter().collect() }
    }

    /// The mesh that the resource, and all that it names, is in.
    pub(crate) fn mesh(&self) -> &'a MeshName {
        self.mesh
    }

    /// The member at `path` names `target`. Whether that has to exist the table of kinds says.
    pub(crate) fn add(&mut self, path: String, target: ResourceId) {
        let required = self.kind.info().requires.contains(&target.kind());
        self.references.push(Reference { path: Some(path), target, required });
    }

    /// All of them, in the order in which they were added.
    pub(crate) fn into_vec(self) -> Vec<Reference> {
        self.references
    }
}
