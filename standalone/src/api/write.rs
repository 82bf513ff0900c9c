//! create, update, patch, delete and deletecollection: decided on what there is, stored if it is still so, else decided again.

mod change;
mod patch;

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use fleetmesh_standalone_core::event;
use fleetmesh_standalone_core::objects::{FieldValidation, ObjectSchema, Writer};
use fleetmesh_standalone_core::resource::Resource;
use fleetmesh_standalone_core::schema::Decoded;
use fleetmesh_standalone_core::status::{FieldError, FieldErrorKind, Status};
use fleetmesh_standalone_core::store::delete::{self, DeleteOptions};
use fleetmesh_standalone_core::store::update::Part;
use fleetmesh_standalone_core::store::{Decision, EventKind, Stored, create, definitions, metadata, state};
use http::header::USER_AGENT;
use serde_json::Value;

use super::view::View;
use super::{Api, ApiRequest, answer};
use crate::store::CommitError;

/// How often a request is decided at most. Each time another write was faster, so there is progress.
const ATTEMPTS: usize = 64;
/// How many names are generated before a request gives up.
const NAMES: usize = 8;
/// The most letters of a field manager.
const LONGEST_MANAGER: usize = 128;
/// When to ask again after the disk did not take a write, in seconds.
const LATER: u32 = 1;

/// What a write came to.
pub(super) enum Outcome {
    /// The object is as stored.
    Stored(Arc<Stored>),
    /// It was removed; this is how it was last.
    Removed(Arc<Stored>),
    /// Nothing was stored, as asked; it would be this.
    DryRun(Value),
}

impl Api {
    /// Decides and stores until what was decided is still so when it is stored.
    pub(super) async fn write(
        &self,
        is_dry_run: bool,
        decide: impl Fn() -> Result<Decision, Status> + Send + Sync,
    ) -> Result<Outcome, Status> {
        for _ in 0..ATTEMPTS {
            let (write, guards) = match decide()? {
                Decision::Unchanged(stored) => return Ok(Outcome::Stored(stored)),
                Decision::Write(write, _) if is_dry_run => return Ok(Outcome::DryRun(write.object)),
                Decision::Write(write, guards) => (write, guards),
            };
            let is_over = write.kind == EventKind::Deleted;
            match self.store.commit(write, guards).await {
                Ok(stored) if is_over => return Ok(Outcome::Removed(stored)),
                Ok(stored) => return Ok(Outcome::Stored(stored)),
                Err(CommitError::Overtaken) => {}
                Err(CommitError::Unavailable(why)) => return Err(Status::service_unavailable(why, LATER)),
            }
        }
        Err(Status::service_unavailable("other writes to the object were faster each time", LATER))
    }

    /// The resource whose form is stored: of two views of one store the one that is no other's.
    pub(super) fn kept<'a>(&'a self, resource: &'a Resource) -> &'a Resource {
        let stored = self.resources.iter().find(|one| one.store == resource.store);
        stored.map_or(resource, |stored| stored)
    }
}

impl ApiRequest<'_> {
    /// An object of a body, in the form that is stored.
    pub(super) fn stored_form(&self, object: Value) -> Value {
        if self.resource().group == "events.k8s.io" { event::stored(&object) } else { object }
    }

    pub(super) async fn create(&self, body: Body) -> Result<Response, Status> {
        let is_dry_run = self.parameters.dry_run("CreateOptions")?;
        let (view, validation) = (self.view()?, self.validation("CreateOptions")?);
        let Decoded { value: mut object, duplicates } = self.object(body).await?;
        create::place(self.resource(), self.namespace(), None, &mut object)?;
        let mut warnings = self.schema().decoded(self.resource(), &mut object, &duplicates, validation)?;
        create::check_new(&object)?;
        definitions::may_write(self.resource(), self.same_named(&object).as_ref(), &object)?;
        let object = self.schema().managed(self.resource(), None, object, &self.writer());
        let object = self.stored_form(object);
        let is_generated = metadata::text(&object, "name").is_empty();
        let mut attempts = if is_generated { NAMES } else { 1 };
        loop {
            attempts -= 1;
            match self.create_once(&object, is_dry_run).await {
                Err(status) if status.reason == "AlreadyExists" && attempts > 0 => {}
                outcome => {
                    let (outcome, more) = outcome?;
                    warnings.extend(more);
                    return Ok(answer::warned(written(&view, 201, outcome)?, &warnings));
                }
            }
        }
    }

    /// What has the name already that a new object asks for.
    fn same_named(&self, object: &Value) -> Option<Value> {
        let name = metadata::text(object, "name");
        let key = state::Key::new(&self.resource().store, self.namespace(), name);
        self.api.store.read(|ledger| ledger.state.get(&key).map(|stored| stored.value()))
    }

    /// Creates the object, which is decoded and managed, in the form that is stored. Gives warnings, too.
    pub(super) async fn create_once(
        &self,
        object: &Value,
        is_dry_run: bool,
    ) -> Result<(Outcome, Vec<String>), Status> {
        let resource = self.api.kept(self.resource());
        let schema = self.api.schemas.of(resource);
        let mut object = object.clone();
        create::prepare(resource, &mut object, &Api::fresh());
        schema.prepare(&mut object);
        let warnings = schema.checked(self.resource(), None, &mut object, Part::Main)?;
        let decide = || self.api.store.read(|ledger| create::decide(resource, &ledger.state, object.clone()));
        Ok((self.api.write(is_dry_run, decide).await?, warnings))
    }

    /// The schema of the resource of the request.
    pub(super) fn schema(&self) -> &ObjectSchema {
        self.api.schemas.of(self.resource())
    }

    /// What is done about unknown fields.
    pub(super) fn validation(&self, options: &str) -> Result<FieldValidation, Status> {
        self.check_manager(options)?;
        FieldValidation::read(self.parameters.get("fieldValidation"), options)
    }

    /// The name of a manager is bounded.
    pub(super) fn check_manager(&self, options: &str) -> Result<(), Status> {
        if self.parameters.get("fieldManager").len() <= LONGEST_MANAGER {
            return Ok(());
        }
        let why = format!("may not be more than {LONGEST_MANAGER} bytes");
        let error = FieldError::new(FieldErrorKind::TooLong, "fieldManager", None, why);
        Err(Status::invalid("meta.k8s.io", options, "", &[error]))
    }

    /// Who writes: the field manager that the request names, else the program that it comes from.
    pub(super) fn writer(&self) -> Writer {
        let named = self.parameters.get("fieldManager");
        let agent = self.header(USER_AGENT).split('/').next().unwrap_or_default();
        let manager = if named.is_empty() { agent } else { named };
        Writer {
            manager: manager.chars().take(LONGEST_MANAGER).collect(),
            time: Api::fresh().time(),
            part: self.part(),
        }
    }

    pub(super) async fn delete(&self, body: Body) -> Result<Response, Status> {
        let view = self.view()?;
        let options = self.delete_options(body).await?;
        // The old member has an answer of its own.
        let waits = self.parameters.get("orphanDependents") == "false";
        let stored = self.stored()?;
        let outcome = self.delete_one(&stored, &options).await?;
        let Resource { group, plural, .. } = self.resource();
        match outcome {
            Outcome::Removed(last) if self.is_shown_when_gone() => view.stored(200, &last),
            Outcome::Removed(last) => {
                Ok(answer::value(200, &Status::deleted(group, plural, &last.key.name, &last.uid)))
            }
            Outcome::DryRun(object) if delete_is_final(&object) && !self.is_shown_when_gone() => {
                Ok(answer::value(200, &Status::deleted(group, plural, &stored.key.name, &stored.uid)))
            }
            outcome => written(&view, if waits { 202 } else { 200 }, outcome),
        }
    }

    /// Whether a deletion is answered with the object.
    fn is_shown_when_gone(&self) -> bool {
        matches!(self.resource().kind.as_str(), "Namespace" | "ServiceAccount")
            && self.resource().definition().is_none()
    }

    async fn delete_options(&self, body: Body) -> Result<DeleteOptions, Status> {
        let mut options = DeleteOptions::read(&self.options(body).await?)?;
        options.dry_run |= self.parameters.dry_run("DeleteOptions")?;
        let named = self.parameters.get("propagationPolicy");
        if options.propagation.is_none() && !named.is_empty() {
            let body = serde_json::json!({ "propagationPolicy": named });
            options.propagation = DeleteOptions::read(&body)?.propagation;
        }
        Ok(options)
    }

    async fn delete_one(&self, stored: &Arc<Stored>, options: &DeleteOptions) -> Result<Outcome, Status> {
        let resource = self.resource();
        definitions::may_delete(resource, &stored.key.name)?;
        let decide = || {
            let found = self.api.store.read(|ledger| ledger.state.get(&stored.key).cloned());
            let gone = || Status::not_found(&resource.group, &resource.plural, &stored.key.name);
            let found = found.ok_or_else(gone)?;
            delete::decide(resource, &found, options, &Api::fresh())
        };
        self.api.write(options.dry_run, decide).await
    }

    pub(super) async fn delete_collection(&self, body: Body) -> Result<Response, Status> {
        let view = self.view()?;
        let options = self.delete_options(body).await?;
        let page = self.page()?;
        for stored in &page.objects {
            match self.delete_one(stored, &options).await {
                Err(status) if status.reason == "NotFound" => {}
                outcome => _ = outcome?,
            }
        }
        let metadata =
            super::view::ListMetadata { revision: page.revision, next: page.next, remaining: None };
        view.list(&metadata, page.objects)
    }
}

/// The answer to a write of an object.
pub(super) fn written(view: &View, code: u16, outcome: Outcome) -> Result<Response, Status> {
    match outcome {
        Outcome::Stored(stored) | Outcome::Removed(stored) => view.stored(code, &stored),
        Outcome::DryRun(object) => view.object(code, object),
    }
}

/// Whether nothing keeps an object that a deletion would leave so.
fn delete_is_final(object: &Value) -> bool {
    !metadata::is_deleting(object)
}
