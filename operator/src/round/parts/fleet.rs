//! The fleet of a node: observe (reads) → decide (pure) → apply (writes).

use fleetmesh_core::Part;
use fleetmesh_crds::{FleetStatus, IamStatus};

use super::Round;

/// Brings EC2 in step with the resource. `iam` is what came of its identity in the same round.
pub async fn run(_round: &Round<'_>, _iam: Option<&Part<IamStatus>>) -> Option<Part<FleetStatus>> {
    None
}
