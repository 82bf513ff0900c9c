//! Routes of one router or gateway that match the same requests with the same priority: one of them gets them all. Pure.

use fleetmesh_model::{GatewayRouteSpec, ResourceId, RouteSpec, Spec, normalize};
use serde_json::{Value, json};

use crate::object::ObjectKey;
use crate::observed::Distribution;

/// A route that ties with another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tie {
    /// Its resource.
    pub key: ObjectKey,
    /// Its name in App Mesh.
    pub name: String,
}

/// Whether both specs are of routes that match the same requests with the same priority, however they are spelt and in whatever
/// order their conditions stand.
pub fn ties(one: &Spec, other: &Spec) -> bool {
    priority(one) == priority(other)
        && matched(one).is_some_and(|matched_by_one| Some(matched_by_one) == matched(other))
}

fn priority(spec: &Spec) -> Option<i32> {
    match spec {
        Spec::Route(route) => route.priority,
        Spec::GatewayRoute(route) => route.priority,
        Spec::Mesh(_)
        | Spec::VirtualNode(_)
        | Spec::VirtualRouter(_)
        | Spec::VirtualService(_)
        | Spec::VirtualGateway(_) => None,
    }
}

/// The kind, the protocol and the match of a route; `None` of what is none.
fn matched(spec: &Spec) -> Option<Value> {
    let matched = match normalize(spec) {
        Spec::Route(route) => {
            let RouteSpec { grpc_route, http2_route, http_route, priority: _, tcp_route } = *route;
            json!([
                grpc_route.map(|route| route.matcher),
                http2_route.map(|route| route.matcher),
                http_route.map(|route| route.matcher),
                tcp_route.map(|route| route.matcher.map_or_else(|| json!({}), |matched| json!(matched))),
            ])
        }
        Spec::GatewayRoute(route) => {
            let GatewayRouteSpec { grpc_route, http2_route, http_route, priority: _ } = *route;
            json!([
                grpc_route.map(|route| route.matcher),
                http2_route.map(|route| route.matcher),
                http_route.map(|route| route.matcher),
            ])
        }
        Spec::Mesh(_)
        | Spec::VirtualNode(_)
        | Spec::VirtualRouter(_)
        | Spec::VirtualService(_)
        | Spec::VirtualGateway(_) => return None,
    };
    Some(in_order(matched))
}

/// The value with the members of each list within an object in an order of their own: a match means the same in any.
fn in_order(value: Value) -> Value {
    match value {
        Value::Array(members) => members.into_iter().map(in_order).collect(),
        Value::Object(members) => members
            .into_iter()
            .map(|(key, mut member)| {
                if let Value::Array(list) = &mut member {
                    list.sort_by_cached_key(Value::to_string);
                }
                (key, member)
            })
            .collect(),
        other => other,
    }
}

/// What `Accepted` of `route` says of the routes that it ties with, each behind a semicolon. A Fleetmesh control plane, the only endpoint
/// with a distribution, takes the lesser name.
pub fn in_words(route: &ResourceId, ties: &[Tie], distribution: &Distribution) -> String {
    let name = route.name();
    let each = ties.iter().map(|Tie { key, name: other }| {
        let won = match distribution {
            Distribution::Unsupported => {
                "which of them gets the requests is for the endpoint to choose".to_owned()
            }
            Distribution::Pending | Distribution::Reported(_) if name < other.as_str() => {
                format!("this one gets all requests, because its name {name:?} comes before {other:?}")
            }
            Distribution::Pending | Distribution::Reported(_) => {
                format!("that one gets all requests, because its name {other:?} comes before {name:?}")
            }
        };
        format!("; {key} has the same priority and match: {won}. Change one of them")
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use fleetmesh_api::distribution::ObjectStatus;
    use fleetmesh_model::Kind;

    use super::*;

    fn route(kind: Kind, priority: Option<i32>, member: &str, matched: &Value) -> Spec {
        let targets = json!({"weightedTargets": [{"virtualNode": "n", "weight": 1}]});
        let service = json!({"target": {"virtualService": {"virtualServiceName": "s"}}});
        let action = if kind == Kind::Route { targets } else { service };
        Spec::from_json(kind, json!({"priority": priority, member: {"match": matched, "action": action}}))
            .expect("a route")
    }

    #[test]
    fn routes_tie_when_they_match_the_same_with_the_same_priority() {
        let headers =
            |names: [&str; 2]| json!({"prefix": "/", "headers": [{"name": names[0]}, {"name": names[1]}]});
        let (here, there) = (json!({"prefix": "/a"}), json!({"prefix": "/b"}));
        for kind in [Kind::Route, Kind::GatewayRoute] {
            let of = |priority, member, matched: &Value| route(kind, priority, member, matched);
            let one = of(Some(1), "httpRoute", &here);
            assert!(ties(&one, &of(Some(1), "httpRoute", &here)));
            for other in [
                of(Some(2), "httpRoute", &here),
                of(None, "httpRoute", &here),
                of(Some(1), "http2Route", &here),
                of(Some(1), "httpRoute", &there),
            ] {
                assert!(!ties(&one, &other), "{other:?}");
            }
            let of = |names| of(None, "http2Route", &headers(names));
            assert!(ties(&of(["a", "b"]), &of(["b", "a"])), "in any order");
            assert!(!ties(&of(["a", "b"]), &of(["a", "c"])));
        }
        let (route, gateway_route) = (
            route(Kind::Route, None, "httpRoute", &here),
            route(Kind::GatewayRoute, None, "httpRoute", &here),
        );
        assert!(!ties(&route, &gateway_route));
        let node = Spec::from_json(Kind::VirtualNode, json!({})).expect("a node");
        assert!(!ties(&node, &node));
    }

    #[test]
    fn both_say_which_of_them_gets_the_requests() {
        let reported = Distribution::Reported(ObjectStatus::default());
        let said = |own: &str, other: &str, distribution: &Distribution| {
            let key = |name: &str| ObjectKey {
                kind: Kind::Route,
                namespace: Some("apps".to_owned()),
                name: name.to_owned(),
            };
            let id = ResourceId::route("m", "r", own);
            in_words(&id, &[Tie { key: key(other), name: other.to_owned() }], distribution)
        };
        let winner = "; Route apps/b has the same priority and match: this one gets all requests, because its name \"a\" comes before \"b\". Change one of them";
        assert_eq!(said("a", "b", &reported), winner);
        let loser = said("b", "a", &reported);
        assert!(
            loser.contains("that one gets all requests, because its name \"a\" comes before \"b\""),
            "{loser}"
        );
        assert!(said("a", "b", &Distribution::Unsupported).contains("for the endpoint to choose"));
    }
}
