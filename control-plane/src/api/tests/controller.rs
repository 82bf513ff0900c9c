//! What AWS's App Mesh controller for Kubernetes sends for one application, in our own words: it describes an object, creates
//! it when there is none, updates it with its whole spec when the spec that came back differs from the one it wants, and
//! takes an object that is `ACTIVE` for done. On deletion it removes an object until there is none. An API that changes a
//! spec, or answers with another error than the one it looks for, makes it try for ever.

use http::Method;
use serde_json::{Value, json};

use super::service::{ApiService, ServiceAnswer};

const ROUTES: &str = "/meshes/apps/virtualRouter/colors-ns/routes";

/// An object as the controller sees it: where it is created, the member and the name in the request, its spec.
struct Wanted {
    collection: &'static str,
    member: &'static str,
    name: &'static str,
    spec: Value,
}

impl Wanted {
    fn path(&self) -> String {
        format!("{}/{}", self.collection, self.name)
    }

    /// One reconcile; returns how many requests changed something.
    async fn reconcile(&self, service: &ApiService) -> u32 {
        let found = service.get(&self.path()).await;
        if found.status == 404 {
            assert_eq!(found.error.as_deref(), Some("NotFoundException"), "{}", self.name);
            let tags = json!([{ "key": "appmesh.k8s.aws/cluster", "value": "one" }]);
            let created = service
                .put(self.collection, json!({ self.member: self.name, "spec": self.spec, "tags": tags }))
                .await;
            return self.settle(created);
        }
        let back = found.ok();
        if back["spec"] == self.spec {
            assert_eq!(back["status"]["status"], "ACTIVE", "{}", self.name);
            return 0;
        }
        self.settle(service.put(&self.path(), json!({ "spec": self.spec })).await)
    }

    /// A success whose spec is the one that was sent.
    fn settle(&self, answer: ServiceAnswer) -> u32 {
        let body = answer.ok();
        assert_eq!(body["spec"], self.spec, "{}", self.name);
        assert_eq!(body["status"]["status"], "ACTIVE", "{}", self.name);
        1
    }

    /// A finalizer's attempt to remove it: whether it is gone.
    async fn finalize(&self, service: &ApiService) -> bool {
        let answer = service.call(Method::DELETE, &self.path(), &Value::Null).await;
        match answer.error.as_deref() {
            None => {
                assert_eq!(answer.ok()["status"]["status"], "DELETED", "{}", self.name);
                true
            }
            Some("NotFoundException") => true,
            Some("ResourceInUseException") => false,
            Some(other) => panic!("{}: {other}", self.name),
        }
    }
}

/// A namespace `ns` with a node, a router with two routes, a service, a gateway and its route, with the members that the
/// controller always sets.
fn application() -> Vec<Wanted> {
    let mapping = json!({ "port": 8080, "protocol": "http" });
    let check = json!({
        "protocol": "http", "path": "/ping", "port": 8080, "healthyThreshold": 2, "unhealthyThreshold": 2,
        "timeoutMillis": 2000, "intervalMillis": 5000,
    });
    let node = json!({
        "listeners": [{ "portMapping": mapping, "healthCheck": check }],
        "serviceDiscovery": { "dns": { "hostname": "blue.ns.svc.cluster.local" } },
        "backends": [{ "virtualService": { "virtualServiceName": "db.ns.svc.cluster.local" } }],
        "logging": { "accessLog": { "file": { "path": "/dev/stdout" } } },
    });
    let action = json!({ "weightedTargets": [{ "virtualNode": "blue-ns", "weight": 1 }] });
    let header = json!([{ "name": "color", "match": { "exact": "blue" }, "invert": false }]);
    let by_header = json!({ "priority": 10, "httpRoute": {
        "match": { "prefix": "/", "headers": header }, "action": action,
        "retryPolicy": { "maxRetries": 1, "perRetryTimeout": { "unit": "ms", "value": 2000 },
            "httpRetryEvents": ["server-error"], "tcpRetryEvents": ["connection-error"] },
    } });
    let rest = json!({ "priority": 20, "httpRoute": { "match": { "prefix": "/" }, "action": action } });
    let target = json!({ "virtualService": { "virtualServiceName": "colors.ns.svc.cluster.local" } });
    let wanted = |collection, member, name, spec| Wanted { collection, member, name, spec };
    vec![
        wanted("/meshes", "meshName", "apps", json!({ "egressFilter": { "type": "DROP_ALL" } })),
        wanted("/meshes/apps/virtualNodes", "virtualNodeName", "blue-ns", node),
        wanted(
            "/meshes/apps/virtualRouters",
            "virtualRouterName",
            "colors-ns",
            json!({ "listeners": [{ "portMapping": mapping }] }),
        ),
        wanted(ROUTES, "routeName", "blue", by_header),
        wanted(ROUTES, "routeName", "rest", rest),
        wanted(
            "/meshes/apps/virtualServices",
            "virtualServiceName",
            "colors.ns.svc.cluster.local",
            json!({ "provider": { "virtualRouter": { "virtualRouterName": "colors-ns" } } }),
        ),
        wanted(
            "/meshes/apps/virtualGateways",
            "virtualGatewayName",
            "ingress-ns",
            json!({ "listeners": [{ "portMapping": { "port": 8088, "protocol": "http" } }] }),
        ),
        wanted(
            "/meshes/apps/virtualGateway/ingress-ns/gatewayRoutes",
            "gatewayRouteName",
            "all-ns",
            json!({ "httpRoute": { "match": { "prefix": "/" }, "action": { "target": target } } }),
        ),
    ]
}

#[tokio::test]
async fn objects_of_awss_controller_settle_at_once_and_stay_active() {
    let service = ApiService::new();
    let mut wanted = application();
    for object in &wanted {
        assert_eq!(object.reconcile(&service).await, 1, "{}", object.name);
    }
    // It looks at everything again every ten hours, and after each restart: nothing is to do.
    for object in &wanted {
        assert_eq!(object.reconcile(&service).await, 0, "{}", object.name);
    }
    // It finds out by a list which routes a router should not have.
    let listed = service.get(&format!("{ROUTES}?limit=100")).await.ok();
    let names: Vec<&str> =
        listed["routes"].as_array().unwrap().iter().filter_map(|route| route["routeName"].as_str()).collect();
    assert_eq!(names, ["blue", "rest"]);
    // An edited object is written once.
    wanted[1].spec["listeners"][0]["healthCheck"]["path"] = json!("/health");
    wanted[4].spec["priority"] = json!(30);
    for (index, object) in wanted.iter().enumerate() {
        assert_eq!(object.reconcile(&service).await, u32::from([1, 4].contains(&index)), "{}", object.name);
    }
}

#[tokio::test]
async fn finalizers_of_awss_controller_end_in_whatever_order_they_run() {
    let service = ApiService::new();
    let wanted = application();
    for object in &wanted {
        object.reconcile(&service).await;
    }
    // A create whose answer was lost: the controller finds it and takes it for its own.
    let again =
        service.put(wanted[2].collection, json!({ "virtualRouterName": "colors-ns", "spec": {} })).await;
    again.refused("ConflictException", 409);
    // Each finalizer is tried until it succeeds; the mesh, which everything lies in, first.
    let mut left: Vec<&Wanted> = wanted.iter().collect();
    for attempt in 0.. {
        let mut held = Vec::new();
        for object in left {
            if !object.finalize(&service).await {
                held.push(object);
            }
        }
        left = held;
        if left.is_empty() {
            break;
        }
        assert!(attempt < wanted.len(), "{} objects never go", left.len());
    }
    for object in &wanted {
        assert_eq!(service.get(&object.path()).await.status, 404, "{}", object.name);
        assert!(object.finalize(&service).await, "{}: gone twice", object.name);
    }
}
