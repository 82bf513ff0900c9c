//! Meshes for unit tests, written as the API's JSON.

use std::collections::BTreeMap;
use std::sync::Arc;

use fleetmesh_model::{Arn, ResourceId, Spec};
use jiff::Timestamp;
use serde_json::Value;

use crate::view::{MeshView, Record};

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
