//! The control plane's verdict on the table of specs is the API server's (see `crds.rs`): over the App Mesh REST API, each
//! bad spec is a BadRequestException that names the field and the bound, and each good one is created.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use anyhow::{Result, ensure};
use fleetmesh_model::{Kind, ResourceId};
use fleetmesh_testbed::control_plane::ControlPlane;
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_tests::app_mesh::{AppMeshRequests, message};
use fleetmesh_tests::specs;
use serde_json::{Value, json};

#[tokio::test]
async fn the_control_plane_judges_specs_like_the_api_server() -> Result<()> {
    let run = RunDir::new("specs")?;
    let control_plane = ControlPlane::start(&run).await?;
    let api = AppMeshRequests::new(&control_plane.endpoint());
    make_referents(&api).await?;

    let mut objections = Vec::new();
    for (index, case) in specs::app_mesh()?.iter().enumerate() {
        let answer = api.try_create(&id(case.kind, &format!("case-{index}")), &case.spec).await?;
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

/// What the good specs refer to.
async fn make_referents(api: &AppMeshRequests) -> Result<()> {
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
        api.create(&id(kind, name), &spec).await?;
    }
    Ok(())
}

fn id(kind: Kind, name: &str) -> ResourceId {
    match kind {
        Kind::Mesh => ResourceId::mesh(name),
        Kind::VirtualNode => ResourceId::virtual_node("apps", name),
        Kind::VirtualRouter => ResourceId::virtual_router("apps", name),
        Kind::Route => ResourceId::route("apps", "serviceB", name),
        Kind::VirtualService => ResourceId::virtual_service("apps", name),
    }
}
