//! The API model itself, put to the control plane: every member of every spec comes back, every broken bound is a bad
//! request that names its path.

use fleetmesh_testbed::control_plane::ControlPlane;
use fleetmesh_testbed::run_dir::RunDir;
use serde_json::json;

use crate::boto;

#[tokio::test]
async fn every_member_is_kept_and_every_bound_is_held() {
    let run = RunDir::new("model").unwrap();
    let control_plane = ControlPlane::start(&run).await.unwrap();
    let found = boto::run("model.py", &[&control_plane.endpoint()]).await.unwrap();
    assert_eq!(found["wrong"], json!([]));
    // The generator has a fixed seed; these are the orders of magnitude of what it must have tried.
    assert!(found["round_trips"].as_u64().unwrap() >= 25, "{found}");
    assert!(found["broken_bounds"].as_u64().unwrap() >= 250, "{found}");
}
