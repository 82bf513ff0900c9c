//! Tags: list, add and remove. Tags are not part of a resource's spec, so its version stays.

use std::collections::BTreeSet;

use fleetmesh_mesh::decide::MeshRequest;
use fleetmesh_mesh::http_tags;
use fleetmesh_mesh::refusal::Refusal;
use fleetmesh_mesh::rules::{self, absent};
use fleetmesh_model::tag::Tags;
use fleetmesh_model::{Account, ResourceId};
use serde_json::{Map, Value, json};

use super::Api;
use super::query::Query;
use super::request::Members;
use super::write::Prepared;

/// The most tags in a list (App Mesh `TagsLimit`).
const LARGEST_PAGE: usize = 50;

impl Api {
    /// The tags of what `caller` made: nobody else may list them.
    pub(super) fn list_tags(&self, query: &Query, caller: Account) -> Result<Value, Refusal> {
        let page = query.page(LARGEST_PAGE)?;
        let id = self.tagged(query, caller)?;
        let mesh = self.store.mesh(id.mesh_name());
        let record = mesh.and_then(|mesh| mesh.get(&id).cloned()).ok_or_else(|| absent(&id))?;
        rules::may_change(&record, caller)?;
        let entries =
            record.tags.iter().map(|(key, value)| (key.clone(), json!({ "key": key, "value": value })));
        let (tags, next) = page.cut(entries);
        let mut answer = Map::new();
        answer.insert("tags".into(), Value::Array(tags));
        if let Some(next) = next {
            answer.insert("nextToken".into(), Value::String(next));
        }
        Ok(Value::Object(answer))
    }

    pub(super) fn tag(
        &self,
        query: &Query,
        body: impl FnOnce() -> Result<Members, Refusal>,
        caller: Account,
    ) -> Result<Prepared, Refusal> {
        let id = self.tagged(query, caller)?;
        let mut members = body()?;
        let tags = members.take("tags").ok_or_else(|| Refusal::bad_request("tags: is required"))?;
        members.finish()?;
        let set = self.validator.tags(Some(tags))?;
        http_tags::check(id.kind(), &set)?;
        Ok(Prepared { request: MeshRequest::Retag { id, set, remove: BTreeSet::new() }, token: None })
    }

    pub(super) fn untag(
        &self,
        query: &Query,
        body: impl FnOnce() -> Result<Members, Refusal>,
        caller: Account,
    ) -> Result<Prepared, Refusal> {
        let id = self.tagged(query, caller)?;
        let mut members = body()?;
        let keys = members.take("tagKeys").ok_or_else(|| Refusal::bad_request("tagKeys: is required"))?;
        members.finish()?;
        let remove = self.validator.tag_keys(Some(keys))?.into_iter().collect();
        Ok(Prepared { request: MeshRequest::Retag { id, set: Tags::new(), remove }, token: None })
    }

    /// The resource that a request is about, in a mesh that `caller` may see.
    fn tagged(&self, query: &Query, caller: Account) -> Result<ResourceId, Refusal> {
        let id = query.resource(self.accounts.identity())?;
        self.accounts.see(caller, id.mesh_name())?;
        Ok(id)
    }
}
