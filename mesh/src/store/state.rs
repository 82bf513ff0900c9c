//! The state of a store, and the effect of a commit on it: a spent token returns its response, everything else is decided on the newest
//! state, and the result becomes the next one. Pure.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use fleetmesh_model::{Kind, MeshName, ResourceId};

use super::change::{Change, ClientToken, Commit, Decided, Tip, Write};
use super::error::CommitError;
use super::token::Spent;
use crate::refusal::Refusal;
use crate::view::{MeshView, Meshes, Record};

/// A store as its last commit left it. Clones share the views.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// The meshes.
    pub meshes: Meshes,
    /// The last commit.
    pub revision: u64,
}

/// What a commit comes to.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one lives at a time, and is taken apart at once")]
pub enum Step {
    /// It is answered, and nothing is to be written. The answer is right as long as the storage is at the revision of the state,
    /// which a store with other writers has to see to before it gives it.
    Answered(Result<Arc<Record>, CommitError>),
    /// It cannot be decided, whatever is stored.
    Failed(CommitError),
    /// It is to be written, and to be taken in by [`State::apply`] once it is.
    Decided(Decided),
}

impl State {
    /// What is to become of `commit`. `spent` is what its client token was spent on, as far as that is remembered.
    pub fn step(&self, commit: &Commit, spent: Option<&Spent>) -> Step {
        if let Some((token, spent)) = commit.token.as_ref().zip(spent)
            && let Some(current) = spent.current(&self.meshes)
        {
            let answer = spent.answer(token, current).map(Arc::new);
            return Step::Answered(answer.ok_or_else(|| reused(token)));
        }
        let tip = Tip::new(&self.meshes, self.revision);
        match catch_unwind(AssertUnwindSafe(|| commit.decided_on(tip))) {
            Ok(Ok(decided)) => Step::Decided(decided),
            Ok(Err(refusal)) => Step::Answered(Err(CommitError::Refused(refusal))),
            Err(_) => Step::Failed(CommitError::Internal { reason: "a rule panicked; see the log".into() }),
        }
    }

    /// Takes in what was decided on it and is written: the commit after that revision. Gives the record that was put or deleted.
    ///
    /// # Errors
    /// [`CommitError::Internal`] for a record that is to be deleted and is not there: storage and memory differ.
    pub fn apply(&mut self, decided: Decided) -> Result<Arc<Record>, CommitError> {
        let Decided { on, change } = decided;
        self.revision = on.saturating_add(1);
        match change {
            Change::Put(Write { record, replaces: _ }) => {
                let record = Arc::new(record);
                let view = self.view(record.id.mesh_name());
                view.resources.insert(record.id.clone(), Arc::clone(&record));
                Ok(record)
            }
            Change::Delete { id, uid: _, version: _ } => {
                let missing = || CommitError::Internal { reason: format!("{id} was not in memory") };
                self.remove(&id).ok_or_else(missing)
            }
        }
    }

    /// The view of `mesh`, marked with the last commit.
    fn view(&mut self, mesh: &MeshName) -> &mut MeshView {
        let empty = || Arc::new(MeshView { revision: 0, resources: [].into() });
        let view = Arc::make_mut(self.meshes.entry(mesh.clone()).or_insert_with(empty));
        view.revision = self.revision;
        view
    }

    fn remove(&mut self, id: &ResourceId) -> Option<Arc<Record>> {
        if id.kind() == Kind::Mesh {
            return self.meshes.remove(id.mesh_name())?.get(id).cloned();
        }
        self.view(id.mesh_name()).resources.remove(id)
    }
}

fn reused(token: &ClientToken) -> CommitError {
    let token = &token.token;
    CommitError::Refused(Refusal::conflict(format!(
        "clientToken: {token:?} was already spent on another request; give every request its own token"
    )))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{node, record};

    fn put(record: &Arc<Record>, replaces: Option<i64>) -> Change {
        Change::Put(Write { record: Record::clone(record), replaces })
    }

    fn delete(record: &Record) -> Change {
        let Record { id, uid, version, .. } = record.clone();
        Change::Delete { id, uid, version }
    }

    fn committed(state: &mut State, change: Change) -> Arc<Record> {
        let commit = Commit { token: None, decide: Box::new(move |_| Ok(change.clone())) };
        match state.step(&commit, None) {
            Step::Decided(decided) => state.apply(decided).expect("applied"),
            other => panic!("{other:?}"),
        }
    }

    /// The mesh `apps` with the virtual node `a`, after two commits.
    fn state() -> (State, Arc<Record>) {
        let mut state = State::default();
        committed(&mut state, put(&record("", &json!({}), 1), None));
        let node = committed(&mut state, put(&record("virtualNode/a", &json!({}), 1), None));
        (state, node)
    }

    #[test]
    fn each_change_is_the_next_commit_and_leaves_older_views_as_they_were() {
        let (mut state, first) = state();
        let old = state.clone();
        assert_eq!((old.revision, old.meshes[&"apps".into()].revision), (2, 2));
        committed(&mut state, put(&record("virtualNode/a", &json!({}), 2), Some(1)));
        assert_eq!(state.meshes[&"apps".into()].get(&node("a")).expect("it is there").version, 2);
        assert_eq!(old.meshes[&"apps".into()].get(&node("a")), Some(&first));
        assert_eq!(committed(&mut state, delete(&record("virtualNode/a", &json!({}), 2))).version, 2);
        assert!(state.meshes[&"apps".into()].get(&node("a")).is_none());
        committed(&mut state, delete(&record("", &json!({}), 1)));
        assert_eq!((state.revision, state.meshes.len(), old.meshes.len()), (5, 0, 1));
        let gone = Decided { on: 5, change: delete(&first) };
        assert!(matches!(state.apply(gone), Err(CommitError::Internal { .. })));
    }

    #[test]
    fn a_decision_sees_the_newest_state_and_may_refuse_or_panic() {
        let (state, first) = state();
        let id = first.id.clone();
        let refuse = move |tip: Tip<'_>| {
            let version = tip.record(&id).map_or(0, |record| record.version);
            Err(Refusal::conflict(format!("{version} as of {}", tip.revision())))
        };
        let refused = state.step(&Commit { token: None, decide: Box::new(refuse) }, None);
        let Step::Answered(Err(CommitError::Refused(refusal))) = refused else { panic!("{refused:?}") };
        assert_eq!(refusal.message, "1 as of 2");
        let panicked = state.step(&Commit { token: None, decide: Box::new(|_| panic!("a fault")) }, None);
        assert!(matches!(panicked, Step::Failed(CommitError::Internal { .. })), "{panicked:?}");
    }

    #[test]
    fn a_spent_token_brings_back_its_answer_for_as_long_as_the_resource_exists() {
        let (mut state, first) = state();
        let token = |request| ClientToken {
            token: "t".into(),
            mesh: "apps".into(),
            request: [request; 32],
            spec: first.spec.clone(),
        };
        let spent = Spent::on(&token(1), &first);
        let again = |request| Commit {
            token: Some(token(request)),
            decide: Box::new(|_| Err(Refusal::conflict("decided again"))),
        };
        committed(&mut state, put(&record("virtualNode/a", &json!({}), 2), Some(1)));
        let answer = state.step(&again(1), Some(&spent));
        let Step::Answered(Ok(record)) = answer else { panic!("{answer:?}") };
        assert_eq!(record, first, "as it was the first time");
        let other = state.step(&again(2), Some(&spent));
        let Step::Answered(Err(CommitError::Refused(refusal))) = other else { panic!("{other:?}") };
        assert!(refusal.message.contains("already spent on another request"), "{refusal}");
        // Of another resource of that name it says nothing.
        let next = Spent { uid: "of-the-next".into(), ..spent };
        let decided = state.step(&again(2), Some(&next));
        let Step::Answered(Err(CommitError::Refused(refusal))) = decided else { panic!("{decided:?}") };
        assert_eq!(refusal.message, "decided again");
    }
}
