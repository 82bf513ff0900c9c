//! A lane with one release after another: a new node, and the route goes to it.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use fleetmesh_crds::canary::Phase;
use fleetmesh_testbed::http;
use fleetmesh_testbed::proxies::{ProxyFleet, Traffic};
use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::checks;
use super::objects::{self, CALLER, ROUTE, Story};
use super::record::StepRecord;
use crate::bed::{CrashBed, CrashLane};
use crate::ends::ready;
use crate::faults::Blow;
use crate::life::{EndedLife, Lives, ended};
use crate::objects::CrashKind;

/// The lane, its operators, and the proxy of the callers.
pub struct Releases {
    lives: Lives,
    kinds: [CrashKind; 5],
    count: usize,
    stable: String,
    traffic: Arc<Traffic>,
    _proxies: ProxyFleet,
    record: StepRecord,
    lane: CrashLane,
}

impl Releases {
    /// A lane whose first release is stable.
    pub async fn start(bed: &CrashBed, index: usize) -> Result<Self> {
        let mut record = StepRecord::start(bed.control_plane.endpoint()).await?;
        let lane = bed.lane(&format!("canary-{index:02}"), record.endpoint()).await?;
        let lives = Lives::begin(&lane.making, None)?;
        let (kinds, stable) = (CrashKind::all(), release(0));
        for (kind, manifest) in objects::around(&kinds, &lane.name, &stable) {
            lane.apply(&kinds[kind], &manifest).await?;
        }
        lane.apply(&kinds[3], &objects::route(&lane.name, &stable, Story::Promote)).await?;
        for (kind, name) in [(1, CALLER), (3, ROUTE), (4, "service")] {
            is_ready(&lane, &kinds[kind], name).await?;
        }
        let traffic: Arc<Traffic> = Arc::default();
        let ads = bed.control_plane.ads_address().parse()?;
        let proxies = ProxyFleet::connect_reporting(ads, &lane.name, &[CALLER.to_owned()], &traffic).await?;
        record.watch(&lane.client, &lane.name);
        Ok(Self { lives, kinds, count: 0, stable, traffic, _proxies: proxies, record, lane })
    }

    /// Releases another version, struck by `blow`, and checks how it went.
    pub async fn release(&mut self, story: Story, blow: Option<Blow>) -> Result<EndedLife> {
        self.count += 1;
        let new = release(self.count);
        let [_, node, _, route, _] = &self.kinds;
        self.lane.apply(node, &objects::node(&self.lane.name, &new)).await?;
        is_ready(&self.lane, node, &new).await?;
        if story == Story::Abort {
            self.traffic.fail(&new);
        }
        self.record.take();
        self.lives.arm(blow);
        self.lane.apply(route, &objects::route(&self.lane.name, &new, story)).await?;
        let look =
            ReleaseLook { lane: &self.lane, kinds: &self.kinds, record: &self.record, stable: &self.stable };
        let ended = self.lives.until(async || look.end(story, &new).await).await?;
        let seen = self.record.take();
        checks::course(&seen, story, [&self.stable, &new]).with_context(|| format!("{seen:#?}"))?;
        let state = ended.state.to_string().replace(&self.stable, "old").replace(&new, "new");
        if story != Story::Abort {
            self.stable = new;
        }
        Ok(EndedLife { state: self.lane.anonymous(&serde_json::from_str(&state)?)?, ..ended })
    }
}

/// What is looked at while a release is under way.
struct ReleaseLook<'a> {
    lane: &'a CrashLane,
    kinds: &'a [CrashKind; 5],
    record: &'a StepRecord,
    /// The node that the release replaces.
    stable: &'a str,
}

impl ReleaseLook<'_> {
    /// How a release ended, without what differs from one to the next; an error while it has not.
    async fn end(&self, story: Story, new: &str) -> Result<Value> {
        self.record.look(|seen| {
            let state = seen.states.last().context("nothing was decided")?;
            let phase = if story == Story::Abort { Phase::Aborted } else { Phase::Promoted };
            ensure!(state.phase == Some(phase) && state.draining.is_empty(), "it is under way: {state:#?}");
            anyhow::Ok(())
        })?;
        let route = self.lane.api(&self.kinds[3]).get(ROUTE).await?;
        ready(&route)?;
        let status = &route.data["status"];
        // The state is written ahead of its conditions.
        let shown = conditions(&route).iter().any(|one| one[0] == "Promoted" && one[2] == status["phase"]);
        ensure!(shown, "the conditions are late: {status}");
        let rollout = match &status["rollout"] {
            Value::Null => Value::Null,
            rollout => {
                json!([rollout["targets"], rollout["setWeight"], rollout["stepIndex"], rollout["hold"]])
            }
        };
        let [last, former @ ..] = status["history"].as_array().map_or(&[][..], Vec::as_slice) else {
            anyhow::bail!("no history: {status}");
        };
        ensure!(former.iter().all(|one| one["id"] != last["id"]), "it ended twice: {status}");
        ensure!(status["dataplane"]["acked"] == 1, "the proxy has not acknowledged: {status}");
        let (old, new) = (self.node(self.stable).await?, self.node(new).await?);
        if story == Story::Promote {
            let deprecated = old["conditions"].to_string().contains(r#"["Deprecated","True""#);
            ensure!(deprecated, "the old node is not deprecated: {old}");
        }
        ensure!(old.is_null() == (story == Story::Retire), "the old node: {old}");
        Ok(json!({
            "phase": status["phase"],
            "stable": status["stableTargets"],
            "effective": status["effectiveTargets"],
            "rollout": rollout,
            "ended": [last["outcome"], last["reason"], last["stepIndex"], last["from"], last["targets"]],
            "conditions": conditions(&route),
            "finalizers": route.metadata.finalizers,
            "endpoint": self.endpoint_targets().await?,
            "old": old,
            "new": new,
        }))
    }

    /// A node's resource and whether the endpoint has it; null when neither is there.
    async fn node(&self, name: &str) -> Result<Value> {
        let resource = self.lane.api(&self.kinds[1]).get_opt(name).await?;
        let remote = self.remote(&format!("virtualNodes/{name}")).await?;
        match (resource, remote) {
            (None, None) => Ok(Value::Null),
            (Some(resource), Some(remote)) => {
                ready(&resource)?;
                Ok(json!({
                    "conditions": conditions(&resource),
                    "finalizers": resource.metadata.finalizers,
                    "version": remote["metadata"]["version"],
                }))
            }
            (resource, _) => {
                let side = if resource.is_some() { "resource" } else { "App Mesh object" };
                anyhow::bail!("only the {side} of {name} is there")
            }
        }
    }

    async fn endpoint_targets(&self) -> Result<Value> {
        let route = self.remote(&format!("virtualRouter/router/routes/{ROUTE}")).await?;
        let route = route.context("the endpoint has no route")?;
        Ok(route["spec"]["http2Route"]["action"]["weightedTargets"].clone())
    }

    async fn remote(&self, path: &str) -> Result<Option<Value>> {
        let url = format!("{}/v20190125/meshes/{}/{path}", self.lane.endpoint, self.lane.name);
        let answer = http::send(::http::Method::GET, &url).await?;
        if answer.status == 404 {
            return Ok(None);
        }
        ensure!(answer.status == 200, "{url} answers {}: {}", answer.status, answer.body);
        Ok(Some(serde_json::from_str(&answer.body)?))
    }
}

fn release(count: usize) -> String {
    format!("release-{count:03}")
}

fn conditions(resource: &DynamicObject) -> Vec<Value> {
    let conditions = resource.data["status"]["conditions"].as_array().map_or(&[][..], Vec::as_slice);
    conditions
        .iter()
        .map(|condition| json!([condition["type"], condition["status"], condition["reason"]]))
        .collect()
}

async fn is_ready(lane: &CrashLane, kind: &CrashKind, name: &str) -> Result<()> {
    let object = ended(async || {
        let resource = lane.api(kind).get(name).await?;
        ready(&resource).map(|()| Value::Null)
    });
    object.await.map(drop).with_context(|| format!("{name} of {}", lane.name))
}
