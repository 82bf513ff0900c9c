//! update: an object, its status, the finalizers of a namespace, a scale. A patch comes here, too, once it is applied.

use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::response::Response;
use fleetmesh_standalone_core::event;
use fleetmesh_standalone_core::objects::FieldValidation;
use fleetmesh_standalone_core::resource::Verb;
use fleetmesh_standalone_core::route::Subresource;
use fleetmesh_standalone_core::schema::Decoded;
use fleetmesh_standalone_core::status::Status;
use fleetmesh_standalone_core::store::update::{self, Part};
use fleetmesh_standalone_core::store::{Decision, Stored, create, definitions, scale};
use serde_json::Value;

use super::super::{ApiRequest, answer};
use super::{Outcome, written};

/// An object as a request wants it.
pub(super) struct Wanted {
    pub object: Value,
    /// Whether the object says already who manages what.
    pub is_managed: bool,
    pub warnings: Vec<String>,
}

impl ApiRequest<'_> {
    /// Which part of the object the request writes.
    pub(super) fn part(&self) -> Part {
        match self.route.subresource {
            Some(Subresource::Status) => Part::Status,
            Some(Subresource::Finalize) => Part::Finalizers,
            Some(Subresource::Scale) => Part::Scale,
            None => Part::Main,
        }
    }

    pub(in super::super) async fn update(&self, body: Body) -> Result<Response, Status> {
        let is_dry_run = self.parameters.dry_run("UpdateOptions")?;
        let (view, validation) = (self.view()?, self.validation("UpdateOptions")?);
        let Decoded { value: mut object, duplicates } = self.object(body).await?;
        if self.is_of(Subresource::Scale) {
            return self.scaled(is_dry_run, |_| Ok(object.clone())).await;
        }
        create::place(self.resource(), self.namespace(), Some(self.name()), &mut object)?;
        let warnings = self.schema().decoded(self.resource(), &mut object, &duplicates, validation)?;
        if self.makes_what_is_missing() && self.stored().is_err() {
            let object = self.schema().managed(self.resource(), None, object, &self.writer());
            let (outcome, _) = self.create_once(&self.stored_form(object), is_dry_run).await?;
            return Ok(answer::warned(written(&view, 201, outcome)?, &warnings));
        }
        let change =
            |_: &Value| Ok(Wanted { object: object.clone(), is_managed: false, warnings: warnings.clone() });
        let (outcome, warnings) = self.change(is_dry_run, change).await?;
        Ok(answer::warned(written(&view, 200, outcome)?, &warnings))
    }

    /// Whether an update may be of an object that is not there.
    fn makes_what_is_missing(&self) -> bool {
        self.route.subresource.is_none()
            && self.resource().definition().is_none()
            && matches!(self.resource().kind.as_str(), "Lease" | "Event")
    }

    /// Replaces the object by what `change` makes of it, both in the form of the request. Gives warnings, too.
    pub(super) async fn change(
        &self,
        is_dry_run: bool,
        change: impl Fn(&Value) -> Result<Wanted, Status> + Send + Sync,
    ) -> Result<(Outcome, Vec<String>), Status> {
        // Of the last decision, which is the one that was stored.
        let warnings = Mutex::new(Vec::new());
        let decide = || {
            let (decision, found) = self.decide_change(&self.stored()?, &change)?;
            *warnings.lock().unwrap_or_else(PoisonError::into_inner) = found;
            Ok(decision)
        };
        let outcome = self.api.write(is_dry_run, decide).await?;
        Ok((outcome, warnings.into_inner().unwrap_or_else(PoisonError::into_inner)))
    }

    fn decide_change(
        &self,
        stored: &Arc<Stored>,
        change: &impl Fn(&Value) -> Result<Wanted, Status>,
    ) -> Result<(Decision, Vec<String>), Status> {
        let (resource, part) = (self.api.kept(self.resource()), self.part());
        let old = stored.value();
        let shown = if self.resource().group == "events.k8s.io" { event::view(&old) } else { old.clone() };
        let Wanted { mut object, is_managed, mut warnings } = change(&shown)?;
        create::place(self.resource(), self.namespace(), Some(self.name()), &mut object)?;
        if !is_managed {
            object = self.schema().managed(self.resource(), Some(&shown), object, &self.writer());
        }
        let mut new = self.stored_form(object);
        if self.route.verb == Verb::Update {
            update::check_uid(resource, stored, &new)?;
        }
        update::check_current(resource, stored, &new)?;
        update::prepare(resource, &old, &mut new, part);
        let schema = self.api.schemas.of(resource);
        schema.prepare(&mut new);
        definitions::may_write(resource, Some(&old), &new)?;
        warnings.extend(schema.checked(self.resource(), Some(&old), &mut new, part)?);
        Ok((update::decide(resource, stored, &old, new)?, warnings))
    }

    /// Changes the number of the object by what `change` makes of its `Scale`, and answers that.
    pub(super) async fn scaled(
        &self,
        is_dry_run: bool,
        change: impl Fn(&Value) -> Result<Value, Status> + Send + Sync,
    ) -> Result<Response, Status> {
        let resource = self.resource();
        let paths = resource.scale.as_ref().ok_or_else(Status::no_such_path)?;
        let apply = |object: &Value| {
            let wanted = change(&scale::read(paths, object))?;
            let mut object = scale::write(paths, object, &wanted)?;
            let warnings = self.schema().decoded(resource, &mut object, &[], FieldValidation::Ignore)?;
            Ok(Wanted { object, is_managed: false, warnings })
        };
        let object = match self.change(is_dry_run, apply).await?.0 {
            Outcome::Stored(stored) | Outcome::Removed(stored) => stored.value(),
            Outcome::DryRun(object) => object,
        };
        Ok(answer::value(200, &scale::read(paths, &object)))
    }
}
