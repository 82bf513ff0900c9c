//! What was said about a mesh and when, so that a reader gets only what changed since its token. Pure.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;

use fleetmesh_api::distribution::{DistributionAnswer, ObjectStatus, Token};
use fleetmesh_model::ResourceId;

/// How many removals are remembered; a reader that missed more gets everything.
const REMOVALS: usize = 4096;

/// What is known about the objects of one mesh.
pub(super) struct ProxyLedger {
    /// Distinguishes this ledger's tokens from those of an earlier process.
    instance: String,
    /// How often something changed.
    sequence: u64,
    /// Tokens below it are too old to say what was removed since.
    oldest: u64,
    objects: BTreeMap<ResourceId, (u64, ObjectStatus)>,
    /// The objects by when they last changed.
    changes: BTreeMap<u64, BTreeSet<ResourceId>>,
    removals: VecDeque<(u64, ResourceId)>,
}

impl ProxyLedger {
    /// Nothing is known. `instance` is another one in each process, and holds no `-`.
    pub(super) fn new(instance: String) -> Self {
        Self {
            instance,
            sequence: 0,
            oldest: 0,
            objects: BTreeMap::new(),
            changes: BTreeMap::new(),
            removals: VecDeque::new(),
        }
    }

    /// Takes in the present status of objects that may have changed; `None` of one that is gone.
    pub(super) fn enter(&mut self, statuses: impl IntoIterator<Item = (ResourceId, Option<ObjectStatus>)>) {
        let next = self.sequence + 1;
        let mut changed = false;
        for (id, status) in statuses {
            let since = match (self.objects.get(&id), &status) {
                (None, None) => continue,
                (Some((_, known)), Some(status)) if known == status => continue,
                (known, _) => known.map(|(since, _)| *since),
            };
            changed = true;
            if let Some(since) = since {
                self.unmark(since, &id);
            }
            match status {
                Some(status) => {
                    if since.is_none() {
                        self.removals.retain(|(_, removed)| *removed != id);
                    }
                    self.changes.entry(next).or_default().insert(id.clone());
                    self.objects.insert(id, (next, status));
                }
                None => {
                    self.objects.remove(&id);
                    self.removals.push_back((next, id));
                }
            }
        }
        while self.removals.len() > REMOVALS {
            let dropped = self.removals.pop_front();
            self.oldest = dropped.map_or(self.oldest, |(at, _)| at);
        }
        if changed {
            self.sequence = next;
        }
    }

    fn unmark(&mut self, since: u64, id: &ResourceId) {
        if let Some(ids) = self.changes.get_mut(&since) {
            ids.remove(id);
            if ids.is_empty() {
                self.changes.remove(&since);
            }
        }
    }

    /// What changed since `after`; everything without one, or with one that says nothing here.
    pub(super) fn answer(&self, mesh: &str, after: Option<&Token>) -> DistributionAnswer {
        let since = after.and_then(|token| self.sequence_of(token));
        let (objects, removed) = match since {
            None => (self.objects.values().map(|(_, status)| status.clone()).collect(), Vec::new()),
            Some(since) => (self.changed_since(since), self.removed_since(since)),
        };
        DistributionAnswer {
            mesh: mesh.to_owned(),
            token: Token(format!("{}-{}", self.instance, self.sequence)),
            complete: since.is_none(),
            objects,
            removed,
        }
    }

    fn changed_since(&self, since: u64) -> Vec<ObjectStatus> {
        let changes = self.changes.range((Bound::Excluded(since), Bound::Unbounded));
        let ids: BTreeSet<&ResourceId> = changes.flat_map(|(_, ids)| ids).collect();
        let found = ids.into_iter().filter_map(|id| self.objects.get(id));
        found.map(|(_, status)| status.clone()).collect()
    }

    fn removed_since(&self, since: u64) -> Vec<String> {
        let newest = self.removals.iter().rev().take_while(|(at, _)| *at > since);
        let mut removed: Vec<String> = newest.map(|(_, id)| id.path()).collect();
        removed.reverse();
        removed
    }

    fn sequence_of(&self, token: &Token) -> Option<u64> {
        let (instance, sequence) = token.0.split_once('-')?;
        let sequence = sequence.parse().ok()?;
        let known = instance == self.instance;
        (known && (self.oldest..=self.sequence).contains(&sequence)).then_some(sequence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statuses(objects: &[(&str, i64)]) -> BTreeMap<ResourceId, ObjectStatus> {
        let status = |(name, version): &(&str, i64)| {
            let id = ResourceId::virtual_node("apps", *name);
            let status = ObjectStatus {
                resource: id.to_string(),
                kind: id.kind().to_string(),
                version: *version,
                ..ObjectStatus::default()
            };
            (id, status)
        };
        objects.iter().map(status).collect()
    }

    /// Takes in the present status of every object.
    fn enter(ledger: &mut ProxyLedger, statuses: BTreeMap<ResourceId, ObjectStatus>) {
        let gone =
            ledger.objects.keys().filter(|id| !statuses.contains_key(*id)).map(|id| (id.clone(), None));
        let gone: Vec<_> = gone.collect();
        ledger.enter(gone.into_iter().chain(statuses.into_iter().map(|(id, status)| (id, Some(status)))));
    }

    fn names(answer: &DistributionAnswer) -> Vec<&str> {
        answer.objects.iter().filter_map(|object| object.resource.rsplit('/').next()).collect()
    }

    #[test]
    fn a_reader_gets_what_changed_since_its_token_and_no_more() {
        let mut ledger = ProxyLedger::new("this".into());
        enter(&mut ledger, statuses(&[("a", 1), ("b", 1), ("c", 1)]));
        let first = ledger.answer("apps", None);
        assert!(first.complete);
        assert_eq!(names(&first), ["a", "b", "c"]);
        enter(&mut ledger, statuses(&[("a", 1), ("b", 1), ("c", 1)]));
        let idle = ledger.answer("apps", Some(&first.token));
        assert!(!idle.complete && idle.is_empty() && idle.token == first.token);
        enter(&mut ledger, statuses(&[("a", 1), ("b", 2), ("d", 1)]));
        let second = ledger.answer("apps", Some(&first.token));
        assert_eq!(names(&second), ["b", "d"]);
        assert_eq!(second.removed, ["mesh/apps/virtualNode/c"]);
        enter(&mut ledger, statuses(&[("a", 1), ("b", 2), ("c", 1), ("d", 1)]));
        let third = ledger.answer("apps", Some(&first.token));
        assert_eq!((names(&third), third.removed.len()), (vec!["b", "c", "d"], 0));
    }

    #[test]
    fn a_token_of_another_process_or_of_the_future_gets_everything() {
        let mut ledger = ProxyLedger::new("this".into());
        enter(&mut ledger, statuses(&[("a", 1)]));
        let mut other = ProxyLedger::new("other".into());
        enter(&mut other, statuses(&[("a", 1)]));
        let foreign = other.answer("apps", None).token;
        let future = Token(format!("{}-99", ledger.instance));
        for token in [foreign, future, Token("nonsense".into()), Token(String::new())] {
            assert!(ledger.answer("apps", Some(&token)).complete, "{token:?}");
        }
    }

    #[test]
    fn a_reader_that_missed_more_removals_than_are_remembered_gets_everything() {
        let mut ledger = ProxyLedger::new("this".into());
        enter(&mut ledger, statuses(&[("a", 1)]));
        let old = ledger.answer("apps", None).token;
        for pass in 0..=REMOVALS {
            let name = format!("n{pass}");
            enter(&mut ledger, statuses(&[("a", 1), (name.as_str(), 1)]));
        }
        enter(&mut ledger, statuses(&[("a", 1)]));
        assert!(ledger.answer("apps", Some(&old)).complete);
    }
}
