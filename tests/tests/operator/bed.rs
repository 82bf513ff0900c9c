//! The running stack and short words for what tests do with it.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use fleetmesh_testbed::aws::AppMesh;
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::stack::Stack;
use fleetmesh_testbed::{http, wait};
use serde_json::{Value, json};

/// How long convergence may take on a busy machine.
pub const SOON: Duration = Duration::from_secs(30);

pub struct Bed {
    pub stack: Stack,
    pub aws: AppMesh,
    pub run: RunDir,
}

impl Bed {
    pub async fn start(name: &str) -> Result<Self> {
        let run = RunDir::new(name)?;
        let stack = Stack::start_with(&run, &["--drift-interval", "2s"]).await?;
        let aws = AppMesh::new(&stack.control_plane.endpoint());
        Ok(Self { stack, aws, run })
    }

    pub async fn namespace(&self, name: &str) -> Result<()> {
        self.stack.kubectl.run(&["create", "namespace", name]).await?;
        Ok(())
    }

    /// `kubectl apply` of one resource of ours; `namespace` is empty for a mesh.
    pub async fn apply(&self, kind: &str, namespace: &str, name: &str, spec: Value) -> Result<()> {
        let mut manifest = json!({
            "apiVersion": "fleetmesh.dev/v1alpha1",
            "kind": kind,
            "metadata": {"name": name},
            "spec": spec,
        });
        if !namespace.is_empty() {
            manifest["metadata"]["namespace"] = json!(namespace);
        }
        let file = self.run.join(format!("{kind}-{name}.json"));
        std::fs::write(&file, manifest.to_string())?;
        self.stack.kubectl.apply(&file).await?;
        Ok(())
    }

    /// `kubectl delete` of one resource, without waiting.
    pub async fn delete(&self, kind: &str, namespace: &str, name: &str) -> Result<()> {
        let namespace = if namespace.is_empty() { "default" } else { namespace };
        self.stack.kubectl.run(&["delete", kind, name, "--namespace", namespace, "--wait=false"]).await?;
        Ok(())
    }

    /// The resource; `None` when it does not exist.
    pub async fn get(&self, kind: &str, namespace: &str, name: &str) -> Result<Option<Value>> {
        let namespace = if namespace.is_empty() { "default" } else { namespace };
        let arguments = ["get", kind, name, "--namespace", namespace, "--ignore-not-found", "-o", "json"];
        let text = self.stack.kubectl.run(&arguments).await?;
        if text.trim().is_empty() { Ok(None) } else { Ok(Some(serde_json::from_str(&text)?)) }
    }

    /// Awaits that `Ready` of the current generation has `reason`; gives the condition's message.
    pub async fn until_reason(
        &self,
        kind: &str,
        namespace: &str,
        name: &str,
        reason: &str,
    ) -> Result<String> {
        wait::until(&format!("{kind} {name} says {reason}"), SOON, async || {
            let resource = self.get(kind, namespace, name).await?.context("it is gone")?;
            let status = &resource["status"];
            ensure!(status["observedGeneration"] == resource["metadata"]["generation"], "not yet observed");
            let ready = condition(status, "Ready")?;
            if ready["reason"] != reason {
                bail!("it says {ready}");
            }
            Ok(ready["message"].as_str().map(ToOwned::to_owned))
        })
        .await
    }

    pub async fn until_ready(&self, kind: &str, namespace: &str, name: &str) -> Result<()> {
        self.until_reason(kind, namespace, name, "Ready").await.map(|_| ())
    }

    pub async fn until_gone(&self, kind: &str, namespace: &str, name: &str) -> Result<()> {
        wait::until(&format!("{kind} {name} is gone"), SOON, async || {
            let resource = self.get(kind, namespace, name).await?;
            match resource {
                None => Ok(Some(())),
                Some(resource) => bail!("still there: {}", resource["status"]),
            }
        })
        .await
    }

    /// Awaits an Event with `reason` about `kind`/`name`; gives its text.
    pub async fn until_event(&self, namespace: &str, name: &str, reason: &str) -> Result<String> {
        wait::until(&format!("an Event {reason} about {name}"), SOON, async || {
            let events = self
                .stack
                .kubectl
                .json(&["get", "events.events.k8s.io", "-n", namespace, "-o", "json"])
                .await?;
            let events = events["items"].as_array().cloned().unwrap_or_default();
            let found =
                events.iter().find(|event| event["reason"] == reason && event["regarding"]["name"] == name);
            Ok(found.and_then(|event| event["note"].as_str()).map(ToOwned::to_owned))
        })
        .await
    }

    /// The sum of the operator's metric `name` over the lines that contain `part`.
    pub async fn metric(&self, name: &str, part: &str) -> Result<f64> {
        let text = http::get(&format!("{}/metrics", self.stack.operator.health_url())).await?;
        let lines = text.lines().filter(|line| line.starts_with(name) && line.contains(part));
        lines.map(|line| line.rsplit(' ').next().context("a value")?.parse::<f64>().context("a number")).sum()
    }

    /// Writes so far: to the endpoint and to Kubernetes.
    pub async fn writes(&self) -> Result<f64> {
        let mut writes = self.metric("fleetmesh_operator_kubernetes_writes_total", "").await?;
        for verb in ["Create", "Update", "Delete", "TagResource", "UntagResource"] {
            let part = format!("operation=\"{verb}");
            writes += self.metric("fleetmesh_operator_app_mesh_calls_total", &part).await?;
        }
        Ok(writes)
    }
}

pub fn condition<'a>(status: &'a Value, kind: &str) -> Result<&'a Value> {
    let conditions = status["conditions"].as_array().context("no conditions")?;
    conditions
        .iter()
        .find(|condition| condition["type"] == kind)
        .with_context(|| format!("no condition {kind}"))
}

/// A node that is found by DNS.
pub fn node(mesh: &str, hostname: &str) -> Value {
    json!({
        "meshName": mesh,
        "listeners": [{"portMapping": {"port": 80, "protocol": "http2"}}],
        "serviceDiscovery": {"dns": {"hostname": hostname}},
    })
}

/// A route of router `r` with weighted targets.
pub fn route(mesh: &str, targets: &[(&str, u8)]) -> Value {
    let targets: Vec<Value> =
        targets.iter().map(|(node, weight)| json!({"virtualNode": node, "weight": weight})).collect();
    json!({
        "meshName": mesh,
        "virtualRouterName": "r",
        "http2Route": {"match": {"prefix": "/"}, "action": {"weightedTargets": targets}},
    })
}

/// A router for HTTP/2 on port 80.
pub fn router(mesh: &str) -> Value {
    json!({"meshName": mesh, "listeners": [{"portMapping": {"port": 80, "protocol": "http2"}}]})
}
