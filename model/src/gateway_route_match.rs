//! What a gateway route matches. Pure data and its rules.

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

use crate::hostname;
use crate::route_match::{
    GrpcRouteMatch, GrpcRouteMetadata, HttpMethod, HttpPathMatch, HttpQueryParameter, HttpRouteHeader,
    HttpRouteMatch, ONE_PATH, check_headers, check_metadata, check_parameters, check_paths,
};
use crate::rule::Violations;
use crate::schema;

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
    #[schemars(length(min = 1, max = 1024), regex(pattern = r"^/"), transform = crate::path::prefix_rules)]
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
        if let Some(hostname) = &self.hostname {
            hostname.check(&format!("{path}.hostname"), violations);
        }
        check_paths(self.prefix.as_deref(), self.path.as_ref(), path, violations);
        check_parameters(self.query_parameters.as_deref(), path, violations);
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
        if let Some(hostname) = &self.hostname {
            hostname.check(&format!("{path}.hostname"), violations);
        }
        check_metadata(self.metadata.as_deref(), path, violations);
    }
}

/// Which hosts a gateway route is for; exactly one member (App Mesh `GatewayRouteHostnameMatch`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = crate::schema::union)]
pub enum GatewayRouteHostnameMatch {
    /// The whole host, 1 to 253 characters; its port does not matter.
    Exact(
        #[schemars(length(min = 1, max = 253), regex(pattern = r"^[!-~]+$"), transform = hostname::rules)]
        String,
    ),
    /// The host's end, 1 to 253 characters, for example `.example.com`.
    Suffix(
        #[schemars(length(min = 1, max = 253), regex(pattern = r"^[!-~]+$"), transform = hostname::suffix_rules)]
         String,
    ),
}

impl GatewayRouteHostnameMatch {
    fn check(&self, path: &str, violations: &mut Violations) {
        match self {
            Self::Exact(name) => hostname::check(name, &format!("{path}.exact"), violations),
            Self::Suffix(end) => hostname::check_suffix(end, &format!("{path}.suffix"), violations),
        }
    }
}
