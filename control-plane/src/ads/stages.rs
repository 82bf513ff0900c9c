//! By what the proxies of each mesh are served: its newest view, and what differs from it while ports of virtual nodes move. The
//! shell around [`Handover`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fleetmesh_mesh::ads::handover::{Handover, Open};
use fleetmesh_mesh::cloud_map::Discovered;
use fleetmesh_mesh::snapshot::{Snapshot, Transition};
use fleetmesh_mesh::view::{MeshView, Meshes};
use fleetmesh_model::{MeshName, ResourceId};
use tokio::time::{Instant, sleep_until};

/// By what the proxies of each mesh are served.
pub(super) type Stages = BTreeMap<MeshName, Stage>;

/// By what the proxies of one mesh are served.
#[derive(Clone, Debug)]
pub(super) struct Stage {
    /// The newest view that is taken in.
    pub(super) view: Arc<MeshView>,
    /// What differs from it.
    pub(super) transition: Arc<Transition>,
}

/// The snapshots of a node.
#[derive(Clone, Debug)]
pub(super) struct StagedSnapshot {
    /// What its proxies are to run now.
    pub(super) wanted: Arc<Snapshot>,
    /// What its objects describe: the same, unless callers get something of it as it was.
    pub(super) described: Arc<Snapshot>,
}

impl Stage {
    /// The first one of a mesh, to whose ports `plaintext` callers spoke plaintext before.
    pub(super) fn first(
        mesh: &MeshName,
        view: Arc<MeshView>,
        plaintext: BTreeMap<ResourceId, BTreeSet<i32>>,
    ) -> Self {
        stage(&Handover::new(mesh, view, plaintext))
    }

    /// The snapshots of `node`; `None` when there is no such node.
    pub(super) fn snapshot(&self, discovered: &Discovered, node: &ResourceId) -> Option<StagedSnapshot> {
        let Self { view, transition } = self;
        let wanted = Arc::new(Snapshot::build_during(view, transition, discovered, node)?);
        let described = match wanted.is_delayed() {
            true => Arc::new(Snapshot::build(view, discovered, node)?),
            false => Arc::clone(&wanted),
        };
        Some(StagedSnapshot { wanted, described })
    }
}

impl StagedSnapshot {
    /// Whether they would be the same at `stage`.
    pub(super) fn unchanged(&self, stage: &Stage, discovered: &Discovered) -> bool {
        let Stage { view, transition } = stage;
        let is_one = Arc::ptr_eq(&self.wanted, &self.described);
        self.wanted.unchanged_during(view, transition, discovered)
            && (is_one || self.described.unchanged(view, discovered))
    }
}

/// The handovers of all meshes.
#[derive(Default)]
pub(super) struct Handovers(BTreeMap<MeshName, Handover>);

impl Handovers {
    /// Takes in the newest views. `open` says on what all proxies of a node take connections, nothing without proxies; `plaintext`, to
    /// which ports of a mesh callers spoke plaintext before a restart.
    pub(super) fn enter(
        &mut self,
        meshes: &Meshes,
        open: impl Fn(&ResourceId) -> Option<Open>,
        plaintext: impl Fn(&MeshName) -> BTreeMap<ResourceId, BTreeSet<i32>>,
    ) {
        let now = Instant::now().into_std();
        self.0.retain(|mesh, _| meshes.contains_key(mesh));
        for (mesh, view) in meshes {
            match self.0.get_mut(mesh) {
                Some(handover) => _ = handover.advance(now, view, &open),
                None => {
                    let handover = Handover::new(mesh, Arc::clone(view), plaintext(mesh));
                    self.0.insert(mesh.clone(), handover);
                }
            }
        }
    }

    /// Takes in what proxies run by now; gives the meshes whose stage is another one.
    pub(super) fn proceed(&mut self, open: impl Fn(&ResourceId) -> Option<Open>) -> Vec<(MeshName, Stage)> {
        let now = Instant::now().into_std();
        let mut changed = Vec::new();
        for (mesh, handover) in &mut self.0 {
            let view = Arc::clone(handover.view());
            if handover.advance(now, &view, &open) {
                changed.push((mesh.clone(), stage(handover)));
            }
        }
        changed
    }

    /// Awaits that time changes something; for ever when only proxies do.
    pub(super) async fn due(&self) {
        match self.0.values().filter_map(Handover::next).min() {
            Some(next) => sleep_until(next.into()).await,
            None => std::future::pending().await,
        }
    }

    pub(super) fn stages(&self) -> Stages {
        self.0.iter().map(|(mesh, handover)| (mesh.clone(), stage(handover))).collect()
    }
}

fn stage(handover: &Handover) -> Stage {
    Stage { view: Arc::clone(handover.view()), transition: Arc::clone(handover.transition()) }
}
