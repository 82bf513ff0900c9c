//! The Kubernetes API as far as one lane goes: lists and watches end at its namespace, its mesh and nothing else, so that
//! operators of many lanes share an API server and none touches what is another's. Everything else passes as it is.

use anyhow::{Context as _, Result};
use http::{Method, Request, Response, Uri};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

const GROUP: &str = "/apis/fleetmesh.dev/v1alpha1/";

/// A way to the API server on a free port, which ends when dropped.
#[derive(Debug)]
pub struct CrashScope {
    url: String,
    task: JoinHandle<()>,
}

impl CrashScope {
    /// Opens the way for the lane `name`: a namespace and a mesh of that name.
    pub async fn open(client: Client, name: &str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("no free TCP port")?;
        let url = format!("http://{}", listener.local_addr()?);
        let name: std::sync::Arc<str> = name.into();
        let task = tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                let (client, name) = (client.clone(), name.clone());
                let service = service_fn(move |request| {
                    let (client, name) = (client.clone(), name.clone());
                    async move { pass(client, &name, request).await }
                });
                // An operator that dies closes its connections: that is what these tests are about.
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Ok(Self { url, task })
    }

    /// A kubeconfig that goes this way.
    pub fn kubeconfig(&self) -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "lane", "cluster": {"server": self.url}}],
            "users": [{"name": "operator", "user": {}}],
            "contexts": [{"name": "lane", "context": {"cluster": "lane", "user": "operator"}}],
            "current-context": "lane",
        })
    }
}

impl Drop for CrashScope {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(client: Client, name: &str, request: Request<Incoming>) -> Result<Response<Body>> {
    let (mut parts, body) = request.into_parts();
    if parts.method == Method::GET {
        parts.uri = narrowed(&parts.uri, name)?;
    }
    parts.headers.remove(http::header::HOST);
    let body = body.collect().await?.to_bytes();
    Ok(client.send(Request::from_parts(parts, Body::from(body))).await?)
}

/// Where a list or a watch of everything finds what is the lane's.
fn narrowed(uri: &Uri, name: &str) -> Result<Uri> {
    let (path, query) = (uri.path(), uri.query().unwrap_or_default());
    let by_name = || Ok(format!("{path}?{query}&fieldSelector=metadata.name%3D{name}").parse()?);
    match path.strip_prefix(GROUP) {
        Some("meshes") => by_name(),
        // An admin's, for every lane.
        Some("fleetclasses" | "metricproviders" | "webhookproviders") => Ok(uri.clone()),
        Some(plural) if !plural.contains('/') => {
            Ok(format!("{GROUP}namespaces/{name}/{plural}?{query}").parse()?)
        }
        None if path == "/api/v1/namespaces" => by_name(),
        _ => Ok(uri.clone()),
    }
}

#[test]
fn what_lists_everything_is_narrowed_and_nothing_else() {
    let narrowed = |uri: &str| narrowed(&uri.parse().unwrap(), "lane-1").unwrap().to_string();
    let cases = [
        (
            "/apis/fleetmesh.dev/v1alpha1/meshes?watch=true",
            "/apis/fleetmesh.dev/v1alpha1/meshes?watch=true&fieldSelector=metadata.name%3Dlane-1",
        ),
        (
            "/apis/fleetmesh.dev/v1alpha1/routes?limit=500",
            "/apis/fleetmesh.dev/v1alpha1/namespaces/lane-1/routes?limit=500",
        ),
        ("/api/v1/namespaces?", "/api/v1/namespaces?&fieldSelector=metadata.name%3Dlane-1"),
        ("/api/v1/namespaces/kube-system", "/api/v1/namespaces/kube-system"),
        ("/apis/fleetmesh.dev/v1alpha1/meshes/other", "/apis/fleetmesh.dev/v1alpha1/meshes/other"),
    ];
    for (asked, passed) in cases {
        assert_eq!(narrowed(asked), passed);
    }
}
