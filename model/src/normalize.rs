//! One spelling for each meaning: two specs mean the same exactly when their normal forms are equal. App Mesh's
//! defaults are written out or left out the same way everywhere, lists whose order has no meaning are sorted, durations
//! are in milliseconds, DNS and header names are lower-case. Pure.
//!
//! What stays as it is: the names of App Mesh objects (they are compared exactly), the proportions of weights (a person
//! reads them), and the order of JSON access log members (it is the order in the line).

use crate::common::{Duration, DurationUnit, GrpcTimeout, HttpTimeout, TcpTimeout};
use crate::gateway_route::{
    DefaultGatewayRouteRewrite, GatewayRouteHostnameRewrite, GatewayRouteSpec, HttpGatewayRoute,
    HttpGatewayRouteRewrite,
};
use crate::gateway_route_match::GatewayRouteHostnameMatch;
use crate::listener::{Listener, ListenerTimeout, VirtualNodeConnectionPool};
use crate::mesh::{EgressFilter, EgressFilterType, MeshSpec};
use crate::retry::{GrpcRetryPolicy, HttpRetryPolicy};
use crate::route::{RouteAction, RouteSpec};
use crate::route_match::{
    GrpcRouteMatch, GrpcRouteMetadata, HttpQueryParameter, HttpRouteHeader, HttpRouteMatch,
};
use crate::service_discovery::{DnsResponseType, ServiceDiscovery};
use crate::tls::{ClientPolicy, SubjectAlternativeNames, TlsValidationContextTrust};
use crate::virtual_gateway::{VirtualGatewayConnectionPool, VirtualGatewaySpec};
use crate::virtual_node::{Backend, BackendDefaults, VirtualNodeSpec};
use crate::virtual_router::VirtualRouterSpec;

/// App Mesh's default time for one request, in milliseconds.
pub const PER_REQUEST_MILLIS: u64 = 15_000;
/// App Mesh's default time for an idle connection, in milliseconds.
pub const IDLE_MILLIS: u64 = 300_000;
/// App Mesh's default for requests that wait for a connection.
const MAX_PENDING_REQUESTS: i32 = i32::MAX;

/// Of a virtual router.
pub(crate) fn normalize_router(router: &mut VirtualRouterSpec) {
    if let Some(listeners) = &mut router.listeners {
        listeners.sort_by_key(|listener| listener.port_mapping.port);
    }
    none_if_empty(&mut router.listeners);
}

/// Of a mesh.
pub(crate) fn normalize_mesh(mesh: &mut MeshSpec) {
    mesh.egress_filter.get_or_insert(EgressFilter { kind: EgressFilterType::DropAll });
    mesh.service_discovery.take_if(|discovery| discovery.ip_preference.is_none());
}

/// Of a virtual node.
pub(crate) fn normalize_node(node: &mut VirtualNodeSpec) {
    normalize_defaults(&mut node.backend_defaults);
    for Backend::VirtualService(backend) in node.backends.iter_mut().flatten() {
        normalize_policy(&mut backend.client_policy);
    }
    if let Some(backends) = &mut node.backends {
        backends.sort_by(|Backend::VirtualService(a), Backend::VirtualService(b)| {
            a.virtual_service_name.cmp(&b.virtual_service_name)
        });
    }
    none_if_empty(&mut node.backends);
    if let Some(listeners) = &mut node.listeners {
        listeners.iter_mut().for_each(normalize_listener);
        listeners.sort_by_key(|listener| listener.port_mapping.port);
    }
    none_if_empty(&mut node.listeners);
    node.logging.take_if(|logging| logging.access_log.is_none());
    match &mut node.service_discovery {
        Some(ServiceDiscovery::Dns(dns)) => {
            dns.hostname = dns_name(&dns.hostname);
            dns.response_type.get_or_insert(DnsResponseType::LoadBalancer);
        }
        Some(ServiceDiscovery::AwsCloudMap(cloud_map)) => {
            if let Some(attributes) = &mut cloud_map.attributes {
                attributes.sort_by(|a, b| (&a.key, &a.value).cmp(&(&b.key, &b.value)));
            }
            none_if_empty(&mut cloud_map.attributes);
        }
        None => {}
    }
}

/// Of a virtual gateway.
pub(crate) fn normalize_gateway(gateway: &mut VirtualGatewaySpec) {
    normalize_defaults(&mut gateway.backend_defaults);
    for listener in &mut gateway.listeners {
        if let Some(check) = &mut listener.health_check {
            check.port.get_or_insert(listener.port_mapping.port);
        }
        if let Some(VirtualGatewayConnectionPool::Http(pool)) = &mut listener.connection_pool {
            pool.max_pending_requests.get_or_insert(MAX_PENDING_REQUESTS);
        }
        if let Some(validation) = listener.tls.as_mut().and_then(|tls| tls.validation.as_mut()) {
            sort_names(&mut validation.subject_alternative_names);
        }
    }
    gateway.listeners.sort_by_key(|listener| listener.port_mapping.port);
    gateway.logging.take_if(|logging| logging.access_log.is_none());
}

fn normalize_defaults(defaults: &mut Option<BackendDefaults>) {
    if let Some(defaults) = defaults {
        normalize_policy(&mut defaults.client_policy);
    }
    defaults.take_if(|defaults| defaults.client_policy.is_none());
}

/// Of a gateway route.
pub(crate) fn normalize_gateway_route(route: &mut GatewayRouteSpec) {
    for route in [&mut route.http2_route, &mut route.http_route].into_iter().flatten() {
        normalize_http_gateway_route(route);
    }
    if let Some(route) = &mut route.grpc_route {
        normalize_hostname(&mut route.matcher.hostname);
        normalize_metadata(&mut route.matcher.metadata);
        if let Some(rewrite) = &mut route.action.rewrite {
            drop_default(&mut rewrite.hostname);
        }
        route.action.rewrite.take_if(|rewrite| rewrite.hostname.is_none());
    }
}

fn normalize_http_gateway_route(route: &mut HttpGatewayRoute) {
    normalize_hostname(&mut route.matcher.hostname);
    normalize_headers(&mut route.matcher.headers);
    normalize_parameters(&mut route.matcher.query_parameters);
    let Some(rewrite) = &mut route.action.rewrite else { return };
    drop_default(&mut rewrite.hostname);
    rewrite.path.take_if(|path| path.exact.is_none());
    rewrite.prefix.take_if(|prefix| {
        let is_default = prefix.value.as_ref().is_none_or(|value| value == "/");
        is_default && prefix.default_prefix != Some(DefaultGatewayRouteRewrite::Disabled)
    });
    let HttpGatewayRouteRewrite { hostname, path, prefix } = rewrite;
    if hostname.is_none() && path.is_none() && prefix.is_none() {
        route.action.rewrite = None;
    }
}

fn drop_default(hostname: &mut Option<GatewayRouteHostnameRewrite>) {
    hostname
        .take_if(|hostname| hostname.default_target_hostname != Some(DefaultGatewayRouteRewrite::Disabled));
}

fn normalize_hostname(hostname: &mut Option<GatewayRouteHostnameMatch>) {
    match hostname {
        Some(GatewayRouteHostnameMatch::Exact(name)) => *name = dns_name(name),
        Some(GatewayRouteHostnameMatch::Suffix(end)) => end.make_ascii_lowercase(),
        None => {}
    }
}

fn normalize_listener(listener: &mut Listener) {
    if let Some(check) = &mut listener.health_check {
        check.port.get_or_insert(listener.port_mapping.port);
    }
    if let Some(VirtualNodeConnectionPool::Http(pool)) = &mut listener.connection_pool {
        pool.max_pending_requests.get_or_insert(MAX_PENDING_REQUESTS);
    }
    if let Some(detection) = &mut listener.outlier_detection {
        normalize_duration(&mut detection.base_ejection_duration);
        normalize_duration(&mut detection.interval);
    }
    let is_default = match &mut listener.timeout {
        Some(ListenerTimeout::Http(timeout) | ListenerTimeout::Http2(timeout)) => http_timeout(timeout),
        Some(ListenerTimeout::Grpc(timeout)) => grpc_timeout(timeout),
        Some(ListenerTimeout::Tcp(timeout)) => tcp_timeout(timeout),
        None => true,
    };
    listener.timeout.take_if(|_| is_default);
    if let Some(validation) = listener.tls.as_mut().and_then(|tls| tls.validation.as_mut()) {
        sort_names(&mut validation.subject_alternative_names);
    }
}

fn normalize_policy(policy: &mut Option<ClientPolicy>) {
    if let Some(tls) = policy.as_mut().and_then(|policy| policy.tls.as_mut()) {
        tls.enforce.get_or_insert(true);
        if let Some(ports) = &mut tls.ports {
            ports.sort_unstable();
            ports.dedup();
        }
        none_if_empty(&mut tls.ports);
        sort_names(&mut tls.validation.subject_alternative_names);
        if let TlsValidationContextTrust::Acm(acm) = &mut tls.validation.trust {
            acm.certificate_authority_arns.sort();
        }
    }
    policy.take_if(|policy| policy.tls.is_none());
}

/// Of a route.
pub(crate) fn normalize_route(route: &mut RouteSpec) {
    for route in [&mut route.http2_route, &mut route.http_route].into_iter().flatten() {
        sort_targets(&mut route.action);
        normalize_http_match(&mut route.matcher);
        if let Some(policy) = &mut route.retry_policy {
            normalize_http_retry(policy);
        }
        let is_default = route.timeout.as_mut().is_none_or(http_timeout);
        route.timeout.take_if(|_| is_default);
    }
    if let Some(route) = &mut route.grpc_route {
        sort_targets(&mut route.action);
        normalize_grpc_match(&mut route.matcher);
        if let Some(policy) = &mut route.retry_policy {
            normalize_grpc_retry(policy);
        }
        let is_default = route.timeout.as_mut().is_none_or(grpc_timeout);
        route.timeout.take_if(|_| is_default);
    }
    if let Some(route) = &mut route.tcp_route {
        sort_targets(&mut route.action);
        route.matcher.take_if(|matcher| matcher.port.is_none());
        let is_default = route.timeout.as_mut().is_none_or(tcp_timeout);
        route.timeout.take_if(|_| is_default);
    }
}

fn sort_targets(action: &mut RouteAction) {
    action.weighted_targets.sort_by(|a, b| (&a.virtual_node, a.port).cmp(&(&b.virtual_node, b.port)));
}

fn normalize_http_match(matcher: &mut HttpRouteMatch) {
    normalize_headers(&mut matcher.headers);
    normalize_parameters(&mut matcher.query_parameters);
}

fn normalize_headers(headers: &mut Option<Vec<HttpRouteHeader>>) {
    for header in headers.iter_mut().flatten() {
        header.name.make_ascii_lowercase();
        header.invert.take_if(|invert| !*invert);
    }
    if let Some(headers) = headers {
        headers.sort_by_cached_key(|header| (header.name.clone(), format!("{header:?}")));
    }
    none_if_empty(headers);
}

fn normalize_parameters(parameters: &mut Option<Vec<HttpQueryParameter>>) {
    for parameter in parameters.iter_mut().flatten() {
        parameter.matcher.take_if(|matcher| matcher.exact.is_none());
    }
    if let Some(parameters) = parameters {
        parameters.sort_by_cached_key(|parameter| (parameter.name.clone(), format!("{parameter:?}")));
    }
    none_if_empty(parameters);
}

fn normalize_grpc_match(matcher: &mut GrpcRouteMatch) {
    normalize_metadata(&mut matcher.metadata);
}

fn normalize_metadata(metadata: &mut Option<Vec<GrpcRouteMetadata>>) {
    for metadata in metadata.iter_mut().flatten() {
        metadata.name.make_ascii_lowercase();
        metadata.invert.take_if(|invert| !*invert);
    }
    if let Some(metadata) = metadata {
        metadata.sort_by_cached_key(|metadata| (metadata.name.clone(), format!("{metadata:?}")));
    }
    none_if_empty(metadata);
}

fn normalize_http_retry(policy: &mut HttpRetryPolicy) {
    normalize_duration(&mut policy.per_retry_timeout);
    sort_events(&mut policy.http_retry_events);
    sort_events(&mut policy.tcp_retry_events);
}

fn normalize_grpc_retry(policy: &mut GrpcRetryPolicy) {
    normalize_duration(&mut policy.per_retry_timeout);
    sort_events(&mut policy.grpc_retry_events);
    sort_events(&mut policy.http_retry_events);
    sort_events(&mut policy.tcp_retry_events);
}

fn sort_events<T: Ord>(events: &mut Option<Vec<T>>) {
    if let Some(events) = events {
        events.sort();
        events.dedup();
    }
    none_if_empty(events);
}

fn sort_names(names: &mut Option<SubjectAlternativeNames>) {
    if let Some(names) = names {
        names.matchers.exact.sort();
        names.matchers.exact.dedup();
    }
}

/// Normalises the timeout and says whether it is App Mesh's default as a whole.
fn http_timeout(timeout: &mut HttpTimeout) -> bool {
    let idle = set_unless_default(&mut timeout.idle, IDLE_MILLIS);
    let request = set_unless_default(&mut timeout.per_request, PER_REQUEST_MILLIS);
    !idle && !request
}

fn grpc_timeout(timeout: &mut GrpcTimeout) -> bool {
    let idle = set_unless_default(&mut timeout.idle, IDLE_MILLIS);
    let request = set_unless_default(&mut timeout.per_request, PER_REQUEST_MILLIS);
    !idle && !request
}

fn tcp_timeout(timeout: &mut TcpTimeout) -> bool {
    !set_unless_default(&mut timeout.idle, IDLE_MILLIS)
}

/// Normalises a duration, removes it when it is the default, and says whether one is left.
fn set_unless_default(duration: &mut Option<Duration>, default_millis: u64) -> bool {
    if let Some(duration) = duration {
        normalize_duration(duration);
    }
    duration.take_if(|duration| duration.as_millis() == default_millis);
    duration.is_some()
}

fn normalize_duration(duration: &mut Duration) {
    if let Ok(millis) = i64::try_from(duration.as_millis()) {
        *duration = Duration { unit: Some(DurationUnit::Ms), value: Some(millis) };
    }
}

fn none_if_empty<T>(list: &mut Option<Vec<T>>) {
    list.take_if(|list| list.is_empty());
}

/// A DNS name in lower case without the root's dot (RFC 4343: names compare without case).
fn dns_name(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::kind::Kind;
    use crate::spec::{Spec, normalize};

    fn normal(kind: Kind, spec: Value) -> Spec {
        let spec = Spec::from_json(kind, spec).expect("a spec");
        let normal = normalize(&spec);
        assert_eq!(normalize(&normal), normal, "a normal form is its own normal form");
        normal
    }

    fn same(kind: Kind, a: Value, b: Value) {
        assert_eq!(normal(kind, a.clone()), normal(kind, b.clone()), "{a} and {b}");
    }

    fn different(kind: Kind, a: Value, b: Value) {
        assert_ne!(normal(kind, a.clone()), normal(kind, b.clone()), "{a} and {b}");
    }

    #[test]
    fn defaults_are_not_meaning() {
        same(Kind::Mesh, json!({}), json!({"egressFilter": {"type": "DROP_ALL"}, "serviceDiscovery": {}}));
        different(Kind::Mesh, json!({}), json!({"egressFilter": {"type": "ALLOW_ALL"}}));
        let listener = |extra: Value| {
            let mut listener = json!({"portMapping": {"port": 80, "protocol": "http"}});
            if let (Some(listener), Some(extra)) = (listener.as_object_mut(), extra.as_object()) {
                listener.extend(extra.clone());
            }
            json!({"listeners": [listener], "serviceDiscovery": {"dns": {"hostname": "b.local"}}})
        };
        let millis = json!({"timeout": {"http": {"perRequest": {"unit": "ms", "value": 15000}, "idle": {"unit": "s", "value": 300}}}});
        same(Kind::VirtualNode, listener(json!({})), listener(millis));
        let second = json!({"timeout": {"http": {"perRequest": {"unit": "s", "value": 1}}}});
        same(
            Kind::VirtualNode,
            listener(second.clone()),
            listener(json!({"timeout": {"http": {"perRequest": {"value": 1000}}}})),
        );
        different(Kind::VirtualNode, listener(json!({})), listener(second));
        let check = json!({"healthCheck": {"healthyThreshold": 2, "intervalMillis": 5000, "path": "/", "protocol": "http", "timeoutMillis": 2000, "unhealthyThreshold": 2}});
        let mut port = check.clone();
        port["healthCheck"]["port"] = json!(80);
        same(Kind::VirtualNode, listener(check), listener(port));
    }

    #[test]
    fn order_and_the_case_of_dns_names_are_not_meaning() {
        let node = |hostname: &str, backends: [&str; 2]| {
            let backends: Vec<Value> =
                backends.iter().map(|name| json!({"virtualService": {"virtualServiceName": name}})).collect();
            json!({"backends": backends, "serviceDiscovery": {"dns": {"hostname": hostname}}})
        };
        same(
            Kind::VirtualNode,
            node("serviceB.apps.local", ["x", "y"]),
            node("serviceb.apps.local.", ["y", "x"]),
        );
        different(
            Kind::VirtualNode,
            node("serviceB.apps.local", ["x", "y"]),
            node("serviceb.apps.local", ["X", "y"]),
        );
        let route = |targets: Value| json!({"http2Route": {"action": {"weightedTargets": targets}, "match": {"prefix": "/"}}});
        let (b, v2) = (json!({"virtualNode": "b", "weight": 75}), json!({"virtualNode": "v2", "weight": 25}));
        same(Kind::Route, route(json!([b, v2])), route(json!([v2, b])));
        different(Kind::Route, route(json!([b, v2])), route(json!([b])));
    }

    #[test]
    fn the_default_rewrites_of_gateway_routes_are_not_meaning() {
        let route = |rewrite: Value| {
            let target = json!({"virtualService": {"virtualServiceName": "s"}});
            json!({"httpRoute": {"match": {"prefix": "/a"}, "action": {"target": target, "rewrite": rewrite}}})
        };
        let spelled =
            json!({"hostname": {"defaultTargetHostname": "ENABLED"}, "prefix": {"defaultPrefix": "ENABLED"}});
        for rewrite in [json!({}), spelled, json!({"prefix": {"value": "/"}}), json!({"path": {}})] {
            same(Kind::GatewayRoute, route(Value::Null), route(rewrite));
        }
        for rewrite in [
            json!({"hostname": {"defaultTargetHostname": "DISABLED"}}),
            json!({"prefix": {"defaultPrefix": "DISABLED"}}),
            json!({"prefix": {"value": "/b"}}),
        ] {
            different(Kind::GatewayRoute, route(Value::Null), route(rewrite));
        }
    }

    #[test]
    fn absent_and_empty_are_the_same() {
        same(
            Kind::VirtualNode,
            json!({}),
            json!({"backends": [], "listeners": [], "logging": {}, "backendDefaults": {"clientPolicy": {}}}),
        );
        same(Kind::VirtualRouter, json!({}), json!({"listeners": []}));
        let tcp = |matcher: Value| json!({"tcpRoute": {"action": {"weightedTargets": [{"virtualNode": "b", "weight": 1}]}, "match": matcher}});
        same(Kind::Route, tcp(json!({})), tcp(Value::Null));
    }
}
