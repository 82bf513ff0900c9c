//! The targets in a route's spec, how they change, and which of them are in force. Pure.

use fleetmesh_crds::{Canary, CanaryStatus};
use fleetmesh_model::route::WeightedTarget;

use crate::object::Object;

/// The part of a Route's spec that rollouts are about.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// `metadata.uid` of the Route; goes into the ids of rollouts.
    pub uid: String,
    /// The destination: the spec's targets, with a weight greater than 0 among them.
    pub targets: Vec<WeightedTarget>,
    /// How to get there; at once when `None`.
    pub canary: Option<Canary>,
}

impl Spec {
    /// The spec of a Route; `None` for another kind, and for a route without an action, which is not accepted.
    pub fn of(object: &Object) -> Option<Self> {
        let targets = object.declared_targets().to_vec();
        targets.iter().any(|target| target.weight > 0).then(|| Self {
            uid: object.uid.clone(),
            targets,
            canary: object.canary().cloned(),
        })
    }

    /// As [`in_force`].
    pub fn in_force<'a>(&'a self, state: &'a CanaryStatus) -> Option<&'a [WeightedTarget]> {
        in_force(self.canary.as_ref(), &self.targets, state)
    }
}

/// The targets that the mesh is to be given, once `state` is written; `None` under a `canary` about which nothing was
/// decided yet: then the mesh must be left as it is.
pub fn in_force<'a>(
    canary: Option<&Canary>,
    declared: &'a [WeightedTarget],
    state: &'a CanaryStatus,
) -> Option<&'a [WeightedTarget]> {
    match (canary, state.effective_targets.as_slice()) {
        (None, _) => Some(declared),
        (Some(_), []) => None,
        (Some(_), effective) => Some(effective),
    }
}
