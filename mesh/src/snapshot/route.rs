//! Route configurations: virtual hosts, routes, weighted clusters. Pure.

use std::collections::BTreeSet;

use envoy_types::pb::envoy::config::core::v3::{DataSource, data_source};
use envoy_types::pb::envoy::config::route::v3::route::Action;
use envoy_types::pb::envoy::config::route::v3::route_action::ClusterSpecifier;
use envoy_types::pb::envoy::config::route::v3::weighted_cluster::ClusterWeight;
use envoy_types::pb::envoy::config::route::v3::{
    DirectResponseAction, Route as EnvoyRoute, RouteAction, RouteConfiguration, VirtualHost, WeightedCluster,
};
use fleetmesh_model::RouteSpec;

use super::egress::{Route, Service};
use super::endpoint::Target;
use super::proto;
use super::retry;
use super::route_match;
use super::timeout::Timeouts;
use crate::form::Form;

/// The port that clients leave out of a Host header.
pub(super) const HTTP_PORT: i32 = 80;

/// Everything that arrives at a port of the node goes to `cluster`, once more where the application closes a connection that was kept.
/// Safe requests (RFC 9110) may be repeated; of others Envoy must not have sent anything.
pub(super) fn ingress(name: String, cluster: &str, timeouts: Timeouts, form: Form) -> RouteConfiguration {
    let forward = |retry_policy| RouteAction {
        cluster_specifier: Some(ClusterSpecifier::Cluster(cluster.to_owned())),
        retry_policy,
        ..action(timeouts)
    };
    let routes = match form {
        Form::First => vec![to(forward(None))],
        Form::Second => {
            let safe = to(forward(Some(retry::safe_unanswered())));
            let safe = EnvoyRoute { r#match: Some(route_match::safe()), ..safe };
            vec![safe, to(forward(Some(retry::unsent())))]
        }
    };
    RouteConfiguration {
        name,
        virtual_hosts: vec![host("ingress", vec!["*".into()], routes)],
        ..Default::default()
    }
}

/// The services of one port. `nowhere` are backends without a provider: they answer 404, as App Mesh's do, even where
/// the egress filter lets other hosts through to `passthrough`.
pub(super) fn egress(
    name: String,
    port: i32,
    services: &[Service<'_>],
    nowhere: &[&str],
    passthrough: Option<String>,
) -> RouteConfiguration {
    let all = services.iter().map(|service| service.name).chain(nowhere.iter().copied());
    let all: BTreeSet<String> = all.map(str::to_ascii_lowercase).collect();
    let mut hosts: Vec<VirtualHost> = services
        .iter()
        .map(|service| {
            host(service.name, domains(service.name, port, &all), service.routes.iter().map(route).collect())
        })
        .collect();
    hosts.extend(nowhere.iter().map(|name| host(name, domains(name, port, &all), Vec::new())));
    if let Some(cluster) = passthrough {
        // What the mesh knows nothing about gets no timeout of the mesh.
        let unlimited = action(Timeouts { per_request: 0, idle: 0 });
        let through =
            RouteAction { cluster_specifier: Some(ClusterSpecifier::Cluster(cluster)), ..unlimited };
        hosts.push(host("passthrough", vec!["*".into()], vec![to(through)]));
    }
    RouteConfiguration { name, virtual_hosts: once(hosts), ..Default::default() }
}

/// The hosts with each domain in the first of them that has it: Envoy refuses all of them when two have the same.
fn once(hosts: Vec<VirtualHost>) -> Vec<VirtualHost> {
    let mut taken = BTreeSet::new();
    let alone = hosts.into_iter().map(|mut host| {
        host.domains.retain(|domain| taken.insert(domain.clone()));
        host
    });
    alone.filter(|host| !host.domains.is_empty()).collect()
}

/// A Host header names a service with or without the port, unless that is the name of another one among `all`: of `s.local` and
/// `s.local:8080`, requests to port 8080 that name it are for the second, in whatever order they are called for. Port 80 is left out
/// by clients, so `s.local:80` is for `s.local`, too, when nothing else is. DNS names have no case, and Envoy compares in lower case.
fn domains(service: &str, port: i32, all: &BTreeSet<String>) -> Vec<String> {
    let name = service.to_ascii_lowercase();
    let with_port = Some(format!("{name}:{port}"));
    let bare = if port == HTTP_PORT { name.strip_suffix(":80").map(str::to_owned) } else { None };
    let its_own = |domain: Option<String>| domain.filter(|domain| !all.contains(domain));
    let (with_port, bare) = (its_own(with_port), its_own(bare));
    with_port.into_iter().chain([name]).chain(bare).collect()
}

fn host(name: &str, domains: Vec<String>, routes: Vec<EnvoyRoute>) -> VirtualHost {
    VirtualHost { name: name.to_owned(), domains, routes, ..VirtualHost::default() }
}

fn to(action: RouteAction) -> EnvoyRoute {
    EnvoyRoute {
        r#match: Some(route_match::everything()),
        action: Some(Action::Route(action)),
        ..EnvoyRoute::default()
    }
}

fn route(route: &Route<'_>) -> EnvoyRoute {
    EnvoyRoute {
        name: route.source.map(|found| found.record.id.name().to_owned()).unwrap_or_default(),
        r#match: Some(route_match::route_match(route.source.map(|found| found.spec))),
        action: Some(to_targets(route)),
        ..EnvoyRoute::default()
    }
}

/// What becomes of a request that `route` matches.
pub(super) fn to_targets(route: &Route<'_>) -> Action {
    let reachable = route.targets.iter().any(|(_, weight)| *weight > 0);
    let spec: Option<&RouteSpec> = route.source.map(|found| found.spec);
    if reachable { Action::Route(forward(spec, &route.targets)) } else { unreachable() }
}

fn forward(spec: Option<&RouteSpec>, targets: &[(Target<'_>, u32)]) -> RouteAction {
    // A weight of 0 stays: the target is there to be shifted to.
    let clusters = targets.iter().map(|(target, weight)| ClusterWeight {
        name: target.cluster(),
        weight: proto::number((*weight).into()),
        ..ClusterWeight::default()
    });
    let weighted = WeightedCluster { clusters: clusters.collect(), ..WeightedCluster::default() };
    RouteAction {
        cluster_specifier: Some(ClusterSpecifier::WeightedClusters(weighted)),
        retry_policy: Some(retry::policy(spec)),
        ..action(spec.map_or(Timeouts::DEFAULT, Timeouts::of_route))
    }
}

/// The route matches but none of its targets can be reached: an error, not the next route.
pub(super) fn unreachable() -> Action {
    let text = "no target of this route can be reached".to_owned();
    let body =
        DataSource { specifier: Some(data_source::Specifier::InlineString(text)), ..DataSource::default() };
    Action::DirectResponse(DirectResponseAction { status: 503, body: Some(body), ..Default::default() })
}

/// Nothing is there for the request.
pub(super) fn not_found() -> Action {
    Action::DirectResponse(DirectResponseAction { status: 404, ..Default::default() })
}

fn action(Timeouts { per_request, idle }: Timeouts) -> RouteAction {
    RouteAction {
        timeout: proto::millis(per_request),
        idle_timeout: proto::millis(idle),
        ..RouteAction::default()
    }
}
