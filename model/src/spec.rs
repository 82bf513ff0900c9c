//! A spec of any kind: its references, the rules it breaks, its normal form. Pure.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use crate::gateway_route::GatewayRouteSpec;
use crate::kind::Kind;
use crate::kind_spec::KindSpec as _;
use crate::mesh::MeshSpec;
use crate::normalize::{
    normalize_gateway, normalize_gateway_route, normalize_mesh, normalize_node, normalize_route,
    normalize_router,
};
use crate::reference::{NamedResources, Reference};
use crate::resource::ResourceId;
use crate::route::RouteSpec;
use crate::rule::{Violation, Violations};
use crate::service_discovery::ServiceDiscovery;
use crate::virtual_gateway::VirtualGatewaySpec;
use crate::virtual_node::VirtualNodeSpec;
use crate::virtual_router::VirtualRouterSpec;
use crate::virtual_service::VirtualServiceSpec;

/// The spec of a resource of any kind. It serialises as the bare spec of its kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
#[allow(missing_docs, reason = "the variants are App Mesh's kinds")]
pub enum Spec {
    Mesh(MeshSpec),
    VirtualNode(Box<VirtualNodeSpec>),
    VirtualRouter(VirtualRouterSpec),
    Route(Box<RouteSpec>),
    VirtualService(VirtualServiceSpec),
    VirtualGateway(Box<VirtualGatewaySpec>),
    GatewayRoute(Box<GatewayRouteSpec>),
}

/// The normal form of `spec`: two specs mean the same exactly when their normal forms are equal.
pub fn normalize(spec: &Spec) -> Spec {
    let mut spec = spec.clone();
    match &mut spec {
        Spec::Mesh(mesh) => normalize_mesh(mesh),
        Spec::VirtualNode(node) => normalize_node(node),
        Spec::VirtualRouter(router) => normalize_router(router),
        Spec::Route(route) => normalize_route(route),
        Spec::VirtualService(_) => {}
        Spec::VirtualGateway(gateway) => normalize_gateway(gateway),
        Spec::GatewayRoute(route) => normalize_gateway_route(route),
    }
    spec
}

/// Evaluates an expression with `$of_kind` standing for the spec of whichever kind `$spec` is of.
macro_rules! each {
    ($spec:expr, $of_kind:ident => $body:expr) => {
        match $spec {
            Spec::Mesh($of_kind) => $body,
            Spec::VirtualNode($of_kind) => $body,
            Spec::VirtualRouter($of_kind) => $body,
            Spec::Route($of_kind) => $body,
            Spec::VirtualService($of_kind) => $body,
            Spec::VirtualGateway($of_kind) => $body,
            Spec::GatewayRoute($of_kind) => $body,
        }
    };
}

impl From<MeshSpec> for Spec {
    fn from(spec: MeshSpec) -> Self {
        Self::Mesh(spec)
    }
}

impl From<VirtualNodeSpec> for Spec {
    fn from(spec: VirtualNodeSpec) -> Self {
        Self::VirtualNode(Box::new(spec))
    }
}

impl From<VirtualRouterSpec> for Spec {
    fn from(spec: VirtualRouterSpec) -> Self {
        Self::VirtualRouter(spec)
    }
}

impl From<RouteSpec> for Spec {
    fn from(spec: RouteSpec) -> Self {
        Self::Route(Box::new(spec))
    }
}

impl From<VirtualServiceSpec> for Spec {
    fn from(spec: VirtualServiceSpec) -> Self {
        Self::VirtualService(spec)
    }
}

impl From<VirtualGatewaySpec> for Spec {
    fn from(spec: VirtualGatewaySpec) -> Self {
        Self::VirtualGateway(Box::new(spec))
    }
}

impl From<GatewayRouteSpec> for Spec {
    fn from(spec: GatewayRouteSpec) -> Self {
        Self::GatewayRoute(Box::new(spec))
    }
}

impl Spec {
    /// Reads the spec of a `kind` from its JSON.
    ///
    /// # Errors
    /// serde's, when a member is missing or of another type. Bounds are the schema's business, not serde's.
    pub fn from_json(kind: Kind, json: serde_json::Value) -> Result<Self, serde_json::Error> {
        fn read<T>(json: serde_json::Value) -> Result<Spec, serde_json::Error>
        where
            T: for<'de> Deserialize<'de> + Into<Spec>,
        {
            serde_json::from_value::<T>(json).map(Into::into)
        }
        match kind {
            Kind::Mesh => read::<MeshSpec>(json),
            Kind::VirtualNode => read::<VirtualNodeSpec>(json),
            Kind::VirtualRouter => read::<VirtualRouterSpec>(json),
            Kind::Route => read::<RouteSpec>(json),
            Kind::VirtualService => read::<VirtualServiceSpec>(json),
            Kind::VirtualGateway => read::<VirtualGatewaySpec>(json),
            Kind::GatewayRoute => read::<GatewayRouteSpec>(json),
        }
    }

    /// The JSON schema of the spec of a `kind`.
    pub fn schema(kind: Kind, generator: SchemaGenerator) -> Schema {
        fn of<T: JsonSchema>(generator: SchemaGenerator) -> Schema {
            generator.into_root_schema_for::<T>()
        }
        match kind {
            Kind::Mesh => of::<MeshSpec>(generator),
            Kind::VirtualNode => of::<VirtualNodeSpec>(generator),
            Kind::VirtualRouter => of::<VirtualRouterSpec>(generator),
            Kind::Route => of::<RouteSpec>(generator),
            Kind::VirtualService => of::<VirtualServiceSpec>(generator),
            Kind::VirtualGateway => of::<VirtualGatewaySpec>(generator),
            Kind::GatewayRoute => of::<GatewayRouteSpec>(generator),
        }
    }

    /// The kind that the spec is of.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Mesh(_) => Kind::Mesh,
            Self::VirtualNode(_) => Kind::VirtualNode,
            Self::VirtualRouter(_) => Kind::VirtualRouter,
            Self::Route(_) => Kind::Route,
            Self::VirtualService(_) => Kind::VirtualService,
            Self::VirtualGateway(_) => Kind::VirtualGateway,
            Self::GatewayRoute(_) => Kind::GatewayRoute,
        }
    }

    /// The rules, beyond the schema's bounds, that the spec breaks; paths begin with `spec`.
    pub fn violations(&self) -> Vec<Violation> {
        self.checked().into_vec()
    }

    /// The same, and what else was found on the way.
    pub(crate) fn checked(&self) -> Violations {
        let mut violations = Violations::default();
        each!(self, spec => spec.check("spec", &mut violations));
        violations
    }

    /// Everything that the resource `id` with this spec names, its parent first.
    pub fn references(&self, id: &ResourceId) -> Vec<Reference> {
        let parent = id.parent().map(|target| Reference { path: None, target, required: true });
        let mut names = NamedResources::new(id.mesh_name(), self.kind(), parent);
        each!(self, spec => spec.names(&mut names));
        names.into_vec()
    }

    /// Fills in the one default that App Mesh shows: the port of a health check is its listener's.
    pub fn fill_in(&mut self) {
        each!(self, spec => spec.fill_in());
    }

    /// How the resource is discovered; `None` when it does not say, or its kind cannot.
    pub fn service_discovery(&self) -> Option<&ServiceDiscovery> {
        each!(self, spec => spec.service_discovery())
    }

    /// The spec without the resources called `gone`; `None` when it cannot be without what it names.
    pub fn without(&self, gone: &dyn Fn(&str) -> bool) -> Option<Self> {
        each!(self, spec => spec.without(gone).map(Into::into))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kind::KINDS;

    /// A spec of each kind that names as much as it can.
    fn naming_all() -> [(Kind, Vec<serde_json::Value>); KINDS.len()] {
        let targets = json!([{ "virtualNode": "n", "weight": 1 }]);
        let service = json!({ "virtualService": { "virtualServiceName": "s" } });
        [
            (Kind::Mesh, vec![json!({})]),
            (
                Kind::VirtualNode,
                vec![json!({ "backends": [{ "virtualService": { "virtualServiceName": "s" } }] })],
            ),
            (Kind::VirtualRouter, vec![json!({})]),
            (Kind::Route, vec![json!({ "tcpRoute": { "action": { "weightedTargets": targets } } })]),
            (
                Kind::VirtualService,
                vec![
                    json!({ "provider": { "virtualNode": { "virtualNodeName": "n" } } }),
                    json!({ "provider": { "virtualRouter": { "virtualRouterName": "r" } } }),
                ],
            ),
            (Kind::VirtualGateway, vec![json!({ "listeners": [] })]),
            (
                Kind::GatewayRoute,
                vec![json!({ "httpRoute": { "match": {}, "action": { "target": service } } })],
            ),
        ]
    }

    #[test]
    fn specs_name_the_kinds_that_the_table_says() {
        let ids = [
            ResourceId::mesh("m"),
            ResourceId::virtual_node("m", "x"),
            ResourceId::virtual_router("m", "x"),
            ResourceId::route("m", "r", "x"),
            ResourceId::virtual_service("m", "x"),
            ResourceId::virtual_gateway("m", "x"),
            ResourceId::gateway_route("m", "g", "x"),
        ];
        for ((kind, specs), id) in naming_all().into_iter().zip(ids) {
            assert_eq!(kind, id.kind());
            let specs = specs.into_iter().map(|spec| Spec::from_json(kind, spec).expect("a spec"));
            let named: Vec<Reference> = specs.flat_map(|spec| spec.references(&id)).collect();
            let (parents, named): (Vec<_>, Vec<_>) = named.iter().partition(|one| one.path.is_none());
            assert!(parents.iter().all(|one| Some(&one.target) == id.parent().as_ref() && one.required));
            let of = |required: bool| -> Vec<Kind> {
                let named = named.iter().filter(|one| one.required == required);
                named.map(|one| one.target.kind()).collect()
            };
            assert_eq!(of(true), kind.info().requires, "{kind}");
            assert_eq!(of(false), kind.info().mentions, "{kind}");
        }
    }

    #[test]
    fn what_must_not_be_named_goes_where_it_need_not_exist() {
        for (kind, specs) in naming_all() {
            for json in specs {
                let spec = Spec::from_json(kind, json).expect("a spec");
                let left = spec.without(&|name| name == "s");
                assert_eq!(left.is_some(), !kind.info().mentions.is_empty(), "{kind}");
                let bare = || Spec::from_json(kind, json!({})).expect("a spec");
                assert!(left.is_none_or(|left| left == bare()), "{kind}");
            }
        }
    }
}
