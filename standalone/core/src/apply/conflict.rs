//! Fields that an apply would take from others.

use super::element::{Element, path_text};
use super::managed::{Operation, Owner};
use crate::go;

/// A field of another manager that the applied configuration changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    pub(crate) owner: Owner,
    pub(crate) path: Vec<Element>,
}

impl Conflict {
    /// The field, for example `.spec.listeners[name="http"].port`.
    #[must_use]
    pub fn field(&self) -> String {
        path_text(&self.path)
    }

    /// The message of the cause in the Status.
    #[must_use]
    pub fn message(&self) -> String {
        format!("conflict with {}", self.owner.printed())
    }
}

impl Owner {
    fn printed(&self) -> String {
        let mut printed = go::quote(&self.manager);
        if !self.subresource.is_empty() {
            printed.push_str(" with subresource ");
            printed.push_str(&go::quote(&self.subresource));
        }
        if self.operation == Operation::Update {
            printed.push_str(" using ");
            printed.push_str(&self.api_version);
        }
        printed
    }
}

/// The message of the Status.
#[must_use]
pub(crate) fn message(conflicts: &[Conflict]) -> String {
    if let [conflict] = conflicts {
        return format!("Apply failed with 1 conflict: {}: {}", conflict.message(), conflict.field());
    }
    let mut owners: Vec<&Owner> = conflicts.iter().map(|conflict| &conflict.owner).collect();
    owners.sort_unstable();
    owners.dedup();
    let mut lines = Vec::new();
    for owner in owners {
        lines.push(format!("conflicts with {}:", owner.printed()));
        let theirs = conflicts.iter().filter(|conflict| conflict.owner == *owner);
        lines.extend(theirs.map(|conflict| format!("- {}", conflict.field())));
    }
    format!("Apply failed with {} conflicts: {}", conflicts.len(), lines.join("\n"))
}
