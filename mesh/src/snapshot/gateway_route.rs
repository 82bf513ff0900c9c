//! Envoy's routes of one gateway route: one for each route of the virtual router behind it. Pure.
//!
//! A route of the router sees a request as the gateway passes it on. So its conditions are joined with the gateway route's,
//! and the rewrites that the gateway makes are taken into account: see [`gateway_path`](super::gateway_path) for the path; the
//! host is known where it is rewritten.

use envoy_types::pb::envoy::config::route::v3::header_matcher::HeaderMatchSpecifier;
use envoy_types::pb::envoy::config::route::v3::route::Action;
use envoy_types::pb::envoy::config::route::v3::route_action::HostRewriteSpecifier;
use envoy_types::pb::envoy::config::route::v3::{HeaderMatcher, Route as EnvoyRoute, RouteMatch};
use envoy_types::pb::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use envoy_types::pb::envoy::r#type::matcher::v3::{RegexMatchAndSubstitute, RegexMatcher};
use fleetmesh_model::GatewayRouteSpec;

use super::egress::Route;
use super::gateway_path::{self, Apart, Path, Rewrite};
use super::lead::{Lead, NoWay};
use super::refused::{self, Fate};
use super::{route, route_match};

/// Envoy's routes of `lead`, in the order in which they are tried. What matches the gateway route and no route behind it is
/// answered with 404: it goes to no other gateway route, as in App Mesh.
pub(super) fn routes(lead: &Lead<'_>) -> Vec<EnvoyRoute> {
    let matched = route_match::gateway_match(lead.source.spec);
    let answer = |action: Action| EnvoyRoute {
        name: lead.source.record.id.name().to_owned(),
        r#match: Some(matched.clone()),
        action: Some(action),
        ..EnvoyRoute::default()
    };
    if refused::fate(&lead.source.record.spec) == Fate::Closed {
        return vec![answer(route::unreachable())];
    }
    let service = match &lead.service {
        Ok(service) => service,
        Err(NoWay::NoProvider(_)) => return vec![answer(route::not_found())],
        Err(NoWay::NoPort(_)) => return vec![answer(route::unreachable())],
    };
    let mut routes = Vec::new();
    for behind in &service.routes {
        let Ok(joined) = join(lead.source.spec, service.name, behind) else { continue };
        let takes_all = joined.takes_all;
        routes.push(joined.into_route(lead, service.name, behind));
        if takes_all {
            return routes;
        }
    }
    routes.push(answer(route::not_found()));
    routes
}

/// Why no request reaches some route behind a gateway route, though one could: the first that cannot be said to Envoy.
pub(super) fn unspeakable(lead: &Lead<'_>) -> Option<String> {
    let service = lead.service.as_ref().ok()?;
    let unspeakable = service
        .routes
        .iter()
        .find(|behind| matches!(join(lead.source.spec, service.name, behind), Err(Apart::Unspeakable)))?;
    let route = unspeakable.source.map(|found| found.record.id.name()).unwrap_or_default();
    Some(format!(
        "what route {route:?} matches cannot be said to Envoy for a request that the gateway rewrites, or in a regular expression \
         of the size that it takes: match a prefix or an exact value there, or rewrite nothing here"
    ))
}

struct JoinedMatch {
    matched: RouteMatch,
    rewrite: Rewrite,
    /// Whether everything that the gateway route matches fulfils it.
    takes_all: bool,
}

fn join(spec: &GatewayRouteSpec, service: &str, behind: &Route<'_>) -> Result<JoinedMatch, Apart> {
    let mut matched = route_match::gateway_match(spec);
    let of_route = route_match::route_match(behind.source.map(|found| found.spec));
    let path = |found: &RouteMatch| Path::of(found.path_specifier.as_ref()).ok_or(Apart::Unspeakable);
    let (gateway_path, route_path) = (path(&matched)?, path(&of_route)?);
    let joined = gateway_path::join(&gateway_path, new_path(spec, &gateway_path), &route_path)?;
    let headers =
        if spec.rewrites_hostname() { without_host(of_route.headers, service)? } else { of_route.headers };
    let takes_all = Some(&joined.path) == matched.path_specifier.as_ref()
        && joined.also.is_none()
        && headers.is_empty()
        && of_route.query_parameters.is_empty()
        && (of_route.grpc.is_none() || matched.grpc.is_some());
    matched.path_specifier = Some(joined.path);
    matched.headers.extend(joined.also.into_iter().chain(headers));
    matched.query_parameters.extend(of_route.query_parameters);
    matched.grpc = matched.grpc.or(of_route.grpc);
    Ok(JoinedMatch { matched, rewrite: joined.rewrite, takes_all })
}

/// What the path, or its prefix, becomes that `matched` matched.
fn new_path<'a>(spec: &'a GatewayRouteSpec, matched: &Path) -> Option<&'a str> {
    let http = spec.http()?;
    match matched {
        // A match without a prefix rewrites none.
        Path::Prefix(prefix) => http.matcher.prefix.as_ref().and_then(|_| http.action.new_prefix(prefix)),
        Path::Exact(_) | Path::Regex(_) => http.action.new_path(),
    }
}

/// The conditions without those on the host, which is `host` when they are asked.
fn without_host(headers: Vec<HeaderMatcher>, host: &str) -> Result<Vec<HeaderMatcher>, Apart> {
    let mut others = Vec::new();
    for header in headers {
        if !header.name.eq_ignore_ascii_case("host") && header.name != ":authority" {
            others.push(header);
        } else if holds(&header, host)? == header.invert_match {
            return Err(Apart::Never);
        }
    }
    Ok(others)
}

fn holds(header: &HeaderMatcher, value: &str) -> Result<bool, Apart> {
    match &header.header_match_specifier {
        Some(HeaderMatchSpecifier::PresentMatch(present)) => Ok(*present),
        // A name is no number.
        Some(HeaderMatchSpecifier::RangeMatch(_)) => Ok(false),
        Some(HeaderMatchSpecifier::StringMatch(matcher)) => match &matcher.match_pattern {
            Some(MatchPattern::Exact(text)) => Ok(value == text),
            Some(MatchPattern::Prefix(text)) => Ok(value.starts_with(text.as_str())),
            Some(MatchPattern::Suffix(text)) => Ok(value.ends_with(text.as_str())),
            _ => Err(Apart::Unspeakable),
        },
        _ => Err(Apart::Unspeakable),
    }
}

impl JoinedMatch {
    fn into_route(self, lead: &Lead<'_>, service: &str, behind: &Route<'_>) -> EnvoyRoute {
        let mut action = route::to_targets(behind);
        if let Action::Route(forward) = &mut action {
            match self.rewrite {
                Rewrite::Nothing => {}
                Rewrite::Matched(new) => forward.prefix_rewrite = new,
                Rewrite::Found { regex, becomes } => {
                    forward.regex_rewrite = Some(RegexMatchAndSubstitute {
                        pattern: Some(RegexMatcher { regex, ..RegexMatcher::default() }),
                        substitution: becomes,
                    });
                }
            }
            if lead.source.spec.rewrites_hostname() {
                forward.host_rewrite_specifier =
                    Some(HostRewriteSpecifier::HostRewriteLiteral(service.to_owned()));
            }
        }
        EnvoyRoute {
            name: lead.source.record.id.name().to_owned(),
            r#match: Some(self.matched),
            action: Some(action),
            ..EnvoyRoute::default()
        }
    }
}
