//! Create, Update and Delete of every kind. The decisions are pure functions that the store runs on its newest state;
//! time and uid are drawn here, before.

use std::sync::Arc;

use axum::body::Body;
use fleetmesh_model::tag::Tags;
use fleetmesh_model::{Collection, Kind, ResourceId, Spec};
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::answer::{self, ACTIVE, DELETED};
use super::quota::Quotas;
use super::request::Members;
use super::rules::{self, absent};
use super::{Api, permission, refusal_of, validate};
use crate::refusal::{Class, Refusal};
use crate::rights::Rights;
use crate::store::{Change, ClientToken, Commit, Decide, Tip, Write};
use crate::view::Record;

impl Api {
    pub(super) async fn create(
        &self,
        collection: &Collection,
        body: Body,
        rights: &Rights,
    ) -> Result<Value, Refusal> {
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
        validate::tag_count(Class::BadRequest, tags.len())?;
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
        let decide: Decide = Box::new(move |tip| decide_create(tip, &record, &quotas));
        self.commit(id, Commit { token, decide }, ACTIVE).await
    }

    pub(super) async fn update(&self, id: ResourceId, body: Body) -> Result<Value, Refusal> {
        let mut members = Members::read(body).await?;
        let token = members.take_string("clientToken")?;
        let spec = members.take("spec");
        members.finish()?;
        let spec = self.spec(id.kind(), spec)?;
        let token = client_token(token, "update", &id, &spec, &Tags::new())?;
        let now = now();
        let target = id.clone();
        let decide: Decide = Box::new(move |tip| decide_update(tip, &target, &spec, now));
        self.commit(id, Commit { token, decide }, ACTIVE).await
    }

    pub(super) async fn delete(&self, id: ResourceId) -> Result<Value, Refusal> {
        let target = id.clone();
        let decide: Decide = Box::new(move |tip| decide_delete(tip, &target));
        self.commit(id, Commit { token: None, decide }, DELETED).await
    }

    async fn commit(&self, id: ResourceId, commit: Commit, status: &str) -> Result<Value, Refusal> {
        let record = self.commit_to_store(commit).await.map_err(|error| refusal_of(error, &id))?;
        answer::data(&record, status, &self.identity)
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

fn decide_create(tip: Tip<'_>, record: &Record, quotas: &Quotas) -> Result<Change, Refusal> {
    let id = &record.id;
    if tip.record(id).is_some() {
        let message = format!("{id} exists already; update it, or choose another name");
        return Err(Refusal::conflict(message));
    }
    if id.kind() != Kind::Mesh {
        let mesh = mesh_of(tip, id)?;
        rules::admit(mesh, id, &record.spec)?;
    }
    quotas.admit(tip, id)?;
    Ok(Change::Put(Write { record: record.clone(), replaces: None }))
}

fn decide_update(tip: Tip<'_>, id: &ResourceId, spec: &Spec, now: Timestamp) -> Result<Change, Refusal> {
    let mesh = mesh_of(tip, id)?;
    let current: &Arc<Record> = mesh.get(id).ok_or_else(|| absent(id))?;
    rules::admit(mesh, id, spec)?;
    let record = Record {
        version: current.version.saturating_add(1),
        // A clock that was set back must not make a resource older than it is.
        last_updated_at: now.max(current.last_updated_at),
        spec: spec.clone(),
        ..Record::clone(current)
    };
    Ok(Change::Put(Write { record, replaces: Some(current.version) }))
}

fn decide_delete(tip: Tip<'_>, id: &ResourceId) -> Result<Change, Refusal> {
    let mesh = mesh_of(tip, id)?;
    let current = mesh.get(id).ok_or_else(|| absent(id))?;
    rules::release(mesh, id)?;
    Ok(Change::Delete { id: id.clone(), uid: current.uid.clone(), version: current.version })
}

/// The mesh that `id` is in, or is.
pub(super) fn mesh_of<'a>(tip: Tip<'a>, id: &ResourceId) -> Result<&'a crate::view::MeshView, Refusal> {
    let name = id.mesh_name();
    tip.mesh(name).ok_or_else(|| absent(&ResourceId::mesh(name)))
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
