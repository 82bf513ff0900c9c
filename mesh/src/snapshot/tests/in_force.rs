//! What is stored and changes nothing, or less than it says, is named: hosts that two services share, what has no effect, and what an
//! earlier release stored.

use envoy_types::pb::envoy::config::route::v3::route::Action;
use envoy_types::pb::envoy::config::route::v3::route_match::PathSpecifier;
use envoy_types::pb::envoy::config::route::v3::{Route, RouteConfiguration};
use fleetmesh_model::ResourceId;
use serde_json::{Value, json};

use super::bootstrap::decoded;
use super::corpus::{calling, routed, to_a};
use super::gateway::{edge, gateway, leads, plain};
use super::{client, validate::validate};
use crate::cloud_map::Discovered;
use crate::snapshot::{ResourceType, Snapshot, Standing, not_in_force, standing};
use crate::testing::view;
use crate::view::MeshView;

fn standing_of(view: &MeshView, path: &str) -> Standing {
    let id = ResourceId::parse(&format!("mesh/apps/{path}")).expect("a resource");
    standing(view, &Discovered::default(), view.get(&id).expect("the object"))
}

/// `client` calls these services in this order, each provided by the node `a` on `port`.
fn sharing(protocol: &str, port: u16, services: &[&str]) -> MeshView {
    let node = json!({"listeners": [{"portMapping": {"port": port, "protocol": protocol}}], "serviceDiscovery": {"dns": {"hostname": "a.local"}}});
    let mut objects = vec![("virtualNode/a".to_owned(), node)];
    objects.push(("virtualNode/client".to_owned(), calling(services)));
    let provider = json!({"provider": {"virtualNode": {"virtualNodeName": "a"}}});
    objects.extend(services.iter().map(|name| (format!("virtualService/{name}"), provider.clone())));
    let objects: Vec<(&str, Value)> =
        objects.iter().map(|(path, spec)| (path.as_str(), spec.clone())).collect();
    view(&objects)
}

/// The domains of each virtual host on a port that speaks http.
fn domains(view: &MeshView, port: u16) -> Vec<(String, Vec<String>)> {
    let name = format!("rds_egress_http_{port}");
    let tables: Vec<RouteConfiguration> = decoded(&client(view), ResourceType::Route).collect();
    let table = tables.into_iter().find(|table| table.name == name).expect("routes");
    let mut hosts: Vec<_> = table.virtual_hosts.into_iter().map(|host| (host.name, host.domains)).collect();
    hosts.sort();
    hosts
}

#[test]
fn of_two_services_of_one_host_each_gets_what_names_it_in_whatever_order_they_are_called_for() {
    let host = |name: &str, domains: &[&str]| {
        (name.to_owned(), domains.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    for order in [["s.local", "S.local:8080"], ["S.local:8080", "s.local"]] {
        let view = sharing("http", 8080, &order);
        let expected =
            [host("S.local:8080", &["s.local:8080:8080", "s.local:8080"]), host("s.local", &["s.local"])];
        assert_eq!(domains(&view, 8080), expected, "{order:?}");
        let at = order.iter().position(|name| *name == "s.local").expect("it is called");
        let note = format!(
            "spec.backends[{at}].virtualService.virtualServiceName: on port 8080, requests whose Host names the port go to the virtual service \"S.local:8080\", and those whose Host does not to \"s.local\". If that is not meant, take one of them out of backends"
        );
        let Standing { unserved, ineffective, notes } = standing_of(&view, "virtualNode/client");
        assert_eq!((unserved, ineffective, notes), (vec![], vec![], vec![note]), "{order:?}");
    }
    // On the port that clients do not name, that is said, too; one that is alone gets what they send.
    assert_eq!(
        domains(&sharing("http", 80, &["s.local:80"]), 80),
        [host("s.local:80", &["s.local:80:80", "s.local:80", "s.local"])]
    );
    assert_eq!(
        domains(&sharing("http", 80, &["s.local:80", "s.local"]), 80),
        [host("s.local", &["s.local"]), host("s.local:80", &["s.local:80:80", "s.local:80"])]
    );
    let notes = standing_of(&sharing("http", 80, &["s.local:80", "s.local"]), "virtualNode/client").notes;
    assert!(notes.len() == 1 && notes[0].contains("which clients leave out for port 80"), "{notes:?}");
    // A port that neither has, and other hosts.
    for others in [["s.local", "s.local:8081"], ["s.local", "t.local:8080"]] {
        assert_eq!(standing_of(&sharing("http", 8080, &others), "virtualNode/client"), Standing::default());
    }
}

#[test]
fn a_tcp_service_with_the_address_of_another_is_reported_even_where_names_resolve() {
    let mut view = sharing("tcp", 5432, &["db.local", "db.local:5432"]);
    let id = ResourceId::virtual_node("apps", "client");
    let mut record = view.get(&id).expect("the node").as_ref().clone();
    let (key, value) = (fleetmesh_api::tags::PROXY_DNS_TAG, fleetmesh_api::tags::ANSWERED);
    record.tags.insert(key.to_owned(), value.to_owned());
    view.resources.insert(id, record.into());
    let unserved = standing_of(&view, "virtualNode/client").unserved;
    let said = "spec.backends[1].virtualService.virtualServiceName: port 5432 belongs to the tcp service \"db.local\", which takes all of it";
    assert_eq!(unserved, [said]);
}

#[test]
fn a_backend_that_does_not_exist_is_named_until_it_does() {
    let missing = sharing("http", 80, &["s.local"]);
    let id = ResourceId::virtual_service("apps", "s.local");
    let mut without = missing.clone();
    without.resources.remove(&id);
    let said = "spec.backends[0].virtualService.virtualServiceName: virtual service \"s.local\" does not exist, so nothing is sent to it";
    let Standing { unserved, ineffective, notes } = standing_of(&without, "virtualNode/client");
    assert_eq!((unserved, ineffective, notes), (vec![], vec![said.to_owned()], vec![]));
    let client = without.get(&ResourceId::virtual_node("apps", "client")).expect("the node");
    assert_eq!(not_in_force(&without, &Discovered::default(), client), [said]);
    assert_eq!(standing_of(&missing, "virtualNode/client"), Standing::default());
}

fn http2(matched: Value, priority: Option<i32>) -> Value {
    json!({"http2Route": {"action": to_a(), "match": matched}, "priority": priority})
}

#[test]
fn a_route_whose_requests_another_one_gets_names_it() {
    let headers = |names: [&str; 2]| json!({"headers": [{"name": names[0]}, {"name": names[1]}]});
    let view = routed(
        "http2",
        &[
            ("a", http2(json!({"prefix": "/"}), None)),
            ("b", http2(json!({"prefix": "/"}), None)),
            ("c", http2(json!({"prefix": "/"}), Some(3))),
            ("e", http2(headers(["x", "y"]), None)),
            ("d", http2(headers(["y", "x"]), None)),
            ("f", http2(headers(["y", "z"]), None)),
            ("g", http2(json!({"prefix": "/", "port": 80}), None)),
            ("h", http2(json!({"prefix": "/a", "port": 80}), None)),
            ("i", http2(json!({"prefix": "/a"}), None)),
        ],
    );
    let of = |route: &str| standing_of(&view, &format!("virtualRouter/r/route/{route}")).ineffective;
    let tied = |winner: &str| {
        vec![format!(
            "spec.http2Route.match: route \"{winner}\" of the same virtual router has the same priority and match and is tried first, so it gets all requests; change one of them"
        )]
    };
    assert_eq!(of("b"), tied("a"));
    assert_eq!(of("e"), tied("d"));
    assert_eq!(of("g"), tied("a"), "it is for less than the other");
    for alone in ["a", "c", "d", "f", "h", "i"] {
        assert_eq!(of(alone), [""; 0], "{alone}");
    }

    let host = |matched: Value| leads("red.local", matched, Value::Null);
    let view = gateway(
        &plain(),
        &[
            ("a", host(json!({"prefix": "/", "hostname": {"exact": "A.example.com"}}))),
            ("b", host(json!({"hostname": {"exact": "a.example.com."}, "prefix": "/"}))),
            ("c", host(json!({"prefix": "/"}))),
        ],
    );
    let of =
        |route: &str| standing_of(&view, &format!("virtualGateway/edge/gatewayRoute/{route}")).ineffective;
    let said = of("b");
    assert!(
        said.len() == 1
            && said[0].starts_with("spec.httpRoute.match: route \"a\" of the same virtual gateway"),
        "{said:?}"
    );
    assert_eq!((of("a"), of("c")), (vec![], vec![]));
}

/// Name, path and status of each route; 200 of one that leads on.
fn shown(snapshot: &Snapshot) -> Vec<String> {
    let of = |route: &Route| {
        let path = match route.r#match.as_ref().and_then(|matched| matched.path_specifier.as_ref()) {
            Some(PathSpecifier::Prefix(prefix)) => format!("{prefix}*"),
            Some(PathSpecifier::Path(path)) => path.clone(),
            Some(PathSpecifier::SafeRegex(regex)) => format!("~{}", regex.regex),
            other => format!("{other:?}"),
        };
        let headers = route.r#match.as_ref().map_or(0, |matched| matched.headers.len());
        let status = match &route.action {
            Some(Action::DirectResponse(response)) => response.status,
            _ => 200,
        };
        format!("{} {path} {headers} {status}", route.name)
    };
    let tables = decoded::<RouteConfiguration>(snapshot, ResourceType::Route);
    tables
        .flat_map(|table| table.virtual_hosts)
        .flat_map(|host| host.routes)
        .map(|route| of(&route))
        .collect()
}

#[test]
fn what_a_stored_route_may_be_for_that_envoy_would_refuse_is_closed_and_the_rest_is_served() {
    let header = json!({"prefix": "/h", "headers": [{"name": "x", "match": {"regex": "(?!a)b"}}, {"name": "y", "invert": true, "match": {"regex": "(?=a)"}}, {"name": "z"}]});
    let view = routed(
        "http2",
        &[
            ("look", http2(json!({"path": {"regex": "/v1/(?!admin).*"}}), Some(1))),
            ("header", http2(header, Some(2))),
            ("never", http2(json!({"path": {"exact": "/x?y=1"}}), Some(3))),
            (
                "name",
                http2(
                    json!({"prefix": "/", "headers": [{"name": "a b"}, {"name": "c", "match": {"regex": "("}}]}),
                    Some(4),
                ),
            ),
            ("good", http2(json!({"prefix": "/"}), None)),
        ],
    );
    let snapshot = client(&view);
    assert_eq!(shown(&snapshot), ["look /v1/* 0 503", "header /h* 2 503", "good /* 0 200"]);
    let edge_view = gateway(
        &plain(),
        &[
            ("look", leads("red.local", json!({"path": {"regex": "/v1/(?!admin).*"}}), Value::Null)),
            ("never", leads("red.local", json!({"path": {"exact": "x"}}), Value::Null)),
            ("rest", leads("red.local", json!({"prefix": "/"}), Value::Null)),
        ],
    );
    let at_the_edge = edge(&edge_view);
    assert_eq!(shown(&at_the_edge), ["look /v1/* 0 503", "rest /* 0 200"]);
    if let Err(text) = validate([snapshot.as_ref(), at_the_edge.as_ref()]) {
        panic!("{text}");
    }

    let of = |route: &str| standing_of(&view, &format!("virtualRouter/r/route/{route}")).unserved;
    let closed = of("look");
    assert!(
        closed.len() == 1
            && closed[0].starts_with("spec.http2Route.match.path.regex: must be a regular expression")
            && closed[0].ends_with("it was stored before that was a rule. What the route may be for is answered with 503, and the others beside it are served: update it or delete it"),
        "{closed:?}"
    );
    assert_eq!(of("header").len(), 2);
    let never = of("never");
    assert!(
        never.len() == 1 && never[0].contains("No request can be for the route, so it is left out"),
        "{never:?}"
    );
    assert_eq!(of("name").len(), 2);
    assert_eq!(of("good"), [""; 0]);
    let of =
        |route: &str| standing_of(&edge_view, &format!("virtualGateway/edge/gatewayRoute/{route}")).unserved;
    assert_eq!((of("look").len(), of("never").len(), of("rest").len()), (1, 1, 0));
}

#[test]
fn what_is_refused_of_a_stored_spec_and_no_match_is_served_as_it_is_stored() {
    let rewrite = json!({"path": {"exact": "/q?y=2"}});
    let view = gateway(&plain(), &[("r", leads("red.local", json!({"path": {"exact": "/q"}}), rewrite))]);
    assert_eq!(shown(&edge(&view)), ["r /q 0 200"]);
    let said = standing_of(&view, "virtualGateway/edge/gatewayRoute/r").unserved;
    assert!(
        said.len() == 1
            && said[0].starts_with("spec.httpRoute.action.rewrite.path.exact: must have no ? or #")
            && said[0].ends_with("It is served as it is stored: update it or delete it"),
        "{said:?}"
    );
}
