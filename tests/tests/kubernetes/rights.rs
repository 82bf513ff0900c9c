//! Least privilege: the operator runs with its ClusterRole and its Role for leader election, and the audit log has every verb
//! of both and no other.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use fleetmesh_model::KINDS;
use fleetmesh_operator::KubernetesApi;
use fleetmesh_testbed::cluster::{Cluster, ClusterOptions, User};
use fleetmesh_testbed::control_plane::ControlPlane;
use fleetmesh_testbed::launch::Launch;
use fleetmesh_testbed::operator::Operator;
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::{aws, stack, tools, wait};
use serde_json::Value;

const SOON: Duration = Duration::from_secs(90);

#[tokio::test]
async fn the_audit_log_equals_the_roles() -> Result<()> {
    let run = RunDir::new("rights")?;
    let user = User::named("operator");
    let anybody = User::named("anybody");
    let options = ClusterOptions {
        users: vec![user.clone(), anybody.clone()],
        audit: true,
        ..ClusterOptions::default()
    };
    let cluster = Cluster::start_with(&run, options).await?;
    let kubectl = cluster.kubectl()?;
    stack::install_crds(&kubectl, &run).await?;
    let root = tools::workspace_dir()?;
    for role in ["operator/rbac.yaml", "operator/leader-election-rbac.yaml"] {
        kubectl.apply(&root.join(role)).await?;
    }
    let cluster_role = ["clusterrolebinding", "operator", "--clusterrole=fleetmesh-operator"];
    let role = ["rolebinding", "operator", "--role=fleetmesh-operator-leader-election"];
    for binding in [cluster_role, role] {
        kubectl.run(&[&["create"], &binding[..], &["--user=operator"]].concat()).await?;
    }
    let control_plane = ControlPlane::start(&run).await?;
    let kubeconfig = cluster.kubeconfig(&user)?;
    let elect = ["--leader-elect", "--leader-election-namespace", "default"];
    let _operator =
        Operator::launch(&kubeconfig, &control_plane.endpoint(), &run, Launch::with(elect)).await?;

    let samples = root.join("samples/getting-started");
    let folder = samples.to_str().context("a path in UTF-8")?;
    kubectl.run(&["apply", "-R", "-f", folder]).await?;
    // The kinds that the samples do without.
    let gateway = serde_json::json!({
        "apiVersion": "fleetmesh.dev/v1alpha1",
        "kind": "VirtualGateway",
        "metadata": {"namespace": "apps", "name": "edge"},
        "spec": {"meshName": "apps", "listeners": [{"portMapping": {"port": 8088, "protocol": "http"}}]},
    });
    let target = serde_json::json!({"virtualService": {"virtualServiceName": "servicea.apps.local"}});
    let gateway_route = serde_json::json!({
        "apiVersion": "fleetmesh.dev/v1alpha1",
        "kind": "GatewayRoute",
        "metadata": {"namespace": "apps", "name": "edge"},
        "spec": {"meshName": "apps", "virtualGatewayName": "edge", "httpRoute": {"match": {}, "action": {"target": target}}},
    });
    for (file, object) in [("gateway.json", &gateway), ("gateway-route.json", &gateway_route)] {
        std::fs::write(run.join(file), object.to_string())?;
        kubectl.apply(&run.join(file)).await?;
    }
    let kinds = KINDS.map(|kind| kind.plural.to_lowercase()).join(",");
    kubectl.run(&["wait", "--for=condition=Ready", "--timeout=90s", "--all", "-n", "apps", &kinds]).await?;
    // Two changes from outside, so that an Event is written and then counted up.
    let aws = aws::AppMesh::new(&control_plane.endpoint());
    let update = serde_json::json!({"meshName": "apps", "spec": {"egressFilter": {"type": "ALLOW_ALL"}}});
    for version in [3, 5] {
        aws.call("update-mesh", &update).await?;
        wait::until("the mesh is put back", SOON, async || {
            let mesh = aws.call("describe-mesh", &serde_json::json!({"meshName": "apps"})).await?;
            Ok((mesh["mesh"]["metadata"]["version"] == version).then_some(()))
        })
        .await?;
    }
    // A canary that deletes what it replaces, and a word to a route that does not exist.
    let canary = serde_json::json!({"spec": {
        "canary": {
            "steps": [{"setWeight": 100, "pause": {"duration": "1s"}}],
            "analysis": {"metrics": [], "interval": "1s"},
            "drain": {"retire": "Delete", "scaleDownDelaySeconds": 0, "timeoutSeconds": 0},
        },
        "http2Route": {"action": {"weightedTargets": [{"virtualNode": "serviceBv2", "weight": 100}]}},
    }});
    let route = ["patch", "route", "service-b", "-n", "apps", "--type=merge", "-p"];
    kubectl.run(&[&route[..], &[&canary.to_string()]].concat()).await?;
    let action = run.join("action.json");
    let word = serde_json::json!({
        "apiVersion": "fleetmesh.dev/v1alpha1",
        "kind": "RouteAction",
        "metadata": {"namespace": "apps", "name": "stray"},
        "spec": {"routeName": "nobody", "rolloutId": "1", "verb": "Abort"},
    });
    std::fs::write(&action, word.to_string())?;
    kubectl.apply(&action).await?;
    let deleted = ["wait", "--for=delete", "--timeout=90s", "-n", "apps", "virtualnode/service-b"];
    kubectl.run(&deleted).await?;
    // It takes no right of the operator's to find API servers: each publishes its address to everybody. This one advertises the
    // address of an interface, though it listens on loopback.
    let api = KubernetesApi::of(Some(&cluster.kubeconfig(&anybody)?), None).await?;
    let servers = api.api_servers().hosts().await;
    let [.., advertised] = &servers[..] else { anyhow::bail!("none: {servers:?}") };
    ensure!(advertised.parse::<IpAddr>().is_ok_and(|ip| !ip.is_loopback()), "{servers:?}");
    wait::until("every right was used", SOON, async || {
        let used = used(&std::fs::read_to_string(cluster.audit_log())?)?;
        let mut allowed = BTreeSet::new();
        for role in ["clusterrole/fleetmesh-operator", "role/fleetmesh-operator-leader-election"] {
            allowed.append(&mut allows(&kubectl.json(&["get", role, "-o", "json"]).await?)?);
        }
        let beyond: Vec<_> = used.difference(&allowed).collect();
        ensure!(beyond.is_empty(), "used and not in the role: {beyond:?}");
        let idle: Vec<_> = allowed.difference(&used).collect();
        ensure!(idle.is_empty(), "in the role and never used: {idle:?}");
        println!("S3: {} rights given, {} used, 0 beyond", allowed.len(), used.len());
        Ok(Some(()))
    })
    .await
}

/// `verb group/resource` of every request of the operator.
fn used(log: &str) -> Result<BTreeSet<String>> {
    let mut used = BTreeSet::new();
    for line in log.lines().filter(|line| line.ends_with('}')) {
        let entry: Value = serde_json::from_str(line)?;
        if entry["user"]["username"] != "operator" {
            continue;
        }
        let text = |member: &str| entry["objectRef"][member].as_str().unwrap_or_default().to_owned();
        let resource = match text("subresource").as_str() {
            "" => text("resource"),
            subresource => format!("{}/{subresource}", text("resource")),
        };
        used.insert(format!(
            "{} {}/{resource}",
            entry["verb"].as_str().unwrap_or_default(),
            text("apiGroup")
        ));
    }
    Ok(used)
}

fn allows(role: &Value) -> Result<BTreeSet<String>> {
    let mut allowed = BTreeSet::new();
    for rule in role["rules"].as_array().context("rules")? {
        let list = |member: &str| -> Vec<String> {
            let list = rule[member].as_array().cloned().unwrap_or_default();
            list.iter().filter_map(|text| text.as_str().map(ToOwned::to_owned)).collect()
        };
        for group in list("apiGroups") {
            for resource in list("resources") {
                allowed.extend(list("verbs").iter().map(|verb| format!("{verb} {group}/{resource}")));
            }
        }
    }
    Ok(allowed)
}
