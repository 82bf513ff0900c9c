//! The state of a store, and the effect of a commit on it: a spent token returns its response, everything else is decided on the newest
//! state, and the result becomes the next one. Pure.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use fleetmesh_model::{Kind, MeshName, ResourceId};

use super::change::{Change, ClientToken, Decided, DecidedPart, Fault, JointCommit, Tip, Write};
use super::error::CommitError;
use super::token::Spent;
use crate::form::Forms;
use crate::refusal::Refusal;
use crate::view::{MeshView, Meshes, Record};

/// A store as its last commit left it. Clones share the views.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// The meshes.
    pub meshes: Meshes,
    /// The last commit.
    pub revision: u64,
    /// Since when it knows each form.
    pub forms: Forms,
}

/// What a commit comes to.
#[derive(Debug)]
pub enum Step {
    /// It is answered, and nothing is to be written. The answer is right as long as the storage is at the revision of the state,
    /// which a store with other writers has to see to before it gives it.
    Answered(Result<Vec<Arc<Record>>, Vec<Fault>>),
    /// It cannot be decided, whatever is stored.
    Failed(CommitError),
    /// It is to be written, and to be taken in by [`State::apply`] once it is.
    Decided(Decided),
}

impl State {
    /// What is to become of `commit`. `spent` is what the client token of each of its requests was spent on, as far as that is
    /// remembered.
    pub fn step(&self, commit: &JointCommit, spent: &[Option<Spent>]) -> Step {
        let answered = match self.answered(commit, spent) {
            Ok(answered) => answered,
            Err(faults) => return Step::Answered(Err(faults)),
        };
        let open: Vec<usize> = (0..answered.len()).filter(|part| answered[*part].is_none()).collect();
        if open.is_empty() {
            return Step::Answered(Ok(answered.into_iter().flatten().collect()));
        }
        let tip = Tip::new(&self.meshes, self.revision);
        match catch_unwind(AssertUnwindSafe(|| (commit.decide)(tip, &open))) {
            Ok(Ok(changes)) if changes.len() == open.len() => {
                let mut changes = changes.into_iter().map(DecidedPart::Change);
                let parts = answered.into_iter().filter_map(|answered| match answered {
                    Some(record) => Some(DecidedPart::Answered(record)),
                    None => changes.next(),
                });
                Step::Decided(Decided { on: self.revision, parts: parts.collect() })
            }
            Ok(Ok(changes)) => {
                let reason = format!("{} changes were decided for {} requests", changes.len(), open.len());
                Step::Failed(CommitError::Internal { reason })
            }
            Ok(Err(faults)) => Step::Answered(Err(faults)),
            Err(_) => Step::Failed(CommitError::Internal { reason: "a rule panicked; see the log".into() }),
        }
    }

    /// What each request is answered that was carried out before.
    fn answered(
        &self,
        commit: &JointCommit,
        spent: &[Option<Spent>],
    ) -> Result<Vec<Option<Arc<Record>>>, Vec<Fault>> {
        let (mut answered, mut faults) = (Vec::with_capacity(commit.tokens.len()), Vec::new());
        for (part, token) in commit.tokens.iter().enumerate() {
            let spent = spent.get(part).and_then(Option::as_ref);
            let known = token.as_ref().zip(spent).and_then(|(token, spent)| {
                spent.current(&self.meshes).map(|current| (token, spent.answer(token, current)))
            });
            match known {
                Some((token, None)) => faults.push(Fault { part, refusal: reused(token) }),
                Some((_, answer)) => answered.push(answer.map(Arc::new)),
                None => answered.push(None),
            }
        }
        if faults.is_empty() { Ok(answered) } else { Err(faults) }
    }

    /// Takes in what was decided on it and is written: the commit after that revision. Gives, for each request, the record that was
    /// put or deleted.
    ///
    /// # Errors
    /// [`CommitError::Internal`] for a record that is to be deleted and is not there: storage and memory differ.
    pub fn apply(&mut self, decided: Decided) -> Result<Vec<Arc<Record>>, CommitError> {
        let Decided { on, parts } = decided;
        self.revision = on.saturating_add(1);
        let records = parts.into_iter().map(|part| match part {
            DecidedPart::Answered(record) => Ok(record),
            DecidedPart::Change(change) => self.take(change),
        });
        records.collect()
    }

    fn take(&mut self, change: Change) -> Result<Arc<Record>, CommitError> {
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
        let forms = self.forms;
        let empty = || Arc::new(MeshView { revision: 0, forms, resources: [].into() });
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

fn reused(token: &ClientToken) -> Refusal {
    let token = &token.token;
    Refusal::conflict(format!(
        "clientToken: {token:?} was already spent on another request; give every request its own token"
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::change::Commit;
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
        match state.step(&commit.into(), &[None]) {
            Step::Decided(decided) => state.apply(decided).expect("applied").remove(0),
            other => panic!("{other:?}"),
        }
    }

    /// What `commit`, whose token was spent on `spent`, is answered without a write.
    fn answered(state: &State, commit: Commit, spent: Option<&Spent>) -> Result<Arc<Record>, Refusal> {
        match state.step(&commit.into(), &[spent.cloned()]) {
            Step::Answered(Ok(mut records)) => Ok(records.remove(0)),
            Step::Answered(Err(mut faults)) => Err(faults.remove(0).refusal),
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
        let gone = Decided { on: 5, parts: vec![DecidedPart::Change(delete(&first))] };
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
        let refused = answered(&state, Commit { token: None, decide: Box::new(refuse) }, None);
        assert_eq!(refused.expect_err("refused").message, "1 as of 2");
        let panics = Commit { token: None, decide: Box::new(|_| panic!("a fault")) };
        let panicked = state.step(&panics.into(), &[None]);
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
        let answer = answered(&state, again(1), Some(&spent));
        assert_eq!(answer, Ok(Arc::clone(&first)), "as it was the first time");
        let other = answered(&state, again(2), Some(&spent)).expect_err("refused");
        assert!(other.message.contains("already spent on another request"), "{other}");
        // Of another resource of that name it says nothing.
        let next = Spent { uid: "of-the-next".into(), ..spent };
        let decided = answered(&state, again(2), Some(&next)).expect_err("refused");
        assert_eq!(decided.message, "decided again");
    }

    #[test]
    fn of_a_joint_commit_what_was_carried_out_is_answered_and_the_rest_is_one_commit() {
        let (mut state, first) = state();
        let token = ClientToken {
            token: "t".into(),
            mesh: "apps".into(),
            request: [1; 32],
            spec: first.spec.clone(),
        };
        let (spent, second) = (Spent::on(&token, &first), record("virtualNode/b", &json!({}), 1));
        let (made, gone) = (Arc::clone(&second), record("virtualNode/a", &json!({}), 1));
        let decide = move |_: Tip<'_>, parts: &[usize]| {
            assert_eq!(parts, [0, 2]);
            Ok(vec![put(&made, None), delete(&gone)])
        };
        let commit = JointCommit { tokens: vec![None, Some(token), None], decide: Box::new(decide) };
        let before = state.clone();
        let Step::Decided(decided) = state.step(&commit, &[None, Some(spent), None]) else {
            panic!("not decided")
        };
        let records = state.apply(decided).expect("applied");
        assert_eq!(records, [second, Arc::clone(&first), first]);
        assert_eq!((before.revision, state.revision), (2, 3), "one commit");
        let view = &state.meshes[&"apps".into()];
        assert_eq!((view.revision, view.get(&node("a")), view.get(&node("b")).is_some()), (3, None, true));

        let decide = |_: Tip<'_>, _: &[usize]| Ok(Vec::new());
        let short = JointCommit { tokens: vec![None], decide: Box::new(decide) };
        assert!(matches!(state.step(&short, &[None]), Step::Failed(_)), "a change for each request");
    }
}
