//! Create, Update and Delete of every kind. [`decide`] makes the decisions, on the store's newest state; time and uid are drawn here,
//! before.

use std::sync::Arc;

use axum::body::Body;
use fleetmesh_mesh::decide;
use fleetmesh_mesh::refusal::{Class, Refusal};
use fleetmesh_mesh::rules;
use fleetmesh_mesh::store::{ClientToken, Commit, Decide};
use fleetmesh_mesh::view::Record;
use fleetmesh_model::tag::Tags;
use fleetmesh_model::{Collection, Kind, ResourceId, Spec};
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
        body: Body,
        rights: &Rights,
    ) -> Result<Answered, Refusal> {
        let kind = collection.kind();
        let mut members = Members::read(body).await?;
        let token = members.take_string("clientToken")?;
        let member = kind.info().member;
        let name = members.take_string(member)?;
        let name = name.ok_or_else(|| Refusal::bad_request(format!("{member}: is required")))?;
        let (spec, tags) = (members.take("spec"), members.take("tags"));
        members.finish()?;
        validate::name(member, &name)?;
        let id = collection.member(&name);
        permission::check_create(rights, &id, &self.identity)?;
        let spec = self.spec(kind, spec)?;
        let tags = self.validator.tags(tags)?;
        rules::tag_count(Class::BadRequest, tags.len())?;
        let token = client_token(token, "create", &id, &spec, &tags)?;
        let now = now();
        let record = Record {
            arn: self.identity.arn(&id),
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

    pub(super) async fn update(&self, id: ResourceId, body: Body) -> Result<Answered, Refusal> {
        let mut members = Members::read(body).await?;
        let token = members.take_string("clientToken")?;
        let spec = members.take("spec");
        members.finish()?;
        let spec = self.spec(id.kind(), spec)?;
        let token = client_token(token, "update", &id, &spec, &Tags::new())?;
        let now = now();
        let target = id.clone();
        let decide: Decide = Box::new(move |tip| decide::update(tip, &target, &spec, now));
        self.keep(&id, Commit { token, decide }).await
    }

    pub(super) async fn delete(&self, id: ResourceId) -> Result<Value, Refusal> {
        let target = id.clone();
        let decide: Decide = Box::new(move |tip| decide::delete(tip, &target));
        let record = self.commit(&id, Commit { token: None, decide }).await?;
        answer::data(&record, DELETED, &self.identity)
    }

    async fn keep(&self, id: &ResourceId, commit: Commit) -> Result<Answered, Refusal> {
        let record = self.commit(id, commit).await?;
        let view = self.store.mesh(id.mesh_name());
        answer::kept(&record, view.as_deref(), &self.identity)
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
    id: &ResourceId,
    spec: &Spec,
    tags: &Tags,
) -> Result<Option<ClientToken>, Refusal> {
    let Some(token) = token else { return Ok(None) };
    validate::client_token(&token)?;
    let request = serde_json::to_vec(&(verb, id, spec, tags))
        .map_err(|error| Refusal::bad_request(format!("spec: {error}")))?;
    let (mesh, request) = (id.mesh_name().to_owned(), Sha256::digest(&request).into());
    Ok(Some(ClientToken { token, mesh, request, spec: spec.clone() }))
}

/// The time, in the milliseconds that are stored: what a request is answered now and after a restart is the same.
fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}
