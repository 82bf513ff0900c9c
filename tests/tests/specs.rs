//! The control plane's verdict on the table of specs is the API server's (see `crds.rs`): over the App Mesh REST API, each
//! bad spec is a BadRequestException that names the field and the bound, and each good one is created.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use anyhow::{Context as _, Result, ensure};
use fleetmesh_model::Kind;
use fleetmesh_testbed::control_plane::ControlPlane;
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_tests::specs;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

#[tokio::test]
async fn the_control_plane_judges_specs_like_the_api_server() -> Result<()> {
    let run = RunDir::new("specs")?;
    let control_plane = ControlPlane::start(&run).await?;
    let api = Api::new(&control_plane);
    api.make_referents().await?;

    let mut objections = Vec::new();
    for (index, case) in specs::app_mesh()?.iter().enumerate() {
        let answer = api.create(case.kind, &format!("case-{index}"), &case.spec).await?;
        let verdict = match answer.status().as_u16() {
            200 => Ok(()),
            400 if answer.headers()["x-amzn-errortype"] == "BadRequestException" => Err(message(&answer)?),
            status => Err(format!("not a bad request, but {status}: {}", message(&answer)?)),
        };
        objections.extend(case.objection(&verdict));
    }
    ensure!(objections.is_empty(), "{} wrong verdicts:\n{}", objections.len(), objections.join("\n"));
    Ok(())
}

/// The App Mesh API, as plain requests.
struct Api {
    endpoint: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Api {
    fn new(control_plane: &ControlPlane) -> Self {
        Self {
            endpoint: control_plane.endpoint(),
            client: Client::builder(TokioExecutor::new()).build_http(),
        }
    }

    /// What the good specs refer to.
    async fn make_referents(&self) -> Result<()> {
        let listener = |port: u16| json!({ "portMapping": { "port": port, "protocol": "http2" } });
        let node = |listeners: Value| json!({ "listeners": listeners, "serviceDiscovery": { "dns": { "hostname": "b" } } });
        let referents = [
            (Kind::Mesh, "apps", json!({})),
            // A router without listeners takes routes of every protocol.
            (Kind::VirtualRouter, "serviceB", json!({})),
            (Kind::VirtualNode, "serviceA", node(json!([listener(80)]))),
            (Kind::VirtualNode, "serviceB", node(json!([listener(80)]))),
            (Kind::VirtualNode, "serviceBv2", node(json!([listener(80)]))),
            (Kind::VirtualNode, "b", node(json!([listener(80), listener(81)]))),
        ];
        for (kind, name, spec) in referents {
            let answer = self.create(kind, name, &spec).await?;
            ensure!(answer.status() == 200, "{kind} {name}: {}", message(&answer)?);
        }
        Ok(())
    }

    async fn create(&self, kind: Kind, name: &str, spec: &Value) -> Result<Response<Bytes>> {
        let (path, name_member) = match kind {
            Kind::Mesh => ("meshes", "meshName"),
            Kind::VirtualNode => ("meshes/apps/virtualNodes", "virtualNodeName"),
            Kind::VirtualRouter => ("meshes/apps/virtualRouters", "virtualRouterName"),
            Kind::Route => ("meshes/apps/virtualRouter/serviceB/routes", "routeName"),
            Kind::VirtualService => ("meshes/apps/virtualServices", "virtualServiceName"),
        };
        let body = json!({ name_member: name, "spec": spec }).to_string();
        let request = Request::put(format!("{}/v20190125/{path}", self.endpoint))
            .header("content-type", "application/json")
            .body(Full::from(body))?;
        let (parts, body) = self.client.request(request).await?.into_parts();
        Ok(Response::from_parts(parts, body.collect().await?.to_bytes()))
    }
}

fn message(answer: &Response<Bytes>) -> Result<String> {
    let body: Value = serde_json::from_slice(answer.body())?;
    let message = body["message"].as_str().context("an error has a message")?;
    Ok(message.to_owned())
}
