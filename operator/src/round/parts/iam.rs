//! The IAM identity of a node: observe (reads) → decide (pure) → apply (writes).

use fleetmesh_core::Part;
use fleetmesh_crds::IamStatus;

use super::Round;

/// Brings IAM in step with the resource.
pub async fn run(_round: &Round<'_>) -> Option<Part<IamStatus>> {
    None
}
