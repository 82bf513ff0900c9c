//! What the schema of a resource makes of the objects that requests bring: decoded, with defaults, without what is unknown, with
//! whoever manages which fields, and checked against the rules of the definition.

use std::collections::HashMap;

use serde_json::Value;

use crate::apply::{ApplyError, FieldManager, Subresource};
use crate::go;
use crate::patch::{PatchError, json_patch, merge_patch, printed, strategic_merge_patch, unknown_members};
use crate::resource::{Resource, Resources};
use crate::schema::{BuiltinKind, CustomSchema, CustomSchemaError, OtherErrors, Verdict, builtin};
use crate::status::{FieldError, FieldErrorKind, Status, StatusCause};
use crate::store::update::Part;
use crate::store::{check, definitions, names, scale};

/// What is done about fields that the schema does not know: the parameter `fieldValidation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldValidation {
    /// They are dropped.
    Ignore,
    /// They are dropped, with a warning.
    Warn,
    /// They are an error.
    Strict,
}

impl FieldValidation {
    /// What the parameter says; warnings when there is none.
    ///
    /// # Errors
    /// 422: it is none of the three. `options` is the kind of the request's options.
    pub fn read(text: &str, options: &str) -> Result<Self, Status> {
        use crate::status::{FieldError, FieldErrorKind};
        match text {
            "" | "Warn" => Ok(Self::Warn),
            "Ignore" => Ok(Self::Ignore),
            "Strict" => Ok(Self::Strict),
            other => {
                let supported = "supported values: \"\", \"Ignore\", \"Strict\", \"Warn\"";
                let error = FieldError::new(
                    FieldErrorKind::NotSupported,
                    "fieldValidation",
                    Some(other.into()),
                    supported,
                );
                Err(Status::invalid("meta.k8s.io", options, "", &[error]))
            }
        }
    }
}

/// The schema of one resource.
#[derive(Debug)]
pub enum ObjectSchema {
    /// Of a definition.
    Custom(Box<CustomSchema>),
    /// Of a kind of Kubernetes itself.
    BuiltIn(BuiltinKind),
    /// Its objects are taken as they are: definitions, which nobody changes here, and reviews.
    Free,
}

/// The schemas of all resources, read once.
#[derive(Debug, Default)]
pub struct Schemas(HashMap<(String, String), ObjectSchema>);

/// Who writes, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Writer {
    /// The field manager.
    pub manager: String,
    /// The time, in UTC and whole seconds.
    pub time: String,
    /// Which part of the object.
    pub part: Part,
}

impl Schemas {
    /// Those of `resources`.
    ///
    /// # Errors
    /// The schema of a definition cannot be read.
    pub fn new(resources: &Resources) -> Result<Self, CustomSchemaError> {
        let mut schemas = HashMap::new();
        for resource in resources.iter() {
            schemas.insert((resource.api_version(), resource.kind.clone()), ObjectSchema::of(resource)?);
        }
        Ok(Self(schemas))
    }

    /// That of `resource`.
    pub fn of(&self, resource: &Resource) -> &ObjectSchema {
        let found = self.0.get(&(resource.api_version(), resource.kind.clone()));
        found.unwrap_or(&ObjectSchema::Free)
    }
}

/// What is wrong with the members of a body, as messages have it.
fn problems(duplicates: &[String], unknown: &[String]) -> Vec<String> {
    let twice = duplicates.iter().map(|path| format!("duplicate field \"{path}\""));
    twice.chain(unknown.iter().map(|path| format!("unknown field \"{path}\""))).collect()
}

impl ObjectSchema {
    fn of(resource: &Resource) -> Result<Self, CustomSchemaError> {
        if let Some(definition) = resource.definition() {
            return Ok(Self::Custom(Box::new(CustomSchema::new(&definition.schema)?)));
        }
        let kind = BuiltinKind::of(&resource.api_version(), &resource.kind);
        Ok(kind.map_or(Self::Free, Self::BuiltIn))
    }

    fn normalize(&self, object: &mut Value) -> Result<Vec<String>, String> {
        let normalized = match self {
            Self::Custom(schema) => schema.normalize(object),
            Self::BuiltIn(kind) => kind.normalize(object),
            Self::Free => return Ok(Vec::new()),
        };
        normalized.map_err(|mismatch| mismatch.to_string())
    }

    /// Takes an object as a body has it: with defaults, and without what is unknown. Gives warnings.
    ///
    /// # Errors
    /// 400: a member has another type, or strict validation does not take what is unknown or there twice.
    pub fn decoded(
        &self,
        resource: &Resource,
        object: &mut Value,
        duplicates: &[String],
        validation: FieldValidation,
    ) -> Result<Vec<String>, Status> {
        let Resource { kind, version, .. } = resource;
        let cannot = |why: String| {
            Status::bad_request(format!("{kind} in version {version:?} cannot be handled as a {kind}: {why}"))
        };
        let unknown = self.normalize(object).map_err(cannot)?;
        let problems = problems(duplicates, &unknown);
        match validation {
            FieldValidation::Strict if !problems.is_empty() => {
                Err(cannot(format!("strict decoding error: {}", problems.join(", "))))
            }
            FieldValidation::Ignore => Ok(Vec::new()),
            _ => Ok(problems),
        }
    }

    /// What a patch of this media type makes of `live`. Gives warnings, too.
    ///
    /// # Errors
    /// 400, 413, 415, 422 or 500, as the API server has it.
    pub fn patched(
        &self,
        live: &Value,
        media_type: &str,
        patch: &Value,
        validation: FieldValidation,
    ) -> Result<(Value, Vec<String>), Status> {
        let patched = match (media_type, self) {
            ("application/json-patch+json", _) => json_patch(live, patch),
            ("application/merge-patch+json", _) => merge_patch(live, patch),
            ("application/strategic-merge-patch+json", Self::BuiltIn(kind)) => {
                strategic_merge_patch(live, patch, builtin(*kind))
            }
            _ => return Err(Status::unsupported_media_type(self.patches())),
        };
        let mut object = patched.map_err(|error| failed_patch(&error))?;
        let text = match self {
            Self::BuiltIn(_) => printed(&object, patch),
            // Before unknown members are dropped, and only for what the answer repeats.
            _ if validation == FieldValidation::Strict => go::json(&object),
            _ => String::new(),
        };
        let unknown = self.normalize(&mut object).map_err(|why| self.unread(&text, why))?;
        let of_patch =
            if media_type == "application/json-patch+json" { unknown_members(patch) } else { Vec::new() };
        let found: Vec<String> = of_patch.into_iter().chain(problems(&[], &unknown)).collect();
        match validation {
            FieldValidation::Strict if !found.is_empty() => {
                let why = format!("strict decoding error: {}", found.join(", "));
                Err(not_patched(&text, why))
            }
            FieldValidation::Ignore => Ok((object, Vec::new())),
            _ => Ok((object, found)),
        }
    }

    /// That what a patch makes is no such object; of Kubernetes' own kinds that is an error of the patch.
    fn unread(&self, object: &str, why: String) -> Status {
        match self {
            Self::BuiltIn(_) => not_patched(object, why),
            Self::Custom(_) | Self::Free => Status::bad_request(why),
        }
    }

    /// The media types of patches.
    pub fn patches(&self) -> &'static [&'static str] {
        const ALL: [&str; 4] = [
            "application/json-patch+json",
            "application/merge-patch+json",
            "application/apply-patch+yaml",
            "application/strategic-merge-patch+json",
        ];
        match self {
            Self::BuiltIn(_) => &ALL,
            Self::Custom(_) | Self::Free => &ALL[..3],
        }
    }

    fn manager<'a>(
        &'a self,
        version: &'a str,
        resource: &'a Resource,
        part: Part,
    ) -> Option<FieldManager<'a>> {
        let subresource = match part {
            Part::Status => Subresource::Status,
            Part::Scale => Subresource::Scale,
            Part::Main | Part::Finalizers => Subresource::None { with_status: resource.has_status },
        };
        match self {
            Self::Custom(schema) => {
                Some(FieldManager::new(schema.published(), version, &resource.kind, subresource))
            }
            Self::BuiltIn(kind) => {
                let manager = FieldManager::new(builtin(*kind), version, &resource.kind, subresource);
                Some(manager.with_empty(kind.empty()))
            }
            Self::Free => None,
        }
    }

    /// `new` with who manages what, after a write that is no apply. `live` is none for a new object.
    pub fn managed(&self, resource: &Resource, live: Option<&Value>, new: Value, by: &Writer) -> Value {
        let version = resource.api_version();
        match self.manager(&version, resource, by.part) {
            Some(manager) => manager.update(live, new, &by.manager, &by.time),
            None => new,
        }
    }

    /// What applying `config` makes of `live`, which is none for a new object.
    ///
    /// # Errors
    /// 400, 409 with a cause for each field that somebody else manages, or 500.
    pub fn applied(
        &self,
        resource: &Resource,
        live: Option<&Value>,
        config: &Value,
        by: &Writer,
        force: bool,
    ) -> Result<Value, Status> {
        if resource.store == definitions::DEFINITIONS {
            return definitions::applied(resource, live, config);
        }
        let version = resource.api_version();
        let manager = self
            .manager(&version, resource, by.part)
            .ok_or_else(|| Status::unsupported_media_type(&self.patches()[..2]))?;
        let applied = manager.apply(live, config, &by.manager, force, &by.time);
        let mut object = applied.map_err(|error| failed_apply(&error))?;
        match self {
            Self::Custom(schema) => schema.normalize_applied(&mut object),
            _ => _ = self.normalize(&mut object).map_err(Status::bad_request)?,
        }
        Ok(object)
    }

    /// What the storage of the kind makes of an object before it is validated.
    pub fn prepare(&self, object: &mut Value) {
        if let Self::BuiltIn(kind) = self {
            kind.prepare(object);
        }
    }

    /// Checks an object that is to be stored, and gives it the defaults that it has when it is read again. Gives warnings. `resource`
    /// is that of the request, and the object has the form that is stored.
    ///
    /// # Errors
    /// 422.
    pub fn checked(
        &self,
        resource: &Resource,
        live: Option<&Value>,
        object: &mut Value,
        part: Part,
    ) -> Result<Vec<String>, Status> {
        let Self::Custom(schema) = self else { return check_event(resource, live, object) };
        let found = OtherErrors {
            before: live.map_or_else(
                || check::created(resource, object),
                |live| check::updated(resource, live, object),
            ),
            after: scale::errors(resource, object, part),
        };
        let Verdict { errors, mut warnings } = match live {
            None => schema.validate_create(object, found),
            Some(live) if part == Part::Status => schema.validate_status_update(object, live, found),
            Some(live) => schema.validate_update(object, live, found),
        };
        if !errors.is_empty() {
            let name = crate::store::metadata::text(object, "name");
            return Err(Status::invalid(&resource.group, &resource.kind, name, &errors));
        }
        warnings.extend(names::finalizer_warnings(live, object));
        schema.normalize_applied(object);
        Ok(warnings)
    }
}

/// Checks an Event, for which the version of the request matters; every other kind of Kubernetes itself is checked when it is stored.
fn check_event(resource: &Resource, live: Option<&Value>, object: &Value) -> Result<Vec<String>, Status> {
    let kind = BuiltinKind::of(&resource.api_version(), &resource.kind);
    let errors = kind.map(|kind| kind.event_errors(live, object)).unwrap_or_default();
    match errors.is_empty() {
        true => Ok(Vec::new()),
        false => {
            let name = crate::store::metadata::text(object, "name");
            Err(Status::invalid("", &resource.kind, name, &errors))
        }
    }
}

/// That a patch made `object`, which may not be.
fn not_patched(object: &str, why: String) -> Status {
    let error = FieldError::new(FieldErrorKind::Invalid, "patch", Some(object.into()), why);
    Status::invalid("", "", "", &[error])
}

fn failed_patch(error: &PatchError) -> Status {
    let message = error.to_string();
    match error {
        PatchError::BadRequest(_) => Status::bad_request(message),
        PatchError::TooManyOperations(_) => Status::too_many_operations(message),
        PatchError::Unprocessable(_) => Status::unprocessable(),
        PatchError::Internal(_) => Status::unexplained(message),
    }
}

fn failed_apply(error: &ApplyError) -> Status {
    let message = error.to_string();
    match error {
        ApplyError::BadRequest(_) => Status::bad_request(message),
        ApplyError::Internal(_) => Status::unexplained(message),
        ApplyError::Conflicts(conflicts) => {
            let cause = |conflict: &crate::apply::Conflict| StatusCause {
                reason: "FieldManagerConflict".to_owned(),
                message: conflict.message(),
                field: conflict.field(),
            };
            Status::apply_conflict(message, conflicts.iter().map(cause).collect())
        }
    }
}
