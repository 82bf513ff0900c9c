//! The outcome of a plan. Pure data.

use crate::failure::{Failure, FailureClass};
use crate::observed::RemoteIdentity;
use crate::plan::Step;

/// The outcome of a plan: the steps that were done, and the failure that ended it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// The steps that were done, in order.
    pub done: Vec<Step>,
    /// The App Mesh object as the last write left it.
    pub identity: Option<RemoteIdentity>,
    /// Whether the App Mesh object was deleted.
    pub deleted: bool,
    /// The step that failed, and why.
    pub failed: Option<(Step, Failure)>,
    /// Whether something that may be in the way of that step was in a reconcile of its own, so that the step is to be tried again
    /// soon.
    pub busy: bool,
}

impl Outcome {
    /// Whether the endpoint contradicted what the reconcile took for granted, so that the next one must read everything.
    pub fn surprised(&self) -> bool {
        match &self.failed {
            Some((Step::Create { .. }, failure)) => failure.class == FailureClass::Conflict,
            Some((Step::Update { .. }, failure)) => failure.class == FailureClass::Conflict,
            _ => false,
        }
    }

    /// Whether the App Mesh object was created or changed.
    pub fn wrote(&self) -> bool {
        self.done
            .iter()
            .any(|step| matches!(step, Step::Create { .. } | Step::Update { .. } | Step::Delete { .. }))
    }

    /// The failure, if there was one.
    pub fn failure(&self) -> Option<&Failure> {
        self.failed.as_ref().map(|(_, failure)| failure)
    }
}
