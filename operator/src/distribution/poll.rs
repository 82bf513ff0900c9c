//! The long polls. An endpoint without them is not a Fleetmesh control plane: its statuses say nothing about proxies, and it is
//! asked again now and then.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use fleetmesh_api::distribution::{DistributionQuery, MAX_WAIT_SECONDS, Token};
use fleetmesh_api::urls::DISTRIBUTION;
use fleetmesh_tasks::Tasks;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use super::answer;
use crate::cache::{Cache, Triggered};
use crate::control_plane::{ControlPlane, refusal};
use crate::metrics::Metrics;
use crate::queue::{Queue, Trigger};
use crate::tasks::Task;

/// How long the control plane may hold an answer back, in seconds.
const HOLD_SECONDS: u64 = 50;
const _: () = assert!(HOLD_SECONDS <= MAX_WAIT_SECONDS, "the control plane would refuse to wait so long");
/// How long to wait for an answer.
const LIMIT: Duration = Duration::from_secs(HOLD_SECONDS + 10);
/// The pause before asking again about a mesh that does not exist yet, and after a failure.
const PAUSE: Duration = Duration::from_millis(200);
/// The longest pause after failures.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How often the meshes are looked through for new ones.
const MESHES: Duration = Duration::from_millis(100);
/// How long news that is not urgent may wait, so that a burst becomes one status.
const LATER: Duration = Duration::from_secs(1);

/// What a poll needs.
#[derive(Clone, Debug)]
struct Poll {
    control_plane: ControlPlane,
    cache: Arc<Cache>,
    queue: Arc<Queue>,
}

/// The poll of one mesh.
struct PolledMesh {
    stop: CancellationToken,
    /// Whether it may still report something.
    lives: Weak<()>,
}

enum PollAsked {
    /// The control plane answered; the token for the next question.
    Reported(Token),
    /// The control plane does not have the mesh.
    NoMesh,
    /// The endpoint is something else.
    NotOurs,
    /// No answer.
    Failed(String),
}

/// Polls each mesh that a resource is in, until `shutdown`.
pub async fn watch_meshes(
    control_plane: ControlPlane,
    cache: Arc<Cache>,
    queue: Arc<Queue>,
    metrics: Metrics,
    tasks: Tasks<Task>,
    shutdown: CancellationToken,
) {
    let poll = Poll { control_plane, cache, queue };
    let mut polled: HashMap<String, PolledMesh> = HashMap::new();
    loop {
        let meshes = poll.cache.meshes();
        polled.retain(|mesh, polled| {
            if !meshes.contains(mesh) {
                polled.stop.cancel();
            }
            let ended = polled.stop.is_cancelled() && polled.lives.strong_count() == 0;
            if ended {
                // The next poll of the mesh begins with everything in it.
                poll.cache.forget_mesh(mesh);
            }
            !ended
        });
        for mesh in meshes {
            polled.entry(mesh).or_insert_with_key(|mesh| poll.begin(mesh, &tasks, &shutdown));
        }
        metrics.connected(polled.len());
        tokio::select! {
            () = shutdown.cancelled() => break,
            () = tokio::time::sleep(MESHES) => {}
        }
    }
}

impl Poll {
    fn begin(&self, mesh: &str, tasks: &Tasks<Task>, shutdown: &CancellationToken) -> PolledMesh {
        let (stop, life) = (shutdown.child_token(), Arc::new(()));
        let (lives, run) = (Arc::downgrade(&life), self.clone().mesh(mesh.to_owned()));
        tasks.spawn_until(Task::Poll, &stop, async move {
            let _life = life;
            run.await;
        });
        PolledMesh { stop, lives }
    }

    /// Asks about one mesh again and again.
    async fn mesh(self, mesh: String) {
        let mut token = None;
        let mut pause = PAUSE;
        let mut failed = false;
        loop {
            let asked = self.ask(&mesh, token.take()).await;
            let failing = matches!(asked, PollAsked::Failed(_));
            if std::mem::replace(&mut failed, failing) && !failing {
                // Who could not reach the endpoint need not wait for the next try.
                self.queue.trigger_all(self.cache.failing(&mesh));
            }
            match asked {
                PollAsked::Reported(next) => {
                    token = Some(next);
                    pause = PAUSE;
                    continue;
                }
                PollAsked::NoMesh => {
                    self.queue.trigger_all(self.cache.supports_distribution(true));
                    pause = PAUSE;
                }
                PollAsked::NotOurs => {
                    info!(
                        endpoint = self.control_plane.endpoint(),
                        "the endpoint does not report on proxies: it is not a Fleetmesh control plane"
                    );
                    self.queue.trigger_all(self.cache.supports_distribution(false));
                    pause = LONGEST_PAUSE;
                }
                PollAsked::Failed(why) => debug!(%mesh, %why, "no news of proxies"),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn ask(&self, mesh: &str, token: Option<Token>) -> PollAsked {
        let timeout_seconds = token.is_some().then_some(HOLD_SECONDS);
        let query = DistributionQuery { after: token, timeout_seconds, mesh_owner: None };
        let asked = self.control_plane.get(mesh, DISTRIBUTION, &query.to_string(), LIMIT).await;
        let (status, body) = match asked {
            Ok(answer) => answer,
            Err(why) => return PollAsked::Failed(why),
        };
        match status {
            200 => match answer::parse(&body) {
                Ok((answer, next)) => {
                    self.queue.trigger_all(self.cache.supports_distribution(true));
                    self.trigger(self.cache.distribution_reported(mesh, answer));
                    PollAsked::Reported(next)
                }
                Err(error) => PollAsked::Failed(format!("malformed answer: {error}")),
            },
            404 if refusal(&body).is_some() => PollAsked::NoMesh,
            // A control plane that does not know our key is one all the same.
            403 => match refusal(&body) {
                Some(why) => PollAsked::Failed(why),
                None => PollAsked::NotOurs,
            },
            400..=499 => PollAsked::NotOurs,
            _ => PollAsked::Failed(format!("status {status}")),
        }
    }

    fn trigger(&self, Triggered { now, later }: Triggered) {
        self.queue.trigger_all(now);
        for (key, _) in later {
            self.queue.trigger_within(&key, Trigger::Distribution, LATER);
        }
    }
}

#[cfg(test)]
mod tests {
    use fleetmesh_api::distribution::ObjectStatus;
    use fleetmesh_aws::transport::Http;
    use fleetmesh_core::Object;
    use fleetmesh_crds::VirtualNode;
    use serde_json::json;

    use super::*;
    use crate::cache::{Answer, NewsSource};

    #[tokio::test(start_paused = true)]
    async fn what_was_reported_of_a_mesh_is_forgotten_once_no_resource_is_in_it() {
        let node: VirtualNode = serde_json::from_value(json!({
            "apiVersion": "fleetmesh.dev/v1alpha1", "kind": "VirtualNode",
            "metadata": { "name": "n", "namespace": "apps", "uid": "n", "resourceVersion": "1" },
            "spec": { "meshName": "m" },
        }))
        .expect("a node");
        let node = Object::read(&node);
        let (cache, tasks) = (Arc::new(Cache::default()), Tasks::default());
        cache.seen(node.clone(), NewsSource::Watch);
        let nobody = ControlPlane::new("http://127.0.0.1:9", Http::new(), None);
        let (queue, shutdown) = (Arc::default(), CancellationToken::new());
        let polls =
            watch_meshes(nobody, Arc::clone(&cache), queue, Metrics::new(), tasks.clone(), shutdown.clone());
        let story = async {
            let objects = vec![(node.id.clone(), ObjectStatus { version: 2, ..ObjectStatus::default() })];
            cache.distribution_reported("m", Answer { objects, ..Answer::default() });
            tokio::time::sleep(5 * MESHES).await;
            assert!(cache.contradicts(&node.id, 1), "a resource is in the mesh");
            cache.gone(&node.key, None);
            while cache.contradicts(&node.id, 1) {
                tokio::time::sleep(MESHES).await;
            }
            shutdown.cancel();
        };
        let both = tokio::time::timeout(Duration::from_secs(60), async { tokio::join!(polls, story) }).await;
        assert!(both.is_ok(), "it is still known");
    }
}
