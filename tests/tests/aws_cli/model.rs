//! The API model itself, put to the control plane: every member of every spec comes back, every broken bound is a bad
//! request that names its path, and whatever is within the bounds is taken. The page on compatibility says all of it.

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

#[tokio::test]
async fn what_is_within_the_bounds_is_taken_by_every_operation() {
    let run = RunDir::new("bounds").unwrap();
    let control_plane = ControlPlane::start(&run).await.unwrap();
    let found = boto::run("bounds.py", &[&control_plane.endpoint()]).await.unwrap();
    assert_eq!(found["wrong"], json!([]));
    assert_eq!(found["operations"], 38);
    assert!(found["specs"].as_u64().unwrap() >= 300, "{found}");
    assert!(found["inputs"].as_u64().unwrap() >= 300, "{found}");
}

#[tokio::test]
async fn the_page_on_compatibility_has_every_operation_and_member_of_the_model() {
    let found = boto::run("compatibility.py", &["../docs/app-mesh-compatibility.md"]).await.unwrap();
    assert_eq!(found["wrong"], json!([]));
    assert_eq!((&found["operations"], &found["structures"]), (&json!(38), &json!(119)));
}
