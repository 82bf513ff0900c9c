//! Describe and List. Reads the newest views; no I/O.

use fleetmesh_mesh::identity::Identity;
use fleetmesh_mesh::refusal::Refusal;
use fleetmesh_mesh::rules::absent;
use fleetmesh_mesh::view::Record;
use fleetmesh_model::{Account, Collection, ResourceId};
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
        answer::kept(record, Some(&mesh), &self.discovered(), self.accounts.identity())
    }

    /// What `caller` may see of a collection: of meshes its own and those that are shared with it, whoever was named as their
    /// owner.
    pub(super) fn list(
        &self,
        collection: &Collection,
        query: &Query,
        caller: Account,
    ) -> Result<Value, Refusal> {
        let page = query.page(LARGEST_PAGE)?;
        let mut records = Vec::new();
        match collection.parent() {
            None => {
                let names = self.store.mesh_names().into_iter();
                for name in names.filter(|name| self.accounts.shared_with(name, caller)) {
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
        let identity = self.accounts.identity();
        let mut entries: Vec<_> = records
            .iter()
            .map(|record| (page_key(record, caller, identity), answer::reference(record, identity)))
            .collect();
        entries.sort_by(|(one, _), (other, _)| one.cmp(other));
        let (entries, next) = page.cut(entries.into_iter());
        let mut answer = Map::new();
        answer.insert(collection.kind().info().collection.into(), Value::Array(entries));
        if let Some(next) = next {
            answer.insert("nextToken".into(), Value::String(next));
        }
        Ok(Value::Object(answer))
    }
}

/// What pages of a list continue by: the name. Meshes of other accounts may have the same one; they come after the caller's own.
fn page_key(record: &Record, caller: Account, identity: &Identity) -> String {
    let (name, owner) = (record.id.name(), record.id.mesh_name().owner());
    let is_mesh = record.id.parent().is_none();
    if is_mesh && owner != caller { format!("{name}\0{}", identity.digits(owner)) } else { name.to_owned() }
}
