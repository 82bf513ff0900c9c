//! What a route matches. Pure.

use envoy_types::pb::envoy::config::route::v3::header_matcher::HeaderMatchSpecifier;
use envoy_types::pb::envoy::config::route::v3::query_parameter_matcher::QueryParameterMatchSpecifier;
use envoy_types::pb::envoy::config::route::v3::route_match::{GrpcRouteMatchOptions, PathSpecifier};
use envoy_types::pb::envoy::config::route::v3::{HeaderMatcher, QueryParameterMatcher, RouteMatch};
use envoy_types::pb::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use envoy_types::pb::envoy::r#type::matcher::v3::{RegexMatcher, StringMatcher};
use envoy_types::pb::envoy::r#type::v3::Int64Range;
use fleetmesh_model::route_match::{
    GrpcRouteMatch, GrpcRouteMetadata, HeaderMatchMethod, HttpMethod, HttpPathMatch, HttpQueryParameter,
    HttpRouteHeader, HttpRouteMatch, HttpScheme, MatchRange,
};
use fleetmesh_model::{GatewayRouteSpec, RouteSpec};

use super::refused::{is_taken, sure_beginning};

/// What `route` matches, and more where it matches by an expression that RE2 does not take; everything when there is no App Mesh route, because a virtual node provides the service.
/// The port is not part of it: a route of another port is not in the port's route configuration at all.
pub(super) fn route_match(route: Option<&RouteSpec>) -> RouteMatch {
    let http = route.and_then(|route| route.http2_route.as_ref().or(route.http_route.as_ref()));
    if let Some(grpc) = route.and_then(|route| route.grpc_route.as_ref()) {
        grpc_match(&grpc.matcher)
    } else if let Some(http) = http {
        http_match(&http.matcher)
    } else {
        everything()
    }
}

/// What a gateway route matches, but for its port and its hosts: a route of another port or host is not in the virtual host
/// at all.
pub(super) fn gateway_match(route: &GatewayRouteSpec) -> RouteMatch {
    if let Some(grpc) = &route.grpc_route {
        grpc_match(&grpc.matcher.of_requests())
    } else if let Some(http) = route.http() {
        http_match(&http.matcher.of_requests())
    } else {
        everything()
    }
}

/// Matches every request.
pub(super) fn everything() -> RouteMatch {
    RouteMatch { path_specifier: Some(PathSpecifier::Prefix("/".into())), ..RouteMatch::default() }
}

/// Matches requests that change nothing, as HTTP defines it.
pub(super) fn safe() -> RouteMatch {
    let methods = HeaderMatchMethod::Regex("GET|HEAD|OPTIONS".to_owned());
    RouteMatch { headers: vec![header(":method", Some(&methods), false)], ..everything() }
}

fn http_match(matcher: &HttpRouteMatch) -> RouteMatch {
    // The port picks the route configuration, see `egress::serves`.
    let HttpRouteMatch { headers, method, path, port: _, prefix, query_parameters, scheme } = matcher;
    let path = match (path, prefix) {
        (Some(HttpPathMatch::Exact(path)), _) => PathSpecifier::Path(path.clone()),
        (Some(HttpPathMatch::Regex(pattern)), _) if is_taken(pattern) => {
            PathSpecifier::SafeRegex(regex(pattern))
        }
        (Some(HttpPathMatch::Regex(pattern)), _) => PathSpecifier::Prefix(sure_beginning(pattern).to_owned()),
        (None, prefix) => PathSpecifier::Prefix(prefix.clone().unwrap_or_else(|| "/".into())),
    };
    let method = method.map(|method: HttpMethod| exact(":method", method.as_str()));
    let scheme = scheme.map(|scheme| {
        exact(
            ":scheme",
            match scheme {
                HttpScheme::Http => "http",
                HttpScheme::Https => "https",
            },
        )
    });
    let named = headers.iter().flatten().filter_map(|HttpRouteHeader { invert, matcher, name }| {
        condition(name, matcher.as_ref(), invert.unwrap_or(false))
    });
    RouteMatch {
        headers: method.into_iter().chain(scheme).chain(named).collect(),
        query_parameters: query_parameters.iter().flatten().map(query_parameter).collect(),
        path_specifier: Some(path),
        ..RouteMatch::default()
    }
}

fn grpc_match(matcher: &GrpcRouteMatch) -> RouteMatch {
    let GrpcRouteMatch { metadata, method_name, port: _, service_name } = matcher;
    let path = match (service_name, method_name) {
        (Some(service), Some(method)) => PathSpecifier::Path(format!("/{service}/{method}")),
        (Some(service), None) => PathSpecifier::Prefix(format!("/{service}/")),
        (None, _) => PathSpecifier::Prefix("/".into()),
    };
    let named = metadata.iter().flatten().filter_map(|GrpcRouteMetadata { invert, matcher, name }| {
        condition(name, matcher.as_ref(), invert.unwrap_or(false))
    });
    RouteMatch {
        headers: named.collect(),
        grpc: Some(GrpcRouteMatchOptions {}),
        path_specifier: Some(path),
        ..RouteMatch::default()
    }
}

/// The condition on a header. Of an expression that RE2 does not take no more is asked than is sure: that the header is there, and
/// nothing where it is inverted.
fn condition(name: &str, matcher: Option<&HeaderMatchMethod>, invert: bool) -> Option<HeaderMatcher> {
    match matcher {
        Some(HeaderMatchMethod::Regex(pattern)) if !is_taken(pattern) => {
            (!invert).then(|| header(name, None, false))
        }
        _ => Some(header(name, matcher, invert)),
    }
}

fn header(name: &str, matcher: Option<&HeaderMatchMethod>, invert: bool) -> HeaderMatcher {
    let specifier = match matcher {
        None => HeaderMatchSpecifier::PresentMatch(true),
        Some(HeaderMatchMethod::Range(MatchRange { end, start })) => {
            HeaderMatchSpecifier::RangeMatch(Int64Range { start: *start, end: *end })
        }
        Some(HeaderMatchMethod::Exact(value)) => string(MatchPattern::Exact(value.clone())),
        Some(HeaderMatchMethod::Prefix(value)) => string(MatchPattern::Prefix(value.clone())),
        Some(HeaderMatchMethod::Suffix(value)) => string(MatchPattern::Suffix(value.clone())),
        Some(HeaderMatchMethod::Regex(pattern)) => string(MatchPattern::SafeRegex(regex(pattern))),
    };
    HeaderMatcher {
        name: name.to_owned(),
        invert_match: invert,
        header_match_specifier: Some(specifier),
        ..HeaderMatcher::default()
    }
}

fn exact(name: &str, value: &str) -> HeaderMatcher {
    header(name, Some(&HeaderMatchMethod::Exact(value.to_owned())), false)
}

fn string(pattern: MatchPattern) -> HeaderMatchSpecifier {
    HeaderMatchSpecifier::StringMatch(StringMatcher {
        match_pattern: Some(pattern),
        ..StringMatcher::default()
    })
}

fn query_parameter(parameter: &HttpQueryParameter) -> QueryParameterMatcher {
    let HttpQueryParameter { matcher, name } = parameter;
    let specifier = match matcher.as_ref().and_then(|matcher| matcher.exact.as_ref()) {
        None => QueryParameterMatchSpecifier::PresentMatch(true),
        Some(value) => QueryParameterMatchSpecifier::StringMatch(StringMatcher {
            match_pattern: Some(MatchPattern::Exact(value.clone())),
            ..StringMatcher::default()
        }),
    };
    QueryParameterMatcher { name: name.clone(), query_parameter_match_specifier: Some(specifier) }
}

/// A regular expression of Envoy's RE2, which matches whole values only, as App Mesh's do.
fn regex(pattern: &str) -> RegexMatcher {
    RegexMatcher { regex: pattern.to_owned(), ..RegexMatcher::default() }
}
