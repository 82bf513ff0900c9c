//! Describe and List. Reads the newest views; no I/O.

use fleetmesh_mesh::refusal::Refusal;
use fleetmesh_mesh::rules::absent;
use fleetmesh_model::{Collection, ResourceId};
use serde_json::{Map, Value};

use super::Api;
use super::answer::{self, Answered};
use super::query::Query;

/// The most entries in a list (App Mesh `List*Limit`).
const LARGEST_PAGE: usize = 100;

impl Api {
    pub(super) fn describe(&self, id: &ResourceId) -> Result<Answered, Refusal> {
        let mesh =
            self.store.mesh(id.mesh_name()).ok_or_else(|| absent(&ResourceId::mesh(id.mesh_name())))?;
        let record = mesh.get(id).ok_or_else(|| absent(id))?;
        answer::kept(record, Some(&mesh), &self.identity)
    }

    pub(super) fn list(&self, collection: &Collection, query: &Query) -> Result<Value, Refusal> {
        let page = query.page(LARGEST_PAGE)?;
        let mut records = Vec::new();
        match collection.parent() {
            None => {
                for name in self.store.mesh_names() {
                    let mesh = self.store.mesh(&name);
                    records.extend(mesh.and_then(|mesh| mesh.get(&ResourceId::mesh(&name)).cloned()));
                }
            }
            Some(parent) => {
                let name = parent.mesh_name();
                let mesh = self.store.mesh(name).ok_or_else(|| absent(&ResourceId::mesh(name)))?;
                mesh.get(&parent).ok_or_else(|| absent(&parent))?;
                records.extend(mesh.members(collection).cloned());
            }
        }
        let entries = records
            .iter()
            .map(|record| (record.id.name().to_owned(), answer::reference(record, &self.identity)));
        let (entries, next) = page.cut(entries);
        let mut answer = Map::new();
        answer.insert(collection.kind().info().collection.into(), Value::Array(entries));
        if let Some(next) = next {
            answer.insert("nextToken".into(), Value::String(next));
        }
        Ok(Value::Object(answer))
    }
}
