//! What a resource says beside its App Mesh object, which is something else for each kind. Pure data.

use fleetmesh_model::Kind;
use fleetmesh_model::route::WeightedTarget;

use crate::canary::Canary;
use crate::fleet::Fleet;
use crate::http::Http;
use crate::iam::Iam;
use crate::mesh_tls::MeshTlsMode;
use crate::namespaces::{AllowedNamespaces, AllowedRoutes};

/// What a resource of one kind says beside its App Mesh object.
#[derive(Clone, Debug, PartialEq)]
pub enum Extension {
    /// A Mesh.
    Mesh(MeshExtension),
    /// A VirtualNode.
    Node(Box<NodeExtension>),
    /// A VirtualRouter.
    Router(RouterExtension),
    /// A Route.
    Route(Box<RouteExtension>),
    /// A VirtualGateway.
    Gateway(Box<GatewayExtension>),
    /// A kind that says nothing else: a VirtualService, a GatewayRoute.
    None,
}

/// What a Mesh says beside its App Mesh object.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MeshExtension {
    /// Whether the App Mesh mesh is made elsewhere and must never be written to, tagged or deleted.
    pub observed: bool,
    /// Which namespaces may put resources into it; all when absent.
    pub namespaces: Option<AllowedNamespaces>,
    /// The TLS between its proxies; none is added when absent.
    pub tls: Option<MeshTlsMode>,
}

/// What a VirtualNode says beside its App Mesh object.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeExtension {
    /// How the proxies take HTTP.
    pub http: Option<Http>,
    /// The IAM identity of the instances.
    pub iam: Option<Iam>,
    /// The EC2 instances.
    pub fleet: Option<Fleet>,
    /// Which namespaces' routes may retire it; its own when absent.
    pub retirement: Option<AllowedRoutes>,
}

/// What a VirtualRouter says beside its App Mesh object.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RouterExtension {
    /// Which namespaces may attach routes; its own when absent.
    pub routes: Option<AllowedRoutes>,
}

/// What a VirtualGateway says beside its App Mesh object.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GatewayExtension {
    /// How the proxies take HTTP.
    pub http: Option<Http>,
    /// The IAM identity of the instances.
    pub iam: Option<Iam>,
    /// The EC2 instances.
    pub fleet: Option<Fleet>,
    /// Which namespaces may attach gateway routes; its own when absent.
    pub routes: Option<AllowedRoutes>,
}

/// What a Route says beside its App Mesh object.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RouteExtension {
    /// The targets that the spec names, wherever a rollout to them is.
    pub targets: Vec<WeightedTarget>,
    /// How a change of targets is rolled out.
    pub canary: Option<Canary>,
}

impl Extension {
    /// What a resource of the kind says that says nothing.
    pub fn empty(kind: Kind) -> Self {
        match kind {
            Kind::Mesh => Self::Mesh(MeshExtension::default()),
            Kind::VirtualNode => Self::Node(Box::default()),
            Kind::VirtualRouter => Self::Router(RouterExtension::default()),
            Kind::Route => Self::Route(Box::default()),
            Kind::VirtualGateway => Self::Gateway(Box::default()),
            Kind::VirtualService | Kind::GatewayRoute => Self::None,
        }
    }

    /// The mesh's part, if it is one's.
    pub fn mesh(&self) -> Option<&MeshExtension> {
        if let Self::Mesh(mesh) = self { Some(mesh) } else { None }
    }

    /// The virtual node's part, if it is one's.
    pub fn node(&self) -> Option<&NodeExtension> {
        if let Self::Node(node) = self { Some(node) } else { None }
    }

    /// The IAM identity of the instances, if there is one.
    pub fn iam(&self) -> Option<&Iam> {
        match self {
            Self::Node(node) => node.iam.as_ref(),
            Self::Gateway(gateway) => gateway.iam.as_ref(),
            Self::Mesh(_) | Self::Router(_) | Self::Route(_) | Self::None => None,
        }
    }

    /// How the proxies take HTTP, if that is said.
    pub fn http(&self) -> Option<Http> {
        match self {
            Self::Node(node) => node.http,
            Self::Gateway(gateway) => gateway.http,
            Self::Mesh(_) | Self::Router(_) | Self::Route(_) | Self::None => None,
        }
    }

    /// The EC2 instances, if there are any.
    pub fn fleet(&self) -> Option<&Fleet> {
        match self {
            Self::Node(node) => node.fleet.as_ref(),
            Self::Gateway(gateway) => gateway.fleet.as_ref(),
            Self::Mesh(_) | Self::Router(_) | Self::Route(_) | Self::None => None,
        }
    }

    /// The route's part, if it is one's.
    pub fn route(&self) -> Option<&RouteExtension> {
        if let Self::Route(route) = self { Some(route) } else { None }
    }

    /// Which namespaces may put what lies in it there: routes of a virtual router or gateway; `None` when it allows its own alone.
    pub fn attachable(&self) -> Option<&AllowedRoutes> {
        match self {
            Self::Router(router) => router.routes.as_ref(),
            Self::Gateway(gateway) => gateway.routes.as_ref(),
            Self::Mesh(_) | Self::Node(_) | Self::Route(_) | Self::None => None,
        }
    }

    /// Whether `other` says something else about what resources of other namespaces may do.
    pub fn permits_other_than(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Node(this), Self::Node(other)) => this.retirement != other.retirement,
            (Self::Gateway(this), Self::Gateway(other)) => this.routes != other.routes,
            (Self::Mesh(this), Self::Mesh(other)) => {
                (this.observed, &this.namespaces) != (other.observed, &other.namespaces)
            }
            (Self::Route(_), Self::Route(_)) => false,
            (this, other) => this != other,
        }
    }
}
