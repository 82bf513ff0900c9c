//! patch: as JSON, as merge, as strategic merge, and server-side apply.

use axum::body::Body;
use axum::response::Response;
use fleetmesh_standalone_core::objects::FieldValidation;
use fleetmesh_standalone_core::patch::{json_patch, merge_patch, undecodable};
use fleetmesh_standalone_core::route::Subresource;
use fleetmesh_standalone_core::schema::decode;
use fleetmesh_standalone_core::status::Status;
use fleetmesh_standalone_core::store::create;
use serde_json::Value;

use super::super::{ApiRequest, answer, body};
use super::change::Wanted;
use super::written;

/// Server-side apply.
const APPLY: &str = "application/apply-patch+yaml";

impl ApiRequest<'_> {
    pub(in super::super) async fn patch(&self, body: Body) -> Result<Response, Status> {
        let is_dry_run = self.parameters.dry_run("PatchOptions")?;
        let (view, media_type) = (self.view()?, self.media_type());
        let bytes = body::bytes(body).await?;
        if media_type == APPLY {
            return self.apply(&bytes, is_dry_run).await;
        }
        let validation = self.validation("PatchOptions")?;
        if !self.schema().patches().contains(&media_type.as_str()) {
            return Err(match self.resource().definition() {
                Some(_) => Status::unsupported_media_type(self.schema().patches()),
                None => Status::unsupported_patch(),
            });
        }
        let ignores = validation == FieldValidation::Ignore;
        let patch = decode(&bytes)
            .map_err(|error| Status::bad_request(undecodable(&media_type, ignores, &bytes, &error)))?;
        let patch = patch.value;
        if self.is_of(Subresource::Scale) {
            return self.scaled(is_dry_run, |scale| patched_scale(scale, &media_type, &patch)).await;
        }
        let change = |object: &Value| {
            let (object, warnings) = self.schema().patched(object, &media_type, &patch, validation)?;
            Ok(Wanted { object, is_managed: false, warnings })
        };
        let (outcome, warnings) = self.change(is_dry_run, change).await?;
        Ok(answer::warned(written(&view, 200, outcome)?, &warnings))
    }

    /// Server-side apply, of an object that is there or of a new one.
    async fn apply(&self, bytes: &[u8], is_dry_run: bool) -> Result<Response, Status> {
        let manager = self.parameters.get("fieldManager");
        if manager.is_empty() {
            use fleetmesh_standalone_core::status::{FieldError, FieldErrorKind};
            let why = "is required for apply patch";
            let error = FieldError::new(FieldErrorKind::Required, "fieldManager", None, why);
            return Err(Status::invalid("meta.k8s.io", "PatchOptions", "", &[error]));
        }
        if self.is_of(Subresource::Scale) {
            return Err(Status::not_implemented("server-side apply of a scale"));
        }
        self.check_manager("PatchOptions")?;
        let view = self.view()?;
        let config =
            body::yaml(bytes).map_err(|why| Status::bad_request(format!("error decoding YAML: {why}")))?;
        check_type(&config)?;
        let force = self.parameters.flag("force");
        let resource = self.resource();
        let applied = |live: Option<&Value>, config: &Value| {
            self.schema().applied(resource, live, config, &self.writer(), force)
        };
        if self.stored().is_err() && self.route.subresource.is_none() {
            check_absent(self, &config)?;
            let mut object = applied(None, &config)?;
            create::place(resource, self.namespace(), Some(self.name()), &mut object)?;
            match self.create_once(&self.stored_form(object), is_dry_run).await {
                Err(status) if status.reason == "AlreadyExists" => {}
                outcome => {
                    let (outcome, warnings) = outcome?;
                    return Ok(answer::warned(written(&view, 201, outcome)?, &warnings));
                }
            }
        }
        let change = |object: &Value| {
            Ok(Wanted { object: applied(Some(object), &config)?, is_managed: true, warnings: Vec::new() })
        };
        let (outcome, warnings) = self.change(is_dry_run, change).await?;
        Ok(answer::warned(written(&view, 200, outcome)?, &warnings))
    }
}

/// What is applied says what it is.
fn check_type(config: &Value) -> Result<(), Status> {
    let text = |member: &str| config[member].as_str().unwrap_or_default();
    let (version, kind) = (text("apiVersion"), text("kind"));
    if !version.is_empty() && !kind.is_empty() {
        return Ok(());
    }
    let version = if version.contains('/') { version.to_owned() } else { format!("/{version}") };
    Err(Status::bad_request(format!("invalid object type: {version}, Kind={kind}")))
}

/// What is new has no uid yet.
fn check_absent(request: &ApiRequest<'_>, config: &Value) -> Result<(), Status> {
    let Some(uid) = config["metadata"]["uid"].as_str().filter(|uid| !uid.is_empty()) else { return Ok(()) };
    let resource = request.resource();
    let why =
        format!("uid mismatch: the provided object specified uid {uid}, and no existing object was found");
    Err(Status::conflict(&resource.group, &resource.plural, request.name(), &why))
}

/// What a patch makes of a `Scale`.
fn patched_scale(scale: &Value, media_type: &str, patch: &Value) -> Result<Value, Status> {
    let patched = match media_type {
        "application/json-patch+json" => json_patch(scale, patch),
        _ => merge_patch(scale, patch),
    };
    patched.map_err(|error| Status::bad_request(error.to_string()))
}
