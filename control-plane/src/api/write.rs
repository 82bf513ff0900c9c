//! Create, Update and Delete of every kind. [`decide`] makes the decisions, on the store's newest state; time and uid are drawn here,
//! before.

use std::sync::Arc;

use fleetmesh_mesh::decide;
use fleetmesh_mesh::refusal::{Class, Refusal};
use fleetmesh_mesh::rules;
use fleetmesh_mesh::store::{ClientToken, Commit, Decide};
use fleetmesh_mesh::view::Record;
use fleetmesh_model::tag::Tags;
use fleetmesh_model::{Account, Collection, Kind, MeshName, ResourceId, Spec};
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::answer::{self, Answered, DELETED};
use super::request::Members;
use super::{Api, permission, refusal_of, validate};
use crate::rights::Rights;

impl Api {
    pub(super) async fn create(
        &self,
        collection: &Collection,
        body: &[u8],
        rights: &Rights,
        caller: Account,
    ) -> Result<Answered, Refusal> {
        let kind = collection.kind();
        let mut members = Members::read(body)?;
        let token = members.take_string("clientToken")?;
        let member = kind.info().member;
        let name = members.take_string(member)?;
        let name = name.ok_or_else(|| Refusal::bad_request(format!("{member}: is required")))?;
        let (spec, tags) = (members.take("spec"), members.take("tags"));
        members.finish()?;
        validate::name(member, &name)?;
        validate::service_name(kind, member, &name)?;
        let id = collection.member(&name);
        permission::check_create(rights, caller, &id, &self.accounts)?;
        rules::may_create(None, &id, caller)?;
        validate_mesh(&id)?;
        let spec = self.spec(kind, spec)?;
        let tags = self.validator.tags(tags)?;
        rules::tag_count(Class::BadRequest, tags.len())?;
        let token = client_token(token, "create", caller, &id, &spec, &tags)?;
        let now = now();
        let record = Record {
            arn: self.accounts.identity().arn(&id),
            owner: caller,
            uid: Uuid::new_v4().to_string(),
            version: 1,
            created_at: now,
            last_updated_at: now,
            spec,
            tags,
            id,
        };
        let (id, quotas) = (record.id.clone(), self.quotas.clone());
        let decide: Decide = Box::new(move |tip| decide::create(tip, &record, &quotas));
        self.keep(&id, Commit { token, decide }).await
    }

    pub(super) async fn update(
        &self,
        id: ResourceId,
        body: &[u8],
        caller: Account,
    ) -> Result<Answered, Refusal> {
        let mut members = Members::read(body)?;
        let token = members.take_string("clientToken")?;
        let spec = members.take("spec");
        members.finish()?;
        let spec = self.spec(id.kind(), spec)?;
        let token = client_token(token, "update", caller, &id, &spec, &Tags::new())?;
        let now = now();
        let target = id.clone();
        let decide: Decide = Box::new(move |tip| decide::update(tip, caller, &target, &spec, now));
        self.keep(&id, Commit { token, decide }).await
    }

    pub(super) async fn delete(&self, id: ResourceId, caller: Account) -> Result<Value, Refusal> {
        let target = id.clone();
        let decide: Decide = Box::new(move |tip| decide::delete(tip, caller, &target));
        let record = self.commit(&id, Commit { token: None, decide }).await?;
        answer::data(&record, DELETED, self.accounts.identity())
    }

    async fn keep(&self, id: &ResourceId, commit: Commit) -> Result<Answered, Refusal> {
        let record = self.commit(id, commit).await?;
        let view = self.store.mesh(id.mesh_name());
        answer::kept(&record, view.as_deref(), self.accounts.identity())
    }

    async fn commit(&self, id: &ResourceId, commit: Commit) -> Result<Arc<Record>, Refusal> {
        self.commit_to_store(commit).await.map_err(|error| refusal_of(error, id))
    }

    /// The spec in a request's body.
    fn spec(&self, kind: Kind, json: Option<Value>) -> Result<Spec, Refusal> {
        let json = match json {
            Some(json) => json,
            None if kind.info().spec_required => return Err(Refusal::bad_request("spec: is required")),
            None => json!({}),
        };
        let mut spec = self.validator.spec(kind, json)?;
        spec.fill_in();
        Ok(spec)
    }
}

/// The client token of a request, with the hash of all that the request asks for.
fn client_token(
    token: Option<String>,
    verb: &str,
    caller: Account,
    id: &ResourceId,
    spec: &Spec,
    tags: &Tags,
) -> Result<Option<ClientToken>, Refusal> {
    let Some(token) = token else { return Ok(None) };
    validate::client_token(&token)?;
    let unreadable = |error: serde_json::Error| Refusal::bad_request(format!("spec: {error}"));
    // One account's token says nothing about the same request of another.
    let request = match caller {
        owner if owner == id.mesh_name().owner() => serde_json::to_vec(&(verb, id, spec, tags)),
        Account::First => serde_json::to_vec(&(verb, id, spec, tags, "")),
        Account::Other(consumer) => serde_json::to_vec(&(verb, id, spec, tags, consumer.to_string())),
    };
    let (mesh, request) = (id.mesh_name().clone(), Sha256::digest(request.map_err(unreadable)?).into());
    Ok(Some(ClientToken { token, mesh, request, spec: spec.clone() }))
}

/// Refuses a mesh whose name says that it is another account's.
fn validate_mesh(id: &ResourceId) -> Result<(), Refusal> {
    let of_another = MeshName::split(id.name()).filter(|_| id.parent().is_none());
    let Some((name, owner)) = of_another else { return Ok(()) };
    Err(Refusal::bad_request(format!(
        "meshName: {:?} is how proxies call the mesh {name:?} of account {owner}; choose a name without the account",
        id.name()
    )))
}

/// The time, in the milliseconds that are stored: what a request is answered now and after a restart is the same.
fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}
