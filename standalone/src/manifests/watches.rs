//! Watches of the kinds that were applied. Of each object only the last change is kept until somebody asks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fleetmesh_standalone_core::manifests::{Change, ObjectName, WatchLine, watch_line};
use fleetmesh_standalone_core::resource::Resource;
use futures::StreamExt as _;
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinSet};

use super::client::{ManifestClient, collection};

/// Between a watch that ended, as each does after a while, and the next.
const PAUSE: Duration = Duration::from_millis(100);
/// Before a watch that missed changes is given up, and all of its kind is applied again.
const LOST: Duration = Duration::from_secs(5);

/// What was seen since somebody asked.
#[derive(Debug)]
pub(super) struct Sight {
    /// The last change of each object.
    pub(super) changes: BTreeMap<ObjectName, Change>,
    /// The kinds whose watches missed something, as [`key`] has them.
    pub(super) lost: BTreeSet<String>,
}

#[derive(Default)]
struct Seen {
    changes: BTreeMap<ObjectName, Change>,
    /// The watches that ended, by their kinds and numbers.
    lost: BTreeSet<(String, u64)>,
}

#[derive(Default)]
struct Shared {
    seen: Mutex<Seen>,
    news: Notify,
}

impl Shared {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The watches; they end when this is dropped.
pub(super) struct Watches {
    client: ManifestClient,
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
    /// By their kinds, with their numbers.
    running: BTreeMap<String, (u64, AbortHandle)>,
    /// How many were started.
    started: u64,
}

/// Which kind it is.
pub(super) fn key(resource: &Resource) -> String {
    collection(resource, "")
}

impl Watches {
    /// None yet, through `client`.
    pub(super) fn new(client: ManifestClient) -> Self {
        Self { client, shared: Arc::default(), tasks: JoinSet::new(), running: BTreeMap::new(), started: 0 }
    }

    /// Watches the objects of these from now on, and ends the watches of all other kinds.
    pub(super) async fn keep(&mut self, kinds: impl Iterator<Item = &Arc<Resource>>) {
        let kinds: BTreeMap<String, &Arc<Resource>> =
            kinds.map(|resource| (key(resource), resource)).collect();
        self.running.retain(|key, (_, task)| {
            let is_kept = kinds.contains_key(key);
            if !is_kept {
                task.abort();
            }
            is_kept
        });
        for resource in kinds.into_values() {
            self.follow(resource).await;
        }
    }

    async fn follow(&mut self, resource: &Arc<Resource>) {
        if self.running.contains_key(&key(resource)) {
            return;
        }
        // Without a revision there is nothing to go on from; it is asked again with the next pass.
        if let Some(revision) = self.client.revision(resource).await {
            self.start(resource, revision);
        }
    }

    /// Watches the objects of `resource` from `revision` on.
    pub(super) fn start(&mut self, resource: &Arc<Resource>, revision: u64) {
        let key = key(resource);
        self.started += 1;
        let lost = Lost { watch: (key.clone(), self.started), shared: Arc::clone(&self.shared) };
        let watch = follow(self.client.clone(), Arc::clone(resource), revision, lost);
        self.running.insert(key, (self.started, self.tasks.spawn(watch)));
    }

    /// Until something was seen.
    pub(super) async fn seen(&self) {
        self.shared.news.notified().await;
    }

    /// What was seen. A kind that was lost is watched no longer.
    pub(super) fn take(&mut self) -> Sight {
        while self.tasks.try_join_next().is_some() {}
        let Seen { changes, lost } = std::mem::take(&mut *self.shared.seen());
        // Of a watch that was ended here nobody misses anything.
        let is_running = |(key, number): &(String, u64)| {
            self.running.get(key).is_some_and(|(running, _)| running == number)
        };
        let lost: BTreeSet<String> = lost.into_iter().filter(is_running).map(|(key, _)| key).collect();
        self.running.retain(|key, _| !lost.contains(key));
        Sight { changes, lost }
    }
}

/// Says that changes are missed when a watch ends, for whatever reason.
struct Lost {
    watch: (String, u64),
    shared: Arc<Shared>,
}

impl Drop for Lost {
    fn drop(&mut self) {
        self.shared.seen().lost.insert(std::mem::take(&mut self.watch));
        self.shared.news.notify_one();
    }
}

async fn follow(client: ManifestClient, resource: Arc<Resource>, mut revision: u64, lost: Lost) {
    while let Some(body) = client.watch(&resource, revision).await {
        let mut chunks = body.into_data_stream();
        let mut buffer = Vec::new();
        while let Some(Ok(chunk)) = chunks.next().await {
            buffer.extend_from_slice(&chunk);
            let whole = buffer.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
            let Some(last) = take(&lost.shared, &resource, &buffer[..whole]) else {
                tokio::time::sleep(LOST).await;
                return;
            };
            revision = revision.max(last);
            buffer.drain(..whole);
        }
        tokio::time::sleep(PAUSE).await;
    }
    tokio::time::sleep(LOST).await;
}

/// Takes these lines: the last revision among them; `None` when the watch missed something.
fn take(shared: &Shared, resource: &Resource, lines: &[u8]) -> Option<u64> {
    let mut last = 0;
    let mut changes = Vec::new();
    for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        match watch_line(line) {
            WatchLine::Changed { namespace, name, change } => {
                let (group, kind) = (resource.group.clone(), resource.kind.clone());
                last = change.revision();
                changes.push((ObjectName { group, kind, namespace, name }, change));
            }
            WatchLine::Bookmark(revision) => last = revision,
            WatchLine::Lost => return None,
        }
    }
    if !changes.is_empty() {
        shared.seen().changes.extend(changes);
        shared.news.notify_one();
    }
    Some(last)
}
