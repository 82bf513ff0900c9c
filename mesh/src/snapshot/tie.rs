//! Routes of one router or gateway with the same priority and match: the first in [`order`] gets all requests. Pure.

use envoy_types::pb::envoy::config::route::v3::RouteMatch;
use fleetmesh_model::common::PortProtocol;
use fleetmesh_model::route_match::{HttpPathMatch, HttpRouteMatch};
use fleetmesh_model::{GatewayRouteSpec, RouteSpec, VirtualGatewaySpec, VirtualRouterSpec};
use prost::Message;

use super::hosts::Hosts;
use super::inputs::{FoundInput, Reader};
use super::{order, route_match};

/// The route of `router` that gets the requests of its route `name`, if one does: the first of those that tie with it.
pub(super) fn winner<'a>(
    reader: &Reader<'a>,
    router: FoundInput<'a, VirtualRouterSpec>,
    name: &str,
    spec: &RouteSpec,
) -> Option<&'a str> {
    let (own, matched) = (order::key(name, spec), conditions(route_match::route_match(Some(spec))));
    let routes = reader.routes(router.record.id.name()).into_iter();
    let before = routes
        .filter(|other| {
            covers(other.spec.match_port(), spec.match_port()) && asked(other.spec) == asked(spec)
        })
        .map(|other| (order::key(other.record.id.name(), other.spec), other))
        .filter(|(key, other)| {
            *key < own && conditions(route_match::route_match(Some(other.spec))) == matched
        });
    before.min_by(|(one, _), (other, _)| one.cmp(other)).map(|(_, other)| other.record.id.name())
}

/// The same of a route of `gateway`.
pub(super) fn gateway_winner<'a>(
    reader: &Reader<'a>,
    gateway: FoundInput<'a, VirtualGatewaySpec>,
    name: &str,
    spec: &GatewayRouteSpec,
) -> Option<&'a str> {
    let (own, matched) = (order::gateway_key(name, spec), conditions(route_match::gateway_match(spec)));
    let hosts = Hosts::of(spec.hostname());
    let routes = reader.gateway_routes(gateway.record.id.name()).into_iter();
    let before = routes
        .filter(|other| {
            covers(other.spec.match_port(), spec.match_port())
                && asked_of_gateway(other.spec) == asked_of_gateway(spec)
                && Hosts::of(other.spec.hostname()) == hosts
        })
        .map(|other| (order::gateway_key(other.record.id.name(), other.spec), other))
        .filter(|(key, other)| *key < own && conditions(route_match::gateway_match(other.spec)) == matched);
    before.min_by(|(one, _), (other, _)| one.cmp(other)).map(|(_, other)| other.record.id.name())
}

/// Whether a route for the port `one`, or for all, is there wherever one for `other` is.
fn covers(one: Option<i32>, other: Option<i32>) -> bool {
    one.is_none() || one == other
}

/// What is compared first, because it costs nothing: priority, protocol and path.
#[derive(PartialEq)]
struct Asked<'a> {
    priority: Option<i32>,
    protocol: Option<PortProtocol>,
    path: Option<&'a HttpPathMatch>,
    prefix: Option<&'a str>,
    service: Option<&'a str>,
    method: Option<&'a str>,
}

fn asked(route: &RouteSpec) -> Asked<'_> {
    let http = route.http2_route.as_ref().or(route.http_route.as_ref());
    let (path, prefix) = http.map(|route| paths(&route.matcher)).unwrap_or_default();
    let grpc = route.grpc_route.as_ref().map(|route| &route.matcher);
    Asked {
        priority: route.priority,
        protocol: route.action().map(|(protocol, _, _)| protocol),
        path,
        prefix,
        service: grpc.and_then(|matcher| matcher.service_name.as_deref()),
        method: grpc.and_then(|matcher| matcher.method_name.as_deref()),
    }
}

/// The path of a match. Without one it is `/` for any.
fn paths(matcher: &HttpRouteMatch) -> (Option<&HttpPathMatch>, Option<&str>) {
    (matcher.path.as_ref(), Some(matcher.prefix.as_deref().unwrap_or("/")))
}

fn asked_of_gateway(route: &GatewayRouteSpec) -> Asked<'_> {
    let http = route.http().map(|route| &route.matcher);
    Asked {
        priority: route.priority,
        protocol: route.target().map(|(protocol, _, _)| protocol),
        path: http.and_then(|matcher| matcher.path.as_ref()),
        prefix: http.map(|matcher| matcher.prefix.as_deref().unwrap_or("/")),
        service: route.grpc_route.as_ref().and_then(|route| route.matcher.service_name.as_deref()),
        method: None,
    }
}

/// A match with its conditions in an order of their own: it means the same in any.
fn conditions(mut matched: RouteMatch) -> RouteMatch {
    matched.headers.sort_by_cached_key(Message::encode_to_vec);
    matched.query_parameters.sort_by_cached_key(Message::encode_to_vec);
    matched
}
