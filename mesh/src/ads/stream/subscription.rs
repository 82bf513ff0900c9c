//! What a proxy subscribes to of one type. Pure.

use std::collections::BTreeSet;

use crate::snapshot::ResourceType;

/// The name that stands for all, where a type allows it.
const ALL: &str = "*";

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Subscription {
    /// Whether to all that there is.
    pub(super) everything: bool,
    /// In delta they may be named beside that.
    pub(super) names: BTreeSet<String>,
}

impl Subscription {
    /// What a request for exactly these names asks for.
    pub(super) fn of(kind: ResourceType, names: Vec<String>) -> Self {
        match is_everything(kind, &names) {
            true => Self { everything: true, names: BTreeSet::new() },
            false => Self { everything: false, names: names.into_iter().collect() },
        }
    }

    /// Whether a request for exactly these names asks for the same.
    pub(super) fn is_of(&self, kind: ResourceType, names: &[String]) -> bool {
        if self.everything || is_everything(kind, names) {
            return self.everything && is_everything(kind, names);
        }
        names.iter().all(|name| self.names.contains(name))
            && names.iter().collect::<BTreeSet<_>>().len() == self.names.len()
    }

    /// Adds what a delta request subscribes to; gives the names that it had before and is to get again, as the proxy may have
    /// forgotten what it had of them.
    pub(super) fn add(&mut self, kind: ResourceType, opening: bool, names: Vec<String>) -> Vec<String> {
        let had = self.everything;
        self.everything |=
            kind.is_complete() && (opening && names.is_empty() || names.iter().any(|name| name == ALL));
        let named = names.into_iter().filter(|name| !kind.is_complete() || name != ALL);
        named.filter(|name| !self.names.insert(name.clone()) || had).collect()
    }

    /// Takes out what a delta request does not want any more; gives the names that it still gets, with everything, and is to get
    /// again, as it does not know which of them it keeps.
    pub(super) fn remove(&mut self, names: Vec<String>) -> Vec<String> {
        self.everything &= !names.iter().any(|name| name == ALL);
        let taken: Vec<String> = names.into_iter().filter(|name| self.names.remove(name)).collect();
        if self.everything { taken } else { Vec::new() }
    }

    pub(super) fn covers(&self, name: &str) -> bool {
        self.everything || self.names.contains(name)
    }

    /// Whether it is to no resource at all.
    pub(super) fn is_empty(&self) -> bool {
        !self.everything && self.names.is_empty()
    }
}

/// Whether a request with these names asks for all that there is.
fn is_everything(kind: ResourceType, names: &[String]) -> bool {
    kind.is_complete() && (names.is_empty() || names.iter().any(|name| name == ALL))
}
