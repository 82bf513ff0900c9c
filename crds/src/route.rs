//! The Route kind. Pure data.

use fleetmesh_model::rule::Rule;
use fleetmesh_model::schema::add_rule;
use fleetmesh_model::{Kind, ResourceId, Spec};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceColumnDefinition;
use kube_derive::CustomResource;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

use crate::canary::Canary;
use crate::columns::{self, text, wide};
use crate::extension::{Extension, RouteExtension};
use crate::identity::{mesh_name, name, parent_router_name};
use crate::management::Management;
use crate::resource::{MeshResource, common_members, effective_name};
use crate::status::{RouteResourceStatus, RouteStatus};

/// Proxies report which of their requests succeeded, and of a tcp connection only that there was one.
pub(crate) const TCP_HAS_NO_REQUESTS: Rule = Rule {
    cel: "!has(self.tcpRoute) || !has(self.canary) || (has(self.canary.analysis) && has(self.canary.analysis.metrics) && self.canary.analysis.metrics.all(metric, !has(metric.source.loadReport)) && (!has(self.canary.steps) || self.canary.steps.all(step, !has(step.minRequests))))",
    message: "canary of a tcpRoute must have analysis.metrics without a loadReport, and steps without minRequests: proxies count requests of HTTP and gRPC only. Query a Prometheus for the connections, or set analysis.metrics to [], so that the steps go by time and webhooks",
};

fn rules(schema: &mut Schema) {
    add_rule(schema, &TCP_HAS_NO_REQUESTS);
}

/// A route of a virtual router: which requests it takes and how it shares them among virtual nodes.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules)]
#[kube(
    group = "fleetmesh.dev",
    version = "v1alpha1",
    kind = "Route",
    namespaced,
    doc = "A route of a virtual router: which requests it takes and how it shares them among virtual nodes.",
    status = "RouteResourceStatus",
    derive = "PartialEq",
    shortname = "froute",
    category = "fleetmesh",
    crates(kube_core = "::kube_core")
)]
pub struct RouteResourceSpec {
    /// The mesh's name in App Mesh. It never changes.
    #[schemars(transform = mesh_name)]
    pub mesh_name: String,
    /// The App Mesh name of the virtual router that the route belongs to. It never changes.
    #[schemars(transform = parent_router_name)]
    pub virtual_router_name: String,
    /// The route's name in App Mesh; metadata.name when absent. It never changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = name)]
    pub route_name: Option<String>,
    /// How a change of the targets is rolled out; at once when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,
    /// How Fleetmesh manages the App Mesh object.
    #[serde(flatten)]
    pub management: Management,
    /// The App Mesh request's `spec`.
    #[serde(flatten)]
    pub app_mesh: fleetmesh_model::RouteSpec,
}

impl MeshResource for Route {
    const KIND: Kind = Kind::Route;
    const ROLLS_OUT: bool = true;

    type Own = RouteStatus;

    fn resource_id(&self) -> ResourceId {
        ResourceId::route(
            &self.spec.mesh_name,
            &self.spec.virtual_router_name,
            effective_name(self.spec.route_name.as_ref(), self),
        )
    }

    fn app_mesh_spec(&self) -> Spec {
        Spec::Route(Box::new(self.spec.app_mesh.clone()))
    }

    fn extension(&self) -> Extension {
        let action = self.spec.app_mesh.action();
        Extension::Route(Box::new(RouteExtension {
            targets: action.map(|(_, _, action)| action.weighted_targets.clone()).unwrap_or_default(),
            canary: self.spec.canary.clone(),
        }))
    }

    fn columns() -> Vec<CustomResourceColumnDefinition> {
        // A rollout takes five columns; mesh and name are where there is room.
        vec![
            wide(columns::mesh()),
            text("Router", ".spec.virtualRouterName", "The App Mesh name of the virtual router"),
            wide(columns::name()),
            text("Phase", ".status.phase", "Where the route is on its way"),
            text("Step", ".status.rollout.step", "The step of the rollout"),
            text("Weights", ".status.weights", "The weighted targets in force"),
            text("Hold", ".status.rollout.hold.reason", "What keeps the rollout where it is"),
        ]
    }

    common_members!();
}
