//! Meshes for unit tests, written as the API's JSON.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use fleetmesh_model::{Arn, ResourceId, Spec};
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::watch;

use crate::join::StsCaller;
use crate::join::grant::Joined;
use crate::snapshot::VersionKeys;
use crate::view::{MeshView, Record, Views};

/// A view of the mesh `apps` with these objects, each `(resource without mesh/apps/, spec)`; the mesh is added with an
/// empty spec unless it is given as `""`.
pub(crate) fn view(objects: &[(&str, Value)]) -> MeshView {
    let mut resources = BTreeMap::new();
    let mesh = record("", &serde_json::json!({}), 1);
    resources.insert(mesh.id.clone(), mesh);
    for (path, spec) in objects {
        let record = record(path, spec, 1);
        resources.insert(record.id.clone(), record);
    }
    MeshView { revision: 1, resources }
}

/// One record of the mesh `apps`.
pub(crate) fn record(path: &str, spec: &Value, version: i64) -> Arc<Record> {
    let text = if path.is_empty() { "mesh/apps".to_owned() } else { format!("mesh/apps/{path}") };
    let id = ResourceId::parse(&text).expect("a resource");
    let spec = Spec::from_json(id.kind(), spec.clone()).expect("a spec");
    let arn = Arn {
        partition: "aws".into(),
        region: "us-west-2".into(),
        account: "111122223333".into(),
        resource: id.clone(),
    };
    Arc::new(Record {
        arn: arn.to_string(),
        uid: format!("uid-of-{id}"),
        version,
        created_at: Timestamp::UNIX_EPOCH,
        last_updated_at: Timestamp::UNIX_EPOCH,
        spec,
        tags: BTreeMap::new(),
        id,
    })
}

/// The virtual node `name` of the mesh `apps`.
pub(crate) fn node(name: &str) -> ResourceId {
    ResourceId::virtual_node("apps", name)
}

/// A view of the mesh `apps` with one virtual node that has one tag.
pub(crate) fn tagged(name: &str, key: &str, value: &str) -> MeshView {
    let mut view = view(&[(&format!("virtualNode/{name}"), serde_json::json!({}))]);
    let record = view.resources.get_mut(&node(name)).expect("the node");
    Arc::make_mut(record).tags.insert(key.into(), value.into());
    view
}

/// A session of this name of the role `apps-serviceB`, whose unique id is `AROAIOSFODNN7EXAMPLE`.
pub(crate) fn session(name: &str) -> Joined {
    let arn = format!("arn:aws:sts::123456789012:assumed-role/apps-serviceB/{name}");
    Joined::parse(&StsCaller { arn, user_id: format!("AROAIOSFODNN7EXAMPLE:{name}") }).expect("a session")
}

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
    fn mesh(&self, name: &str) -> Option<Arc<MeshView>> {
        self.mesh.lock().expect("no panic while locked").clone().filter(|_| name == "apps")
    }

    fn mesh_names(&self) -> Vec<String> {
        vec!["apps".to_owned()]
    }

    fn revisions(&self) -> watch::Receiver<u64> {
        self.revisions.subscribe()
    }

    fn version_keys(&self) -> Arc<VersionKeys> {
        Arc::new(version_keys(1))
    }
}

/// The key number `number` alone.
pub(crate) fn version_keys(number: u8) -> VersionKeys {
    VersionKeys::new([&[number; 32]])
}
