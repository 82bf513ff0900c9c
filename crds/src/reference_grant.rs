//! The ReferenceGrant kind: a namespace permits resources of others to name its own, as the Gateway API's does. Pure.

use std::fmt;

use fleetmesh_model::Kind;
use fleetmesh_model::schema::plain_enum;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceColumnDefinition;
use kube_derive::CustomResource;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

use crate::columns::age;

fn items(schema: &mut Schema) {
    schema.insert("minItems".into(), 1.into());
    schema.insert("maxItems".into(), 16.into());
}

/// Permits resources of other namespaces to name resources of its own namespace. Grants add up; a reference within one
/// namespace needs none. It has no status, and so is not in the category `fleetmesh`, whose members people await as Ready.
#[derive(CustomResource, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "fleetmesh.dev",
    version = "v1alpha1",
    kind = "ReferenceGrant",
    namespaced,
    doc = "Permits resources of other namespaces to name resources of its own namespace.",
    derive = "PartialEq",
    shortname = "fgrant",
    crates(kube_core = "::kube_core")
)]
pub struct ReferenceGrantSpec {
    /// Who may name them: any of these, 1 to 16.
    #[schemars(transform = items)]
    pub from: Vec<GrantFrom>,
    /// What may be named, in the grant's namespace: any of these, 1 to 16.
    #[schemars(transform = items)]
    pub to: Vec<GrantTo>,
}

/// Resources that may name others: those of a kind in a namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GrantFrom {
    /// The API group of the resources that name.
    pub group: GrantGroup,
    /// The kind of the resources that name.
    pub kind: FromKind,
    /// Their namespace.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub namespace: String,
}

/// Resources of the grant's namespace that may be named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GrantTo {
    /// The API group of the resources that are named.
    pub group: GrantGroup,
    /// The kind of the resources that are named.
    pub kind: ToKind,
    /// `metadata.name` of the one that may be named; every one of the kind when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub name: Option<String>,
}

/// The one API group that grants are about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = plain_enum)]
pub enum GrantGroup {
    /// Fleetmesh's.
    #[default]
    #[serde(rename = "fleetmesh.dev")]
    Fleetmesh,
}

/// A kind that names others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = plain_enum)]
pub enum FromKind {
    /// Gateway routes name their virtual gateway, and the virtual service that they lead to.
    GatewayRoute,
    /// Routes name their virtual router, and virtual nodes as targets.
    Route,
    /// Virtual nodes name virtual services as backends.
    VirtualNode,
    /// Virtual services name the virtual router or node that provides them.
    VirtualService,
}

/// A kind that others name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = plain_enum)]
pub enum ToKind {
    /// Virtual gateways. A gateway route also needs the gateway's `allowedRoutes`.
    VirtualGateway,
    /// Virtual nodes.
    VirtualNode,
    /// Virtual routers. A route also needs the router's `allowedRoutes`.
    VirtualRouter,
    /// Virtual services.
    VirtualService,
}

impl FromKind {
    /// All of them: the kinds whose resources name others.
    pub const ALL: [Self; 4] = [Self::GatewayRoute, Self::Route, Self::VirtualNode, Self::VirtualService];

    /// The App Mesh kind.
    pub fn kind(self) -> Kind {
        match self {
            Self::GatewayRoute => Kind::GatewayRoute,
            Self::Route => Kind::Route,
            Self::VirtualNode => Kind::VirtualNode,
            Self::VirtualService => Kind::VirtualService,
        }
    }
}

impl ToKind {
    /// All of them: the kinds that others name or lie in, but a mesh, which is in no namespace.
    pub const ALL: [Self; 4] =
        [Self::VirtualGateway, Self::VirtualNode, Self::VirtualRouter, Self::VirtualService];

    /// The App Mesh kind.
    pub fn kind(self) -> Kind {
        match self {
            Self::VirtualGateway => Kind::VirtualGateway,
            Self::VirtualNode => Kind::VirtualNode,
            Self::VirtualRouter => Kind::VirtualRouter,
            Self::VirtualService => Kind::VirtualService,
        }
    }
}

impl ReferenceGrantSpec {
    /// Whether it permits resources of kind `from` in `namespace` to name the resource `name` of kind `to`, which is in
    /// the grant's namespace.
    pub fn permits(&self, from: Kind, namespace: &str, to: Kind, name: &str) -> bool {
        let names = |grant: &GrantTo| grant.name.as_deref().is_none_or(|one| one == name);
        self.from.iter().any(|grant| grant.kind.kind() == from && grant.namespace == namespace)
            && self.to.iter().any(|grant| grant.kind.kind() == to && names(grant))
    }
}

/// A grant that is missing, which displays as a person would write it: `with from: [{…}] and to: [{…}]`.
#[derive(Clone, Copy, Debug)]
pub struct WantedReference<'a> {
    /// The kind that names.
    pub from: Kind,
    /// Its namespace.
    pub namespace: &'a str,
    /// The kind that is named.
    pub to: Kind,
    /// `metadata.name` of what is named.
    pub name: &'a str,
}

impl fmt::Display for WantedReference<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, namespace, to, name } = self;
        write!(
            f,
            "with from: [{{group: fleetmesh.dev, kind: {from}, namespace: {namespace}}}] and to: [{{group: fleetmesh.dev, kind: {to}, name: {name}}}]"
        )
    }
}

/// The columns that `kubectl get` prints; a column cannot show a list.
pub fn columns() -> Vec<CustomResourceColumnDefinition> {
    vec![age()]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// A kind that is added and names others, or is named, has to be in the API, too.
    #[test]
    fn grants_are_about_the_kinds_that_name_and_that_are_named() {
        let naming = Kind::ALL.into_iter().filter(|kind| kind.info().names_others());
        let from: BTreeSet<Kind> = FromKind::ALL.map(FromKind::kind).into();
        assert_eq!(from, naming.collect());
        let named = Kind::ALL.into_iter().flat_map(|kind| {
            let info = kind.info();
            info.parent.into_iter().chain(info.requires.iter().chain(info.mentions).copied())
        });
        let to: BTreeSet<Kind> = ToKind::ALL.map(ToKind::kind).into();
        assert_eq!(to, named.filter(|kind| *kind != Kind::Mesh).collect());
    }
}
