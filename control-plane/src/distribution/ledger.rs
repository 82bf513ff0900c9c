//! What was said about a mesh and when, so that a reader is told only what changed since its token. Pure.

use std::collections::{BTreeMap, VecDeque};

use fleetmesh_model::ResourceId;
use uuid::Uuid;

use super::Stamp;
use super::report::{Answer, ObjectStatus, Token};

/// How many removals are remembered; a reader that missed more is told everything.
const REMOVALS: usize = 4096;

/// What is known about the objects of one mesh.
pub(super) struct Ledger {
    /// Tells this ledger's tokens from those of an earlier process.
    instance: Uuid,
    /// What it was last brought up to date with.
    pub(super) stamp: Option<Stamp>,
    /// How often something changed.
    sequence: u64,
    /// Tokens below it are too old to say what was removed since.
    oldest: u64,
    objects: BTreeMap<ResourceId, (u64, ObjectStatus)>,
    removals: VecDeque<(u64, ResourceId)>,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            instance: Uuid::new_v4(),
            stamp: None,
            sequence: 0,
            oldest: 0,
            objects: BTreeMap::new(),
            removals: VecDeque::new(),
        }
    }
}

impl Ledger {
    /// Takes in the present status of every object.
    pub(super) fn enter(&mut self, mut statuses: BTreeMap<ResourceId, ObjectStatus>) {
        let next = self.sequence + 1;
        let mut changed = false;
        let mut gone = Vec::new();
        for (id, (since, known)) in &mut self.objects {
            match statuses.remove(id) {
                None => gone.push(id.clone()),
                Some(status) if status == *known => {}
                Some(status) => {
                    (*since, *known) = (next, status);
                    changed = true;
                }
            }
        }
        changed |= !gone.is_empty() || !statuses.is_empty();
        for id in gone {
            self.objects.remove(&id);
            self.removals.push_back((next, id));
        }
        for (id, status) in statuses {
            self.removals.retain(|(_, removed)| *removed != id);
            self.objects.insert(id, (next, status));
        }
        while self.removals.len() > REMOVALS {
            let dropped = self.removals.pop_front();
            self.oldest = dropped.map_or(self.oldest, |(at, _)| at);
        }
        if changed {
            self.sequence = next;
        }
    }

    /// What changed since `after`; everything without one, or with one that says nothing here.
    pub(super) fn answer(&self, mesh: &str, after: Option<&Token>) -> Answer {
        let since = after.and_then(|token| self.sequence_of(token));
        let is_new = |at: u64| since.is_none_or(|since| at > since);
        let objects = self.objects.values().filter(|(at, _)| is_new(*at)).map(|(_, status)| status.clone());
        let removed = match since {
            None => Vec::new(),
            Some(_) => {
                let removed = self.removals.iter().filter(|(at, _)| is_new(*at));
                removed.map(|(_, id)| id.to_string()).collect()
            }
        };
        Answer {
            mesh: mesh.to_owned(),
            token: Token(format!("{}-{}", self.instance.simple(), self.sequence)),
            complete: since.is_none(),
            objects: objects.collect(),
            removed,
        }
    }

    fn sequence_of(&self, token: &Token) -> Option<u64> {
        let (instance, sequence) = token.0.split_once('-')?;
        let sequence = sequence.parse().ok()?;
        let known = instance == self.instance.simple().to_string();
        (known && (self.oldest..=self.sequence).contains(&sequence)).then_some(sequence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fleetmesh_model::Kind;

    fn statuses(objects: &[(&str, i64)]) -> BTreeMap<ResourceId, ObjectStatus> {
        let status = |(name, version): &(&str, i64)| {
            let id = ResourceId::virtual_node("apps", *name);
            let status = ObjectStatus {
                arn: String::new(),
                resource: id.to_string(),
                kind: Kind::VirtualNode,
                version: *version,
                proxies: 0,
                acknowledged: 0,
                rejected: Vec::new(),
                connected: BTreeMap::new(),
                callers: BTreeMap::new(),
                unserved: Vec::new(),
            };
            (id, status)
        };
        objects.iter().map(status).collect()
    }

    fn names(answer: &Answer) -> Vec<&str> {
        answer.objects.iter().filter_map(|object| object.resource.rsplit('/').next()).collect()
    }

    #[test]
    fn a_reader_is_told_what_changed_since_its_token_and_no_more() {
        let mut ledger = Ledger::default();
        ledger.enter(statuses(&[("a", 1), ("b", 1), ("c", 1)]));
        let first = ledger.answer("apps", None);
        assert!(first.complete);
        assert_eq!(names(&first), ["a", "b", "c"]);
        ledger.enter(statuses(&[("a", 1), ("b", 1), ("c", 1)]));
        let idle = ledger.answer("apps", Some(&first.token));
        assert!(!idle.complete && idle.is_empty() && idle.token == first.token);
        ledger.enter(statuses(&[("a", 1), ("b", 2), ("d", 1)]));
        let second = ledger.answer("apps", Some(&first.token));
        assert_eq!(names(&second), ["b", "d"]);
        assert_eq!(second.removed, ["mesh/apps/virtualNode/c"]);
        ledger.enter(statuses(&[("a", 1), ("b", 2), ("c", 1), ("d", 1)]));
        let third = ledger.answer("apps", Some(&first.token));
        assert_eq!((names(&third), third.removed.len()), (vec!["b", "c", "d"], 0));
    }

    #[test]
    fn a_token_of_another_process_or_of_the_future_gets_everything() {
        let mut ledger = Ledger::default();
        ledger.enter(statuses(&[("a", 1)]));
        let mut other = Ledger::default();
        other.enter(statuses(&[("a", 1)]));
        let foreign = other.answer("apps", None).token;
        let future = Token(format!("{}-99", ledger.instance.simple()));
        for token in [foreign, future, Token("nonsense".into()), Token(String::new())] {
            assert!(ledger.answer("apps", Some(&token)).complete, "{token:?}");
        }
    }

    #[test]
    fn a_reader_that_missed_more_removals_than_are_remembered_gets_everything() {
        let mut ledger = Ledger::default();
        ledger.enter(statuses(&[("a", 1)]));
        let old = ledger.answer("apps", None).token;
        for round in 0..=REMOVALS {
            let name = format!("n{round}");
            ledger.enter(statuses(&[("a", 1), (name.as_str(), 1)]));
        }
        ledger.enter(statuses(&[("a", 1)]));
        assert!(ledger.answer("apps", Some(&old)).complete);
    }
}
