//! A release on a real API server whose workloads run as processes of this machine.

use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use fleetmesh_testbed::cluster::Cluster;
use fleetmesh_testbed::command;
use fleetmesh_testbed::helm::Helm;
use fleetmesh_testbed::kubectl::Kubectl;
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::{port, tools};
use serde_json::{Value, json};

use crate::jobs::while_jobs_run;
use crate::kubelet::{InCluster, Pod};

pub const NAMESPACE: &str = "fleetmesh";
/// A name for instances.
pub const ADS_HOST: &str = "ads.mesh.example.com";

/// Prints a page of a server whose certificate is not verified.
const METRICS: &str = r#"
import ssl, sys, urllib.request
print(urllib.request.urlopen(sys.argv[1], timeout=5, context=ssl._create_unverified_context()).read().decode())
"#;

/// The release, its Pods and what is around them. Fields are dropped in this order.
pub struct HelmBed {
    pub operator: Pod,
    pub control_plane: Pod,
    pub in_cluster: InCluster,
    pub helm: Helm,
    pub kubectl: Kubectl,
    values: String,
    pub api: u16,
    pub ads: u16,
    /// The operator's port of `/metrics`.
    pub health: u16,
    pub run: RunDir,
    pub cluster: Cluster,
}

impl HelmBed {
    /// Installs `chart` with `values`; nothing runs yet. The ports are values too, because this machine has other tests.
    pub async fn install(name: &str, chart: &Path, mut values: Value) -> Self {
        let run = RunDir::new(name).unwrap();
        let cluster = Cluster::start(&run).await.unwrap();
        let kubectl = cluster.kubectl().unwrap();
        let helm = Helm::new(&cluster.admin_kubeconfig(), &run).unwrap();
        let [api, ads, health] = port::free().unwrap();
        let own = json!({
            "controlPlane": { "api": { "port": api }, "ads": { "port": ads, "host": ADS_HOST } },
            "operator": { "port": health, "driftInterval": "1s" },
        });
        json_patch::merge(&mut values, &own);
        let file = run.join("values.json");
        std::fs::write(&file, values.to_string()).unwrap();
        let values = file.to_str().unwrap().to_owned();
        let in_cluster = in_cluster(&cluster);
        let install = release(&helm, &["install", "--create-namespace"], chart, &values);
        while_jobs_run(&cluster, &run, install).await;
        let [operator, control_plane] = pods(&kubectl, &run).await;
        Self { operator, control_plane, in_cluster, helm, kubectl, values, api, ads, health, run, cluster }
    }

    pub async fn start(&mut self) {
        self.control_plane.start(&self.kubectl, &self.in_cluster, &self.run).await;
        self.operator.start(&self.kubectl, &self.in_cluster, &self.run).await;
    }

    /// `helm upgrade` to `chart` with the same values; running workloads are given the new Secrets.
    pub async fn upgrade(&self, chart: &Path) {
        let upgrade = release(&self.helm, &["upgrade"], chart, &self.values);
        while_jobs_run(&self.cluster, &self.run, upgrade).await;
        self.control_plane.sync(&self.kubectl).await;
        self.operator.sync(&self.kubectl).await;
    }

    /// The workloads as the release has them now, not started.
    pub async fn replaced_pods(&mut self) {
        [self.operator, self.control_plane] = pods(&self.kubectl, &self.run).await;
    }

    /// `helm upgrade` to `chart` with more values, after which another Pod of the operator's runs.
    pub async fn reconfigure(&mut self, chart: &Path, more: &Value) {
        let mut values: Value =
            serde_json::from_str(&std::fs::read_to_string(&self.values).unwrap()).unwrap();
        json_patch::merge(&mut values, more);
        std::fs::write(&self.values, values.to_string()).unwrap();
        self.operator.kill();
        self.upgrade(chart).await;
        [self.operator, _] = pods(&self.kubectl, &self.run).await;
        self.operator.start(&self.kubectl, &self.in_cluster, &self.run).await;
    }

    /// What a Secret of the release has.
    pub async fn secret(&self, name: &str, key: &str) -> String {
        let found = self.kubectl.json(&["get", "secret", name, "-n", NAMESPACE]).await.unwrap();
        let data = BASE64_STANDARD.decode(found["data"][key].as_str().unwrap()).unwrap();
        String::from_utf8(data).unwrap()
    }

    /// The keys that the chart makes: the authority's and the control plane's with their certificates, and the access key.
    pub async fn keys(&self) -> Vec<String> {
        let mut keys = Vec::new();
        for secret in ["fleetmesh-ca", "fleetmesh-control-plane-tls"] {
            keys.extend([self.secret(secret, "tls.crt").await, self.secret(secret, "tls.key").await]);
        }
        // What it may do is the newer chart's to say.
        let key: Value =
            serde_json::from_str(&self.secret("fleetmesh-access-key", "access-key.json").await).unwrap();
        keys.extend(
            ["accessKeyId", "secretAccessKey"].map(|member| key[member].as_str().unwrap().to_owned()),
        );
        keys
    }

    /// `/metrics` of the control plane.
    pub async fn control_plane_metrics(&self) -> String {
        let mut python = Command::new(tools::tool("python").unwrap());
        python.args(["-c", METRICS, &format!("https://127.0.0.1:{}/metrics", self.api)]);
        command::run(python).await.unwrap()
    }

    pub async fn apply(&self, sample: &str) {
        let samples = tools::workspace_dir().unwrap().join("samples").join(sample);
        self.kubectl.apply(&samples).await.unwrap();
    }

    /// As the samples' README says.
    pub async fn ready(&self) {
        let wait = ["wait", "--for=condition=Ready", "--timeout=60s", "fleetmesh", "--all", "-n", "apps"];
        self.kubectl.run(&wait).await.unwrap();
    }

    /// What is in force on the samples' route.
    pub async fn weights(&self) -> String {
        let get = ["get", "route/service-b", "-n", "apps", "-o", "jsonpath={.status.weights}"];
        self.kubectl.run(&get).await.unwrap()
    }
}

async fn pods(kubectl: &Kubectl, run: &RunDir) -> [Pod; 2] {
    let workload = async |kind, name| {
        let workload = kubectl.json(&["get", kind, name, "-n", NAMESPACE]).await.unwrap();
        Pod::new(&workload, run)
    };
    let operator = workload("deployment", "fleetmesh-operator").await;
    [operator, workload("statefulset", "fleetmesh-control-plane").await]
}

fn in_cluster(cluster: &Cluster) -> InCluster {
    let kubeconfig = std::fs::read_to_string(cluster.admin_kubeconfig()).unwrap();
    let kubeconfig: Value = serde_json::from_str(&kubeconfig).unwrap();
    let server = &kubeconfig["clusters"][0]["cluster"];
    let (_, port) = server["server"].as_str().unwrap().rsplit_once(':').unwrap();
    InCluster {
        port: port.parse().unwrap(),
        authority: server["certificate-authority"].as_str().unwrap().into(),
        names: vec![format!("fleetmesh-control-plane.{NAMESPACE}.svc")],
    }
}

async fn release(helm: &Helm, verb: &[&str], chart: &Path, values: &str) {
    let chart = ["fleetmesh", chart.to_str().unwrap(), "--namespace", NAMESPACE, "--values", values];
    helm.run(&[verb, &chart[..]].concat()).await.unwrap();
}
