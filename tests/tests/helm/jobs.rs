//! What a Job's controller and a kubelet do for the chart's hooks, which Helm awaits: each Job is run once, with its arguments,
//! its environment and its ServiceAccount's token, and its status says how it ended.

use std::process::Command;
use std::time::Duration;

use fleetmesh_testbed::cluster::Cluster;
use fleetmesh_testbed::kubectl::Kubectl;
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::{command, tools};
use serde_json::{Value, json};

/// How often Jobs are looked for.
const LOOKS: Duration = Duration::from_millis(200);

/// Awaits `helm`, and runs the Jobs that it makes meanwhile.
pub async fn while_jobs_run<T>(cluster: &Cluster, run: &RunDir, helm: impl Future<Output = T>) -> T {
    let kubectl = cluster.kubectl().unwrap();
    let jobs = async {
        loop {
            for job in waiting(&kubectl).await {
                run_to_end(&job, cluster, &kubectl, run).await;
            }
            tokio::time::sleep(LOOKS).await;
        }
    };
    tokio::select! {
        ended = helm => ended,
        () = jobs => unreachable!("it looks for Jobs for ever"),
    }
}

/// The Jobs that have not ended.
async fn waiting(kubectl: &Kubectl) -> Vec<Value> {
    let all = kubectl.json(&["get", "jobs", "--all-namespaces"]).await.unwrap();
    let all = all["items"].as_array().unwrap().iter();
    all.filter(|job| job["status"]["conditions"].as_array().is_none_or(Vec::is_empty)).cloned().collect()
}

async fn run_to_end(job: &Value, cluster: &Cluster, kubectl: &Kubectl, run: &RunDir) {
    let text = |member: &str| job["metadata"][member].as_str().unwrap();
    let (name, namespace) = (text("name"), text("namespace"));
    let pod = &job["spec"]["template"]["spec"];
    let [container] = &pod["containers"].as_array().unwrap()[..] else { panic!("one container: {pod}") };
    assert_eq!((&pod["automountServiceAccountToken"], container.get("command")), (&json!(true), None));

    let mut program = Command::new(tools::fleetmesh().unwrap());
    program.env_clear().env("KUBECONFIG", account(pod, namespace, cluster, kubectl, run).await);
    for variable in container["env"].as_array().into_iter().flatten() {
        program.env(variable["name"].as_str().unwrap(), variable["value"].as_str().unwrap());
    }
    program.args(container["args"].as_array().unwrap().iter().map(|argument| argument.as_str().unwrap()));
    let ended = command::capture(program).await.unwrap();
    eprintln!("Job {name}: {}\n{}{}", ended.status, ended.stdout, ended.stderr);

    let now = job["metadata"]["creationTimestamp"].clone();
    let is = |kind: &str| {
        let said = ended.stderr.lines().last().unwrap_or_default();
        json!({
            "type": kind, "status": "True", "reason": "Ended", "message": said, "lastTransitionTime": now, "lastProbeTime": now,
        })
    };
    let mut status = match ended.status.success() {
        true => {
            json!({ "succeeded": 1, "completionTime": now, "conditions": [is("SuccessCriteriaMet"), is("Complete")] })
        }
        false => json!({ "failed": 1, "conditions": [is("FailureTarget"), is("Failed")] }),
    };
    status["startTime"] = now.clone();
    let patch = json!({ "status": status }).to_string();
    let arguments = ["patch", "job", name, "-n", namespace, "--subresource=status", "--type=merge", "-p"];
    kubectl.run(&[&arguments[..], &[&patch]].concat()).await.unwrap();
}

/// A kubeconfig with the token of the Pod's ServiceAccount.
async fn account(
    pod: &Value,
    namespace: &str,
    cluster: &Cluster,
    kubectl: &Kubectl,
    run: &RunDir,
) -> std::path::PathBuf {
    let account = pod["serviceAccountName"].as_str().unwrap();
    let token = kubectl.run(&["create", "token", account, "-n", namespace]).await.unwrap();
    let admin = std::fs::read_to_string(cluster.admin_kubeconfig()).unwrap();
    let mut config: Value = serde_json::from_str(&admin).unwrap();
    let user = config["users"][0]["name"].clone();
    config["users"] = json!([{ "name": user, "user": { "token": token.trim() } }]);
    let file = run.join("job-kubeconfig.json");
    std::fs::write(&file, config.to_string()).unwrap();
    file
}
