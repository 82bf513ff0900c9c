//! The reference graph: which resources a spec names, and whether they must exist. Pure.

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
