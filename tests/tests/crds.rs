//! What a user of the Kubernetes API gets from the CRDs alone, on a real kube-apiserver and with no operator: which specs
//! are refused and how, what can never change, what kubectl explains and prints, and that every sample is accepted.
//!
//! One cluster serves all sections; each section has a namespace of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use fleetmesh_crds::{FleetClass, MeshResource, RouteAction, with_kind};
use fleetmesh_model::Kind;
use fleetmesh_testbed::cluster::Cluster;
use fleetmesh_testbed::kubectl::Kubectl;
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::{tools, wait};
use fleetmesh_tests::objects::client;
use fleetmesh_tests::specs::{self, Case, CaseKind, KubernetesKind};
use http::Request;
use kube::Resource as _;
use serde_json::{Value, json};

/// How long the API server may take to serve a new definition.
const SERVED: Duration = Duration::from_secs(60);
/// What the specs of Kubernetes' own table lack: the identity fields that a kind cannot be without.
const IN_A_MESH: (&str, &str) = ("meshName", "apps");

#[tokio::test]
async fn the_api_server_keeps_what_the_definitions_promise() -> Result<()> {
    let run = RunDir::new("crds")?;
    let cluster = Cluster::start(&run).await?;
    let kubectl = cluster.kubectl()?;
    definitions_are_established(&kubectl).await.context("definitions")?;

    let client = client(&cluster.admin_kubeconfig()).await?;
    judges_like_the_table(&client, app_mesh_cases()?).await.context("specs of App Mesh")?;
    judges_like_the_table(&client, specs::kubernetes()?).await.context("specs of Kubernetes alone")?;
    names_never_change(&kubectl).await.context("immutability")?;
    kubectl_explains(&kubectl).await.context("kubectl explain")?;
    kubectl_prints_columns(&kubectl).await.context("kubectl get")?;
    stored_identities_go_on(&cluster, &kubectl).await.context("identities of earlier releases")?;
    nothing_is_done_before_the_first_report(&kubectl).await.context("status")?;
    samples_are_accepted(&kubectl).await.context("samples")?;
    gitops_samples_are_well_formed(&kubectl).await.context("samples/gitops")
}

/// A resource that an earlier release let name path and boundary is kept, can be written and be deleted; that it names them is
/// refused when somebody changes it there, and it can be mended.
async fn stored_identities_go_on(cluster: &Cluster, kubectl: &Kubectl) -> Result<()> {
    kubectl.run(&["create", "namespace", "stored"]).await?;
    let node = json!({ "apiVersion": "fleetmesh.dev/v1alpha1", "kind": "VirtualNode",
        "metadata": { "name": "old", "namespace": "stored", "uid": "184552a4-9b47-4dd5-99b0-747ade1d97c4",
            "generation": 1, "creationTimestamp": "2026-11-28T04:56:30Z", "finalizers": ["example.com/held"] },
        "spec": { "meshName": "apps", "iam": { "path": "/mesh/",
            "permissionsBoundary": "arn:aws:iam::111122223333:policy/boundary" } } });
    cluster.etcd()?.put("/registry/fleetmesh.dev/virtualnodes/stored/old", &node.to_string()).await?;
    let patch = async |patch: &str| {
        let patch = ["--namespace", "stored", "patch", "virtualnode/old", "--type=merge", "-p", patch];
        kubectl.capture(&patch).await?.success()
    };
    patch(r#"{"spec":{"tags":{"team":"web"}}}"#).await.context("another member")?;
    patch(r#"{"metadata":{"finalizers":["example.com/held","example.com/too"]}}"#)
        .await
        .context("finalizers")?;
    let status =
        ["--namespace", "stored", "patch", "virtualnode/old", "--subresource=status", "--type=merge"];
    let report = r#"{"status":{"observedGeneration":1}}"#;
    kubectl.run(&[&status[..], &["-p", report]].concat()).await.context("the status")?;
    let other = r#"{"spec":{"iam":{"permissionsBoundary":"arn:aws:iam::111122223333:policy/other"}}}"#;
    let refusal = patch(other).await.expect_err("another boundary");
    let refusal = format!("{refusal:#}");
    ensure!(refusal.contains("--iam-permissions-boundary"), "{refusal}");
    patch(r#"{"spec":{"iam":{"path":null,"permissionsBoundary":null}}}"#).await.context("to mend it")?;
    patch(r#"{"metadata":{"finalizers":[]}}"#).await.context("to let go")?;
    kubectl.run(&["--namespace", "stored", "delete", "virtualnode/old", "--timeout=60s"]).await?;
    Ok(())
}

/// Every definition is accepted without a warning, structural, and served.
async fn definitions_are_established(kubectl: &Kubectl) -> Result<()> {
    let folder = root()?.join("crds/yaml");
    let applied = kubectl.capture(&["apply", "-f", text(&folder)]).await?;
    ensure!(applied.stderr.is_empty(), "the API server warns: {}", applied.stderr);
    applied.success()?;
    for definition in fleetmesh_crds::all() {
        let name = definition.metadata.name.context("a name")?;
        wait::until(&format!("{name} is served"), SERVED, async || {
            let crd = kubectl.json(&["get", "crd", &name]).await?;
            let holds = |kind: &str| {
                crd["status"]["conditions"].as_array().is_some_and(|conditions| {
                    conditions.iter().any(|one| one["type"] == kind && one["status"] == "True")
                })
            };
            ensure!(!holds("NonStructuralSchema"), "the schema of {name} is not structural");
            Ok(holds("Established").then_some(()))
        })
        .await?;
    }
    Ok(())
}

/// The table of App Mesh specs, completed by the identity fields of custom resources.
fn app_mesh_cases() -> Result<Vec<Case>> {
    let mut cases = specs::app_mesh()?;
    for case in &mut cases {
        if case.kind != CaseKind::AppMesh(Kind::Mesh) {
            case.spec[IN_A_MESH.0] = json!(IN_A_MESH.1);
        }
        if case.kind == CaseKind::AppMesh(Kind::GatewayRoute) {
            case.spec["virtualGatewayName"] = json!("edge");
        }
        if case.kind == CaseKind::AppMesh(Kind::Route) {
            case.spec["virtualRouterName"] = json!("serviceB");
        }
    }
    Ok(cases)
}

async fn judges_like_the_table(client: &kube::Client, cases: Vec<Case>) -> Result<()> {
    let mut objections = Vec::new();
    for mut case in cases {
        if case.beyond_cel {
            case.refusal = None;
        }
        let verdict = create(client, case.kind, &case.spec).await?;
        objections.extend(case.objection(&verdict));
    }
    ensure!(objections.is_empty(), "{} wrong verdicts:\n{}", objections.len(), objections.join("\n"));
    Ok(())
}

/// Asks the API server to create a resource as kubectl does, strictly, without keeping it: the refusal's message.
async fn create(client: &kube::Client, kind: CaseKind, spec: &Value) -> Result<Result<(), String>> {
    let manifest = json!({
        "apiVersion": format!("{}/{}", fleetmesh_crds::GROUP, fleetmesh_crds::VERSION),
        "kind": kind_name(kind),
        "metadata": { "name": "case" },
        "spec": spec,
    });
    let collection = match kind {
        CaseKind::AppMesh(kind) => {
            let namespace = kind.info().parent.map(|_| "default");
            with_kind!(kind, K => collection::<K>(namespace))
        }
        CaseKind::Kubernetes(KubernetesKind::FleetClass) => FleetClass::url_path(&(), None),
        CaseKind::Kubernetes(KubernetesKind::RouteAction) => RouteAction::url_path(&(), Some("default")),
    };
    let request = Request::post(format!("{collection}?dryRun=All&fieldValidation=Strict"))
        .header("content-type", "application/json")
        .body(serde_json::to_vec(&manifest)?)?;
    match client.request::<Value>(request).await {
        Ok(_) => Ok(Ok(())),
        Err(kube::Error::Api(status)) => Ok(Err(status.message)),
        Err(error) => Err(error.into()),
    }
}

fn kind_name(kind: CaseKind) -> &'static str {
    match kind {
        CaseKind::AppMesh(kind) => kind.as_str(),
        CaseKind::Kubernetes(KubernetesKind::FleetClass) => "FleetClass",
        CaseKind::Kubernetes(KubernetesKind::RouteAction) => "RouteAction",
    }
}

fn collection<K: MeshResource>(namespace: Option<&str>) -> String {
    K::url_path(&(), namespace)
}

/// Identity: each row edits a resource that exists.
async fn names_never_change(kubectl: &Kubectl) -> Result<()> {
    kubectl.run(&["create", "namespace", "immutable"]).await?;
    apply(kubectl, "immutable", &router("by-metadata", &json!({ "meshName": "apps" }))).await?;
    apply(
        kubectl,
        "immutable",
        &router("by-field", &json!({ "meshName": "apps", "virtualRouterName": "Serious" })),
    )
    .await?;
    apply(kubectl, "immutable", &a_route("in-a-router")).await?;
    apply(kubectl, "immutable", &json!({ "apiVersion": "fleetmesh.dev/v1alpha1", "kind": "Mesh", "metadata": { "name": "fixed" }, "spec": {} }))
        .await?;

    let refused = [
        (
            "virtualrouter/by-metadata",
            json!({ "meshName": "other" }),
            "spec.meshName",
            "meshName is immutable",
        ),
        (
            "virtualrouter/by-metadata",
            json!({ "virtualRouterName": "late" }),
            "spec.virtualRouterName",
            "is immutable",
        ),
        (
            "virtualrouter/by-field",
            json!({ "virtualRouterName": "Other" }),
            "spec.virtualRouterName",
            "is immutable",
        ),
        (
            "virtualrouter/by-field",
            json!({ "virtualRouterName": null }),
            "spec.virtualRouterName",
            "is immutable",
        ),
        (
            "route/in-a-router",
            json!({ "virtualRouterName": "other" }),
            "spec.virtualRouterName",
            "is immutable",
        ),
        ("route/in-a-router", json!({ "routeName": "late" }), "spec.routeName", "is immutable"),
        ("mesh/fixed", json!({ "meshName": "late" }), "spec.meshName", "is immutable"),
    ];
    for (object, spec, field, words) in refused {
        let message = patch(kubectl, object, &spec).await?.err();
        let message = message.with_context(|| format!("{object} was changed by {spec}"))?;
        ensure!(message.contains(field) && message.contains(words), "{object} by {spec}: {message}");
    }
    let accepted = [
        // To write down the name that is in effect changes nothing.
        ("virtualrouter/by-metadata", json!({ "virtualRouterName": "by-metadata" })),
        (
            "virtualrouter/by-field",
            json!({ "listeners": [], "deletionPolicy": "Retain", "tags": { "a": "b" } }),
        ),
        ("route/in-a-router", json!({ "priority": 1 })),
        ("mesh/fixed", json!({ "meshName": "fixed", "egressFilter": { "type": "ALLOW_ALL" } })),
    ];
    for (object, spec) in accepted {
        patch(kubectl, object, &spec)
            .await?
            .map_err(|message| anyhow::anyhow!("{object} by {spec}: {message}"))?;
    }
    Ok(())
}

async fn kubectl_explains(kubectl: &Kubectl) -> Result<()> {
    let rows = [
        ("mesh.spec.allowedNamespaces", "selector"),
        ("virtualnode.spec.listeners.healthCheck.intervalMillis", "5000 to 300000"),
        ("virtualrouter.spec.listeners.portMapping.protocol", "http2"),
        ("route.spec.http2Route.action.weightedTargets.weight", "0 to 100"),
        ("virtualservice.spec.provider", "virtualRouter"),
        ("route.status.conditions", "Accepted, ResolvedRefs, Programmed and Ready"),
    ];
    for (path, words) in rows {
        let explained = kubectl.run(&["explain", path]).await?;
        ensure!(explained.contains(words), "{path} does not explain {words:?}:\n{explained}");
    }
    Ok(())
}

/// The columns show the status, also after the API server dropped what the status schema does not know.
async fn kubectl_prints_columns(kubectl: &Kubectl) -> Result<()> {
    kubectl.run(&["create", "namespace", "columns"]).await?;
    apply(kubectl, "columns", &a_route("split")).await?;
    let ready = json!({ "type": "Ready", "status": "True", "reason": "Ready", "message": "all is well", "lastTransitionTime": "2026-11-23T00:00:00Z", "observedGeneration": 1 });
    let status = json!({ "status": {
        "observedGeneration": 1, "appMeshName": "Split", "weights": "serviceB=75 serviceBv2=25", "version": 2,
        "proxies": { "connected": 3, "programmed": 3 }, "conditions": [ready],
    }});
    let patch = status.to_string();
    let arguments =
        ["patch", "route", "split", "-n", "columns", "--subresource=status", "--type=merge", "-p", &patch];
    kubectl.run(&arguments).await?;
    kubectl.run(&["wait", "route/split", "-n", "columns", "--for=condition=Ready", "--timeout=10s"]).await?;

    let table = kubectl.run(&["get", "froute", "-n", "columns"]).await?;
    let rows: Vec<Vec<&str>> = table.lines().map(columns_of).collect();
    let header = ["NAME", "ROUTER", "PHASE", "STEP", "WEIGHTS", "HOLD", "READY", "REASON", "AGE"];
    ensure!(rows.first().is_some_and(|row| row == &header), "{table}");
    // Without a canary there is neither phase nor step nor hold.
    let row = ["split", "serviceB", "serviceB=75 serviceBv2=25", "True", "Ready"];
    ensure!(rows.get(1).is_some_and(|found| found.starts_with(&row)), "{table}");

    let category = kubectl.run(&["get", "fleetmesh", "-n", "columns", "-o", "wide"]).await?;
    ensure!(category.contains("route.fleetmesh.dev/split") && category.contains("all is well"), "{category}");
    Ok(())
}

/// kubectl separates columns by at least two or, at the widest cell, three blanks.
fn columns_of(line: &str) -> Vec<&str> {
    line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect()
}

/// No operator runs here: kstatus must not take what nobody has looked at for done.
async fn nothing_is_done_before_the_first_report(kubectl: &Kubectl) -> Result<()> {
    kubectl.run(&["create", "namespace", "unseen"]).await?;
    apply(kubectl, "unseen", &a_route("new")).await?;
    let route = kubectl.json(&["get", "route", "new", "-n", "unseen"]).await?;
    ensure!(route["status"] == json!({ "observedGeneration": -1 }), "{route}");
    ensure!(route["metadata"]["generation"] == 1, "{route}");
    Ok(())
}

/// Each folder alone, before its namespace exists, in the reverse order of its files, then in order, then again.
async fn samples_are_accepted(kubectl: &Kubectl) -> Result<()> {
    let samples = root()?.join("samples");
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(&samples)? {
        let path = entry?.path();
        // Objects of other projects' kinds (see below), and what is no object.
        folders.extend(
            (path.is_dir() && !["gitops", "systemd"].iter().any(|other| path.ends_with(other)))
                .then_some(path),
        );
    }
    folders.sort();
    ensure!(folders.len() >= 5, "the samples: {folders:?}");
    for folder in folders {
        let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<_, _>>()?;
        files.sort();
        for _ in 0..2 {
            // On the first try the namespace may be missing until its file, the last one, was applied.
            for file in files.iter().rev() {
                kubectl.capture(&["apply", "--validate=strict", "-f", text(file)]).await?;
            }
        }
        kubectl.apply(&folder).await?;
        let again = kubectl.apply(&folder).await?;
        ensure!(again.lines().all(|line| line.ends_with("unchanged")), "applied again: {again}");
        let objects = again.lines().count();
        ensure!(objects >= files.len(), "{} applied {objects} objects", folder.display());
    }
    Ok(())
}

/// The kinds of Flux and Argo CD: group, version, kind, plural.
const FOREIGN: [[&str; 4]; 4] = [
    ["source.toolkit.fluxcd.io", "v1", "GitRepository", "gitrepositories"],
    ["kustomize.toolkit.fluxcd.io", "v1", "Kustomization", "kustomizations"],
    ["helm.toolkit.fluxcd.io", "v2", "HelmRelease", "helmreleases"],
    ["argoproj.io", "v1alpha1", "Application", "applications"],
];

/// Neither Flux nor Argo CD is at hand: stand-ins of their kinds take any member, so this shows that the files are well
/// formed and name these kinds, and no more.
async fn gitops_samples_are_well_formed(kubectl: &Kubectl) -> Result<()> {
    for [group, version, kind, plural] in FOREIGN {
        let open =
            json!({ "openAPIV3Schema": { "type": "object", "x-kubernetes-preserve-unknown-fields": true } });
        let definition = json!({
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": { "name": format!("{plural}.{group}") },
            "spec": {
                "group": group,
                "scope": "Namespaced",
                "names": { "kind": kind, "plural": plural, "singular": kind.to_lowercase() },
                "versions": [{ "name": version, "served": true, "storage": true, "schema": open }],
            },
        });
        apply(kubectl, "default", &definition).await?;
        let name = format!("crd/{plural}.{group}");
        kubectl.run(&["wait", "--for=condition=Established", "--timeout=30s", &name]).await?;
    }
    for namespace in ["flux-system", "argocd"] {
        kubectl.run(&["create", "namespace", namespace]).await?;
    }
    let folder = root()?.join("samples/gitops");
    wait::until("the API server serves the stand-ins", SERVED, async || {
        kubectl.apply(&folder).await.map(Some)
    })
    .await?;
    let again = kubectl.apply(&folder).await?;
    ensure!(again.lines().all(|line| line.ends_with("unchanged")), "applied again: {again}");
    ensure!(again.lines().count() == 7, "{again}");
    Ok(())
}

fn router(name: &str, spec: &Value) -> Value {
    json!({ "apiVersion": "fleetmesh.dev/v1alpha1", "kind": "VirtualRouter", "metadata": { "name": name }, "spec": spec })
}

fn a_route(name: &str) -> Value {
    json!({ "apiVersion": "fleetmesh.dev/v1alpha1", "kind": "Route", "metadata": { "name": name }, "spec": {
        "meshName": "apps", "virtualRouterName": "serviceB",
        "tcpRoute": { "action": { "weightedTargets": [{ "virtualNode": "serviceB", "weight": 100 }] } },
    }})
}

async fn apply(kubectl: &Kubectl, namespace: &str, manifest: &Value) -> Result<()> {
    let mut file = tempfile::NamedTempFile::with_suffix(".json")?;
    serde_json::to_writer(&mut file, manifest)?;
    kubectl.run(&["apply", "-n", namespace, "-f", text(file.path())]).await?;
    Ok(())
}

/// Merges `spec` into the spec of `object` in the namespace `immutable`: the refusal's message.
async fn patch(kubectl: &Kubectl, object: &str, spec: &Value) -> Result<Result<(), String>> {
    let patch = json!({ "spec": spec }).to_string();
    let done = kubectl.capture(&["patch", object, "-n", "immutable", "--type=merge", "-p", &patch]).await?;
    Ok(if done.status.success() { Ok(()) } else { Err(done.stderr) })
}

fn root() -> Result<PathBuf> {
    tools::workspace_dir()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("paths of the workspace are UTF-8")
}
