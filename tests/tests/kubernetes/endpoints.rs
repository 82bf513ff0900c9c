//! Endpoints that do not work: a condition, or a line, says what is wrong and the way out; nothing is lost, and a working endpoint puts
//! all right.

use std::process::Command;
use std::time::Duration;

use fleetmesh_testbed::cluster::Cluster;
use fleetmesh_testbed::control_plane::ControlPlane;
use fleetmesh_testbed::process::Process;
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::{aws, http, port, stack, tools, userns, wait};

use crate::bed::LIMIT;
use crate::front;
use crate::space::{KubernetesSpace, node, version};

/// A stop ends what is under way.
pub const STOP: Duration = Duration::from_secs(30);

/// `fleetmesh operator` with these arguments, run by `wrapper` unless that is empty. It does not wait for readiness.
pub fn operator(
    cluster: &Cluster,
    wrapper: &[&str],
    arguments: &[&str],
    run: &RunDir,
    name: &str,
) -> Process {
    let fleetmesh = tools::fleetmesh().unwrap();
    let mut command = match wrapper {
        [] => Command::new(fleetmesh),
        [program, rest @ ..] => {
            let mut command = Command::new(program);
            command.args(rest).arg(fleetmesh);
            command
        }
    };
    command.arg("operator").arg("--kubeconfig").arg(cluster.admin_kubeconfig());
    command.args(["--health-listen", "127.0.0.1:0", "--drift-interval", "1s"]).args(arguments);
    aws::credentials(&mut command);
    if arguments.is_empty() && wrapper.is_empty() {
        command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
    }
    Process::spawn(name, &command, run).unwrap()
}

/// Awaits the condition of the node under a bad endpoint, checks the message and that kubectl shows the reason, and
/// stops the operator.
async fn says(space: &KubernetesSpace, mut operator: Process, reason: &str, words: &[&str]) {
    // The operator before it may have left the same reason with other words.
    wait::until(&format!("it says {words:?}"), LIMIT, async || {
        let message = space.message("virtualnode/red", "Ready", reason).await;
        let missing = words.iter().find(|word| !message.contains(**word));
        anyhow::ensure!(missing.is_none(), "{message:?} does not say {missing:?}");
        Ok(Some(()))
    })
    .await
    .unwrap();
    assert!(space.run(&["get", "virtualnode/red"]).await.contains(reason));
    let status = operator.terminate(STOP).await.unwrap();
    assert!(status.success(), "{status}: {}", operator.log_tail());
}

#[tokio::test]
async fn a_bad_endpoint_is_a_condition_and_a_good_one_puts_all_right() {
    if !userns::wanted() {
        return;
    }
    let run = RunDir::new("endpoints").unwrap();
    let cluster = Cluster::start(&run).await.unwrap();
    let kubectl = cluster.kubectl().unwrap();
    let control_plane = ControlPlane::start(&run).await.unwrap();
    let endpoint = control_plane.endpoint();

    stack::install_crds(&kubectl, &run).await.unwrap();
    without_resources(&cluster, &run).await;
    let space = KubernetesSpace::new("endpoints", kubectl, aws::AppMesh::new(&endpoint), &run).await;
    space.apply(&[space.mesh(), space.object("VirtualNode", "red", node("red.local"))]).await;
    let good = operator(&cluster, &[], &["--app-mesh-endpoint", &endpoint], &run, "good");
    space.ready(&["virtualnode/red"]).await;
    let made = space.describe("virtual-node", "red").await;
    drop(good);

    let [free] = port::free().unwrap();
    let nobody = format!("http://127.0.0.1:{free}");
    let started = operator(&cluster, &[], &["--app-mesh-endpoint", &nobody], &run, "nobody");
    says(&space, started, "EndpointUnreachable", &["--app-mesh-endpoint", "version 1"]).await;

    let front = front::unknown_client().await;
    let started = operator(&cluster, &[], &["--app-mesh-endpoint", &front.url], &run, "unknown");
    says(&space, started, "CredentialsInvalid", &["security token", "valid AWS credentials", "version 1"])
        .await;

    let started = operator(&cluster, &[], &[], &run, "anonymous");
    let words = ["valid AWS credentials", "which AWS ended on 2026-09-30", "--app-mesh-endpoint"];
    says(&space, started, "CredentialsInvalid", &words).await;

    // AWS's hosts are gone from DNS: the process sees a file that asks no DNS, so that this holds everywhere.
    let hosts = run.join("nsswitch.conf");
    std::fs::write(&hosts, "hosts: files\n").unwrap();
    let script = format!("mount --bind {} /etc/nsswitch.conf && exec \"$@\"", hosts.display());
    let started = operator(&cluster, &["unshare", "--mount", "sh", "-c", &script, "sh"], &[], &run, "ended");
    let words = ["AWS ended App Mesh", "fleetmesh control-plane", "--app-mesh-endpoint"];
    says(&space, started, "AppMeshEnded", &words).await;

    // One that the environment gives is not AWS's, which would be said to have ended.
    let variable = format!("AWS_ENDPOINT_URL_APP_MESH={nobody}");
    let started = operator(&cluster, &["env", &variable], &[], &run, "variable");
    says(&space, started, "EndpointUnreachable", &["--app-mesh-endpoint", "version 1"]).await;

    // It is met like one of the flag: on this machine, without credentials.
    let variable = format!("AWS_ENDPOINT_URL_APP_MESH={endpoint}");
    let bare = ["env", "-u", "AWS_ACCESS_KEY_ID", "-u", "AWS_SECRET_ACCESS_KEY", &variable];
    let _good = operator(&cluster, &bare, &[], &run, "good");
    space.ready(&["virtualnode/red", "mesh/endpoints"]).await;
    let after = space.describe("virtual-node", "red").await;
    assert_eq!(after, made, "nothing was lost and nothing written");
    assert_eq!(version(&after), 1);
}

/// An operator without resources says that its endpoint is of no use, too, and is not ready; and one whose endpoint can be none
/// does not start.
async fn without_resources(cluster: &Cluster, run: &RunDir) {
    let [free] = port::free().unwrap();
    let nobody = format!("http://127.0.0.1:{free}");
    let mut alone = operator(cluster, &[], &["--app-mesh-endpoint", &nobody], run, "alone");
    let ready = format!("http://{}/readyz", alone.first_line(LIMIT).await.unwrap());
    wait::until("it says why it is not ready", LIMIT, async || {
        let refusal = http::get(&ready).await.expect_err("not ready").to_string();
        let said = ["503", "the App Mesh endpoint does not answer", "--app-mesh-endpoint"];
        Ok(said.iter().all(|words| refusal.contains(words)).then_some(()))
    })
    .await
    .unwrap();
    let log = std::fs::read_to_string(alone.log()).unwrap();
    assert!(log.contains("WARN") && log.contains("the App Mesh endpoint does not answer"), "{log}");
    assert!(alone.terminate(STOP).await.unwrap().success());

    let mut none = operator(cluster, &[], &["--app-mesh-endpoint", "127.0.0.1:9080"], run, "none");
    assert!(!none.ended(LIMIT).await.unwrap().success());
    let said = none.log_tail();
    assert!(said.contains("cannot use --app-mesh-endpoint: \"127.0.0.1:9080\" is no address"), "{said}");

    let variable = ["env", "AWS_ENDPOINT_URL_APP_MESH=127.0.0.1:9080"];
    let mut none = operator(cluster, &variable, &[], run, "none-of-the-environment");
    assert!(!none.ended(LIMIT).await.unwrap().success());
    let said = none.log_tail();
    assert!(said.contains("cannot use the address of AWS_ENDPOINT_URL_APP_MESH"), "{said}");
}
