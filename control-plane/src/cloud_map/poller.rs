//! Asks Cloud Map: one poller for each service in use, started and stopped as virtual nodes are added and removed. The shell: it
//! calls AWS, waits, draws random numbers and writes the file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fleetmesh_mesh::cloud_map::{Discovered, Discovery, RegisteredInstance, Schedule, ServiceName, wanted};
use fleetmesh_tasks::caught;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::client::CloudMapClient;
use super::file;
use crate::aws::{GATHER, PollSettings};
use crate::metrics::ServerMetrics;
use crate::views::Views;

/// Calls under way at a time: a start with hundreds of services is no burst that Cloud Map would throttle.
const CALLS: usize = 16;

/// Keeps `known` up to date with Cloud Map until `shutdown`, for the services that virtual nodes of `views` name;
/// counts its looks in `metrics`.
pub async fn run(
    views: Arc<dyn Views>,
    settings: PollSettings,
    known: watch::Sender<Discovered>,
    metrics: ServerMetrics,
    shutdown: CancellationToken,
) {
    let mut revisions = views.revisions();
    let mut changes = known.subscribe();
    let path = settings.data_dir.join(file::NAME);
    let mut pollers = Pollers::new(settings, known, metrics);
    loop {
        revisions.borrow_and_update();
        pollers.follow(views.as_ref()).await;
        tokio::select! {
            () = shutdown.cancelled() => break,
            changed = revisions.changed() => match changed {
                Ok(()) => tokio::time::sleep(GATHER).await,
                Err(_) => break,
            },
            // The pollers hold the sender.
            _ = changes.changed() => {
                let discovered = changes.borrow_and_update().clone();
                save(path.clone(), discovered).await;
            }
        }
    }
    pollers.stop().await;
}

/// What was discovered before a restart; nothing, and a line in the log, when that cannot be read.
pub async fn remembered(data_dir: &Path) -> Discovered {
    let path = data_dir.join(file::NAME);
    let shown = path.display().to_string();
    match tokio::task::spawn_blocking(move || file::load(&path)).await {
        Ok(Ok(discovered)) => discovered,
        Ok(Err(error)) => {
            tracing::warn!(path = shown, %error, "the instances found in Cloud Map before cannot be read; they are looked up anew");
            Discovered::default()
        }
        Err(_) => Discovered::default(),
    }
}

async fn save(path: PathBuf, discovered: Discovered) {
    let shown = path.display().to_string();
    let saved = tokio::task::spawn_blocking(move || file::save(&path, &discovered)).await;
    if let Ok(Err(error)) = saved {
        tracing::warn!(path = shown, %error, "the instances found in Cloud Map are not kept for the next start");
    }
}

/// The pollers of the services that are wanted.
struct Pollers {
    shared: Arc<SharedPoller>,
    running: BTreeMap<ServiceName, JoinHandle<()>>,
}

/// What all pollers use.
struct SharedPoller {
    settings: PollSettings,
    known: watch::Sender<Discovered>,
    metrics: ServerMetrics,
    client: CloudMapClient,
    calls: Semaphore,
}

impl Pollers {
    fn new(settings: PollSettings, known: watch::Sender<Discovered>, metrics: ServerMetrics) -> Self {
        let client = CloudMapClient::new(&settings.region);
        let shared = SharedPoller { settings, known, metrics, client, calls: Semaphore::new(CALLS) };
        Self { shared: Arc::new(shared), running: BTreeMap::new() }
    }

    /// Starts and stops pollers until they are those that the present virtual nodes want.
    async fn follow(&mut self, views: &dyn Views) {
        let meshes: Vec<_> = views.mesh_names().iter().filter_map(|name| views.mesh(name)).collect();
        let wanted = wanted(meshes.iter().map(AsRef::as_ref));
        let unwanted: Vec<ServiceName> =
            self.running.keys().filter(|service| !wanted.contains(service)).cloned().collect();
        for service in unwanted {
            if let Some(poller) = self.running.remove(&service) {
                end(poller).await;
                tracing::info!(%service, "no virtual node is discovered by it any more");
            }
        }
        self.shared.known.send_if_modified(|known| known.retain(&wanted));
        for service in wanted {
            let shared = &self.shared;
            self.running.entry(service).or_insert_with_key(|service| {
                tracing::info!(%service, "discovering its instances");
                tokio::spawn(Arc::clone(shared).poll_on(service.clone()))
            });
        }
    }

    async fn stop(self) {
        for poller in self.running.into_values() {
            end(poller).await;
        }
    }
}

/// Awaits the end too, so that what it may just be entering does not come after its service was forgotten.
async fn end(poller: JoinHandle<()>) {
    poller.abort();
    // It was cancelled, or panicked; there is nothing left of it in either case.
    let _ = poller.await;
}

impl SharedPoller {
    /// Polls `service` for ever; after a panic, which is a fault of Fleetmesh, it begins anew with the next interval.
    async fn poll_on(self: Arc<Self>, service: ServiceName) {
        while let Err(panic) = caught(Arc::clone(&self).poll(service.clone())).await {
            tracing::error!(%service, %panic, "discovering instances panicked: this is a fault of Fleetmesh");
            tokio::time::sleep(self.settings.interval).await;
        }
    }

    /// Polls `service` for ever.
    async fn poll(self: Arc<Self>, service: ServiceName) {
        let mut schedule = Schedule::default();
        loop {
            let looked = self.look(&service, &mut schedule).await;
            self.metrics.polled(looked.is_ok());
            match looked {
                Ok(found) => {
                    if let Some(found) = found {
                        self.enter(&service, Discovery::Instances(Arc::new(found)));
                    }
                }
                Err(reason) => {
                    if schedule.failed() {
                        tracing::warn!(%service, reason, "discovery failed; the instances stay as they were");
                    }
                    self.enter(&service, Discovery::Failed(reason));
                }
            }
            tokio::time::sleep(schedule.delay(self.settings.interval, fastrand::f64())).await;
        }
    }

    /// Asks once; the instances, if they were read.
    async fn look(
        &self,
        service: &ServiceName,
        schedule: &mut Schedule,
    ) -> Result<Option<Vec<RegisteredInstance>>, String> {
        // The semaphore is never closed.
        let _turn = self.calls.acquire().await.map_err(|error| error.to_string())?;
        let failing = schedule.is_failing();
        let revision = self.client.revision(service).await?;
        let mut found = None;
        if schedule.is_due(revision) {
            let answer = self.client.instances(service).await?;
            schedule.read(answer.revision.or(revision));
            found = Some(answer.instances);
        }
        if failing {
            tracing::info!(%service, "discovery works again");
        }
        Ok(found)
    }

    fn enter(&self, service: &ServiceName, outcome: Discovery) {
        let instances = if let Discovery::Instances(instances) = &outcome { instances.len() } else { 0 };
        let changed = self.known.send_if_modified(|known| known.enter(service, outcome));
        if changed {
            tracing::info!(%service, instances, "what is known of its instances changed");
        }
    }
}
