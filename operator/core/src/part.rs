//! The parts of a resource besides its App Mesh object: the IAM identity and the fleet of a virtual node, the rollout of a route.
//! All are reported in one shape, from which status, Events and the next look are made. Pure data.

use std::time::Duration;

use fleetmesh_crds::{FleetStatus, IamStatus, MeshTlsStatus};

use crate::canary::Reduction;
use crate::condition::Finding;
use crate::event::Event;
use crate::failure::Failure;
use crate::object::Object;

/// What came of one part in a reconcile.
#[derive(Clone, Debug, PartialEq)]
pub struct Part<S> {
    /// What its condition says.
    pub finding: Finding,
    /// What there is; `None` when nothing of it is left.
    pub status: Option<S>,
    /// What was done that a status cannot keep.
    pub events: Vec<Event>,
    /// When it wants another look before the drift interval is over.
    pub look: Option<Duration>,
    /// The call that failed, if one did.
    pub failure: Option<Failure>,
}

/// The parts of one resource; a part that the resource neither has nor had is `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parts {
    /// The IAM identity.
    pub iam: Option<Part<IamStatus>>,
    /// The fleet.
    pub fleet: Option<Part<FleetStatus>>,
    /// What was decided about the rollout.
    pub rollout: Option<Box<Reduction>>,
    /// How far the TLS of a mesh is.
    pub tls: Option<MeshTlsStatus>,
}

impl Parts {
    /// The call that failed, the identity's before the fleet's.
    pub fn failure(&self) -> Option<&Failure> {
        let iam = self.iam.as_ref().and_then(|part| part.failure.as_ref());
        iam.or_else(|| self.fleet.as_ref().and_then(|part| part.failure.as_ref()))
    }

    /// The soonest look that a part wants.
    pub fn look(&self) -> Option<Duration> {
        let looks =
            [self.iam.as_ref().and_then(|part| part.look), self.fleet.as_ref().and_then(|part| part.look)];
        looks.into_iter().flatten().min()
    }

    /// The Events of all parts.
    pub fn events(&self) -> impl Iterator<Item = &Event> {
        let iam = self.iam.iter().flat_map(|part| &part.events);
        iam.chain(self.fleet.iter().flat_map(|part| &part.events))
    }

    /// Whether every part that `object` has or had was looked at in this reconcile and nothing of it is left.
    pub fn all_gone(&self, object: &Object) -> bool {
        fn gone<S>(had: bool, part: Option<&Part<S>>) -> bool {
            part.map_or(!had, |part| part.status.is_none() && part.failure.is_none())
        }
        gone(object.iam().is_some() || object.status.iam().is_some(), self.iam.as_ref())
            && gone(object.fleet().is_some() || object.status.fleet().is_some(), self.fleet.as_ref())
    }
}
