//! What a gateway route matches. Pure data and its rules.

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

use crate::gateway_route::GatewayRouteHostnameMatch;
use crate::route_match::{
    GrpcRouteMatch, GrpcRouteMetadata, HttpMethod, HttpPathMatch, HttpQueryParameter, HttpRouteHeader,
    HttpRouteMatch, check_headers, check_metadata,
};
use crate::rule::{Rule, Violations};
use crate::schema;

const ONE_PATH: Rule =
    Rule { cel: "!has(self.prefix) || !has(self.path)", message: "only one of prefix and path may be set" };

fn http_match_rules(schema: &mut Schema) {
    schema::add_rule(schema, &ONE_PATH);
}

/// What an http or http2 gateway route matches (App Mesh `HttpGatewayRouteMatch`); all that is given must hold, nothing given
/// matches all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = http_match_rules)]
pub struct HttpGatewayRouteMatch {
    /// Headers that must match, 1 to 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 10))]
    pub headers: Option<Vec<HttpRouteHeader>>,
    /// The host that the client asks for; any when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<GatewayRouteHostnameMatch>,
    /// The request method; any when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<HttpMethod>,
    /// The path, exactly or by regular expression; not together with `prefix`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<HttpPathMatch>,
    /// The gateway's port, 1 to 65535; all its ports when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<i32>,
    /// The beginning of the path, which begins with `/`; `/` matches all. Unless `action.rewrite` says otherwise, the service
    /// sees `/` in its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024), regex(pattern = r"^/"))]
    pub prefix: Option<String>,
    /// Query parameters that must match, 1 to 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 10))]
    pub query_parameters: Option<Vec<HttpQueryParameter>>,
}

impl HttpGatewayRouteMatch {
    /// What a router's route would match in place of this, which also names hosts and a port of the gateway.
    pub fn of_requests(&self) -> HttpRouteMatch {
        let Self { headers, hostname: _, method, path, port: _, prefix, query_parameters } = self.clone();
        HttpRouteMatch { headers, method, path, port: None, prefix, query_parameters, scheme: None }
    }

    pub(crate) fn check(&self, path: &str, violations: &mut Violations) {
        if let (Some(prefix), Some(_)) = (&self.prefix, &self.path) {
            violations.broken(path, &ONE_PATH, format!("both, prefix {prefix:?}"));
        }
        check_headers(self.headers.as_deref(), path, violations);
    }
}

/// What a grpc gateway route matches (App Mesh `GrpcGatewayRouteMatch`); all that is given must hold, nothing given matches all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GrpcGatewayRouteMatch {
    /// The host that the client asks for; any when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<GatewayRouteHostnameMatch>,
    /// Metadata that must match, 1 to 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 10))]
    pub metadata: Option<Vec<GrpcRouteMetadata>>,
    /// The gateway's port, 1 to 65535; all its ports when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<i32>,
    /// The service's full name, `package.Service`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub service_name: Option<String>,
}

impl GrpcGatewayRouteMatch {
    /// What a router's route would match in place of this, which also names hosts and a port of the gateway.
    pub fn of_requests(&self) -> GrpcRouteMatch {
        let Self { hostname: _, metadata, port: _, service_name } = self.clone();
        GrpcRouteMatch { metadata, method_name: None, port: None, service_name }
    }

    pub(crate) fn check(&self, path: &str, violations: &mut Violations) {
        check_metadata(self.metadata.as_deref(), path, violations);
    }
}
