//! What the tests share: an API on a store in a temporary directory, and requests to it.

use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use fleetmesh_api::commits::{CommitPart, CommitRequest, MAX_PARTS};
use fleetmesh_api::{headers, urls};
use fleetmesh_mesh::identity::Identity;
use fleetmesh_mesh::quota::{Quota, Quotas};
use fleetmesh_mesh::store::TOKENS_PER_MESH;
use http::{Method, Request};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::accounts::Accounts;
use crate::api::Api;
use crate::rights::{KeyHolder, KeyPolicy, Rights};
use crate::store::{SqliteStore, Store};

/// What came back.
#[derive(Debug)]
pub struct ServiceAnswer {
    pub status: u16,
    pub error: Option<String>,
    /// The paths of what is not in force.
    pub unserved: Option<String>,
    pub body: Value,
}

impl ServiceAnswer {
    /// The body of a success.
    pub fn ok(self) -> Value {
        assert_eq!((self.status, &self.error), (200, &None), "{}", self.body);
        self.body
    }

    /// The message of an error, whose type and status must be these.
    pub fn refused(self, error: &str, status: u16) -> String {
        assert_eq!((self.error.as_deref(), self.status), (Some(error), status), "{}", self.body);
        self.body["message"].as_str().expect("a message").to_owned()
    }
}

/// An API and the directory of its store.
pub struct ApiService {
    router: Router,
    /// Those of whoever calls.
    pub rights: Rights,
    pub shutdown: CancellationToken,
    _directory: Option<tempfile::TempDir>,
}

pub fn identity() -> Identity {
    Identity::default()
}

impl ApiService {
    pub fn new() -> Self {
        Self::with(&[], None)
    }

    pub fn with(quotas: &[&str], request_rate: Option<u32>) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let store = SqliteStore::open(directory.path(), &identity(), TOKENS_PER_MESH).expect("a store");
        Self { _directory: Some(directory), ..Self::on(Arc::new(store), quotas, request_rate) }
    }

    /// For the accounts 111122223333, 444455556666 and 777788889999, which share what the file `shares` of `directory` says,
    /// where its store is, too.
    pub fn of_accounts(directory: &Path, quotas: &[&str]) -> Self {
        let others = ["444455556666", "777788889999"].map(|id| id.parse().expect("an account"));
        let identity = Identity { others: others.into(), ..identity() };
        let store = SqliteStore::open(directory, &identity, TOKENS_PER_MESH).expect("a store");
        let accounts = Accounts::read(identity, directory.join("shares")).expect("shares");
        Self::on_for(Arc::new(store), accounts, quotas, None)
    }

    /// The same service, called by who has a key of `account`, or of the first when it is none.
    pub fn called_by(&self, account: Option<&str>) -> Self {
        let account = account.map(|id| id.parse().expect("an account"));
        let policy = KeyPolicy { account, ..KeyPolicy::EVERYTHING };
        let holder = KeyHolder { id: "FMKYTEST".into(), name: "test".into(), policy };
        let (router, shutdown) = (self.router.clone(), self.shutdown.clone());
        Self { router, rights: Rights::Key(Arc::new(holder)), shutdown, _directory: None }
    }

    pub fn on(store: Arc<dyn Store>, quotas: &[&str], request_rate: Option<u32>) -> Self {
        Self::on_for(store, Accounts::new(identity()), quotas, request_rate)
    }

    fn on_for(store: Arc<dyn Store>, accounts: Accounts, quotas: &[&str], request_rate: Option<u32>) -> Self {
        let quotas: Vec<Quota> = quotas.iter().map(|text| text.parse().expect("a quota")).collect();
        let shutdown = CancellationToken::new();
        let api = Api::new(store, accounts, Quotas::new(quotas), request_rate, shutdown.clone());
        let router = Arc::new(api.expect("an API")).router();
        Self { router, rights: Rights::Local, shutdown, _directory: None }
    }

    /// Sends a request below the API's version and checks what every answer has.
    pub async fn call(&self, method: Method, path: &str, body: &Value) -> ServiceAnswer {
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        self.send(method, path, body).await
    }

    /// The same with a body that may still be on its way.
    pub async fn send(&self, method: Method, path: &str, body: Body) -> ServiceAnswer {
        self.send_to(method, &format!("/v20190125{path}"), body).await
    }

    /// Sends a commit of these parts of the mesh `mesh`, which may have a query. The paths of parts are below the API's version.
    pub async fn commit(&self, mesh: &str, parts: &[(Method, &str, Value)]) -> ServiceAnswer {
        let part = |(method, path, body): &(Method, &str, Value)| {
            let (method, path) = (method.to_string(), format!("/v20190125{path}"));
            CommitPart { method, path, body: body.clone() }
        };
        let request = CommitRequest { parts: parts.iter().map(part).collect() };
        self.commit_body(mesh, json!(request).to_string()).await
    }

    /// The same with a body that may be none.
    pub async fn commit_body(&self, mesh: &str, body: String) -> ServiceAnswer {
        let (name, query) = mesh.split_once('?').unwrap_or((mesh, ""));
        let path = format!("{}?{query}", urls::of_mesh(urls::COMMITS, name));
        self.send_to(Method::POST, path.trim_end_matches('?'), Body::from(body)).await
    }

    async fn send_to(&self, method: Method, path: &str, body: Body) -> ServiceAnswer {
        let request = Request::builder().method(method).uri(path);
        let request = request.extension(self.rights.clone()).body(body);
        let response = self.router.clone().oneshot(request.expect("a request")).await.expect("infallible");
        let (head, body) = response.into_parts();
        assert_eq!(head.headers["content-type"], "application/json");
        assert!(head.headers.contains_key("x-amzn-requestid"));
        assert_eq!(head.headers[headers::COMMITS], MAX_PARTS.to_string());
        let header =
            |name: &str| head.headers.get(name).map(|value| value.to_str().expect("text").to_owned());
        let (error, unserved) = (header("x-amzn-errortype"), header(headers::UNSERVED));
        let bytes = body.collect().await.expect("a body").to_bytes();
        ServiceAnswer {
            status: head.status.as_u16(),
            error,
            unserved,
            body: serde_json::from_slice(&bytes).expect("JSON"),
        }
    }

    pub async fn put(&self, path: &str, body: Value) -> ServiceAnswer {
        self.call(Method::PUT, path, &body).await
    }

    pub async fn get(&self, path: &str) -> ServiceAnswer {
        self.call(Method::GET, path, &Value::Null).await
    }

    pub async fn delete(&self, path: &str) -> ServiceAnswer {
        self.call(Method::DELETE, path, &Value::Null).await
    }

    /// A mesh `apps` with node `serviceB` and router `serviceB`, both http2 on port 80.
    pub async fn scenario() -> Self {
        let service = Self::new();
        service.put("/meshes", json!({"meshName": "apps"})).await.ok();
        service.put("/meshes/apps/virtualNodes", node("serviceB", &[80])).await.ok();
        service.put("/meshes/apps/virtualRouters", router("serviceB", &[(80, "http2")])).await.ok();
        service
    }
}

/// The request that creates a node with http2 listeners.
pub fn node(name: &str, ports: &[u16]) -> Value {
    let listener = |port: &u16| json!({"portMapping": {"port": port, "protocol": "http2"}});
    json!({"virtualNodeName": name, "spec": {
        "listeners": ports.iter().map(listener).collect::<Vec<_>>(),
        "serviceDiscovery": {"dns": {"hostname": format!("{name}.apps.local")}},
    }})
}

/// The request that creates a router.
pub fn router(name: &str, listeners: &[(u16, &str)]) -> Value {
    let listener =
        |(port, protocol): &(u16, &str)| json!({"portMapping": {"port": port, "protocol": protocol}});
    json!({"virtualRouterName": name, "spec": {"listeners": listeners.iter().map(listener).collect::<Vec<_>>()}})
}

/// The request that creates a gateway with an http listener.
pub fn gateway(name: &str) -> Value {
    let listener = json!({"portMapping": {"port": 8080, "protocol": "http"}});
    json!({"virtualGatewayName": name, "spec": {"listeners": [listener]}})
}

/// The request that creates a route of a gateway for all paths to the virtual service `service`.
pub fn gateway_route(name: &str, service: &str) -> Value {
    let action = json!({"target": {"virtualService": {"virtualServiceName": service}}});
    json!({"gatewayRouteName": name, "spec": {"httpRoute": {"action": action, "match": {"prefix": "/"}}}})
}

/// The spec of an http2 route for all paths.
pub fn route_spec(targets: &Value) -> Value {
    json!({"http2Route": {"action": {"weightedTargets": targets}, "match": {"prefix": "/"}}})
}

/// The request that creates an http2 route for all paths.
pub fn route(name: &str, targets: &Value) -> Value {
    json!({"routeName": name, "spec": route_spec(targets)})
}
