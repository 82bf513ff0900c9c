//! The parts of a node in a build without the clients of IAM and EC2 (the feature `aws`): a resource that asks for one gets a
//! condition that says so, and what an earlier build made is kept, with its status, until a build that can remove it does.

use fleetmesh_core::{Finding, Part};
use fleetmesh_crds::Reason;

/// A part that this build can neither make nor remove; `status` is what was reported of it before.
fn absent<S>(of: &str, status: Option<S>) -> Part<S> {
    let message = format!(
        "this fleetmesh was built without the feature `aws` and cannot call AWS for the {of}; run the operator of a build with it"
    );
    let finding = Finding::fails(Reason::EndpointUnreachable, message);
    Part { finding, status, events: Vec::new(), look: None, failure: None }
}

/// The identity.
pub mod iam {
    use fleetmesh_crds::IamStatus;

    use super::super::Reconcile;
    use super::{Part, absent};

    /// Reports the identity that the resource asks for or has; `None` when it does neither.
    pub async fn run(reconcile: &Reconcile<'_>) -> Option<Part<IamStatus>> {
        let object = reconcile.object;
        let wanted = object.iam().is_some() && !reconcile.deleting;
        (wanted || object.status.iam().is_some()).then(|| absent("identity", object.status.iam().cloned()))
    }
}

/// The fleet.
pub mod fleet {
    use fleetmesh_crds::{FleetStatus, IamStatus};

    use super::super::Reconcile;
    use super::{Part, absent};

    /// Reports the fleet that the resource asks for or has; `None` when it does neither.
    pub async fn run(reconcile: &Reconcile<'_>, _: Option<&Part<IamStatus>>) -> Option<Part<FleetStatus>> {
        let object = reconcile.object;
        let wanted = object.fleet().is_some() && !reconcile.deleting;
        (wanted || object.status.fleet().is_some()).then(|| absent("fleet", object.status.fleet().cloned()))
    }
}
