//! boto3's own paginators find every object once, whatever the page size.

use std::collections::BTreeSet;

use fleetmesh_testbed::control_plane::ControlPlane;
use fleetmesh_testbed::run_dir::RunDir;

use crate::boto;

#[tokio::test]
async fn paginators_find_every_object_once() {
    let run = RunDir::new("paginators").unwrap();
    let control_plane = ControlPlane::start(&run).await.unwrap();
    let pages = boto::run("paginators.py", &[&control_plane.endpoint()]).await.unwrap();
    let expected = [
        "list_gateway_routes",
        "list_meshes",
        "list_routes",
        "list_tags_for_resource",
        "list_virtual_gateways",
        "list_virtual_nodes",
        "list_virtual_routers",
        "list_virtual_services",
    ];
    let found = pages.as_object().unwrap();
    assert_eq!(found.keys().collect::<BTreeSet<_>>(), expected.map(String::from).iter().collect());
    for (operation, result) in found {
        let names: Vec<&str> =
            result["found"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        let wanted: Vec<&str> =
            result["made"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        assert_eq!(names, wanted, "{operation}");
        // Seven objects on pages of three.
        assert_eq!(result["pages"], 3, "{operation}");
    }
}
