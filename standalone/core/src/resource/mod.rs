//! The table of resources: what is served under which names, with which verbs and subresources. Everything that answers by kind
//! (discovery, OpenAPI, routes, validation, tables) reads it here.

mod builtin;
mod definition;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceColumnDefinition, CustomResourceDefinition,
};
use serde_json::Value;

/// What may be asked of a resource, in the words of discovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    /// Add an object.
    Create,
    /// Remove one.
    Delete,
    /// Remove all that a selector names.
    DeleteCollection,
    /// Read one.
    Get,
    /// Read all that a selector names.
    List,
    /// Change members of one.
    Patch,
    /// Replace one.
    Update,
    /// Follow changes.
    Watch,
}

impl Verb {
    /// As discovery and RBAC have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
            Self::Get => "get",
            Self::List => "list",
            Self::Patch => "patch",
            Self::Update => "update",
            Self::Watch => "watch",
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where the members of the subresource `scale` are in an object, as the definition has it: JSONPaths such as `.spec.replicas`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScalePaths {
    /// The number that is wanted.
    pub spec_replicas: String,
    /// The number that there is.
    pub status_replicas: String,
    /// The selector of what is counted, if there is one.
    pub selector: Option<String>,
}

/// What a CustomResourceDefinition says of one version of its resource.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    /// The name of the definition, such as `meshes.fleetmesh.dev`.
    pub name: String,
    /// The structural schema (`openAPIV3Schema`) of the version.
    pub schema: Value,
    /// The printer columns of the version.
    pub columns: Vec<CustomResourceColumnDefinition>,
    /// The kind of lists.
    pub list_kind: String,
}

/// Where the schema of a resource comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Origin {
    /// A kind of Kubernetes itself.
    BuiltIn,
    /// A definition.
    Custom(Arc<Definition>),
}

/// One resource in one version.
#[derive(Clone, Debug, PartialEq)]
pub struct Resource {
    /// The API group; empty for core.
    pub group: String,
    /// The version, such as `v1`.
    pub version: String,
    /// The kind of its objects.
    pub kind: String,
    /// The name in paths.
    pub plural: String,
    /// The name that kubectl also takes.
    pub singular: String,
    /// Shorter names that kubectl takes.
    pub short_names: Vec<String>,
    /// Groups of resources that kubectl takes as a name.
    pub categories: Vec<String>,
    /// Whether its objects lie in namespaces.
    pub namespaced: bool,
    /// What may be asked of it, in the order of discovery.
    pub verbs: Vec<Verb>,
    /// Whether its objects have the subresource `status`.
    pub has_status: bool,
    /// The subresource `scale`, if it has one.
    pub scale: Option<ScalePaths>,
    /// Where its schema comes from.
    pub origin: Origin,
    /// The store that its objects are in. Two resources with one store are views of the same objects.
    pub store: String,
}

impl Resource {
    /// `v1` or `GROUP/VERSION`, as objects have it.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// The kind of its lists.
    pub fn list_kind(&self) -> String {
        match &self.origin {
            Origin::BuiltIn => format!("{}List", self.kind),
            Origin::Custom(definition) => definition.list_kind.clone(),
        }
    }

    /// Whether `verb` may be asked of it.
    pub fn has(&self, verb: Verb) -> bool {
        self.verbs.contains(&verb)
    }

    /// What a definition says of it, for a custom resource.
    pub fn definition(&self) -> Option<&Definition> {
        match &self.origin {
            Origin::BuiltIn => None,
            Origin::Custom(definition) => Some(definition),
        }
    }

    /// Whether its objects are only answers to a question, which nobody keeps.
    pub fn is_review(&self) -> bool {
        self.verbs == [Verb::Create]
    }
}

/// All resources that are served.
#[derive(Clone, Debug, Default)]
pub struct Resources(Vec<Arc<Resource>>);

impl Resources {
    /// The built-in ones and those of `definitions`, each in the versions that are served.
    pub fn new(definitions: &[CustomResourceDefinition]) -> Self {
        let custom = definitions.iter().flat_map(definition::resources);
        Self(builtin::resources().into_iter().chain(custom).map(Arc::new).collect())
    }

    /// All of them: the built-in ones first, those of a group together.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Resource>> {
        self.0.iter()
    }

    /// The one with this name in paths.
    pub fn get(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<Resource>> {
        let named =
            |one: &&Arc<Resource>| one.group == group && one.version == version && one.plural == plural;
        self.0.iter().find(named)
    }

    /// The one whose objects are of this kind.
    pub fn of_kind(&self, group: &str, version: &str, kind: &str) -> Option<&Arc<Resource>> {
        let named = |one: &&Arc<Resource>| one.group == group && one.version == version && one.kind == kind;
        self.0.iter().find(named)
    }

    /// Whether anything of the group is served in the version.
    pub fn has_version(&self, group: &str, version: &str) -> bool {
        self.0.iter().any(|one| one.group == group && one.version == version)
    }
}
