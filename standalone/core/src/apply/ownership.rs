//! Which fields change hands.

use serde_json::Value;

use super::compare::{Comparison, compare};
use super::conflict::Conflict;
use super::fields::fields_of;
use super::managed::{Managed, Owned, Owner};
use super::merge::merge;
use super::remove::remove;
use super::set::FieldSet;
use super::types::Type;

/// A resource's type and version, and the fields that nobody comes to own through it.
#[derive(Clone, Copy)]
pub(crate) struct Ownership<'r> {
    pub(crate) types: Type<'r>,
    pub(crate) api_version: &'r str,
    pub(crate) reset: &'r FieldSet,
}

/// Why an apply is not carried out.
pub(crate) enum Failure {
    Conflicts(Vec<Conflict>),
    Other(String),
}

impl Ownership<'_> {
    /// What a write other than an apply changes belongs to whoever wrote it, and to nobody else. Returns the fields.
    pub(crate) fn update(
        &self,
        live: &Value,
        new: &Value,
        managed: &mut Managed,
    ) -> Result<FieldSet, String> {
        self.reconcile(managed);
        let comparison = self.compare(live, new)?;
        self.transfer(&comparison, managed, None);
        Ok(comparison.changed().difference(&comparison.removed).without(self.reset))
    }

    /// Applies a configuration. Returns the new object, or none when it is the live one.
    pub(crate) fn apply(
        &self,
        live: &Value,
        config: &Value,
        managed: &mut Managed,
        owner: &Owner,
        force: bool,
    ) -> Result<Option<Value>, Failure> {
        self.reconcile(managed);
        let merged = merge(live, config, self.types)
            .map_err(|problem| Failure::Other(format!("failed to merge config: {problem}")))?;
        let fields = fields_of(config, self.types).without(self.reset);
        let owned = Owned { fields, api_version: self.api_version.to_owned(), time: None };
        let last = managed.owners.insert(owner.clone(), owned);
        if let Some(entry) = managed.owners.get_mut(owner) {
            entry.time = last.as_ref().and_then(|last| last.time.clone());
        }
        let new = self.pruned(merged, managed, last.as_ref());
        let comparison = self.compare(live, &new).map_err(Failure::Other)?;
        let conflicts = self.conflicts(&comparison, managed, owner);
        if !force && !conflicts.is_empty() {
            return Err(Failure::Conflicts(conflicts));
        }
        self.transfer(&comparison, managed, Some(owner));
        Ok((*live != new).then_some(new))
    }

    /// What was owned by an earlier schema is owned by this one.
    fn reconcile(&self, managed: &mut Managed) {
        for owned in managed.owners.values_mut().filter(|owned| owned.api_version == self.api_version) {
            owned.fields = owned.fields.with_atomic_wholes(self.types);
        }
    }

    fn compare(&self, live: &Value, new: &Value) -> Result<Comparison, String> {
        let comparison = compare(live, new, self.types)
            .map_err(|problem| format!("failed to compare objects: {problem}"))?;
        Ok(comparison.without(self.reset))
    }

    fn conflicts(&self, comparison: &Comparison, managed: &Managed, applying: &Owner) -> Vec<Conflict> {
        let changed = comparison.changed();
        let others = managed
            .owners
            .iter()
            .filter(|(owner, owned)| *owner != applying && owned.api_version == self.api_version);
        let conflicts = others.flat_map(|(owner, owned)| {
            let taken = owned.fields.intersection(&changed).paths();
            taken.into_iter().map(|path| Conflict { owner: owner.clone(), path })
        });
        conflicts.collect()
    }

    /// Takes what changed from everybody but `applying`. Entries of versions that the resource does not have go.
    fn transfer(&self, comparison: &Comparison, managed: &mut Managed, applying: Option<&Owner>) {
        let gone = comparison.changed().union(&comparison.removed);
        managed.owners.retain(|owner, owned| {
            if Some(owner) == applying {
                return !owned.fields.is_empty();
            }
            owned.fields = owned.fields.difference(&gone);
            owned.api_version == self.api_version && !owned.fields.is_empty()
        });
    }

    /// Takes away what the manager applied last and applies no longer, unless somebody else owns it.
    fn pruned(&self, merged: Value, managed: &Managed, last: Option<&Owned>) -> Value {
        let Some(last) = last.filter(|last| !last.fields.is_empty() && last.api_version == self.api_version)
        else {
            return merged;
        };
        let types = self.types;
        let complete = |fields: FieldSet| fields.with_declared_members(types);
        let last = complete(last.fields.clone());
        let without_last = remove(&merged, &last, types);
        let of_managers = managed.owners.values().filter(|owned| owned.api_version == self.api_version);
        let owned = of_managers.fold(FieldSet::default(), |all, owned| all.union(&owned.fields));
        let all = complete(fields_of(&merged, types));
        let kept = complete(fields_of(&without_last, types)).union(&complete(owned));
        let with_owned = remove(&merged, &all.difference(&kept), types);
        let kept = complete(fields_of(&with_owned, types));
        remove(&merged, &all.difference(&kept).intersection(&last), types)
    }
}
