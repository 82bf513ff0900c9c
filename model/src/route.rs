//! The Route spec: match, weighted targets, timeouts and retries for one protocol. Pure data and its rules.

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

use crate::common::{GrpcTimeout, HttpTimeout, PortProtocol, TcpTimeout};
use crate::kind_spec::KindSpec;
use crate::reference::NamedResources;
use crate::resource::ResourceId;
use crate::retry::{GrpcRetryPolicy, HttpRetryPolicy};
use crate::route_match::{GrpcRouteMatch, HttpRouteMatch, TcpRouteMatch};
use crate::rule::{Rule, Violations};
use crate::schema;
use crate::service_discovery::ServiceDiscovery;

const ROUTE_MEMBERS: [&str; 4] = ["grpcRoute", "http2Route", "httpRoute", "tcpRoute"];
const ONE_ROUTE: Rule = Rule {
    cel: "(has(self.grpcRoute) ? 1 : 0) + (has(self.http2Route) ? 1 : 0) + (has(self.httpRoute) ? 1 : 0) + (has(self.tcpRoute) ? 1 : 0) == 1",
    message: "exactly one of grpcRoute, http2Route, httpRoute, tcpRoute must be set",
};
const SOME_WEIGHT: Rule = Rule {
    cel: "self.weightedTargets.exists(target, target.weight > 0)",
    message: "weightedTargets must have a weight greater than 0",
};
const TARGETS_ONCE: Rule = Rule {
    cel: "self.weightedTargets.all(a, self.weightedTargets.exists_one(b, a.virtualNode == b.virtualNode && (has(a.port) ? a.port : 0) == (has(b.port) ? b.port : 0)))",
    message: "weightedTargets must name each virtualNode and port once",
};

fn route_rules(schema: &mut Schema) {
    schema::exactly_one_of(schema, &ROUTE_MEMBERS);
}

fn action_rules(schema: &mut Schema) {
    for rule in [&SOME_WEIGHT, &TARGETS_ONCE] {
        schema::add_rule(schema, rule);
    }
}

/// A route of a virtual router (App Mesh `RouteSpec`); exactly one of the four protocols.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = route_rules)]
pub struct RouteSpec {
    /// A gRPC route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grpc_route: Option<GrpcRoute>,
    /// An HTTP/2 route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http2_route: Option<HttpRoute>,
    /// An HTTP/1.1 route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_route: Option<HttpRoute>,
    /// The order among routes, 0 (first) to 1000; last when absent. Of routes of one priority, the more specific path is tried
    /// first (exact, then regular expression, then the longer prefix), then the match with more conditions, then the lesser
    /// name: of two routes with one priority and one match, that one gets all requests, and `Accepted` of both says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1000))]
    pub priority: Option<i32>,
    /// A TCP route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp_route: Option<TcpRoute>,
}

impl RouteSpec {
    /// The protocol of the route, its member's name and its action; `None` while no protocol is set.
    pub fn action(&self) -> Option<(PortProtocol, &'static str, &RouteAction)> {
        if let Some(route) = &self.grpc_route {
            Some((PortProtocol::Grpc, "grpcRoute", &route.action))
        } else if let Some(route) = &self.http2_route {
            Some((PortProtocol::Http2, "http2Route", &route.action))
        } else if let Some(route) = &self.http_route {
            Some((PortProtocol::Http, "httpRoute", &route.action))
        } else {
            self.tcp_route.as_ref().map(|route| (PortProtocol::Tcp, "tcpRoute", &route.action))
        }
    }

    /// The same route with other targets; without an action it stays as it is.
    #[must_use]
    pub fn with_targets(mut self, targets: &[WeightedTarget]) -> Self {
        let http = |route: &mut HttpRoute| route.action.weighted_targets = targets.to_vec();
        if let Some(route) = &mut self.grpc_route {
            route.action.weighted_targets = targets.to_vec();
        } else if let Some(route) = self.http2_route.as_mut().or(self.http_route.as_mut()) {
            http(route);
        } else if let Some(route) = &mut self.tcp_route {
            route.action.weighted_targets = targets.to_vec();
        }
        self
    }

    /// The router's port that the route is for; `None` for all of them.
    pub fn match_port(&self) -> Option<i32> {
        let http = |route: &Option<HttpRoute>| route.as_ref().and_then(|route| route.matcher.port);
        self.grpc_route
            .as_ref()
            .and_then(|route| route.matcher.port)
            .or_else(|| http(&self.http2_route))
            .or_else(|| http(&self.http_route))
            .or_else(|| self.tcp_route.as_ref().and_then(|route| route.matcher.as_ref()?.port))
    }
}

impl KindSpec for RouteSpec {
    fn check(&self, path: &str, violations: &mut Violations) {
        let set = [
            self.grpc_route.is_some(),
            self.http2_route.is_some(),
            self.http_route.is_some(),
            self.tcp_route.is_some(),
        ];
        let count = set.into_iter().filter(|set| *set).count();
        if count != 1 {
            violations.broken(path, &ONE_ROUTE, format!("{count} of them"));
        }
        if let Some((_, member, action)) = self.action() {
            action.check(&format!("{path}.{member}.action"), violations);
        }
        for (member, route) in [("http2Route", &self.http2_route), ("httpRoute", &self.http_route)] {
            if let Some(route) = route {
                route.matcher.check(&format!("{path}.{member}.match"), violations);
            }
        }
        if let Some(route) = &self.grpc_route {
            route.matcher.check(&format!("{path}.grpcRoute.match"), violations);
        }
    }

    fn names(&self, names: &mut NamedResources<'_>) {
        let Some((_, member, action)) = self.action() else { return };
        for (index, target) in action.weighted_targets.iter().enumerate() {
            let path = format!("spec.{member}.action.weightedTargets[{index}].virtualNode");
            names.add(path, ResourceId::virtual_node(names.mesh(), &target.virtual_node));
        }
    }

    fn fill_in(&mut self) {}

    fn service_discovery(&self) -> Option<&ServiceDiscovery> {
        None
    }

    fn without(&self, _gone: &dyn Fn(&str) -> bool) -> Option<Self> {
        None
    }
}

/// An http or http2 route (App Mesh `HttpRoute`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HttpRoute {
    /// Where matching requests go.
    pub action: RouteAction,
    /// Which requests match.
    #[serde(rename = "match")]
    pub matcher: HttpRouteMatch,
    /// Which failures are retried; App Mesh's default policy when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_policy: Option<HttpRetryPolicy>,
    /// Timeouts; 15 s per request and 300 s idle when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<HttpTimeout>,
}

/// A grpc route (App Mesh `GrpcRoute`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GrpcRoute {
    /// Where matching requests go.
    pub action: RouteAction,
    /// Which requests match.
    #[serde(rename = "match")]
    pub matcher: GrpcRouteMatch,
    /// Which failures are retried; App Mesh's default policy when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_policy: Option<GrpcRetryPolicy>,
    /// Timeouts; 15 s per request and 300 s idle when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<GrpcTimeout>,
}

/// A tcp route (App Mesh `TcpRoute`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TcpRoute {
    /// Where connections go.
    pub action: RouteAction,
    /// Which connections match; all when absent.
    #[serde(default, rename = "match", skip_serializing_if = "Option::is_none")]
    pub matcher: Option<TcpRouteMatch>,
    /// Timeouts; 300 s idle when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<TcpTimeout>,
}

/// Where traffic goes (App Mesh `HttpRouteAction`, `GrpcRouteAction`, `TcpRouteAction`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = action_rules)]
pub struct RouteAction {
    /// The targets, 1 to 10, each with its weight; weights are relative to their sum.
    #[schemars(length(min = 1, max = 10))]
    pub weighted_targets: Vec<WeightedTarget>,
}

impl RouteAction {
    fn check(&self, path: &str, violations: &mut Violations) {
        let targets = &self.weighted_targets;
        if !targets.iter().any(|target| target.weight > 0) {
            violations.broken(&format!("{path}.weightedTargets"), &SOME_WEIGHT, "only 0");
        }
        for (index, target) in targets.iter().enumerate() {
            let same = |earlier: &WeightedTarget| {
                earlier.virtual_node == target.virtual_node && earlier.port == target.port
            };
            if targets.iter().take(index).any(same) {
                let found = format!("{:?} twice", target.virtual_node);
                violations.broken(&format!("{path}.weightedTargets[{index}]"), &TARGETS_ONCE, found);
            }
        }
    }
}

/// A share of the traffic (App Mesh `WeightedTarget`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WeightedTarget {
    /// The node's port, 1 to 65535; needed when the node has several listeners.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<i32>,
    /// The virtual node's name, 1 to 255 characters.
    #[schemars(length(min = 1, max = 255))]
    pub virtual_node: String,
    /// The weight, 0 to 100.
    #[schemars(range(min = 0, max = 100))]
    pub weight: i32,
}
