//! Panics: one in a reconcile costs its object nothing but time and is seen; one in a task that has to go on ends the operator.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use fleetmesh_operator::write_hook::{Write, WriteHook, WriteHooks, WriteTarget};
use fleetmesh_operator::{Operator, Task};
use fleetmesh_tasks::{Strike, TaskName, Tasks};
use fleetmesh_testbed::{http, wait};
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, ListParams};
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::bed::{CrashBed, CrashLane};
use crate::objects::CrashKind;

/// Much longer than anything here takes.
const LIMIT: Duration = Duration::from_secs(120);

/// Panics at every write of virtual nodes to App Mesh while it is on.
#[derive(Debug, Default)]
struct AtNodes(AtomicBool);

#[async_trait::async_trait]
impl WriteHook for AtNodes {
    async fn before(&self, write: &Write) {
        let strikes = write.target == WriteTarget::AppMesh && write.path.contains("/virtualNodes");
        assert!(!(strikes && self.0.load(Ordering::SeqCst)), "no node\nfor anybody");
    }
}

/// An operator that runs with its health pages.
struct RunningOperator {
    pages: String,
    operator: JoinHandle<Result<(), String>>,
    shutdown: CancellationToken,
}

impl RunningOperator {
    async fn start(operator: Operator) -> Result<Self> {
        let shutdown = CancellationToken::new();
        let pages = fleetmesh_health::bind(([127, 0, 0, 1], 0).into()).await?;
        let address = pages.address;
        operator.serve_health(pages, &shutdown);
        let run = operator.run(shutdown.clone());
        let operator = tokio::spawn(async move { run.await.map_err(|stopped| stopped.to_string()) });
        Ok(Self { pages: format!("http://{address}"), operator, shutdown })
    }

    async fn page(&self, page: &str) -> Result<String> {
        http::get(&format!("{}{page}", self.pages)).await
    }

    /// How many panics the metrics count by controller, without those that have none.
    async fn panics(&self) -> Result<Vec<(String, u64)>> {
        let text = self.page("/metrics").await?;
        let lines = text
            .lines()
            .filter_map(|line| line.strip_prefix("fleetmesh_operator_panics_total{controller=\""));
        let counts = lines.filter_map(|line| line.split_once("\"} "));
        Ok(counts.map(|(controller, count)| (controller.to_owned(), count.parse().unwrap())).collect())
    }
}

/// The condition `Ready` of the lane's object of a kind.
async fn ready(lane: &CrashLane, kind: &CrashKind) -> Result<Value> {
    let object = lane.api(kind).get(kind.name(&lane.name)).await?;
    let conditions = object.data["status"]["conditions"].as_array().cloned().unwrap_or_default();
    conditions.into_iter().find(|one| one["type"] == "Ready").context("no condition Ready")
}

async fn until_ready(lane: &CrashLane, kind: &CrashKind, status: &str, reason: &str) -> Result<Value> {
    let what = format!("{} is Ready {status} by {reason}", kind.api.kind);
    wait::until(&what, LIMIT, async || {
        let ready = ready(lane, kind).await?;
        ensure!(ready["status"] == status && ready["reason"] == reason, "{ready}");
        Ok(Some(ready))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_is_seen_wherever_it_is() {
    let bed = CrashBed::start("panics", &[]).await.unwrap();
    let lane = bed.lanes(1).await.unwrap().remove(0);
    in_a_reconcile(&lane).await.unwrap();
    let all = Task::ALL.iter().map(|task| in_a_task(&lane, *task));
    for ended in futures::future::join_all(all).await {
        ended.unwrap();
    }
}

/// The object says so, is counted by its kind, holds nothing else up, and recovers when the panics are over.
async fn in_a_reconcile(lane: &CrashLane) -> Result<()> {
    let panics = Arc::new(AtNodes(AtomicBool::new(true)));
    let hooks = WriteHooks::default().and(panics.clone());
    let operator = RunningOperator::start(lane.making.operator(hooks).await?).await?;
    let [mesh, node, router, ..] = CrashKind::all();
    for kind in [&mesh, &node, &router] {
        lane.apply(kind, &kind.manifest(&lane.name, false)).await?;
    }
    let condition = until_ready(lane, &node, "Unknown", "InternalError").await?;
    let message = condition["message"].as_str().unwrap_or_default();
    ensure!(message.contains("panicked: no node") && message.contains("please report"), "{message}");
    ensure!(!message.contains('\n'), "{message:?}");
    let events: Api<Event> = Api::namespaced(lane.client.clone(), &lane.name);
    let event = wait::until("an Event of the panic", LIMIT, async || {
        let events = events.list(&ListParams::default()).await?.items;
        Ok(events.into_iter().find(|event| event.reason.as_deref() == Some("InternalError")))
    })
    .await?;
    let regarding = event.regarding.context("an object")?;
    ensure!(regarding.kind.as_deref() == Some("VirtualNode"), "{regarding:?}");
    ensure!(event.type_.as_deref() == Some("Warning") && event.note.as_deref() == Some(message));
    // Others are not held up by it, and the operator goes on.
    until_ready(lane, &router, "True", "Ready").await?;
    wait::until("a second try is counted", LIMIT, async || {
        let panics = operator.panics().await?;
        ensure!(
            panics.iter().all(|(controller, count)| controller == "VirtualNode" || *count == 0),
            "{panics:?}"
        );
        Ok(panics.iter().any(|(_, count)| *count >= 2).then_some(()))
    })
    .await?;
    operator.page("/livez").await?;
    panics.0.store(false, Ordering::SeqCst);
    until_ready(lane, &node, "True", "Ready").await?;
    operator.shutdown.cancel();
    operator.operator.await?.map_err(anyhow::Error::msg)
}

/// `/livez` fails and the operator ends, with the name of the task.
async fn in_a_task(lane: &CrashLane, target: Task) -> Result<()> {
    let strike = Strike::at(target, || panic!("struck"));
    let tasks = Tasks::struck(strike.clone());
    let operator = lane.making.operator(WriteHooks::default()).await?.with_tasks(tasks);
    let mut operator = RunningOperator::start(operator).await?;
    let begun = tokio::time::timeout(LIMIT, strike.begun()).await;
    begun.with_context(|| format!("{target:?} is not spawned"))?;
    operator.page("/livez").await.with_context(|| format!("before {target:?} is struck"))?;
    strike.strike();
    let ended = tokio::time::timeout(LIMIT, &mut operator.operator).await;
    let ended = ended.with_context(|| format!("{target:?} does not end it"))??;
    let words = format!("the task {:?} panicked: struck", target.name());
    ensure!(ended.as_ref().is_err_and(|error| error.starts_with(&words)), "{target:?}: {ended:?}");
    let live = operator.page("/livez").await;
    let live = live.err().with_context(|| format!("alive without {target:?}"))?.to_string();
    ensure!(target == Task::HealthPages || live.contains(&words), "{target:?}: {live}");
    operator.shutdown.cancel();
    Ok(())
}
