//! What the control plane reported about its proxies, and whom that triggers. No I/O.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fleetmesh_api::distribution::ObjectStatus;
use fleetmesh_core::{Distribution, Object, ObjectKey};
use fleetmesh_crds::ConditionType;
use fleetmesh_model::ResourceId;
use tokio::time::Instant;

use super::{Cache, Triggers};
use crate::queue::Trigger;

/// Whether only the number of proxies differs and all of them run the object: good to know, not urgent.
fn differ_in_number_only(one: &ObjectStatus, other: &ObjectStatus) -> bool {
    let settled = |status: &ObjectStatus| status.acknowledged == status.proxies && status.lagging == 0;
    settled(one)
        && settled(other)
        && one.version == other.version
        && one.rejected == other.rejected
        && one.unserved == other.unserved
        && one.notes == other.notes
}

/// One answer of the control plane about one mesh.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// Whether the answer is about everything in the mesh, not only about what changed.
    pub complete: bool,
    /// The objects that it is about.
    pub objects: Vec<(ResourceId, ObjectStatus)>,
    /// Objects that are gone.
    pub removed: Vec<ResourceId>,
}

/// Who is to be triggered by an answer.
#[derive(Debug, Default)]
pub struct Triggered {
    /// At once.
    pub now: Triggers,
    /// When it suits.
    pub later: Triggers,
}

#[derive(Debug, Default)]
pub(super) struct Distributions {
    /// Whether anything reports at all.
    supported: bool,
    reported: BTreeMap<ResourceId, ObjectStatus>,
    /// Since when each is reported in its version.
    since: BTreeMap<ResourceId, Since>,
    /// When something else was last reported of each.
    changed: BTreeMap<ResourceId, Instant>,
    removed: BTreeSet<ResourceId>,
}

/// When a version was reported first.
#[derive(Clone, Copy, Debug)]
struct Since {
    version: i64,
    at: Instant,
    /// Whether it came with everything in the mesh: it may be as old as it likes.
    may_be_older: bool,
}

impl Distributions {
    /// Notes that `id` is reported in `version`, in an answer about everything in the mesh or about what is new.
    fn note_version(&mut self, id: &ResourceId, version: i64, complete: bool) {
        let known = self.since.get(id).copied();
        if known.is_none_or(|known| known.version != version) {
            let may_be_older = complete && known.is_none();
            self.since.insert(id.clone(), Since { version, at: Instant::now(), may_be_older });
        }
    }

    pub(super) fn of(&self, id: &ResourceId) -> Distribution {
        if !self.supported {
            return Distribution::Unsupported;
        }
        match self.reported.get(id) {
            None => Distribution::Pending,
            Some(status) => Distribution::Reported(status.clone()),
        }
    }

    /// Whether the control plane reported that `id` exists.
    pub(super) fn knows(&self, id: &ResourceId) -> bool {
        self.reported.contains_key(id)
    }

    /// As [`Cache::reported_for`].
    pub(super) fn reported_for(&self, object: &Object) -> Option<Duration> {
        let since = self.since.get(&object.id)?;
        let status = &object.status;
        let programmed =
            status.condition(ConditionType::Programmed).is_some_and(|programmed| programmed.status == "True");
        let waited = since.may_be_older && programmed && status.version == Some(since.version);
        Some(if waited { Duration::MAX } else { since.at.elapsed() })
    }

    /// For how long the same has been reported of `id`: nobody joined, left or answered meanwhile.
    pub(super) fn unchanged_for(&self, id: &ResourceId) -> Duration {
        self.changed.get(id).map(Instant::elapsed).unwrap_or_default()
    }

    pub(super) fn forget_removal(&mut self, id: &ResourceId) {
        self.removed.remove(id);
    }
}

impl Cache {
    /// Notes whether the endpoint reports about its proxies. Triggers everything when that changes: every status says it.
    pub fn supports_distribution(&self, supported: bool) -> Triggers {
        let mut inner = self.lock();
        if inner.distributions.supported == supported {
            return Triggers::new();
        }
        inner.distributions.supported = supported;
        inner.entries.keys().map(|key| (key.clone(), Trigger::Distribution)).collect()
    }

    /// Whether what was reported about `id` contradicts that the endpoint has it in this version.
    pub fn contradicts(&self, id: &ResourceId, version: i64) -> bool {
        let inner = self.lock();
        inner.distributions.removed.contains(id)
            || inner.distributions.reported.get(id).is_some_and(|status| status.version > version)
    }

    /// For how long the endpoint has reported `key`'s object in the version that it reports now: so long its proxies had to
    /// answer; `None` when it does not report it. The longest there is when a process before this one waited for them: the
    /// status says that this version is programmed.
    pub fn reported_for(&self, key: &ObjectKey) -> Option<Duration> {
        let inner = self.lock();
        inner.distributions.reported_for(&inner.entries.get(key)?.object)
    }

    /// Forgets what was reported of a mesh that no resource is in any more, nor polled.
    pub fn forget_mesh(&self, mesh: &str) {
        let distributions = &mut self.lock().distributions;
        distributions.reported.retain(|id, _| id.mesh_name().name() != mesh);
        distributions.since.retain(|id, _| id.mesh_name().name() != mesh);
        distributions.changed.retain(|id, _| id.mesh_name().name() != mesh);
        distributions.removed.retain(|id| id.mesh_name().name() != mesh);
    }

    /// Notes an answer about `mesh`.
    pub fn distribution_reported(&self, mesh: &str, answer: Answer) -> Triggered {
        let mut inner = self.lock();
        let mut triggered = Triggered::default();
        let Answer { complete, objects, mut removed } = answer;
        if complete {
            let named: BTreeSet<&ResourceId> = objects.iter().map(|(id, _)| id).collect();
            let known = inner.distributions.reported.keys().filter(|id| id.mesh_name().name() == mesh);
            removed.extend(known.filter(|id| !named.contains(id)).cloned());
        }
        let mut may_have_let_go = !removed.is_empty();
        for id in removed {
            inner.distributions.reported.remove(&id);
            inner.distributions.since.remove(&id);
            inner.distributions.changed.remove(&id);
            triggered.now.extend(inner.left(&id));
            triggered.now.extend(inner.retried(&id, &[]));
            if let Some(key) = inner.holder(&id) {
                triggered.now.push((key.clone(), Trigger::Distribution));
                inner.distributions.removed.insert(id);
            }
        }
        for (id, status) in objects {
            inner.distributions.removed.remove(&id);
            inner.distributions.note_version(&id, status.version, complete);
            let before = inner.distributions.reported.insert(id.clone(), status.clone());
            if before.as_ref() == Some(&status) {
                continue;
            }
            inner.distributions.changed.insert(id.clone(), Instant::now());
            let holder = inner.holder(&id);
            // Whether an instance counts as ready, and may be what others wait for, hangs on its proxy.
            let launched = holder
                .and_then(|key| inner.entries.get(key))
                .is_some_and(|entry| entry.object.fleet().is_some());
            let triggers = holder.map(|key| (key.clone(), Trigger::Distribution));
            may_have_let_go |= before.as_ref().is_some_and(|before| before.version != status.version);
            let changed = before.as_ref().is_none_or(|before| before.version != status.version);
            match &before {
                Some(before) if differ_in_number_only(before, &status) && !launched => {
                    triggered.later.extend(triggers)
                }
                _ => triggered.now.extend(triggers),
            }
            if changed {
                triggered.now.extend(inner.retried(&id, &[]));
            }
            if before.is_none() && inner.holder(&id).is_none() {
                triggered.now.extend(inner.come(&id));
            }
        }
        if may_have_let_go {
            // What held a deletion up may be an object that no resource stands for: nothing else says that it is gone.
            let blocked = inner.entries.blocked(mesh);
            triggered.now.extend(blocked.map(|key| (key.clone(), Trigger::Look)));
        }
        triggered
    }
}
