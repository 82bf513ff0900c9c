//! Tags: list, add and remove. Tags are not part of a resource's spec, so its version stays.

use fleetmesh_mesh::decide;
use fleetmesh_mesh::refusal::Refusal;
use fleetmesh_mesh::rules::{self, absent};
use fleetmesh_mesh::store::{Commit, Decide};
use fleetmesh_model::tag::Tags;
use fleetmesh_model::{Account, ResourceId};
use serde_json::{Map, Value, json};

use super::query::Query;
use super::request::Members;
use super::{Api, refusal_of};

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

    pub(super) async fn tag(&self, query: &Query, body: &[u8], caller: Account) -> Result<Value, Refusal> {
        let id = self.tagged(query, caller)?;
        let mut members = Members::read(body)?;
        let tags = members.take("tags").ok_or_else(|| Refusal::bad_request("tags: is required"))?;
        members.finish()?;
        let new = self.validator.tags(Some(tags))?;
        let add = move |mut tags: Tags| {
            tags.extend(new.clone());
            tags
        };
        self.retag(id, caller, add).await
    }

    pub(super) async fn untag(&self, query: &Query, body: &[u8], caller: Account) -> Result<Value, Refusal> {
        let id = self.tagged(query, caller)?;
        let mut members = Members::read(body)?;
        let keys = members.take("tagKeys").ok_or_else(|| Refusal::bad_request("tagKeys: is required"))?;
        members.finish()?;
        let keys = self.validator.tag_keys(Some(keys))?;
        let remove = move |mut tags: Tags| {
            tags.retain(|key, _| !keys.contains(key));
            tags
        };
        self.retag(id, caller, remove).await
    }

    /// The resource that a request is about, in a mesh that `caller` may see.
    fn tagged(&self, query: &Query, caller: Account) -> Result<ResourceId, Refusal> {
        let id = query.resource(self.accounts.identity())?;
        self.accounts.see(caller, id.mesh_name())?;
        Ok(id)
    }

    async fn retag(
        &self,
        id: ResourceId,
        caller: Account,
        change: impl Fn(Tags) -> Tags + Send + 'static,
    ) -> Result<Value, Refusal> {
        let target = id.clone();
        let decide: Decide = Box::new(move |tip| decide::retag(tip, caller, &target, &change));
        let commit = Commit { token: None, decide };
        self.commit_to_store(commit).await.map_err(|error| refusal_of(error, &id))?;
        Ok(json!({}))
    }
}
