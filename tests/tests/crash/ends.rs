//! What is done to the five objects of a lane, and what there is in the end.

use anyhow::{Context as _, Result, ensure};
use fleetmesh_testbed::http;
use kube::api::{DeleteParams, DynamicObject};
use serde_json::{Value, json};

use crate::bed::CrashLane;
use crate::faults::Blow;
use crate::life::EndedLife;
use crate::objects::{CrashKind, ObjectPhase};

impl CrashLane {
    /// Runs a phase of `kinds` to its end, struck by `blow`.
    pub async fn run(
        &self,
        kinds: &[CrashKind],
        phase: ObjectPhase,
        blow: Option<Blow>,
    ) -> Result<EndedLife> {
        self.play(blow, self.act(kinds, phase), async || self.end(kinds, phase).await).await
    }

    async fn act(&self, kinds: &[CrashKind], phase: ObjectPhase) -> Result<()> {
        for kind in kinds {
            match phase {
                ObjectPhase::Create | ObjectPhase::Change => {
                    self.apply(kind, &kind.manifest(&self.name, phase == ObjectPhase::Change)).await?;
                }
                ObjectPhase::Delete => {
                    self.api(kind).delete(kind.name(&self.name), &DeleteParams::default()).await?;
                }
            }
        }
        Ok(())
    }

    /// What there is in the end, without what differs from run to run; an error while it is not yet the end. The cheap
    /// looks come first.
    async fn end(&self, kinds: &[CrashKind], phase: ObjectPhase) -> Result<Value> {
        let mut resources = Vec::new();
        for kind in kinds.iter().rev() {
            let resource = self.api(kind).get_opt(kind.name(&self.name)).await?;
            match phase {
                ObjectPhase::Delete => ensure!(resource.is_none(), "{} is still there", kind.api.kind),
                ObjectPhase::Create | ObjectPhase::Change => {
                    let resource = resource.with_context(|| format!("{} is missing", kind.api.kind))?;
                    ready(&resource)?;
                    resources.push((kind, resource));
                }
            }
        }
        let mut ends = Vec::new();
        for (kind, resource) in &resources {
            let remote = self.remote(kind).await?;
            let remote = remote.with_context(|| format!("no App Mesh object of {}", kind.api.kind))?;
            ends.push(both(resource, remote)?);
        }
        for kind in kinds.iter().filter(|_| phase == ObjectPhase::Delete) {
            let left = self.remote(kind).await?;
            ensure!(left.is_none(), "the App Mesh object of {} is still there", kind.api.kind);
        }
        Ok(Value::Array(ends))
    }

    /// An App Mesh object and its tags; `None` when it does not exist.
    async fn remote(&self, kind: &CrashKind) -> Result<Option<Value>> {
        let base = format!("{}/v20190125", self.endpoint);
        let path = kind.path(&self.name);
        let answer = http::send(::http::Method::GET, &format!("{base}/meshes/{path}")).await?;
        if answer.status == 404 {
            return Ok(None);
        }
        let mut object: Value = serde_json::from_str(&answer.body)?;
        let arn =
            object["metadata"]["arn"].as_str().context("an ARN")?.replace(':', "%3A").replace('/', "%2F");
        let tags = http::get(&format!("{base}/tags?resourceArn={arn}")).await?;
        object["tags"] = serde_json::from_str::<Value>(&tags)?["tags"].take();
        Ok(Some(object))
    }
}

/// That a resource is Ready as it is now.
pub fn ready(resource: &DynamicObject) -> Result<()> {
    let status = &resource.data["status"];
    let generation = resource.metadata.generation.context("a generation")?;
    ensure!(status["observedGeneration"] == json!(generation), "{status} is about an earlier generation");
    let conditions = status["conditions"].as_array().context("conditions")?;
    let ready = conditions.iter().find(|condition| condition["type"] == "Ready").context("Ready")?;
    ensure!(ready["status"] == "True", "not ready: {ready}");
    Ok(())
}

/// A resource that is Ready together with its App Mesh object, checked against each other; the uids, which differ from
/// run to run, are left out.
fn both(resource: &DynamicObject, remote: Value) -> Result<Value> {
    let status = &resource.data["status"];
    let conditions = status["conditions"].as_array().context("conditions")?;
    ensure!(status["uid"] == remote["metadata"]["uid"], "the status shows another object");
    ensure!(status["version"] == remote["metadata"]["version"], "the status shows another version");
    let uid = resource.metadata.uid.as_deref().context("a uid")?;
    let mut tags = remote["tags"].as_array().cloned().unwrap_or_default();
    for tag in &mut tags {
        if tag["key"] == "fleetmesh.dev/owner-uid" {
            ensure!(tag["value"] == uid, "the object is tagged as another's");
            tag["value"] = json!("its owner's");
        }
    }
    tags.sort_by_key(|tag| tag["key"].to_string());
    let said: Vec<Value> = conditions
        .iter()
        .map(|condition| {
            json!([condition["type"], condition["status"], condition["reason"], condition["message"]])
        })
        .collect();
    Ok(json!({
        "conditions": said,
        "finalizers": resource.metadata.finalizers,
        "version": remote["metadata"]["version"],
        "spec": remote["spec"],
        "tags": tags,
        "weights": status["weights"],
    }))
}
