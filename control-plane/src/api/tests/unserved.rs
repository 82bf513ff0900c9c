//! What is stored and not in force: `status.status`, and the header with its paths.

use serde_json::{Value, json};

use super::service::{ApiService, node};

const NODES: &str = "/meshes/apps/virtualNodes";
const NODE: &str = "/meshes/apps/virtualNodes/n";

fn with_tls(mode: &str, certificate: &Value) -> Value {
    let mut request = node("n", &[80]);
    request["spec"]["listeners"][0]["tls"] = json!({"mode": mode, "certificate": certificate});
    request
}

#[tokio::test]
async fn a_node_is_inactive_exactly_while_only_aws_could_serve_a_member_of_it() {
    let service = ApiService::scenario().await;
    let acm = json!({"acm": {"certificateArn": "arn:aws:acm:us-west-2:111122223333:certificate/x"}});
    let file = json!({"file": {"certificateChain": "/c.pem", "privateKey": "/k.pem"}});
    let path = "spec.listeners[0].tls.certificate.acm";
    let said = |answer: super::service::ServiceAnswer| {
        let unserved = answer.unserved.clone();
        (answer.ok()["status"]["status"].as_str().expect("a status").to_owned(), unserved)
    };
    let inactive = ("INACTIVE".to_owned(), Some(path.to_owned()));
    let active = ("ACTIVE".to_owned(), None);

    assert_eq!(said(service.put(NODES, with_tls("STRICT", &acm)).await), inactive);
    assert_eq!(said(service.get(NODE).await), inactive);
    for (mode, certificate, expected) in
        [("STRICT", &file, &active), ("PERMISSIVE", &acm, &inactive), ("DISABLED", &acm, &active)]
    {
        let spec = with_tls(mode, certificate)["spec"].clone();
        assert_eq!(said(service.put(NODE, json!({"spec": spec})).await), *expected, "{mode}");
        assert_eq!(said(service.get(NODE).await), *expected, "{mode}");
    }
    // What could be served leaves it ACTIVE, and is named all the same.
    let mut spec = node("n", &[80])["spec"].clone();
    spec["listeners"][0]["healthCheck"] = json!({"healthyThreshold": 2, "intervalMillis": 5000, "protocol": "grpc", "timeoutMillis": 2000, "unhealthyThreshold": 2});
    spec["listeners"][0]["portMapping"]["protocol"] = json!("http");
    let hindered = ("ACTIVE".to_owned(), Some("spec.listeners[0].healthCheck".to_owned()));
    assert_eq!(said(service.put(NODE, json!({"spec": spec})).await), hindered);
    let mesh = service.put("/meshes", json!({"meshName": "other"})).await;
    assert_eq!(said(mesh), active);
    assert_eq!(service.get(NODES).await.unserved, None, "a list says nothing of single objects");
    let deleted = service.delete("/meshes/apps/virtualNodes/serviceB").await;
    assert_eq!(deleted.unserved, None);
}

#[tokio::test]
async fn a_backend_that_does_not_exist_and_a_route_without_requests_are_named_in_the_header() {
    let service = ApiService::scenario().await;
    let mut calling = node("n", &[80]);
    calling["spec"]["backends"] = json!([{"virtualService": {"virtualServiceName": "missing.local"}}]);
    let made = service.put(NODES, calling).await;
    let path = "spec.backends[0].virtualService.virtualServiceName";
    assert_eq!(made.unserved.as_deref(), Some(path));
    assert_eq!(made.ok()["status"]["status"], "ACTIVE");
    service
        .put("/meshes/apps/virtualServices", json!({"virtualServiceName": "missing.local", "spec": {}}))
        .await
        .ok();
    assert_eq!(service.get(NODE).await.unserved, None);

    let routes = "/meshes/apps/virtualRouter/serviceB/routes";
    let route = |name: &str| {
        let action = json!({"weightedTargets": [{"virtualNode": "n", "port": 80, "weight": 1}]});
        json!({"routeName": name, "spec": {"priority": 7, "http2Route": {"match": {"prefix": "/tied"}, "action": action}}})
    };
    let first = service.put(routes, route("tied-a")).await;
    let second = service.put(routes, route("tied-b")).await;
    assert_eq!((first.unserved.clone(), first.status), (None, 200), "{first:?}");
    assert_eq!(second.unserved.as_deref(), Some("spec.http2Route.match"), "{second:?}");
}
