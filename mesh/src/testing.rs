//! Meshes for tests, written as the API's JSON.
#![allow(clippy::expect_used, reason = "a test ends where its mesh is none")]

use std::collections::BTreeMap;
use std::sync::Arc;

use fleetmesh_model::{Arn, ResourceId, Spec};
use jiff::Timestamp;
use serde_json::Value;

use crate::cloud_map::{Discovery, RegisteredInstance, ServiceName};
use crate::form::Forms;
use crate::grant::{Joined, StsCaller};
use crate::snapshot::VersionKeys;
use crate::view::{MeshView, Record};

/// A view of the mesh `apps` with these objects, each `(resource without mesh/apps/, spec)`; the mesh is added with an
/// empty spec unless it is given as `""`.
pub fn view(objects: &[(&str, Value)]) -> MeshView {
    let mut resources = BTreeMap::new();
    let mesh = record("", &serde_json::json!({}), 1);
    resources.insert(mesh.id.clone(), mesh);
    for (path, spec) in objects {
        let record = record(path, spec, 1);
        resources.insert(record.id.clone(), record);
    }
    MeshView { revision: 1, forms: Forms::default(), resources }
}

/// One record of the mesh `apps`.
pub fn record(path: &str, spec: &Value, version: i64) -> Arc<Record> {
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
        owner: fleetmesh_model::Account::First,
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
pub fn node(name: &str) -> ResourceId {
    ResourceId::virtual_node("apps", name)
}

/// A view of the mesh `apps` with one virtual node that has one tag.
pub fn tagged(name: &str, key: &str, value: &str) -> MeshView {
    let mut view = view(&[(&format!("virtualNode/{name}"), serde_json::json!({}))]);
    let record = view.resources.get_mut(&node(name)).expect("the node");
    Arc::make_mut(record).tags.insert(key.into(), value.into());
    view
}

/// A session of this name of the role `apps-serviceB`, whose unique id is `AROAIOSFODNN7EXAMPLE`.
pub fn session(name: &str) -> Joined {
    let arn = format!("arn:aws:sts::123456789012:assumed-role/apps-serviceB/{name}");
    Joined::parse(&StsCaller { arn, user_id: format!("AROAIOSFODNN7EXAMPLE:{name}") }).expect("a session")
}

/// The key number `number` alone.
pub fn version_keys(number: u8) -> VersionKeys {
    VersionKeys::new([&[number; 32]])
}

/// The Cloud Map service `name` of the namespace `apps.local`.
pub fn service(name: &str) -> ServiceName {
    ServiceName { namespace_name: "apps.local".into(), service_name: name.into() }
}

/// A healthy instance in Cloud Map.
pub fn instance(id: &str, attributes: &[(&str, &str)]) -> RegisteredInstance {
    let attributes = attributes.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    RegisteredInstance { id: id.into(), unhealthy: false, attributes }
}

/// What Cloud Map answers that has these instances.
pub fn list(instances: &[RegisteredInstance]) -> Discovery {
    Discovery::Instances(Arc::new(instances.to_vec()))
}
