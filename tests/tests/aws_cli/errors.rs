//! Each error class of the API model, provoked over the wire: boto3 must know it as the class that the operation
//! declares, with the status that the model gives it.

use std::process::Command;
use std::time::Duration;

use fleetmesh_testbed::aws::AppMesh;
use fleetmesh_testbed::control_plane::ControlPlane;
use fleetmesh_testbed::launch::Launch;
use fleetmesh_testbed::process::Process;
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::tools;
use serde_json::{Value, json};

use crate::boto;

/// Checks what `errors.py` found out about one provoked error.
fn check(provoked: &Value, class: &str, status: u16, words: &str) {
    let expected =
        json!({ "code": class, "class": class, "status": status, "model_status": status, "declared": true });
    for (member, value) in expected.as_object().unwrap() {
        assert_eq!(&provoked[member], value, "{member} of {provoked}");
    }
    let message = provoked["message"].as_str().unwrap();
    assert!(message.contains(words), "{message:?} does not say {words:?}");
}

#[tokio::test]
async fn errors_are_those_of_the_model() {
    let run = RunDir::new("errors").unwrap();
    let control_plane =
        ControlPlane::launch(&run, Launch::with(["--quota", "meshes=2,routes=1,gateway-routes=1"]))
            .await
            .unwrap();
    let provoked = boto::run("errors.py", &[&control_plane.endpoint(), "all"]).await.unwrap();
    let expected = [
        (
            "weight",
            "BadRequestException",
            400,
            "weightedTargets[0].weight: 101 is greater than the maximum of 100",
        ),
        ("limit", "BadRequestException", 400, "limit: \"101\" is not a whole number from 1 to 100"),
        (
            "gateway_target",
            "NotFoundException",
            404,
            "target.virtualService.virtualServiceName: VirtualService \"absent\" does not exist",
        ),
        ("gateway_quota", "LimitExceededException", 400, "the quota of 1 gateway-routes"),
        (
            "gateway_in_use",
            "ResourceInUseException",
            409,
            "is in use by mesh/apps/virtualGateway/gateway/gatewayRoute/route",
        ),
        (
            "service_in_use",
            "ResourceInUseException",
            409,
            "is in use by mesh/apps/virtualGateway/gateway/gatewayRoute/route",
        ),
        ("exists", "ConflictException", 409, "mesh/apps exists already"),
        ("token", "ConflictException", 409, "clientToken: \"token\" was already spent"),
        (
            "owner",
            "ForbiddenException",
            403,
            "meshOwner: this control plane serves account 111122223333 only",
        ),
        ("mesh_quota", "LimitExceededException", 400, "the quota of 2 meshes is used up"),
        ("route_quota", "LimitExceededException", 400, "the quota of 1 routes"),
        ("absent", "NotFoundException", 404, "VirtualNode \"absent\" does not exist in mesh/apps"),
        (
            "target",
            "NotFoundException",
            404,
            "weightedTargets[0].virtualNode: VirtualNode \"absent\" does not exist",
        ),
        ("in_use", "ResourceInUseException", 409, "is in use by mesh/apps/virtualRouter/router/route/route"),
        ("children", "ResourceInUseException", 409, "mesh/apps is in use by mesh/apps/virtualNode/node"),
        ("tags", "TooManyTagsException", 400, "a resource has at most 50 tags"),
    ];
    assert_eq!(provoked.as_object().unwrap().len(), expected.len());
    for (case, class, status, words) in expected {
        check(&provoked[case], class, status, words);
    }
}

#[tokio::test]
async fn requests_beyond_the_rate_are_too_many() {
    let run = RunDir::new("rate").unwrap();
    let control_plane = ControlPlane::launch(&run, Launch::with(["--request-rate", "1"])).await.unwrap();
    let provoked = boto::run("errors.py", &[&control_plane.endpoint(), "rate"]).await.unwrap();
    check(&provoked["rate"], "TooManyRequestsException", 429, "more than 1 requests a second");
}

#[tokio::test]
async fn a_disk_that_takes_no_more_is_unavailable_and_loses_nothing() {
    let run = RunDir::new("full-disk").unwrap();
    // Files may not grow beyond 128 KiB (256 blocks of 512 bytes): a full disk that needs no file system of its own.
    let limited = ["-c", "trap '' XFSZ; ulimit -f 256; exec \"$0\" \"$@\""];
    let mut process =
        start(&run, "limited", Command::new("sh").args(limited).arg(tools::fleetmesh().unwrap()));
    let endpoint = format!("http://{}", process.first_line(Duration::from_secs(30)).await.unwrap());
    let provoked = boto::run("errors.py", &[&endpoint, "fill"]).await.unwrap();
    check(&provoked["fill"], "ServiceUnavailableException", 503, "control-plane.db");
    let stored = provoked["stored"].as_array().unwrap();
    assert!(!stored.is_empty());
    let status = process.terminate(Duration::from_secs(30)).await.unwrap();
    assert!(status.success(), "{status}\n{}", process.log_tail());

    let mut process = start(&run, "unlimited", &mut Command::new(tools::fleetmesh().unwrap()));
    let endpoint = format!("http://{}", process.first_line(Duration::from_secs(30)).await.unwrap());
    let aws = AppMesh::new(&endpoint);
    let listed = aws.run(&["list-meshes"]).await.unwrap();
    let names: Vec<&Value> =
        listed["meshes"].as_array().unwrap().iter().map(|mesh| &mesh["meshName"]).collect();
    assert_eq!(names, stored.iter().collect::<Vec<_>>());
}

#[tokio::test]
async fn a_database_that_somebody_damaged_is_an_internal_error_until_it_is_repaired() {
    let run = RunDir::new("damage").unwrap();
    let control_plane = ControlPlane::start(&run).await.unwrap();
    let database = control_plane.data_dir().join("control-plane.db");
    let arguments = [&control_plane.endpoint(), "damage", database.to_str().unwrap()];
    let provoked = boto::run("errors.py", &arguments).await.unwrap();
    check(&provoked["first"], "InternalServerErrorException", 500, "no such table: resource");
    check(&provoked["again"], "InternalServerErrorException", 500, "control-plane.db");
    assert_eq!(provoked["meshes"], json!(["after", "before"]));
}

/// Starts a control plane on a free port by `command`; its logs are called `name`.
fn start(run: &RunDir, name: &str, command: &mut Command) -> Process {
    command.arg("control-plane").arg("--data-dir").arg(run.join("data"));
    command.args(["--listen", "127.0.0.1:0", "--ads-listen", "127.0.0.1:0"]);
    Process::spawn(name, command, run).unwrap()
}
