//! Create, Update and Delete of every kind: a request is prepared, then carried out, alone here or with others ([`super::commits`]).
//! [`decide`] makes the decisions, on the store's newest state; time and uid are drawn here, before.

use std::sync::Arc;

use fleetmesh_mesh::decide::{self, MeshRequest};
use fleetmesh_mesh::http_tags;
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
use super::operation::Operation;
use super::query::Query;
use super::request::Members;
use super::{Api, Caller, permission, refusal_of, validate};

/// A request that passed all that can be judged without the mesh, to be decided.
pub(super) struct Prepared {
    pub(super) request: MeshRequest,
    pub(super) token: Option<ClientToken>,
}

impl Api {
    /// Reads and validates a request that changes something. `body` reads its body, where it needs one.
    pub(super) fn prepare(
        &self,
        operation: &Operation,
        query: &Query,
        body: impl FnOnce() -> Result<Members, Refusal>,
        caller: &Caller,
    ) -> Result<Prepared, Refusal> {
        match operation {
            Operation::Create(collection) => self.create(collection, body()?, caller),
            Operation::Update(id) => self.update(id, body()?, caller.account),
            Operation::Delete(id) => Ok(Prepared { request: MeshRequest::Delete(id.clone()), token: None }),
            Operation::TagResource => self.tag(query, body, caller.account),
            Operation::UntagResource => self.untag(query, body, caller.account),
            Operation::Describe(_) | Operation::List(_) | Operation::ListTagsForResource => {
                Err(Refusal::bad_request(format!("{} changes nothing", operation.verb())))
            }
        }
    }

    /// Decides and stores one request.
    pub(super) async fn carry_out(&self, prepared: Prepared, caller: Account) -> Result<Answered, Refusal> {
        let Prepared { request, token } = prepared;
        let (decided, quotas) = (request.clone(), self.quotas.clone());
        let decide: Decide = Box::new(move |tip| decide::alone(tip, caller, &decided, &quotas));
        let stored = self.commit_to_store(Commit { token, decide }.into()).await;
        let records = stored.map_err(|error| refusal_of(error.into(), request.id()))?;
        let record = records.first().ok_or_else(|| {
            Refusal::new(Class::InternalServerError, format!("{}: stored without an answer", request.id()))
        })?;
        self.answer_to(&request, record)
    }

    /// What a request is answered that led to `record`.
    pub(super) fn answer_to(&self, request: &MeshRequest, record: &Arc<Record>) -> Result<Answered, Refusal> {
        let identity = self.accounts.identity();
        match request {
            MeshRequest::Create(_) | MeshRequest::Update { .. } => {
                let view = self.store.mesh(record.id.mesh_name());
                answer::kept(record, view.as_deref(), &self.discovered(), identity)
            }
            MeshRequest::Delete(_) => answer::data(record, DELETED, identity).map(Into::into),
            MeshRequest::Retag { .. } => Ok(json!({}).into()),
        }
    }

    fn create(
        &self,
        collection: &Collection,
        mut members: Members,
        caller: &Caller,
    ) -> Result<Prepared, Refusal> {
        let Caller { rights, account } = caller;
        let kind = collection.kind();
        let token = members.take_string("clientToken")?;
        let member = kind.info().member;
        let name = members.take_string(member)?;
        let name = name.ok_or_else(|| Refusal::bad_request(format!("{member}: is required")))?;
        let (spec, tags) = (members.take("spec"), members.take("tags"));
        members.finish()?;
        validate::name(member, &name)?;
        validate::service_name(kind, member, &name)?;
        let id = collection.member(&name);
        permission::check_create(rights, *account, &id, &self.accounts)?;
        rules::may_create(None, &id, *account)?;
        validate_mesh(&id)?;
        let spec = self.spec(kind, spec)?;
        let tags = self.validator.tags(tags)?;
        rules::tag_count(Class::BadRequest, tags.len())?;
        http_tags::check(id.kind(), &tags)?;
        let token = client_token(token, "create", *account, &id, &spec, &tags)?;
        let now = now();
        let request = MeshRequest::Create(Record {
            arn: self.accounts.identity().arn(&id),
            owner: *account,
            uid: Uuid::new_v4().to_string(),
            version: 1,
            created_at: now,
            last_updated_at: now,
            spec,
            tags,
            id,
        });
        Ok(Prepared { request, token })
    }

    fn update(&self, id: &ResourceId, mut members: Members, caller: Account) -> Result<Prepared, Refusal> {
        let token = members.take_string("clientToken")?;
        let spec = members.take("spec");
        members.finish()?;
        let spec = self.spec(id.kind(), spec)?;
        let token = client_token(token, "update", caller, id, &spec, &Tags::new())?;
        Ok(Prepared { request: MeshRequest::Update { id: id.clone(), spec, now: now() }, token })
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
