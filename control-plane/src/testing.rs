//! A store for unit tests.

use std::sync::{Arc, Mutex};

use fleetmesh_mesh::snapshot::VersionKeys;
use fleetmesh_mesh::testing::{record, version_keys};
use fleetmesh_mesh::view::MeshView;
use fleetmesh_model::{MeshName, ResourceId};
use serde_json::Value;
use tokio::sync::watch;

use crate::views::Views;

/// A store that a test fills by hand.
pub(crate) struct TestMeshes {
    mesh: Mutex<Option<Arc<MeshView>>>,
    revisions: watch::Sender<u64>,
}

impl TestMeshes {
    /// A store with this view of the mesh `apps`.
    pub(crate) fn new(view: MeshView) -> Arc<Self> {
        let revisions = watch::Sender::new(view.revision);
        Arc::new(Self { mesh: Mutex::new(Some(Arc::new(view))), revisions })
    }

    /// Commits a new version of one object, or its deletion.
    pub(crate) fn commit(&self, path: &str, spec: Option<Value>) {
        let mut mesh = self.mesh.lock().expect("no panic while locked");
        let mut view = MeshView::clone(mesh.as_ref().expect("a mesh"));
        let id = ResourceId::parse(&format!("mesh/apps/{path}")).expect("a resource");
        let version = view.get(&id).map_or(1, |record| record.version + 1);
        match spec {
            Some(spec) => view.resources.insert(id, record(path, &spec, version)),
            None => view.resources.remove(&id),
        };
        view.revision += 1;
        let revision = view.revision;
        *mesh = Some(Arc::new(view));
        drop(mesh);
        self.revisions.send_replace(revision);
    }
}

impl Views for TestMeshes {
    fn mesh(&self, name: &MeshName) -> Option<Arc<MeshView>> {
        self.mesh.lock().expect("no panic while locked").clone().filter(|_| *name == MeshName::from("apps"))
    }

    fn mesh_names(&self) -> Vec<MeshName> {
        vec!["apps".into()]
    }

    fn revisions(&self) -> watch::Receiver<u64> {
        self.revisions.subscribe()
    }

    fn version_keys(&self) -> Arc<VersionKeys> {
        Arc::new(version_keys(1))
    }
}
