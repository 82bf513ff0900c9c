//! What is applied of all files, and in which order.

use std::collections::{BTreeMap, BTreeSet};

use super::{Manifest, ObjectName, Problem};

/// What a directory asks for.
#[derive(Debug, Default)]
pub struct Plan<'a> {
    /// What is applied, in this order: namespaces before what is in them, and else as the files have it.
    pub apply: Vec<&'a Manifest>,
    /// What keeps the rest from being applied.
    pub problems: Vec<Problem>,
    /// Every object that is written in the directory, whether it can be applied or not.
    pub wanted: BTreeSet<ObjectName>,
}

impl Plan<'_> {
    /// Whether all that is wanted is known: there is something, and nothing is hidden. Only then may the rest be pruned: a directory
    /// that is not mounted, and a checkout that has only begun, are empty.
    pub fn is_whole(&self) -> bool {
        !self.wanted.is_empty() && !self.problems.iter().any(|problem| problem.hides)
    }
}

/// The plan for what was found in all files.
pub fn plan<'a>(found: impl IntoIterator<Item = &'a Result<Manifest, Problem>>) -> Plan<'a> {
    let mut plan = Plan::default();
    let mut by_name: BTreeMap<&ObjectName, Vec<&Manifest>> = BTreeMap::new();
    for one in found {
        match one {
            Ok(manifest) => by_name.entry(&manifest.name).or_default().push(manifest),
            Err(problem) => plan.problems.push(problem.clone()),
        }
    }
    for (name, manifests) in by_name {
        plan.wanted.insert(name.clone());
        match manifests.as_slice() {
            [one] => plan.apply.push(*one),
            several => plan.problems.extend(several.iter().map(|one| twice(one, several))),
        }
    }
    plan.apply.sort_by_key(|manifest| (!manifest.name.is_namespace(), &manifest.place));
    plan
}

/// An object that is written several times has no meaning until one of them is left.
fn twice(manifest: &Manifest, all: &[&Manifest]) -> Problem {
    let others = all.iter().filter(|other| other.place != manifest.place);
    let others: Vec<String> = others.map(|other| other.place.to_string()).collect();
    let message = match others.as_slice() {
        [] => "it is there twice in this document, and neither is applied: keep one".to_owned(),
        others => format!("it is also in {}, and none of them is applied: keep one", others.join("; ")),
    };
    Problem::about(manifest, Some("metadata.name"), message)
}
