//! What an earlier release stored and today's rules refuse. Pure.
//!
//! Envoy refuses a whole route table for one expression in it that it does not take. So what a route with such a match may be for is
//! [answered with 503](Fate::Closed), and the others beside it are served. A route whose match no request can fulfil is
//! [left out](Fate::LeftOut), which changes nothing. What is refused anywhere else is served as it is stored. All of it is named by
//! [`unserved`](super::unserved), and nothing is deleted (`docs/adr/0046-routes-stored-before-a-rule.md`).

use fleetmesh_api::unserved::because;
use fleetmesh_model::route_match::{GrpcRouteMetadata, HeaderMatchMethod, HttpPathMatch, HttpRouteHeader};
use fleetmesh_model::rule::Violation;
use fleetmesh_model::{Spec, re2};

/// What becomes of a spec, a route's in particular.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is served as it is stored.
    Served,
    /// It matches by an expression that RE2 does not take. What it may be for gets no answer but 503.
    Closed,
    /// No request can be for it.
    LeftOut,
}

/// The fate of `spec`.
pub(super) fn fate(spec: &Spec) -> Fate {
    let broken = spec.violations().iter().filter(|violation| is_of_match(violation)).count();
    // Each expression that is not taken breaks one rule.
    let unreadable = expressions(spec).iter().filter(|expression| !is_taken(expression)).count();
    match broken {
        0 => Fate::Served,
        _ if broken == unreadable => Fate::Closed,
        _ => Fate::LeftOut,
    }
}

/// Whether Envoy takes the regular expression.
pub(super) fn is_taken(expression: &str) -> bool {
    re2::check(expression).is_ok()
}

/// What of `spec` is refused, each as `path: reason`.
pub(super) fn refused(spec: &Spec) -> Vec<String> {
    let violations = spec.violations();
    if violations.is_empty() {
        return Vec::new();
    }
    let of_match = match fate(spec) {
        Fate::Closed => "What the route may be for is answered with 503, and the others beside it are served",
        Fate::Served | Fate::LeftOut => "No request can be for the route, so it is left out",
    };
    let entry = |violation: &Violation| {
        let follows = if is_of_match(violation) { of_match } else { "It is served as it is stored" };
        because(
            &violation.path,
            format!(
                "{}; it was stored before that was a rule. {follows}: update it or delete it",
                violation.message
            ),
        )
    };
    violations.iter().map(entry).collect()
}

/// Whether it is at `spec.PROTOCOL.match` or below.
fn is_of_match(violation: &Violation) -> bool {
    violation.path.split('.').nth(2) == Some("match")
}

/// The regular expressions of a match.
fn expressions(spec: &Spec) -> Vec<&str> {
    match spec {
        Spec::Route(route) => {
            let http = [&route.http2_route, &route.http_route].into_iter().flatten();
            let http =
                http.flat_map(|route| of_http(route.matcher.path.as_ref(), route.matcher.headers.as_deref()));
            let grpc =
                route.grpc_route.iter().flat_map(|route| of_metadata(route.matcher.metadata.as_deref()));
            http.chain(grpc).collect()
        }
        Spec::GatewayRoute(route) => {
            let http = [&route.http2_route, &route.http_route].into_iter().flatten();
            let http =
                http.flat_map(|route| of_http(route.matcher.path.as_ref(), route.matcher.headers.as_deref()));
            let grpc =
                route.grpc_route.iter().flat_map(|route| of_metadata(route.matcher.metadata.as_deref()));
            http.chain(grpc).collect()
        }
        Spec::Mesh(_)
        | Spec::VirtualNode(_)
        | Spec::VirtualRouter(_)
        | Spec::VirtualService(_)
        | Spec::VirtualGateway(_) => Vec::new(),
    }
}

fn of_http<'a>(path: Option<&'a HttpPathMatch>, headers: Option<&'a [HttpRouteHeader]>) -> Vec<&'a str> {
    let path = match path {
        Some(HttpPathMatch::Regex(expression)) => Some(expression.as_str()),
        Some(HttpPathMatch::Exact(_)) | None => None,
    };
    let headers = headers.into_iter().flatten();
    path.into_iter().chain(headers.filter_map(|header| of_value(header.matcher.as_ref()))).collect()
}

fn of_metadata(metadata: Option<&[GrpcRouteMetadata]>) -> Vec<&str> {
    metadata.into_iter().flatten().filter_map(|metadata| of_value(metadata.matcher.as_ref())).collect()
}

fn of_value(matcher: Option<&HeaderMatchMethod>) -> Option<&str> {
    match matcher {
        Some(HeaderMatchMethod::Regex(expression)) => Some(expression),
        _ => None,
    }
}

/// How each path begins that `expression`, which RE2 does not take, may be meant to match, in whatever dialect; `/` when that is not
/// sure.
pub(super) fn sure_beginning(expression: &str) -> &str {
    let text = expression.strip_prefix('^').unwrap_or(expression);
    let plain = |character: char| character.is_ascii_alphanumeric() || matches!(character, '/' | '-' | '_');
    let (begins, rest) = text.split_at(text.find(|character: char| !plain(character)).unwrap_or(text.len()));
    // The last character need not be there.
    let needless = rest.starts_with(['?', '*', '{']);
    let begins =
        if needless { begins.get(..begins.len().saturating_sub(1)).unwrap_or_default() } else { begins };
    if begins.starts_with('/') && !expression.contains('|') { begins } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_expression_is_for_begins_at_least_as_it_says() {
        for (expression, begins) in [
            ("/v1/(?!admin).*", "/v1/"),
            ("^/v1/(?=x)", "/v1/"),
            ("/a-b_c[", "/a-b_c"),
            ("/ab?(?!x)", "/a"),
            ("/ab{2}(?!x)", "/a"),
            ("/ab+(?!x)", "/ab"),
            ("/?(?!x)", "/"),
            ("/a(?!x)|/b", "/"),
            ("(?i)/a(?!x)", "/"),
            (r"/a\.(?!x)", "/a"),
            ("([", "/"),
            ("(?!x).*", "/"),
            ("*", "/"),
        ] {
            assert_eq!(sure_beginning(expression), begins, "{expression}");
        }
    }
}
