//! The decision. Pure data.

use fleetmesh_crds::Reason;
use fleetmesh_model::Difference;

use crate::plan::Plan;

/// The decision of one reconcile: the plan, and what the conditions will say about the resource itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// Whether the spec is valid and the name ours.
    pub accepted: Verdict,
    /// Whether everything that the spec names exists, as far as the cluster knows.
    pub resolved: Verdict,
    /// What to do.
    pub plan: Plan,
    /// What somebody changed behind our back and the plan mends.
    pub drift: Option<Drift>,
    /// Whether the plan takes over an App Mesh object that was somebody else's.
    pub adopts: bool,
}

/// Whether a condition holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It does.
    Holds,
    /// It does not; why, and the way out.
    Fails(Reason, String),
    /// It was not looked at, because an earlier one must hold first.
    Open,
}

/// A change that was made outside of Kubernetes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Drift {
    /// It differs from what is wanted.
    Changed {
        /// The members of the spec that differ.
        members: Vec<Difference>,
        /// The keys of the tags that differ.
        tags: Vec<String>,
    },
    /// The object is gone.
    Deleted,
}
