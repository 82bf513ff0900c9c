//! An answer in delta: what of the wanted resources a proxy is not known to have, and what it is not to have any more. Pure.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::type_state::TypeState;
use crate::snapshot::{Content, Resource, ResourceSet, ResourceType};

/// What an answer in delta holds.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// The resources that are new or others, in the order of their names.
    pub resources: Vec<Arc<Resource>>,
    /// The names of those that are to be removed, in order.
    pub removed: Vec<String>,
    /// Whether there is more, which one answer does not take.
    pub(super) partial: bool,
}

impl Changes {
    /// What makes of all that the proxy may have exactly `wanted`, as far as its type has removals, but for what `spared` says is to
    /// stay.
    pub(super) fn towards(
        wanted: &Content,
        kind: ResourceType,
        state: &TypeState,
        spared: impl Fn(&str) -> bool,
    ) -> Self {
        let maybe_applied_names = state.maybe_applied_names();
        let has = |resource: &Resource| {
            let acked = state.acked.resources.get(&resource.name);
            acked.is_some_and(|acked| acked.version == resource.version)
                && !maybe_applied_names.contains(resource.name.as_str())
                && !state.renew.contains(&resource.name)
        };
        let resources = wanted.resources.values().filter(|resource| !has(resource)).cloned().collect();
        let mut removed = Vec::new();
        if kind.is_complete() {
            let mut names = maybe_applied_names;
            names.extend(state.acked.resources.keys().map(String::as_str));
            names.retain(|name| !wanted.resources.contains_key(*name) && !spared(name));
            removed.extend(names.into_iter().map(str::to_owned));
        }
        Self { resources, removed, partial: false }
    }

    /// Just these resources.
    pub(super) fn of(resources: impl Iterator<Item = Arc<Resource>>) -> Self {
        Self { resources: resources.collect(), removed: Vec::new(), partial: false }
    }

    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.resources.is_empty() && self.removed.is_empty()
    }

    /// At most how many bytes it takes in an answer.
    pub fn size(&self) -> usize {
        let removed: usize = self.removed.iter().map(|name| entry(name)).sum();
        removed + self.resources.iter().map(|resource| resource.size()).sum::<usize>()
    }

    /// As much of it as takes at most `most` bytes: resources first, names to remove only when no resource is left over; nothing
    /// when nothing fits.
    pub(super) fn within(self, most: usize) -> Self {
        let mut size = 0;
        let mut fits = |of: usize| {
            let fits = size + of <= most;
            size += if fits { of } else { 0 };
            fits
        };
        let count = self.resources.len();
        let resources: Vec<_> = self.resources.into_iter().filter(|resource| fits(resource.size())).collect();
        let removed = match resources.len() == count {
            true => self.removed.into_iter().filter(|name| fits(entry(name))).collect(),
            false => Vec::new(),
        };
        Self { resources, removed, partial: true }
    }

    /// The names of all that it is about.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let resources = self.resources.iter().map(|resource| resource.name.as_str());
        resources.chain(self.removed.iter().map(String::as_str))
    }

    /// Its resources as one content; `whole` when that is the same.
    pub(super) fn content(&self, whole: &Arc<Content>) -> Arc<Content> {
        if self.resources.len() == whole.resources.len() && self.removed.is_empty() {
            return Arc::clone(whole);
        }
        Arc::new(Content::new(self.set()))
    }

    /// What `acked` is with it.
    pub(super) fn applied(&self, acked: &Content) -> Arc<Content> {
        let removed: BTreeSet<&str> = self.removed.iter().map(String::as_str).collect();
        let kept = acked.resources.iter().filter(|(name, _)| !removed.contains(name.as_str()));
        let mut set: ResourceSet =
            kept.map(|(name, resource)| (name.clone(), Arc::clone(resource))).collect();
        set.extend(self.set());
        Arc::new(Content::new(set))
    }

    fn set(&self) -> ResourceSet {
        self.resources.iter().map(|resource| (resource.name.clone(), Arc::clone(resource))).collect()
    }
}

/// What a name takes in a list, in bytes.
fn entry(name: &str) -> usize {
    name.len() + 8
}
