//! The GatewayRoute spec: match, target and rewrites for one protocol. Pure data and its rules.

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

use crate::common::PortProtocol;
use crate::gateway_route_match::{GatewayRouteHostnameMatch, GrpcGatewayRouteMatch, HttpGatewayRouteMatch};
use crate::kind_spec::KindSpec;
use crate::path;
use crate::reference::NamedResources;
use crate::resource::ResourceId;
use crate::rule::{Rule, Violations};
use crate::schema;
use crate::service_discovery::ServiceDiscovery;

const ROUTE_MEMBERS: [&str; 3] = ["grpcRoute", "http2Route", "httpRoute"];
const ONE_ROUTE: Rule = Rule {
    cel: "(has(self.grpcRoute) ? 1 : 0) + (has(self.http2Route) ? 1 : 0) + (has(self.httpRoute) ? 1 : 0) == 1",
    message: "exactly one of grpcRoute, http2Route, httpRoute must be set",
};
const PREFIX_REWRITE: Rule = Rule {
    cel: "!has(self.action.rewrite) || !has(self.action.rewrite.prefix) || has(self.match.prefix)",
    message: "action.rewrite.prefix needs match.prefix, which is what it rewrites",
};
const PATH_REWRITE: Rule = Rule {
    cel: "!has(self.action.rewrite) || !has(self.action.rewrite.path) || has(self.match.path)",
    message: "action.rewrite.path needs match.path, which is what it rewrites",
};
const ONE_PREFIX: Rule = Rule {
    cel: "!has(self.defaultPrefix) || !has(self.value)",
    message: "only one of defaultPrefix and value may be set",
};

fn route_rules(schema: &mut Schema) {
    schema::exactly_one_of(schema, &ROUTE_MEMBERS);
}

fn http_rules(schema: &mut Schema) {
    for rule in [&PREFIX_REWRITE, &PATH_REWRITE] {
        schema::add_rule(schema, rule);
    }
}

fn prefix_rules(schema: &mut Schema) {
    schema::add_rule(schema, &ONE_PREFIX);
}

/// A route of a virtual gateway (App Mesh `GatewayRouteSpec`); exactly one of the three protocols.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = route_rules)]
pub struct GatewayRouteSpec {
    /// A gRPC route, for the gateway's grpc listeners.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grpc_route: Option<GrpcGatewayRoute>,
    /// An HTTP/2 route, for the gateway's http2 listeners.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http2_route: Option<HttpGatewayRoute>,
    /// An HTTP/1.1 route, for the gateway's http listeners.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_route: Option<HttpGatewayRoute>,
    /// The order among the gateway's routes, 0 (first) to 1000; last when absent. Of routes of one priority, that for one host is
    /// tried before that for the end of one and that for any, then the more specific match, then the lesser name: of two routes
    /// with one priority and one match, that one gets all requests, and `Accepted` of both says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1000))]
    pub priority: Option<i32>,
}

impl GatewayRouteSpec {
    /// The http or http2 route, if it is one.
    pub fn http(&self) -> Option<&HttpGatewayRoute> {
        self.http2_route.as_ref().or(self.http_route.as_ref())
    }

    /// The protocol of the route, its member's name and its target; `None` while no protocol is set.
    pub fn target(&self) -> Option<(PortProtocol, &'static str, &GatewayRouteTarget)> {
        if let Some(route) = &self.grpc_route {
            Some((PortProtocol::Grpc, "grpcRoute", &route.action.target))
        } else if let Some(route) = &self.http2_route {
            Some((PortProtocol::Http2, "http2Route", &route.action.target))
        } else {
            self.http_route.as_ref().map(|route| (PortProtocol::Http, "httpRoute", &route.action.target))
        }
    }

    /// The gateway's port that the route is for; `None` for all of them.
    pub fn match_port(&self) -> Option<i32> {
        let grpc = self.grpc_route.as_ref().and_then(|route| route.matcher.port);
        grpc.or_else(|| self.http().and_then(|route| route.matcher.port))
    }

    /// The hosts that the route is for; `None` for all of them.
    pub fn hostname(&self) -> Option<&GatewayRouteHostnameMatch> {
        let grpc = self.grpc_route.as_ref().and_then(|route| route.matcher.hostname.as_ref());
        grpc.or_else(|| self.http().and_then(|route| route.matcher.hostname.as_ref()))
    }

    /// Whether the service sees its own name as the host of a request, and not the one that the client asked for.
    pub fn rewrites_hostname(&self) -> bool {
        let grpc =
            self.grpc_route.as_ref().and_then(|route| route.action.rewrite.as_ref()?.hostname.as_ref());
        let http = || self.http().and_then(|route| route.action.rewrite.as_ref()?.hostname.as_ref());
        let rewrite = grpc.or_else(http).and_then(|hostname| hostname.default_target_hostname);
        rewrite != Some(DefaultGatewayRouteRewrite::Disabled)
    }
}

impl KindSpec for GatewayRouteSpec {
    fn check(&self, path: &str, violations: &mut Violations) {
        let set = [self.grpc_route.is_some(), self.http2_route.is_some(), self.http_route.is_some()];
        let count = set.into_iter().filter(|set| *set).count();
        if count != 1 {
            violations.broken(path, &ONE_ROUTE, format!("{count} of them"));
        }
        for (member, route) in [("http2Route", &self.http2_route), ("httpRoute", &self.http_route)] {
            if let Some(route) = route {
                route.check(&format!("{path}.{member}"), violations);
            }
        }
        if let Some(route) = &self.grpc_route {
            route.matcher.check(&format!("{path}.grpcRoute.match"), violations);
        }
    }

    fn names(&self, names: &mut NamedResources<'_>) {
        let Some((_, member, target)) = self.target() else { return };
        let path = format!("spec.{member}.action.target.virtualService.virtualServiceName");
        let service = &target.virtual_service.virtual_service_name;
        names.add(path, ResourceId::virtual_service(names.mesh(), service));
    }

    fn fill_in(&mut self) {}

    fn service_discovery(&self) -> Option<&ServiceDiscovery> {
        None
    }

    fn without(&self, _gone: &dyn Fn(&str) -> bool) -> Option<Self> {
        None
    }
}

/// An http or http2 route of a gateway (App Mesh `HttpGatewayRoute`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = http_rules)]
pub struct HttpGatewayRoute {
    /// Where matching requests go.
    pub action: HttpGatewayRouteAction,
    /// Which requests match.
    #[serde(rename = "match")]
    pub matcher: HttpGatewayRouteMatch,
}

impl HttpGatewayRoute {
    fn check(&self, path: &str, violations: &mut Violations) {
        self.matcher.check(&format!("{path}.match"), violations);
        let Some(rewrite) = &self.action.rewrite else { return };
        if rewrite.prefix.is_some() && self.matcher.prefix.is_none() {
            violations.broken(path, &PREFIX_REWRITE, "no match.prefix");
        }
        if rewrite.path.is_some() && self.matcher.path.is_none() {
            violations.broken(path, &PATH_REWRITE, "no match.path");
        }
        if let Some(HttpGatewayRoutePrefixRewrite { default_prefix: Some(_), value: Some(value) }) =
            &rewrite.prefix
        {
            violations.broken(
                &format!("{path}.action.rewrite.prefix"),
                &ONE_PREFIX,
                format!("both, {value:?}"),
            );
        }
        let new_prefix = rewrite.prefix.as_ref().and_then(|prefix| prefix.value.as_ref());
        let new_path = rewrite.path.as_ref().and_then(|path| path.exact.as_ref());
        for (member, new) in [("prefix.value", new_prefix), ("path.exact", new_path)] {
            if let Some(new) = new {
                path::check_rewrite(new, &format!("{path}.action.rewrite.{member}"), violations);
            }
        }
    }
}

/// A grpc route of a gateway (App Mesh `GrpcGatewayRoute`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GrpcGatewayRoute {
    /// Where matching requests go.
    pub action: GrpcGatewayRouteAction,
    /// Which requests match.
    #[serde(rename = "match")]
    pub matcher: GrpcGatewayRouteMatch,
}

/// Where requests go, and what is rewritten in them (App Mesh `HttpGatewayRouteAction`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HttpGatewayRouteAction {
    /// What is rewritten; App Mesh's defaults when absent: the host is the virtual service's name, a matched prefix becomes `/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rewrite: Option<HttpGatewayRouteRewrite>,
    /// Where requests go.
    pub target: GatewayRouteTarget,
}

/// Where requests go, and what is rewritten in them (App Mesh `GrpcGatewayRouteAction`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GrpcGatewayRouteAction {
    /// What is rewritten; when absent, the host is the virtual service's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rewrite: Option<GrpcGatewayRouteRewrite>,
    /// Where requests go.
    pub target: GatewayRouteTarget,
}

/// A virtual service that a gateway route leads to (App Mesh `GatewayRouteTarget`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewayRouteTarget {
    /// The port of the service's provider, 1 to 65535; needed when the provider has several listeners.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<i32>,
    /// The virtual service.
    pub virtual_service: GatewayRouteVirtualService,
}

/// The name of a virtual service that a gateway route leads to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewayRouteVirtualService {
    /// The name of the virtual service, 1 to 255 characters.
    #[schemars(length(min = 1, max = 255))]
    pub virtual_service_name: String,
}

/// What an http or http2 gateway route rewrites (App Mesh `HttpGatewayRouteRewrite`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HttpGatewayRouteRewrite {
    /// Whether the host is rewritten.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<GatewayRouteHostnameRewrite>,
    /// What the path becomes that `match.path` matched; it stays when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<HttpGatewayRoutePathRewrite>,
    /// What the prefix becomes that `match.prefix` matched; `/` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<HttpGatewayRoutePrefixRewrite>,
}

/// What a grpc gateway route rewrites (App Mesh `GrpcGatewayRouteRewrite`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GrpcGatewayRouteRewrite {
    /// Whether the host is rewritten.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<GatewayRouteHostnameRewrite>,
}

/// Whether the host is rewritten (App Mesh `GatewayRouteHostnameRewrite`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewayRouteHostnameRewrite {
    /// Whether the host becomes the virtual service's name; ENABLED when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_target_hostname: Option<DefaultGatewayRouteRewrite>,
}

/// Whether a default of App Mesh's holds (App Mesh `DefaultGatewayRouteRewrite`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schemars(transform = crate::schema::plain_enum)]
pub enum DefaultGatewayRouteRewrite {
    /// It is rewritten to the default.
    Enabled,
    /// It stays as the client sent it.
    Disabled,
}

/// What a path becomes (App Mesh `HttpGatewayRoutePathRewrite`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HttpGatewayRoutePathRewrite {
    /// The whole new path, which begins with `/`, 1 to 255 printable ASCII characters; it stays when absent. The query stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255), regex(pattern = r"^/[!-~]*$"), transform = path::rewrite_rules)]
    pub exact: Option<String>,
}

/// What a prefix becomes (App Mesh `HttpGatewayRoutePrefixRewrite`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = prefix_rules)]
pub struct HttpGatewayRoutePrefixRewrite {
    /// Whether the prefix becomes `/`; ENABLED when absent. Not together with `value`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_prefix: Option<DefaultGatewayRouteRewrite>,
    /// The new prefix, which begins with `/`, 1 to 255 printable ASCII characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255), regex(pattern = r"^/[!-~]*$"), transform = path::rewrite_rules)]
    pub value: Option<String>,
}

impl HttpGatewayRouteAction {
    /// What the prefix `matched` becomes; `None` when it stays as it is.
    pub fn new_prefix<'a>(&'a self, matched: &str) -> Option<&'a str> {
        let prefix = self.rewrite.as_ref().and_then(|rewrite| rewrite.prefix.as_ref());
        let new = match prefix {
            Some(HttpGatewayRoutePrefixRewrite { value: Some(value), .. }) => value.as_str(),
            Some(HttpGatewayRoutePrefixRewrite {
                default_prefix: Some(DefaultGatewayRouteRewrite::Disabled),
                ..
            }) => return None,
            Some(_) | None => "/",
        };
        (new != matched).then_some(new)
    }

    /// What a path that matched as a whole becomes; `None` when it stays as it is.
    pub fn new_path(&self) -> Option<&str> {
        self.rewrite.as_ref()?.path.as_ref()?.exact.as_deref()
    }
}
