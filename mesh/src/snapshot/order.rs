//! The order in which the routes of a router or of a gateway are tried. Pure.

use std::cmp::Reverse;

use fleetmesh_model::route_match::{GrpcRouteMatch, HttpPathMatch, HttpRouteMatch};
use fleetmesh_model::{GatewayRouteSpec, RouteSpec};

use super::hosts::Hosts;

/// How much a match says about the path: kind, then length.
type Specificity = (u8, usize);

/// Sorts routes into the order in which they are tried: by priority, lower first and none last, as App Mesh has it.
/// App Mesh leaves ties open; here the more specific path goes first (exact, then regular expression, then the longer
/// prefix), then the match with more conditions, then the name: the same routes always have the same order.
pub(super) fn key(name: &str, route: &RouteSpec) -> impl Ord + use<> {
    let (path, conditions) = if let Some(grpc) = &route.grpc_route {
        grpc_specificity(&grpc.matcher)
    } else if let Some(http) = route.http2_route.as_ref().or(route.http_route.as_ref()) {
        http_specificity(&http.matcher)
    } else {
        ((0, 0), 0)
    };
    (route.priority.unwrap_or(i32::MAX), Reverse(path), Reverse(conditions), name.to_owned())
}

/// Sorts the routes of a gateway as [`key`] does those of a router. Of the same priority, those for one host go before those
/// for an end of it, and these before those for any.
pub(super) fn gateway_key(name: &str, route: &GatewayRouteSpec) -> impl Ord + use<> {
    let hosts = match Hosts::of(route.hostname()) {
        Hosts::One(_) => (0, Reverse(0)),
        Hosts::Ending(end) => (1, Reverse(end.len())),
        Hosts::Any => (2, Reverse(0)),
    };
    let (path, conditions) = if let Some(grpc) = &route.grpc_route {
        grpc_specificity(&grpc.matcher.of_requests())
    } else if let Some(http) = route.http() {
        http_specificity(&http.matcher.of_requests())
    } else {
        ((0, 0), 0)
    };
    (route.priority.unwrap_or(i32::MAX), hosts, Reverse(path), Reverse(conditions), name.to_owned())
}

fn http_specificity(matcher: &HttpRouteMatch) -> (Specificity, usize) {
    let path = match (&matcher.path, &matcher.prefix) {
        (Some(HttpPathMatch::Exact(path)), _) => (2, path.len()),
        (Some(HttpPathMatch::Regex(regex)), _) => (1, regex.len()),
        (None, Some(prefix)) => (0, prefix.len()),
        (None, None) => (0, 0),
    };
    let conditions = matcher.headers.iter().flatten().count()
        + matcher.query_parameters.iter().flatten().count()
        + usize::from(matcher.method.is_some())
        + usize::from(matcher.scheme.is_some());
    (path, conditions)
}

fn grpc_specificity(matcher: &GrpcRouteMatch) -> (Specificity, usize) {
    let path = match (&matcher.service_name, &matcher.method_name) {
        (Some(service), Some(method)) => (2, service.len() + method.len()),
        (Some(service), None) => (1, service.len()),
        _ => (0, 0),
    };
    (path, matcher.metadata.iter().flatten().count())
}
