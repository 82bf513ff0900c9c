//! The Kubernetes kinds of Fleetmesh, group `fleetmesh.dev`, version `v1alpha1`: one custom resource for each App Mesh
//! kind; RouteActions, which act on rollouts; FleetClasses, which say what fleets may be made of; the providers that rollouts ask;
//! and ReferenceGrants, which permit references between namespaces. A spec is the App Mesh request, flattened: the identity fields, the members of the request's `spec`, and next
//! to them what only Kubernetes needs ([`Management`], [`AllowedNamespaces`]).
//!
//! [`all`] gives the CustomResourceDefinitions. Bounds, enums and unions come from the model's schemas; `definition`
//! makes them structural and adds immutability. `yaml/` is their checked-in form (`cargo xtask crds`).
//!
//! Pure: schemas and data. No client, runtime, clock or environment; `core` depends on this crate and must stay pure.

pub mod canary;
pub mod columns;
pub mod condition;
pub mod definition;
pub mod extension;
pub mod fleet;
pub mod fleet_class;
pub mod gateway_fleet;
pub mod gateway_route;
pub mod http;
pub mod iam;
pub mod identity;
pub mod judge;
mod kinds;
pub mod management;
pub mod mesh;
pub mod mesh_tls;
pub mod namespaces;
pub mod provider;
pub mod reference;
pub mod reference_grant;
pub mod resource;
pub mod route;
pub mod route_action;
pub mod status;
pub mod virtual_gateway;
pub mod virtual_node;
pub mod virtual_router;
pub mod virtual_service;

pub use canary::{Canary, CanaryStatus, Phase};
pub use condition::{ConditionType, Reason};
pub use definition::{all, to_yaml};
pub use extension::Extension;
pub use fleet::{Fleet, FleetStatus, InstanceStatus};
pub use fleet_class::{FleetClass, FleetClassSpec};
#[doc(no_inline)]
pub use fleetmesh_model::Kind;
pub use gateway_fleet::GatewayFleet;
pub use gateway_route::GatewayRoute;
pub use http::Http;
pub use iam::{Iam, IamStatus};
pub use judge::Judged;
pub use management::{AdoptionPolicy, DeletionPolicy, Management};
pub use mesh::{Mesh, MeshManagement};
pub use mesh_tls::{AddedTls, BackendTls, MeshStatus, MeshTlsMode, MeshTlsStage, MeshTlsStatus};
pub use namespaces::{AllowedNamespaces, AllowedRoutes};
pub use provider::{MetricProvider, MetricProviderSpec, WebhookProvider, WebhookProviderSpec};
pub use reference_grant::{ReferenceGrant, ReferenceGrantSpec};
pub use resource::MeshResource;
pub use route::Route;
pub use route_action::{ActionPhase, RouteAction, RouteActionSpec, RouteActionStatus, Verb};
pub use status::{KindStatus, NodeStatus, Proxies, RouteStatus, Status, UNASKED};
pub use virtual_gateway::VirtualGateway;
pub use virtual_node::VirtualNode;
pub use virtual_router::VirtualRouter;
pub use virtual_service::VirtualService;

/// The API group of every kind.
pub const GROUP: &str = "fleetmesh.dev";

/// The API version of every kind.
pub const VERSION: &str = "v1alpha1";

/// The finalizer that keeps a resource until its App Mesh object is deleted or let go.
pub const FINALIZER: &str = "fleetmesh.dev/cleanup";

/// The annotation that, set to `"true"`, lets go of the App Mesh object when the resource is deleted, whatever the
/// deletion policy and whether or not the endpoint answers.
pub const ORPHAN_ANNOTATION: &str = "fleetmesh.dev/orphan";

/// Evaluates an expression with `$resource` standing for the type of the custom resources of a [`Kind`].
#[macro_export]
macro_rules! with_kind {
    ($kind:expr, $resource:ident => $body:expr) => {
        match $kind {
            $crate::Kind::Mesh => {
                type $resource = $crate::Mesh;
                $body
            }
            $crate::Kind::VirtualNode => {
                type $resource = $crate::VirtualNode;
                $body
            }
            $crate::Kind::VirtualRouter => {
                type $resource = $crate::VirtualRouter;
                $body
            }
            $crate::Kind::Route => {
                type $resource = $crate::Route;
                $body
            }
            $crate::Kind::VirtualService => {
                type $resource = $crate::VirtualService;
                $body
            }
            $crate::Kind::VirtualGateway => {
                type $resource = $crate::VirtualGateway;
                $body
            }
            $crate::Kind::GatewayRoute => {
                type $resource = $crate::GatewayRoute;
                $body
            }
        }
    };
}
