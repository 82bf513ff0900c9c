//! App Mesh's data model for the kinds that Fleetmesh serves: the specs with their bounds, resource names, ARNs, tags,
//! the references between objects and the rules that a schema cannot say.
//!
//! Source: the App Mesh API model of 2019-01-25 (botocore's `service-2.json`); member names, nesting and bounds are
//! the API's own, so an App Mesh JSON file deserialises unchanged. Where App Mesh leaves a list unbounded the bound is
//! its service quota or, failing that, one that keeps the CRDs' CEL rules within the API server's cost budget; the
//! doc comment of the member says so.
//!
//! Beside them what several crates word alike: an error with its causes, and the words of others.
//!
//! Pure: serde, schemars and `regex-syntax` (Unicode's tables) only. No I/O, clock, environment or randomness.

pub mod account;
pub mod arn;
pub mod causes;
pub mod common;
pub mod difference;
pub mod foreign;
pub mod gateway_route;
pub mod gateway_route_match;
mod header;
pub mod hostname;
pub mod kind;
mod kind_spec;
pub mod listener;
mod log_format;
pub mod logging;
pub mod mesh;
pub mod mesh_name;
pub mod normalize;
mod path;
pub mod re2;
pub mod reference;
pub mod regex;
pub mod resource;
pub mod retry;
pub mod route;
pub mod route_match;
pub mod rule;
pub mod schema;
pub mod service_discovery;
pub mod spec;
pub mod tag;
pub mod tls;
pub mod virtual_gateway;
pub mod virtual_node;
pub mod virtual_router;
pub mod virtual_service;

pub use account::{Account, AccountId};
pub use arn::Arn;
pub use difference::{Difference, differences};
pub use gateway_route::GatewayRouteSpec;
pub use kind::{KINDS, Kind, KindInfo};
pub use mesh::MeshSpec;
pub use mesh_name::MeshName;
pub use reference::Reference;
pub use resource::{Collection, ResourceId};
pub use route::RouteSpec;
pub use rule::Violation;
pub use spec::{Spec, normalize};
pub use tag::Tag;
pub use virtual_gateway::VirtualGatewaySpec;
pub use virtual_node::VirtualNodeSpec;
pub use virtual_router::VirtualRouterSpec;
pub use virtual_service::VirtualServiceSpec;
