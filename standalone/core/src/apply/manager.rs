//! The steps of a write: reading who owns what, deciding, writing who owns what.

use serde_json::{Value, json};

use super::check::check;
use super::conflict::{self, Conflict};
use super::entries::{cap, is_reset, set_managed, without_managed};
use super::last_applied;
use super::managed::{Managed, Operation, Owned, Owner};
use super::ownership::{Failure, Ownership};
use super::set::FieldSet;
use super::types::Type;
use crate::schema::Schema;

/// Which fields a write through this path of the API leaves alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subresource {
    /// The resource itself. The flag says that it has a subresource for its status.
    None {
        /// Whether writes leave the status alone.
        with_status: bool,
    },
    /// `/status`.
    Status,
    /// `/scale`.
    Scale,
}

impl Subresource {
    fn name(self) -> &'static str {
        match self {
            Self::None { .. } => "",
            Self::Status => "status",
            Self::Scale => "scale",
        }
    }

    fn reset(self) -> FieldSet {
        match self {
            Self::None { with_status: true } => FieldSet::of(&[&["status"]]),
            Self::Status => FieldSet::of(&[&["metadata"], &["spec"]]),
            Self::None { with_status: false } | Self::Scale => FieldSet::default(),
        }
    }
}

/// Why an apply is not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// 400, reason `BadRequest`.
    #[error("{0}")]
    BadRequest(String),
    /// 409, reason `Conflict`, with one cause of reason `FieldManagerConflict` for each field.
    #[error("{}", conflict::message(.0))]
    Conflicts(Vec<Conflict>),
    /// 500 without a reason: the API server has no other answer for objects that are not of their type.
    #[error("{0}")]
    Internal(String),
}

/// Who owns what of the objects of one resource.
#[derive(Debug, Clone)]
pub struct FieldManager<'s> {
    schema: &'s Schema,
    api_version: &'s str,
    kind: &'s str,
    /// What the API server compares a new object with.
    empty: Value,
    subresource: Subresource,
    reset: FieldSet,
}

impl<'s> FieldManager<'s> {
    /// A manager for the objects of `schema`, the schema of whole objects (`CustomSchema::published`, `builtin`).
    #[must_use]
    pub fn new(schema: &'s Schema, api_version: &'s str, kind: &'s str, subresource: Subresource) -> Self {
        let empty = json!({"apiVersion": api_version, "kind": kind});
        Self { schema, api_version, kind, empty, subresource, reset: subresource.reset() }
    }

    /// The same for a kind whose new objects have members from the beginning (`BuiltinKind::empty`).
    #[must_use]
    pub fn with_empty(self, empty: Value) -> Self {
        Self { empty, ..self }
    }

    /// The object that `new` makes of `live` by a write other than an apply, with its `managedFields`. `live` is none for a new
    /// object; `now` is RFC 3339 in UTC with whole seconds.
    ///
    /// A caller may replace the managed fields by sending others, and drop them by sending `[]` or `[{}]`.
    #[must_use]
    pub fn update(&self, live: Option<&Value>, mut new: Value, manager: &str, now: &str) -> Value {
        let managed = self.managed_for_update(live, &new);
        set_managed(&mut new, Vec::new());
        let Some(managed) = self.updated(live, &new, managed, manager, now) else { return new };
        set_managed(&mut new, managed.write());
        new
    }

    /// The managed fields after an update; none when the objects are not of their type.
    fn updated(
        &self,
        live: Option<&Value>,
        new: &Value,
        mut managed: Managed,
        manager: &str,
        now: &str,
    ) -> Option<Managed> {
        let is_tracked = !managed.owners.is_empty() || live.is_none_or(|live| uid(live).is_empty());
        if !is_tracked {
            return None;
        }
        let ownership = self.ownership();
        let live = live.map_or_else(|| self.empty.clone(), without_managed);
        check(new, ownership.types, true).ok()?;
        check(&live, ownership.types, true).ok()?;
        let fields = ownership.update(&live, new, &mut managed).ok()?.difference(&stripped());
        if !fields.is_empty() {
            let owner = self.owner(manager, Operation::Update);
            let owned = managed.owners.entry(owner).or_insert_with(|| Owned {
                fields: FieldSet::default(),
                api_version: self.api_version.to_owned(),
                time: None,
            });
            owned.fields = owned.fields.union(&fields);
            // kube-apiserver keeps no time of who sets the number of a `Scale`.
            if self.subresource != Subresource::Scale {
                owned.time = Some(now.to_owned());
            }
        }
        cap(&mut managed);
        Some(managed)
    }

    /// The object that applying `config` makes of `live`, with its `managedFields`. `live` is none for a new object; `now` is
    /// RFC 3339 in UTC with whole seconds.
    ///
    /// # Errors
    /// The configuration is not of its type, or changes fields of other managers without `force`.
    pub fn apply(
        &self,
        live: Option<&Value>,
        config: &Value,
        manager: &str,
        force: bool,
        now: &str,
    ) -> Result<Value, ApplyError> {
        self.check_type(config)?;
        let managed =
            live.and_then(|live| live.get("metadata")).and_then(|metadata| metadata.get("managedFields"));
        let managed = Managed::read(managed)
            .map_err(|problem| ApplyError::Internal(format!("failed to decode managed fields: {problem}")))?;
        let live = live.map_or_else(|| self.empty.clone(), without_managed);
        let mut result = self.applied(&live, config, managed.clone(), manager, force, now);
        if let (Err(ApplyError::Conflicts(conflicts)), true) = (&result, manager == last_applied::MANAGER) {
            let allowed = last_applied::allowed(&live, self.ownership().types, self.api_version);
            let others: Vec<Conflict> =
                conflicts.iter().filter(|conflict| !allowed.has_path(&conflict.path)).cloned().collect();
            result = if others.is_empty() {
                self.applied(&live, config, managed, manager, true, now)
            } else {
                Err(ApplyError::Conflicts(others))
            };
        }
        let mut object = result?;
        if manager == last_applied::MANAGER {
            last_applied::refresh(&mut object, config);
        }
        Ok(object)
    }

    fn check_type(&self, config: &Value) -> Result<(), ApplyError> {
        let text = |name: &str| config.get(name).and_then(Value::as_str).unwrap_or_default();
        let (api_version, kind) = (text("apiVersion"), text("kind"));
        if api_version != self.api_version || kind != self.kind {
            let named = type_name(api_version, kind);
            return Err(ApplyError::BadRequest(format!("invalid object type: {named}")));
        }
        if config.pointer("/metadata/managedFields").is_some_and(|fields| !fields.is_null()) {
            return Err(ApplyError::BadRequest("metadata.managedFields must be nil".to_owned()));
        }
        Ok(())
    }

    fn applied(
        &self,
        live: &Value,
        config: &Value,
        mut managed: Managed,
        manager: &str,
        force: bool,
        now: &str,
    ) -> Result<Value, ApplyError> {
        let ownership = self.ownership();
        if managed.owners.is_empty() && *live != self.empty {
            managed = self.before_first_apply(live, now)?;
        }
        check(config, ownership.types, false).map_err(|problem| {
            let of = printed_name(config, self.api_version, self.kind);
            ApplyError::Internal(format!("failed to create typed patch object ({of}): {problem}"))
        })?;
        check(live, ownership.types, true).map_err(|problem| {
            let of = printed_name(live, self.api_version, self.kind);
            ApplyError::Internal(format!("failed to create typed live object ({of}): {problem}"))
        })?;
        let owner = self.owner(manager, Operation::Apply);
        let new =
            ownership.apply(live, config, &mut managed, &owner, force).map_err(|failure| match failure {
                Failure::Conflicts(conflicts) => ApplyError::Conflicts(conflicts),
                Failure::Other(problem) => ApplyError::Internal(problem),
            })?;
        if let Some(owned) = managed.owners.get_mut(&owner) {
            owned.fields = owned.fields.difference(&stripped());
            if new.is_some() {
                owned.time = Some(now.to_owned());
            }
        }
        managed.owners.retain(|_, owned| !owned.fields.is_empty());
        let mut object = new.unwrap_or_else(|| live.clone());
        set_managed(&mut object, managed.write());
        Ok(object)
    }

    /// Of an object that nobody owns, everything belongs to a manager of its own when it is applied first.
    fn before_first_apply(&self, live: &Value, now: &str) -> Result<Managed, ApplyError> {
        let mut managed = Managed::default();
        let fields = self.ownership().update(&self.empty, live, &mut managed).map_err(|problem| {
            ApplyError::Internal(format!("failed to create manager for existing fields: {problem}"))
        })?;
        let fields = fields.difference(&stripped());
        if !fields.is_empty() {
            let owned =
                Owned { fields, api_version: self.api_version.to_owned(), time: Some(now.to_owned()) };
            managed.owners.insert(self.owner("before-first-apply", Operation::Update), owned);
        }
        Ok(managed)
    }

    fn ownership(&self) -> Ownership<'_> {
        Ownership { types: Type::of(self.schema), api_version: self.api_version, reset: &self.reset }
    }

    fn owner(&self, manager: &str, operation: Operation) -> Owner {
        let manager = if manager.is_empty() { "unknown" } else { manager };
        let api_version = if operation == Operation::Apply { "" } else { self.api_version };
        Owner {
            manager: manager.to_owned(),
            operation,
            api_version: api_version.to_owned(),
            subresource: self.subresource.name().to_owned(),
        }
    }

    fn managed_for_update(&self, live: Option<&Value>, new: &Value) -> Managed {
        let entries = |object: &'_ Value| object.pointer("/metadata/managedFields").cloned();
        let of_live = || Managed::read(live.and_then(entries).as_ref()).unwrap_or_default();
        if self.subresource.name() != "" {
            return of_live();
        }
        let sent = entries(new);
        if sent.as_ref().is_some_and(is_reset) {
            return Managed::default();
        }
        match Managed::read(sent.as_ref()) {
            Ok(managed) if !managed.owners.is_empty() => managed,
            _ => of_live(),
        }
    }
}

/// What nobody owns: every object has it.
fn stripped() -> FieldSet {
    const OF_METADATA: [&str; 9] = [
        "name",
        "namespace",
        "creationTimestamp",
        "selfLink",
        "uid",
        "clusterName",
        "generation",
        "managedFields",
        "resourceVersion",
    ];
    let mut set = FieldSet::of(&[&["apiVersion"], &["kind"], &["metadata"]]);
    for name in OF_METADATA {
        set = set.union(&FieldSet::of(&[&["metadata", name]]));
    }
    set
}

fn uid(object: &Value) -> &str {
    object.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default()
}

/// An object as the API server names it in these errors: `namespace/name; group/version, Kind=Kind`.
fn printed_name(object: &Value, api_version: &str, kind: &str) -> String {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let named = type_name(api_version, kind);
    format!("{}/{}; {named}", text("/metadata/namespace"), text("/metadata/name"))
}

/// A type as Go prints it: `group/version, Kind=Kind`.
fn type_name(api_version: &str, kind: &str) -> String {
    let separator = if api_version.contains('/') { "" } else { "/" };
    format!("{separator}{api_version}, Kind={kind}")
}

#[cfg(test)]
mod tests;
