//! A cluster, a control plane, and one operator life after another.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use fleetmesh_operator::{Operator, OperatorArgs};
use fleetmesh_testbed::cluster::Cluster;
use fleetmesh_testbed::control_plane::ControlPlane;
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::{http, stack, wait};
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use crate::faults::{Blow, Mode, Striker};
use crate::objects::{Kind, NAMESPACE, Phase};

/// The design's bound for a recovery.
const RECOVERY: Duration = Duration::from_secs(30);

pub struct Bed {
    client: Client,
    kinds: [Kind; 5],
    args: OperatorArgs,
    // Dropped last: who depends on them goes first.
    control_plane: ControlPlane,
    _cluster: Cluster,
    _run: RunDir,
}

/// How a phase ended.
pub struct Ended {
    /// The writes of the first life.
    pub writes: usize,
    /// Whether the blow fell.
    pub struck: bool,
    /// What there is in the end.
    pub state: Value,
}

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    operator: OperatorArgs,
}

/// An operator in a runtime of its own, so that it can die with all its tasks at once.
struct Life(Option<Runtime>);

impl Life {
    fn begin(args: &OperatorArgs, striker: Arc<Striker>) -> Result<Self> {
        let runtime = Runtime::new()?;
        let args = args.clone();
        runtime.spawn(async move {
            let operator = Operator::connect(&args, Some(striker)).await.expect("a cluster");
            operator.run(CancellationToken::new()).await.expect("it shares no lease");
        });
        Ok(Self(Some(runtime)))
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Bed {
    pub async fn start(name: &str) -> Result<Self> {
        let run = RunDir::new(name)?;
        let cluster = Cluster::start(&run).await?;
        let kubectl = cluster.kubectl()?;
        stack::install_crds(&kubectl, &run).await?;
        kubectl.run(&["create", "namespace", NAMESPACE]).await?;
        let control_plane = ControlPlane::start(&run).await?;
        let kubeconfig = cluster.admin_kubeconfig().display().to_string();
        let endpoint = control_plane.endpoint();
        let arguments = ["operator", "--kubeconfig", &kubeconfig, "--app-mesh-endpoint", &endpoint];
        let args = Cli::try_parse_from(arguments)?.operator;
        let file = Kubeconfig::read_from(cluster.admin_kubeconfig())?;
        let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
        let client = Client::try_from(config)?;
        Ok(Self { client, kinds: Kind::all(), args, control_plane, _cluster: cluster, _run: run })
    }

    /// Lets operators look at everything every second: what AWS does by itself tells nobody.
    pub fn look_often(&mut self) {
        self.args.drift_interval = Duration::from_secs(1);
    }

    /// The virtual nodes of the namespace.
    pub fn nodes(&self) -> Api<DynamicObject> {
        let node = self.kinds.iter().find(|kind| kind.api.kind == "VirtualNode");
        self.api(node.expect("a virtual node"))
    }

    /// Makes the mesh that phases of a single node are about.
    pub async fn mesh(&self) -> Result<()> {
        let mesh = self.kinds.iter().find(|kind| kind.api.kind == "Mesh").context("a mesh")?;
        let params = PatchParams::apply("crash-test").force();
        self.api(mesh).patch("crash", &params, &Patch::Apply(&mesh.manifest(false))).await?;
        Ok(())
    }

    /// Runs a phase to its end, struck by `blow`.
    pub async fn run(&self, phase: Phase, blow: Option<Blow>) -> Result<Ended> {
        self.play(blow, self.act(phase), async || self.end(phase).await).await
    }

    /// Lets an operator live while `act` happens, until there is an `end`, struck by `blow`; one that dies of it is
    /// followed by another. The number of writes differs a little from run to run (a status may or may not catch an
    /// object waiting), so a late blow may not fall.
    pub async fn play(
        &self,
        blow: Option<Blow>,
        act: impl Future<Output = Result<()>>,
        end: impl AsyncFn() -> Result<Value>,
    ) -> Result<Ended> {
        let striker = Arc::new(Striker::new(blow));
        let mut fallen = striker.fallen();
        let mut life = Life::begin(&self.args, Arc::clone(&striker))?;
        act.await?;
        let end = async || wait::until("it is as wanted", RECOVERY, async || end().await.map(Some)).await;
        let mut undisturbed = None;
        tokio::select! {
            fallen = fallen.wait_for(|fallen| *fallen) => drop(fallen?),
            end = end() => undisturbed = Some(end?),
        }
        let struck = undisturbed.is_none();
        if struck && blow.is_some_and(|blow| blow.mode != Mode::ReplyLost) {
            drop(life);
            life = Life::begin(&self.args, Arc::new(Striker::new(None)))?;
        }
        let state = match undisturbed {
            Some(state) => state,
            None => end().await?,
        };
        drop(life);
        Ok(Ended { writes: striker.writes(), struck, state })
    }

    async fn act(&self, phase: Phase) -> Result<()> {
        for kind in &self.kinds {
            let api = self.api(kind);
            match phase {
                Phase::Create | Phase::Change => {
                    let manifest = kind.manifest(phase == Phase::Change);
                    let params = PatchParams::apply("crash-test").force();
                    api.patch("crash", &params, &Patch::Apply(&manifest)).await?;
                }
                Phase::Delete => {
                    api.delete("crash", &DeleteParams::default()).await?;
                }
            }
        }
        Ok(())
    }

    fn api(&self, kind: &Kind) -> Api<DynamicObject> {
        match kind.namespaced {
            true => Api::namespaced_with(self.client.clone(), NAMESPACE, &kind.api),
            false => Api::all_with(self.client.clone(), &kind.api),
        }
    }

    /// What there is in the end, without what differs from run to run; an error while it is not yet the end.
    async fn end(&self, phase: Phase) -> Result<Value> {
        let mut ends = Vec::new();
        for kind in &self.kinds {
            let resource = self.api(kind).get_opt("crash").await?;
            let remote = self.remote(kind.path).await?;
            match (phase, resource, remote) {
                (Phase::Delete, None, None) => ends.push(json!("gone")),
                (Phase::Delete, resource, remote) => {
                    ensure!(resource.is_none(), "{} is still there", kind.api.kind);
                    ensure!(remote.is_none(), "the App Mesh object of {} is still there", kind.api.kind);
                }
                (_, Some(resource), Some(remote)) => ends.push(both(&resource, remote)?),
                (_, resource, _) => {
                    let side = if resource.is_some() { "the App Mesh object" } else { "the resource" };
                    anyhow::bail!("{side} of {} is missing", kind.api.kind);
                }
            }
        }
        Ok(Value::Array(ends))
    }

    /// An App Mesh object and its tags; `None` when it does not exist.
    async fn remote(&self, path: &str) -> Result<Option<Value>> {
        let base = format!("{}/v20190125", self.control_plane.endpoint());
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

/// A resource that is Ready together with its App Mesh object, checked against each other; the uids, which differ from
/// run to run, are left out.
fn both(resource: &DynamicObject, remote: Value) -> Result<Value> {
    let status = &resource.data["status"];
    let generation = resource.metadata.generation.context("a generation")?;
    ensure!(status["observedGeneration"] == json!(generation), "{status} is about an earlier generation");
    let conditions = status["conditions"].as_array().context("conditions")?;
    let ready = conditions.iter().find(|condition| condition["type"] == "Ready").context("Ready")?;
    ensure!(ready["status"] == "True", "not ready: {ready}");
    ensure!(status["uid"] == remote["metadata"]["uid"], "the status tells of another object");
    ensure!(status["version"] == remote["metadata"]["version"], "the status tells of another version");
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
