//! The verdicts on the tables of specs are the API server's (see `crds.rs`) wherever they are asked for: over the App Mesh REST API
//! each bad spec is a BadRequestException that names the field and the bound, and each good one is created; what breaks a rule
//! of CEL breaks its twin in Rust.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use anyhow::{Result, bail, ensure};
use fleetmesh_crds::judge::RULES;
use fleetmesh_crds::{FleetClassSpec, Judged, RouteActionSpec, with_kind};
use fleetmesh_model::rule::Violation;
use fleetmesh_model::{Collection, Kind, ResourceId};
use fleetmesh_testbed::control_plane::ControlPlane;
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_tests::app_mesh::{AppMeshRequests, message};
use fleetmesh_tests::specs::{self, CaseKind, KubernetesKind};
use kube::core::object::HasSpec;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

#[tokio::test]
async fn the_control_plane_judges_specs_like_the_api_server() -> Result<()> {
    let run = RunDir::new("specs")?;
    let control_plane = ControlPlane::start(&run).await?;
    let api = AppMeshRequests::new(&control_plane.endpoint());
    make_referents(&api).await?;

    let mut objections = Vec::new();
    for (index, case) in specs::app_mesh()?.iter().enumerate() {
        let CaseKind::AppMesh(kind) = case.kind else { bail!("{}: no kind of App Mesh", case.why) };
        let answer = api.try_create(&id(kind, &format!("case-{index}")), &case.spec).await?;
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
    let gateway = json!({ "listeners": [{ "portMapping": { "port": 80, "protocol": "http" } }] });
    let more =
        [(Kind::VirtualService, "serviceb.apps.local", json!({})), (Kind::VirtualGateway, "edge", gateway)];
    for (kind, name, spec) in referents.into_iter().chain(more) {
        api.create(&id(kind, name), &spec).await?;
    }
    Ok(())
}

fn id(kind: Kind, name: &str) -> ResourceId {
    let parents = [
        ResourceId::mesh("apps"),
        ResourceId::virtual_router("apps", "serviceB"),
        ResourceId::virtual_gateway("apps", "edge"),
    ];
    let parent = kind.info().parent.map(|of| parents.iter().find(|parent| parent.kind() == of).unwrap());
    Collection::of(kind, parent).unwrap().member(name)
}

/// What the rules in Rust say of a spec; `None` when the schema would not let it be read at all.
fn violations<S: DeserializeOwned + Judged>(spec: &Value) -> Option<Vec<Violation>> {
    S::deserialize(spec).ok().map(|spec| spec.violations())
}

fn judged(kind: CaseKind, spec: &Value) -> Option<Vec<Violation>> {
    match kind {
        CaseKind::AppMesh(kind) => with_kind!(kind, K => violations::<<K as HasSpec>::Spec>(spec)),
        CaseKind::Kubernetes(KubernetesKind::FleetClass) => violations::<FleetClassSpec>(spec),
        CaseKind::Kubernetes(KubernetesKind::RouteAction) => violations::<RouteActionSpec>(spec),
    }
}

#[test]
fn the_rules_in_rust_judge_like_those_in_cel() -> Result<()> {
    let mut broken = BTreeSet::new();
    for case in specs::kubernetes()? {
        let Some(found) = judged(case.kind, &case.spec) else { continue };
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        let Some(refusal) = &case.refusal else {
            ensure!(found.is_empty(), "{}: is good, but breaks {found:?}", case.why);
            continue;
        };
        // Of a bound, a number or a pattern, that the schema has Rust says nothing.
        let of_words =
            refusal.bound.contains(' ') || refusal.bound.ends_with(':') || refusal.bound.starts_with("--");
        if let Some(rule) = RULES.iter().find(|rule| of_words && rule.message.contains(&refusal.bound)) {
            let objection = case.objection(&Err(found.join("; ")));
            ensure!(objection.is_none(), "{objection:?}");
            broken.insert(rule.message);
        }
    }
    let unbroken: Vec<&str> =
        RULES.iter().map(|rule| rule.message).filter(|rule| !broken.contains(rule)).collect();
    ensure!(unbroken.is_empty(), "no bad spec of the table breaks these: {unbroken:#?}");
    Ok(())
}

#[test]
fn every_rule_of_the_kinds_has_a_twin_in_rust() -> Result<()> {
    let model = fleetmesh_testbed::tools::workspace_dir()?.join("model/src");
    let mut sources = String::new();
    for entry in std::fs::read_dir(model)? {
        let path = entry?.path();
        if path.is_file() {
            sources.push_str(&std::fs::read_to_string(path)?);
        }
    }
    let mut rules = BTreeSet::new();
    for definition in fleetmesh_crds::all() {
        collect(&serde_json::to_value(definition)?, &mut rules);
    }
    let alone: Vec<String> = rules
        .into_iter()
        // What never changes is judged by a change, what is one of several by the types, and the model's by the model.
        .filter(|(cel, _)| !cel.contains("oldSelf") && !cel.ends_with(" == 1"))
        .map(|(_, message)| message)
        .filter(|message| !sources.contains(message) && !RULES.iter().any(|rule| rule.message == message))
        .collect();
    ensure!(alone.is_empty(), "these are in CEL alone: {alone:#?}");
    Ok(())
}

/// The rules below a schema: CEL and message.
fn collect(schema: &Value, rules: &mut BTreeSet<(String, String)>) {
    match schema {
        Value::Object(members) => {
            for rule in
                members.get("x-kubernetes-validations").and_then(Value::as_array).into_iter().flatten()
            {
                let text = |member: &str| rule[member].as_str().unwrap_or_default().to_owned();
                rules.insert((text("rule"), text("message")));
            }
            members.values().for_each(|value| collect(value, rules));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, rules)),
        _ => {}
    }
}
